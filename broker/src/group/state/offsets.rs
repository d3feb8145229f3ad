//! Committed offsets by group, topic and partition, and those of transactions that have not ended.
//!
//! Changed only by replay. A level of the maps is never empty: what loses its last entry is removed.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use weir_protocol::ids::{Offset, ProducerId};
use weir_protocol::messages::StrBytes;

use crate::group::ids::GroupId;
use crate::group::record::{OffsetCommitKey, OffsetCommitValue};

/// One committed offset as the coordinator keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffsetAndMetadata {
    /// Where its record is in the log: of a plain and a transactional commit the later one wins.
    pub record_offset: Offset,
    /// The committed position and its notes.
    pub value: OffsetCommitValue,
}

impl OffsetAndMetadata {
    /// Whether the offset was committed for another topic of the same name than `expected`; zero ids match anything.
    pub(crate) fn is_of_another_topic(&self, expected: Uuid) -> bool {
        !self.value.topic_id.is_nil() && !expected.is_nil() && self.value.topic_id != expected
    }
}

/// A group's offsets, by topic and partition.
pub type TopicOffsets = BTreeMap<StrBytes, BTreeMap<i32, OffsetAndMetadata>>;

/// Offsets of many groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Offsets {
    by_group: BTreeMap<GroupId, TopicOffsets>,
}

impl Offsets {
    /// One offset.
    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&OffsetAndMetadata> {
        self.by_group.get(group)?.get(topic.as_bytes())?.get(&partition)
    }

    /// All offsets of a group.
    pub fn of_group(&self, group: &str) -> Option<&TopicOffsets> {
        self.by_group.get(group)
    }

    /// All groups with an offset.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&GroupId, &TopicOffsets)> {
        self.by_group.iter()
    }

    pub(super) fn put(&mut self, key: OffsetCommitKey, offset: OffsetAndMetadata) {
        self.by_group.entry(key.group).or_default().entry(key.topic).or_default().insert(key.partition, offset);
    }

    pub(super) fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(topics) = self.by_group.get_mut(group) else { return };
        let Some(partitions) = topics.get_mut(topic.as_bytes()) else { return };
        partitions.remove(&partition);
        if partitions.is_empty() {
            topics.remove(topic.as_bytes());
        }
        if topics.is_empty() {
            self.by_group.remove(group);
        }
    }
}

/// Offsets committed inside transactions that have not ended, by producer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PendingOffsets {
    by_producer: BTreeMap<i64, Offsets>,
}

impl PendingOffsets {
    /// Whether a transaction that has not ended holds an offset of this partition: its committed offset is not stable.
    pub fn holds(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.by_producer.values().any(|offsets| offsets.get(group, topic, partition).is_some())
    }

    /// Whether any transaction that has not ended holds an offset of the group.
    pub fn holds_group(&self, group: &str) -> bool {
        self.by_producer.values().any(|offsets| offsets.of_group(group).is_some())
    }

    /// The partitions of a group with pending offsets.
    pub(crate) fn partitions_of(&self, group: &str) -> BTreeSet<(StrBytes, i32)> {
        let topics = self.by_producer.values().filter_map(|offsets| offsets.of_group(group)).flatten();
        topics.flat_map(|(topic, partitions)| partitions.keys().map(|partition| (topic.clone(), *partition))).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&GroupId, &TopicOffsets)> {
        self.by_producer.values().flat_map(Offsets::iter)
    }

    pub(super) fn put(&mut self, producer: ProducerId, key: OffsetCommitKey, offset: OffsetAndMetadata) {
        self.by_producer.entry(producer.0).or_default().put(key, offset);
    }

    pub(super) fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        for offsets in self.by_producer.values_mut() {
            offsets.remove(group, topic, partition);
        }
        self.by_producer.retain(|_, offsets| !offsets.by_group.is_empty());
    }

    /// Takes out a producer's offsets, its transaction having ended.
    pub(super) fn take(&mut self, producer: ProducerId) -> Option<Offsets> {
        self.by_producer.remove(&producer.0)
    }
}

impl IntoIterator for Offsets {
    type Item = (OffsetCommitKey, OffsetAndMetadata);
    type IntoIter = Box<dyn Iterator<Item = Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.by_group.into_iter().flat_map(|(group, topics)| {
            topics.into_iter().flat_map(move |(topic, partitions)| {
                let group = group.clone();
                partitions.into_iter().map(move |(partition, offset)| {
                    (OffsetCommitKey { group: group.clone(), topic: topic.clone(), partition }, offset)
                })
            })
        }))
    }
}
