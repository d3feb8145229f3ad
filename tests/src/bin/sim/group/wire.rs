//! What members and administrators ask of the coordinator, and what they are answered: the wire's own requests and answers.

use std::sync::Arc;

use bytes::Bytes;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::LeaderEpoch;
use weir_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use weir_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use weir_protocol::messages::{
    DeleteGroupsRequest, GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetFetchResponse, StrBytes, SyncGroupRequest, SyncGroupResponse, TopicName,
};

use super::{TOPIC, TOPIC_PARTITIONS};
use crate::message::Address;

/// Something that is asked of the coordinator.
#[derive(Clone, Debug)]
pub(crate) enum GroupRequest {
    Join(JoinGroupRequest),
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveGroupRequest),
    Commit(OffsetCommitRequest),
    Fetch(OffsetFetchRequest),
    DeleteGroups(DeleteGroupsRequest),
    DeleteOffsets(OffsetDeleteRequest),
}

/// What it says to that.
#[derive(Debug)]
pub(crate) enum GroupAnswer {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Commit(OffsetCommitResponse),
    Fetch(OffsetFetchResponse),
    /// Of what its effects tell enough about.
    Other,
}

/// A request on its way, and back with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) from: Address,
    /// Its number among those of who asks.
    pub(crate) id: u64,
    /// How much had been told to anybody when it was asked; for the rules alone.
    pub(crate) told: usize,
    /// The epoch of the coordinator that took it, if there was one; for the rules alone.
    pub(crate) coordinator: Option<LeaderEpoch>,
    pub(crate) request: Arc<GroupRequest>,
}

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) fn group_id(value: &str) -> GroupId {
    GroupId(text(value))
}

pub(crate) fn code(value: i16) -> ErrorCode {
    ErrorCode::from_code(value)
}

/// An OffsetCommit of these partitions, each of the next offset: no two commits ever name the same.
pub(crate) fn commit(group: &str, partitions: &[i32], next_offset: &mut i64) -> OffsetCommitRequest {
    let partition = |index: &i32| {
        *next_offset += 1;
        OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(*next_offset)
            .with_committed_leader_epoch(-1)
    };
    let partitions = partitions.iter().map(partition).collect();
    let topic = OffsetCommitRequestTopic::default().with_name(TopicName(text(TOPIC))).with_partitions(partitions);
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic])
}

/// An OffsetFetch of all that the group has committed.
pub(crate) fn fetch(group: &str) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(TopicName(text(TOPIC)))
        .with_partition_indexes((0..TOPIC_PARTITIONS).collect());
    let group = OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(Some(vec![topic]));
    OffsetFetchRequest::default().with_groups(vec![group])
}

/// The code of an answer to an OffsetCommit, whose partitions all share it.
pub(crate) fn commit_code(response: &OffsetCommitResponse) -> ErrorCode {
    let partition = response.topics.first().and_then(|topic| topic.partitions.first());
    partition.map_or(ErrorCode::None, |partition| code(partition.error_code))
}

/// The partitions that an assignment names: the members of this world write them as nothing but numbers.
pub(crate) fn assigned(assignment: &Bytes) -> Vec<i32> {
    assignment.chunks_exact(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}
