//! DeleteGroups v0–v2, for one group: it goes, with its offsets, if it has no members.

use thiserror::Error;
use weir_protocol::error_code::ErrorCode;

use super::{Effects, GroupCoordinatorShard, Timer};
use crate::group::ids::GroupId;
use crate::group::record::CoordinatorRecord;

/// Why a group is not deleted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum DeleteGroupError {
    /// No such group.
    #[error("no such group")]
    NoGroup,
    /// It has members.
    #[error("the group has members")]
    NotEmpty,
}

impl DeleteGroupError {
    /// What the administrator is told.
    pub fn code(self) -> ErrorCode {
        match self {
            DeleteGroupError::NoGroup => ErrorCode::GroupIdNotFound,
            DeleteGroupError::NotEmpty => ErrorCode::NonEmptyGroup,
        }
    }
}

impl GroupCoordinatorShard {
    /// Deletes one group: tombstones for its offsets, then for itself.
    pub fn delete_group(&mut self, group_id: &str, effects: &mut Effects) -> Result<(), DeleteGroupError> {
        match self.is_empty_group(group_id) {
            None => return Err(DeleteGroupError::NoGroup),
            Some(false) => return Err(DeleteGroupError::NotEmpty),
            Some(true) => {}
        }
        let group_id = GroupId::from(group_id);
        // Ids that were handed out and not used are void; their sessions end without effect.
        if self.soft.classic.remove(&group_id).is_some() {
            self.soft.timers.cancel(&Timer::Join(group_id.clone()));
            self.soft.timers.cancel(&Timer::Sync(group_id.clone()));
        }
        let mut partitions = self.durable.pending().partitions_of(&group_id);
        for (topic, offsets) in self.durable.offsets().of_group(&group_id).into_iter().flatten() {
            partitions.extend(offsets.keys().map(|partition| (topic.clone(), *partition)));
        }
        for (topic, partition) in partitions {
            effects.records.push(CoordinatorRecord::offset_tombstone(&group_id, &topic, partition));
        }
        effects.records.push(CoordinatorRecord::GroupMetadata { group: group_id, value: None });
        Ok(())
    }
}
