//! What the committed log of `__consumer_offsets` says of each group, at each of its lengths.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_broker::group::{CoordinatorRecord, GroupMetadataValue};

use super::records::Stored;

/// A moment: how many records were committed.
pub(super) type Moment = usize;

/// What became of something, each with the moment from which it was so.
pub(super) type Versions<T> = Vec<(Moment, T)>;

/// One group.
#[derive(Default)]
pub(super) struct GroupHistory {
    /// `None` where it was deleted.
    generations: Versions<Option<Arc<Stored>>>,
    offsets: BTreeMap<i32, Versions<Option<i64>>>,
    /// When an offset was first committed for a partition.
    commits: BTreeMap<(i32, i64), Moment>,
}

/// All of them.
#[derive(Default)]
pub(super) struct History {
    groups: BTreeMap<String, GroupHistory>,
    pub(super) end: Moment,
}

impl History {
    pub(super) fn group(&self, group: &str) -> Option<&GroupHistory> {
        self.groups.get(group)
    }

    /// One more record is committed.
    pub(super) fn take(&mut self, stored: &Arc<Stored>) {
        self.end += 1;
        match &stored.record {
            CoordinatorRecord::OffsetCommit { key, value } => {
                let group = self.groups.entry(key.group.to_string()).or_default();
                if let Some(value) = value {
                    group.commits.entry((key.partition, value.offset)).or_insert(self.end);
                }
                let versions = group.offsets.entry(key.partition).or_default();
                versions.push((self.end, value.as_ref().map(|value| value.offset)));
            }
            CoordinatorRecord::GroupMetadata { group, value } => {
                let group = self.groups.entry(group.to_string()).or_default();
                group.generations.push((self.end, value.is_some().then(|| stored.clone())));
            }
            CoordinatorRecord::Unknown { .. } => {}
        }
    }
}

impl GroupHistory {
    pub(super) fn last_generation(&self) -> Option<&GroupMetadataValue> {
        self.generation_at(Moment::MAX)
    }

    pub(super) fn generation_at(&self, moment: Moment) -> Option<&GroupMetadataValue> {
        match &at(&self.generations, moment)?.as_ref()?.record {
            CoordinatorRecord::GroupMetadata { value, .. } => value.as_ref(),
            _ => None,
        }
    }

    /// The moments from `floor` on at which the generation, or what the log says of its members, may be another than before.
    pub(super) fn moments_of_generations(&self, floor: Moment) -> impl Iterator<Item = Moment> + use<'_> {
        std::iter::once(floor).chain(self.generations.iter().map(|(at, _)| *at).filter(move |at| *at > floor))
    }

    /// How often the group had been deleted by then.
    pub(super) fn deaths_before(&self, moment: Moment) -> usize {
        self.generations.iter().filter(|(at, generation)| *at <= moment && generation.is_none()).count()
    }

    /// When this offset of the partition was first committed, if ever.
    pub(super) fn committed_at(&self, partition: i32, offset: i64) -> Option<Moment> {
        self.commits.get(&(partition, offset)).copied()
    }

    /// The first moment from `floor` on at which the partitions had these offsets, all at once.
    pub(super) fn had_at(&self, offsets: &[(i32, Option<i64>)], floor: Moment) -> Option<Moment> {
        let none = Vec::new();
        let versions = |partition| self.offsets.get(partition).unwrap_or(&none);
        let later = |(partition, _)| versions(partition).iter().rev().map(|(at, _)| *at).take_while(|at| *at > floor);
        let mut moments: Vec<Moment> = offsets.iter().map(|(p, o)| (p, o)).flat_map(later).collect();
        moments.push(floor);
        moments.sort_unstable();
        let had = |moment: &Moment| {
            offsets.iter().all(|(partition, offset)| at(versions(partition), *moment).copied().flatten() == *offset)
        };
        moments.into_iter().find(had)
    }
}

/// What was so at the moment.
fn at<T>(versions: &[(Moment, T)], moment: Moment) -> Option<&T> {
    let after = versions.partition_point(|(at, _)| *at <= moment);
    versions[..after].last().map(|(_, version)| version)
}
