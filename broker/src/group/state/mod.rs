//! What the log says: groups and offsets, the durable half of a shard.
//!
//! Only [`DurableState::replay`] and [`DurableState::replay_end_transaction`] change it, with the same records in the same order on every broker
//! that ever leads the partition. Replay validates nothing and cannot fail: operations validate before they emit.

mod offsets;

use std::collections::BTreeMap;

pub use offsets::{OffsetAndMetadata, Offsets, PendingOffsets, TopicOffsets};
use weir_protocol::ids::{Offset, ProducerId};

use super::group_type::GroupType;
use super::ids::GroupId;
use super::record::{CoordinatorRecord, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};

/// A group as the log remembers it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Group {
    /// A classic group's last stored generation; the default value for one that only commits offsets.
    Classic(GroupMetadataValue),
}

impl Group {
    /// What protocol its members speak.
    pub fn group_type(&self) -> GroupType {
        match self {
            Group::Classic(_) => GroupType::Classic,
        }
    }
}

/// Groups and offsets of one `__consumer_offsets` partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DurableState {
    groups: BTreeMap<GroupId, Group>,
    offsets: Offsets,
    pending: PendingOffsets,
}

impl DurableState {
    /// A group, if the log has it.
    pub fn group(&self, group_id: &str) -> Option<&Group> {
        self.groups.get(group_id)
    }

    /// All groups, by id.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.groups.iter()
    }

    /// Committed offsets.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Offsets of transactions that have not ended.
    pub fn pending(&self) -> &PendingOffsets {
        &self.pending
    }

    /// Applies one record, found (or just appended) at `offset`, by a transactional `producer` or by none.
    pub(super) fn replay(&mut self, offset: Offset, producer: Option<ProducerId>, record: CoordinatorRecord) {
        match record {
            CoordinatorRecord::OffsetCommit { key, value: Some(value) } => {
                self.replay_offset(offset, producer, key, value);
            }
            CoordinatorRecord::OffsetCommit { key, value: None } => {
                self.offsets.remove(&key.group, &key.topic, key.partition);
                self.pending.remove(&key.group, &key.topic, key.partition);
            }
            CoordinatorRecord::GroupMetadata { group, value: Some(value) } => {
                self.groups.insert(group, Group::Classic(value));
            }
            CoordinatorRecord::GroupMetadata { group, value: None } => {
                self.groups.remove(&group);
            }
            // Kept in the log by whoever compacts it; this broker only cannot act on it.
            CoordinatorRecord::Unknown { .. } => {}
        }
    }

    fn replay_offset(
        &mut self,
        record_offset: Offset,
        producer: Option<ProducerId>,
        key: OffsetCommitKey,
        value: OffsetCommitValue,
    ) {
        // A group that never had members comes to be by its first offset ("simple" group).
        if !self.groups.contains_key(&key.group) {
            self.groups.insert(key.group.clone(), Group::Classic(GroupMetadataValue::default()));
        }
        let offset = OffsetAndMetadata { record_offset, value };
        match producer {
            Some(producer) => self.pending.put(producer, key, offset),
            None => self.offsets.put(key, offset),
        }
    }

    /// Ends a producer's transaction: its pending offsets become committed, unless a later plain commit is there.
    pub(super) fn replay_end_transaction(&mut self, producer: ProducerId, committed: bool) {
        let Some(pending) = self.pending.take(producer) else { return };
        if !committed {
            return;
        }
        for (key, offset) in pending {
            let existing = self.offsets.get(&key.group, &key.topic, key.partition);
            if existing.is_none_or(|existing| offset.record_offset > existing.record_offset) {
                self.offsets.put(key, offset);
            }
        }
    }
}
