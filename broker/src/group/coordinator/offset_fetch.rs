//! OffsetFetch as the wire has it: one group up to v7, many from v8 on.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use weir_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use weir_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, StrBytes};

use super::reply::Reply;
use super::{GroupCoordinator, RequestContext};

/// From this version on many groups are asked for at once.
const MANY_GROUPS_VERSION: i16 = 8;

/// Before this version the answer had no error code of its own: each partition carries it.
const TOP_LEVEL_ERROR_VERSION: i16 = 2;

impl GroupCoordinator {
    /// OffsetFetch v1–v10. The caller has removed, and answers for, topics that may not be read, and has filled in the
    /// names of topics that came by id (and fills in the ids of what a fetch of all topics finds).
    pub fn offset_fetch(
        &self,
        context: &RequestContext<'_>,
        request: OffsetFetchRequest,
    ) -> Reply<OffsetFetchResponse> {
        let require_stable = request.require_stable;
        if context.api_version < MANY_GROUPS_VERSION {
            let version = context.api_version;
            let reply = self.fetch_group(single_group(request), require_stable, version);
            return reply.map(single_response);
        }
        let replies =
            request.groups.into_iter().map(|group| self.fetch_group(group, require_stable, context.api_version));
        let mut ready = Vec::new();
        let mut replies = replies.collect::<Vec<_>>().into_iter();
        for reply in replies.by_ref() {
            match reply {
                Reply::Ready(group) => ready.push(group),
                Reply::Later(pending) => {
                    return Reply::Later(Box::pin(async move {
                        ready.push(pending.await);
                        for reply in replies {
                            ready.push(reply.await);
                        }
                        OffsetFetchResponse::default().with_groups(ready)
                    }));
                }
            }
        }
        Reply::Ready(OffsetFetchResponse::default().with_groups(ready))
    }

    fn fetch_group(
        &self,
        request: OffsetFetchRequestGroup,
        require_stable: bool,
        api_version: i16,
    ) -> Reply<OffsetFetchResponseGroup> {
        let partition = self.partition_of(request.group_id.as_str());
        // A turn, not a mere read: its barrier keeps offsets back that the log may still lose.
        match self.turn(partition, None, |shard, _, _| shard.fetch_offsets(&request, require_stable)) {
            Err(code) => Reply::Ready(refused(&request, code, api_version)),
            Ok(turned) => {
                self.release(turned.barrier, turned.value, move |_, code| {
                    // Consumers before Kafka 3.9 know what to do about this one only.
                    let code =
                        if code == ErrorCode::CoordinatorNotAvailable { ErrorCode::NotCoordinator } else { code };
                    refused(&request, code, api_version)
                })
            }
        }
    }
}

fn refused(request: &OffsetFetchRequestGroup, code: ErrorCode, api_version: i16) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(request.group_id.clone());
    if api_version >= TOP_LEVEL_ERROR_VERSION {
        return response.with_error_code(code.code());
    }
    let refuse = |index: &i32| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::new()))
            .with_error_code(code.code())
    };
    let topics = request.topics.iter().flatten().map(|topic| {
        OffsetFetchResponseTopics::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partition_indexes.iter().map(refuse).collect())
    });
    response.with_topics(topics.collect())
}

fn single_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let convert = |topic: weir_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics::default().with_name(topic.name).with_partition_indexes(topic.partition_indexes)
        };
        topics.into_iter().map(convert).collect()
    });
    OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics)
}

fn single_response(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let convert_partition = |partition: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    };
    let convert = |topic: OffsetFetchResponseTopics| {
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(topic.partitions.into_iter().map(convert_partition).collect())
    };
    OffsetFetchResponse::default()
        .with_error_code(group.error_code)
        .with_topics(group.topics.into_iter().map(convert).collect())
}
