//! OffsetCommit v2–v10: where a group, or a consumer without one, has got to.
//!
//! A commit with generation -1 comes from a consumer that assigns itself (or an administrator) and is taken while the
//! group has no members. The caller has checked that the topics exist, and has put both names and ids where it knows them.

use thiserror::Error;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use weir_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use weir_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{ClassicState, Effects, GroupCoordinatorShard, GroupView, Now, rebalance};
use crate::group::classic::MembershipError;
use crate::group::ids::{GroupId, MemberId, detach};
use crate::group::record::{CoordinatorRecord, OffsetCommitKey, OffsetCommitValue};

/// The retention time that stands for "as the broker is configured".
const DEFAULT_RETENTION_TIME_MS: i64 = -1;

/// Metadata longer than this in UTF-8 fits no record, whatever the configuration says.
const MAX_METADATA_UTF8_BYTES: usize = i16::MAX as usize;

/// The first version that knows GROUP_ID_NOT_FOUND.
const GROUP_NOT_FOUND_VERSION: i16 = 9;

/// Why none of a request's offsets is committed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
enum CommitError {
    #[error("no such group")]
    NoGroup { api_version: i16 },
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error("the member is of another generation")]
    IllegalGeneration,
    #[error("the group rebalances")]
    RebalanceInProgress,
}

impl CommitError {
    fn code(self) -> ErrorCode {
        match self {
            CommitError::NoGroup { api_version } if api_version >= GROUP_NOT_FOUND_VERSION => {
                ErrorCode::GroupIdNotFound
            }
            CommitError::NoGroup { .. } | CommitError::IllegalGeneration => ErrorCode::IllegalGeneration,
            CommitError::Membership(error) => error.code(),
            CommitError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}

impl GroupCoordinatorShard {
    /// Handles an OffsetCommit.
    pub fn commit_offsets(
        &mut self,
        now: Now,
        api_version: i16,
        request: &OffsetCommitRequest,
        effects: &mut Effects,
    ) -> OffsetCommitResponse {
        let group_error = self.validate_commit(api_version, request).err().map(CommitError::code);
        if group_error.is_none() {
            self.commit_keeps_session(now, request, effects);
        }
        let group_id = GroupId::from(request.group_id.as_str());
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let code = group_error.unwrap_or_else(|| self.check_metadata(partition));
                if code == ErrorCode::None {
                    effects.records.push(offset_record(&group_id, now, request, topic, partition));
                }
                partitions.push(
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code.code()),
                );
            }
            topics.push(
                OffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partitions(partitions),
            );
        }
        OffsetCommitResponse::default().with_topics(topics)
    }

    fn validate_commit(&self, api_version: i16, request: &OffsetCommitRequest) -> Result<(), CommitError> {
        let generation = request.generation_id_or_member_epoch;
        let Some(view) = self.view(request.group_id.as_str()) else {
            return if generation < 0 { Ok(()) } else { Err(CommitError::NoGroup { api_version }) };
        };
        if generation < 0 && view.state() == ClassicState::Empty {
            return Ok(());
        }
        let instance_id = request.group_instance_id.as_deref();
        let names_member = generation >= 0 || !request.member_id.is_empty() || instance_id.is_some();
        let group = match view {
            GroupView::Live(group) if names_member => group,
            _ => return Err(MembershipError::UnknownMember.into()),
        };
        group.validate_member(&request.member_id, instance_id)?;
        if generation != group.generation() {
            return Err(CommitError::IllegalGeneration);
        }
        if group.state() == ClassicState::CompletingRebalance {
            return Err(CommitError::RebalanceInProgress);
        }
        Ok(())
    }

    /// A member that commits is alive.
    fn commit_keeps_session(&mut self, now: Now, request: &OffsetCommitRequest, effects: &mut Effects) {
        self.with_group(now, request.group_id.as_str(), effects, |group, turn| {
            if matches!(group.state(), ClassicState::Stable | ClassicState::PreparingRebalance) {
                rebalance::restart_session(group, turn, &MemberId::from(request.member_id.as_str()));
            }
        });
    }

    fn check_metadata(&self, partition: &OffsetCommitRequestPartition) -> ErrorCode {
        let Some(metadata) = partition.committed_metadata.as_deref() else { return ErrorCode::None };
        // Never fewer bytes than UTF-16 units, so the count is needed for long ones only.
        let max = self.config.offset_metadata_max_bytes;
        let too_large =
            metadata.len() > MAX_METADATA_UTF8_BYTES || metadata.len() > max && metadata.encode_utf16().count() > max;
        if too_large { ErrorCode::OffsetMetadataTooLarge } else { ErrorCode::None }
    }
}

fn offset_record(
    group_id: &GroupId,
    now: Now,
    request: &OffsetCommitRequest,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
) -> CoordinatorRecord {
    let retention_ms = request.retention_time_ms;
    let expire_timestamp_ms =
        (retention_ms != DEFAULT_RETENTION_TIME_MS).then(|| now.wall_ms.saturating_add(retention_ms));
    // The record that holds an expiry of its own holds neither leader epoch nor topic id; no request has both.
    let has_expiry = expire_timestamp_ms.is_some();
    CoordinatorRecord::OffsetCommit {
        key: OffsetCommitKey {
            group: group_id.clone(),
            topic: detach(&topic.name.0),
            partition: partition.partition_index,
        },
        value: Some(OffsetCommitValue {
            offset: partition.committed_offset,
            leader_epoch: if has_expiry { -1 } else { partition.committed_leader_epoch.max(-1) },
            metadata: partition.committed_metadata.as_ref().map(detach).unwrap_or_default(),
            commit_timestamp_ms: now.wall_ms,
            expire_timestamp_ms,
            topic_id: if has_expiry { uuid::Uuid::nil() } else { topic.topic_id },
        }),
    }
}
