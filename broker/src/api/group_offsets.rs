//! OffsetCommit (8) and OffsetDelete (47): what is asked of topics and partitions that do not exist is answered here, the rest by the
//! group coordinator.

use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::PartitionIndex;
use weir_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use weir_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use weir_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use weir_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use weir_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse};

use super::call::Call;
use super::groups::{send, with_context};
use crate::net::Dispatch;

pub(super) fn offset_commit(call: Call, mut request: OffsetCommitRequest) -> Dispatch {
    let image = call.image();
    let refused: Vec<_> = request.topics.iter_mut().filter_map(|topic| take_unknown_commits(&image, topic)).collect();
    request.topics.retain(|topic| !topic.partitions.is_empty());
    if request.topics.is_empty() && !refused.is_empty() {
        return call.ready(&OffsetCommitResponse::default().with_topics(refused));
    }
    let reply = with_context(&call, |context| call.broker.groups.offset_commit(context, &request));
    let reply = reply.map(move |mut response: OffsetCommitResponse| {
        // The ids were put there for the coordinator's records; no version that is served answers with them.
        response.topics.iter_mut().for_each(|topic| topic.topic_id = uuid::Uuid::nil());
        response.topics.extend(refused);
        response
    });
    send(call, reply)
}

/// Leaves the partitions that exist, and the topic's id for the record of the commit; gives the refusal of the others.
fn take_unknown_commits(
    image: &MetadataImage,
    topic: &mut OffsetCommitRequestTopic,
) -> Option<OffsetCommitResponseTopic> {
    topic.topic_id = image.topic_id(&topic.name).unwrap_or_default();
    let name = &topic.name;
    let exists = |index| image.partition_by_name(name, PartitionIndex(index)).is_some();
    let unknown: Vec<_> = topic.partitions.extract_if(.., |partition| !exists(partition.partition_index)).collect();
    let refuse = |index| {
        let code = ErrorCode::UnknownTopicOrPartition.code();
        OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
    };
    let partitions: Vec<_> = unknown.iter().map(|partition| refuse(partition.partition_index)).collect();
    let answer = OffsetCommitResponseTopic::default().with_name(topic.name.clone());
    (!partitions.is_empty()).then(|| answer.with_partitions(partitions))
}

pub(super) fn offset_delete(call: Call, mut request: OffsetDeleteRequest) -> Dispatch {
    let image = call.image();
    let refused: Vec<_> = request.topics.iter_mut().filter_map(|topic| take_unknown_deletes(&image, topic)).collect();
    request.topics.retain(|topic| !topic.partitions.is_empty());
    if request.topics.is_empty() && !refused.is_empty() {
        return call.ready(&OffsetDeleteResponse::default().with_topics(refused));
    }
    let reply = call.broker.groups.offset_delete(&request).map(move |mut response: OffsetDeleteResponse| {
        if response.error_code == ErrorCode::None.code() {
            response.topics.extend(refused);
        }
        response
    });
    send(call, reply)
}

/// Leaves the partitions that exist and gives the refusal of the others.
fn take_unknown_deletes(
    image: &MetadataImage,
    topic: &mut OffsetDeleteRequestTopic,
) -> Option<OffsetDeleteResponseTopic> {
    let name = &topic.name;
    let exists = |index| image.partition_by_name(name, PartitionIndex(index)).is_some();
    let unknown: Vec<_> = topic.partitions.extract_if(.., |partition| !exists(partition.partition_index)).collect();
    let refuse = |index| {
        let code = ErrorCode::UnknownTopicOrPartition.code();
        OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code)
    };
    let partitions: Vec<_> = unknown.iter().map(|partition| refuse(partition.partition_index)).collect();
    let answer = OffsetDeleteResponseTopic::default().with_name(topic.name.clone());
    (!partitions.is_empty()).then(|| answer.with_partitions(partitions))
}
