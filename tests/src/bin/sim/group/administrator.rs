//! Who asks from outside of any group: commits for the group without members, looks, and deletes what it may.

use rand::Rng;
use rand::rngs::StdRng;
use weir_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use weir_protocol::messages::{DeleteGroupsRequest, OffsetDeleteRequest, TopicName};

use super::wire::{self, GroupRequest, group_id, text};
use super::{LONER, SIMPLE, TOPIC, TOPIC_PARTITIONS, WORKERS};

/// Something to ask, and of which group.
pub(crate) fn request(random: &mut StdRng, next_offset: &mut i64) -> GroupRequest {
    let group = [WORKERS, LONER, SIMPLE][random.random_range(0..3)];
    let partition = random.random_range(0..TOPIC_PARTITIONS);
    match random.random_range(0..20) {
        0..7 => GroupRequest::Commit(wire::commit(SIMPLE, &[partition], next_offset)),
        7..17 => GroupRequest::Fetch(wire::fetch(group)),
        17 => {
            let topic = OffsetDeleteRequestTopic::default().with_name(TopicName(text(TOPIC)));
            let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
            let topics = vec![topic.with_partitions(vec![partition])];
            let request = OffsetDeleteRequest::default().with_group_id(group_id(group));
            GroupRequest::DeleteOffsets(request.with_topics(topics))
        }
        _ => GroupRequest::DeleteGroups(DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)])),
    }
}
