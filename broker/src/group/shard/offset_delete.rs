//! OffsetDelete v0: forgets offsets of topics that no member of the group subscribes to.

use thiserror::Error;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::OffsetDeleteRequest;
use weir_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};

use super::{ClassicState, Effects, GroupCoordinatorShard, GroupView};
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::group::ids::GroupId;
use crate::group::record::CoordinatorRecord;

/// Why none of a request's offsets is deleted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum OffsetDeleteError {
    /// No such group.
    #[error("no such group")]
    NoGroup,
    /// It has members, and what they subscribe to cannot be known.
    #[error("the group has members whose subscriptions are not known")]
    NotEmpty,
}

impl OffsetDeleteError {
    /// What the administrator is told.
    pub fn code(self) -> ErrorCode {
        match self {
            OffsetDeleteError::NoGroup => ErrorCode::GroupIdNotFound,
            OffsetDeleteError::NotEmpty => ErrorCode::NonEmptyGroup,
        }
    }
}

impl GroupCoordinatorShard {
    /// Handles an OffsetDelete; topics and partitions that have no offset are answered without an error.
    pub fn delete_offsets(
        &mut self,
        request: &OffsetDeleteRequest,
        effects: &mut Effects,
    ) -> Result<Vec<OffsetDeleteResponseTopic>, OffsetDeleteError> {
        let view = self.view(request.group_id.as_str()).ok_or(OffsetDeleteError::NoGroup)?;
        let is_consumer = view.protocol_type().is_some_and(|name| name.as_str() == CONSUMER_PROTOCOL_TYPE);
        if view.state() != ClassicState::Empty && !is_consumer {
            return Err(OffsetDeleteError::NotEmpty);
        }
        let group_id = GroupId::from(request.group_id.as_str());
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let subscribed = view.is_subscribed_to(&topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions.iter().map(|partition| partition.partition_index) {
                if !subscribed && self.has_offset(&group_id, &topic.name, partition) {
                    effects.records.push(CoordinatorRecord::offset_tombstone(&group_id, &topic.name, partition));
                }
                let code = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
                partitions.push(
                    OffsetDeleteResponsePartition::default()
                        .with_partition_index(partition)
                        .with_error_code(code.code()),
                );
            }
            topics.push(OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
        }
        Ok(topics)
    }

    fn has_offset(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        self.durable.offsets().get(group_id, topic, partition).is_some()
            || self.durable.pending().holds(group_id, topic, partition)
    }

    /// Whether the group is here, with members or without.
    pub(super) fn is_empty_group(&self, group_id: &str) -> Option<bool> {
        self.view(group_id).map(|view| match view {
            GroupView::Live(group) => group.state() == ClassicState::Empty,
            GroupView::Stored(_) => true,
        })
    }
}
