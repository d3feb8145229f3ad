//! OffsetCommit (8): what is asked of topics and partitions that do not exist is answered here, the rest by the group
//! coordinator. Topics come by name up to v9 and by id from v10 on (KIP-848).

use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{PartitionIndex, TopicId};
use weir_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use weir_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use weir_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::call::Call;
use super::groups::{send, with_context};
use super::wire::topic_name;
use crate::net::Dispatch;

/// From this version on topics have ids and no names.
const FIRST_WITH_TOPIC_IDS: i16 = 10;

/// One topic's answer so far: the partitions that do not exist, and whether the coordinator is asked for others.
struct Refused {
    answer: OffsetCommitResponseTopic,
    has_more: bool,
}

pub(super) fn handle(call: Call, mut request: OffsetCommitRequest) -> Dispatch {
    let image = call.image();
    let by_id = call.version() >= FIRST_WITH_TOPIC_IDS;
    let refused: Vec<Refused> = request.topics.iter_mut().map(|topic| take_unknown(&image, by_id, topic)).collect();
    request.topics.retain(|topic| !topic.partitions.is_empty());
    if request.topics.is_empty() {
        return call.ready(&joined(refused, OffsetCommitResponse::default()));
    }
    let reply = with_context(&call, |context| call.node.groups.offset_commit(context, &request));
    send(call, reply.map(|committed| joined(refused, committed)))
}

/// Leaves the partitions that exist, with both name and id of their topic; refuses the others.
fn take_unknown(image: &MetadataImage, by_id: bool, topic: &mut OffsetCommitRequestTopic) -> Refused {
    let unknown = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
    let found = match by_id {
        true => image.topic(TopicId::from(topic.topic_id)),
        false => image.topic_by_name(&topic.name),
    };
    let answer = OffsetCommitResponseTopic::default();
    let refuse = |index, code: ErrorCode| {
        OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code.code())
    };
    let Some(found) = found else {
        let partitions = std::mem::take(&mut topic.partitions);
        let partitions = partitions.iter().map(|partition| refuse(partition.partition_index, unknown));
        let answer = answer.with_partitions(partitions.collect());
        return Refused { answer: identified(answer, topic), has_more: false };
    };
    (topic.topic_id, topic.name) = (found.id, topic_name(&found.name));
    let exists = |index| found.partition(PartitionIndex(index)).is_some();
    let missing = topic.partitions.extract_if(.., |partition| !exists(partition.partition_index));
    let missing = missing.map(|partition| refuse(partition.partition_index, ErrorCode::UnknownTopicOrPartition));
    let answer = answer.with_partitions(missing.collect());
    Refused { answer: identified(answer, topic), has_more: !topic.partitions.is_empty() }
}

fn identified(answer: OffsetCommitResponseTopic, topic: &OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
    answer.with_name(topic.name.clone()).with_topic_id(topic.topic_id)
}

/// One answer for each topic, in the order they were asked: the coordinator answers those it got in that order too.
fn joined(refused: Vec<Refused>, committed: OffsetCommitResponse) -> OffsetCommitResponse {
    let mut committed = committed.topics.into_iter();
    let join = |Refused { mut answer, has_more }: Refused| {
        let rest = if has_more { committed.next() } else { None };
        answer.partitions.extend(rest.into_iter().flat_map(|topic| topic.partitions));
        answer
    };
    OffsetCommitResponse::default().with_topics(refused.into_iter().map(join).collect())
}
