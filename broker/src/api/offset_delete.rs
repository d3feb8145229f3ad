//! OffsetDelete (47): what is asked of topics and partitions that do not exist is answered here, the rest by the group
//! coordinator. It is asked in any case, for whether there is such a group matters more.

use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::PartitionIndex;
use weir_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use weir_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use weir_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::call::Call;
use super::groups::send;
use crate::net::Dispatch;

pub(super) fn handle(call: Call, mut request: OffsetDeleteRequest) -> Dispatch {
    let image = call.image();
    let refused: Vec<_> = request.topics.iter_mut().filter_map(|topic| take_unknown(&image, topic)).collect();
    request.topics.retain(|topic| !topic.partitions.is_empty());
    let reply = call.node.groups.offset_delete(&request).map(move |mut response: OffsetDeleteResponse| {
        if response.error_code == ErrorCode::None.code() {
            response.topics.extend(refused);
        }
        response
    });
    send(call, reply)
}

/// Leaves the partitions that exist and gives the refusal of the others.
fn take_unknown(image: &MetadataImage, topic: &mut OffsetDeleteRequestTopic) -> Option<OffsetDeleteResponseTopic> {
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
