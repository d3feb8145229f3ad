//! OffsetFetch (9): what groups have committed. The coordinator knows topics by name; from v10 on clients name them by id
//! (KIP-848), and ids are found here.

use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::TopicId;
use weir_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use weir_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use weir_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::call::Call;
use super::groups::{send, with_context};
use super::wire::topic_name;
use crate::net::Dispatch;

/// From this version on topics have ids and no names.
const FIRST_WITH_TOPIC_IDS: i16 = 10;

pub(super) fn handle(call: Call, mut request: OffsetFetchRequest) -> Dispatch {
    let by_id = call.version() >= FIRST_WITH_TOPIC_IDS;
    let image = call.image();
    let unknown: Vec<_> = match by_id {
        true => request.groups.iter_mut().map(|group| take_unknown(&image, group)).collect(),
        false => Vec::new(),
    };
    let reply = with_context(&call, |context| call.node.groups.offset_fetch(context, request));
    let reply = reply.map(move |mut response: OffsetFetchResponse| {
        if by_id {
            for group in response.groups.iter_mut().filter(|group| group.error_code == ErrorCode::None.code()) {
                name_ids(&image, group);
            }
            // The coordinator answers groups in the order they were asked for.
            for (group, unknown) in response.groups.iter_mut().zip(unknown) {
                if group.error_code == ErrorCode::None.code() {
                    group.topics.extend(unknown);
                }
            }
        }
        response
    });
    send(call, reply)
}

/// Leaves the topics that exist, with their names, and gives the refusal of the others.
fn take_unknown(image: &MetadataImage, group: &mut OffsetFetchRequestGroup) -> Vec<OffsetFetchResponseTopics> {
    let mut refused = Vec::new();
    let Some(topics) = &mut group.topics else { return refused };
    topics.retain_mut(|topic| match image.topic(TopicId::from(topic.topic_id)) {
        Some(found) => {
            topic.name = topic_name(&found.name);
            true
        }
        None => {
            refused.push(refusal(topic));
            false
        }
    });
    refused
}

fn refusal(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let refuse = |index: &i32| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_metadata(Some(super::wire::text("")))
            .with_error_code(ErrorCode::UnknownTopicId.code())
    };
    OffsetFetchResponseTopics::default()
        .with_topic_id(topic.topic_id)
        .with_partitions(topic.partition_indexes.iter().map(refuse).collect())
}

/// Gives ids to what a fetch of all topics found by name; a topic that is gone cannot be said without one.
fn name_ids(image: &MetadataImage, group: &mut OffsetFetchResponseGroup) {
    group.topics.retain_mut(|topic| {
        if topic.topic_id.is_nil() {
            topic.topic_id = image.topic_id(&topic.name).unwrap_or_default();
        }
        !topic.topic_id.is_nil()
    });
}
