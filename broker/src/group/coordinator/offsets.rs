//! OffsetCommit and OffsetDelete as the wire has them.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use weir_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse};

use super::reply::Reply;
use super::{GroupCoordinator, MAX_GROUP_ID_BYTES, RequestContext, is_group_id};
use crate::group::shard::DeletedTopic;

impl GroupCoordinator {
    /// OffsetCommit v2–v10. The caller has removed (and answers for) topics that may not be read or do not exist, and has
    /// filled in the names of topics that came by id.
    pub fn offset_commit(
        &self,
        context: &RequestContext<'_>,
        request: &OffsetCommitRequest,
    ) -> Reply<OffsetCommitResponse> {
        // For old clients' sake offsets may be kept under the empty group id.
        if request.group_id.len() > MAX_GROUP_ID_BYTES {
            return Reply::Ready(all_refused(request, ErrorCode::InvalidGroupId));
        }
        let partition = self.partition_of(request.group_id.as_str());
        let version = context.api_version;
        let turned =
            self.turn(partition, None, |shard, now, effects| shard.commit_offsets(now, version, request, effects));
        match turned {
            Err(code) => Reply::Ready(all_refused(request, code)),
            Ok(turned) => self.release(turned.barrier, turned.value, |mut response, code| {
                for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    partition.error_code = code.code();
                }
                response
            }),
        }
    }

    /// OffsetDelete v0. The caller has removed, and answers for, topics that may not be read or do not exist.
    pub fn offset_delete(&self, request: &OffsetDeleteRequest) -> Reply<OffsetDeleteResponse> {
        let refuse = |code: ErrorCode| OffsetDeleteResponse::default().with_error_code(code.code());
        if !is_group_id(request.group_id.as_str()) {
            return Reply::Ready(refuse(ErrorCode::InvalidGroupId));
        }
        let partition = self.partition_of(request.group_id.as_str());
        let turned = self.turn(partition, None, |shard, _, effects| shard.delete_offsets(request, effects));
        match turned {
            Err(code) => Reply::Ready(refuse(code)),
            Ok(turned) => match turned.value {
                Err(error) => Reply::Ready(refuse(error.code())),
                Ok(topics) => {
                    let response = OffsetDeleteResponse::default().with_topics(topics);
                    self.release(turned.barrier, response, move |_, code| refuse(code))
                }
            },
        }
    }

    /// Forgets the offsets of topics that were deleted, in every group coordinated here. What fails is found again by
    /// the retention check or the next such call after the shard was loaded.
    pub fn on_topics_deleted(&self, topics: &[DeletedTopic]) {
        if topics.is_empty() {
            return;
        }
        for partition in self.partitions() {
            // Shards that are not led here know nothing of the topics; a failed append is logged by the turn.
            let _ = self.turn(partition, None, |shard, _, effects| shard.on_topics_deleted(topics, effects));
        }
    }
}

fn all_refused(request: &OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse {
    let refuse_partition =
        |index: i32| OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code.code());
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| refuse_partition(partition.partition_index));
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
