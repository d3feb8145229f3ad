//! ListPartitionReassignments (46): the partitions whose replicas are being moved (KIP-455). Answered from this node's metadata.

use std::sync::Arc;

use weir_controller::image::{PartitionRegistration, Topic};
use weir_protocol::ids::PartitionIndex;
use weir_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use weir_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::call::Call;
use super::wire::{broker_ids, topic_name};
use crate::administration::Administration;
use crate::net::Dispatch;

pub(super) fn handle(call: Call<Administration>, request: ListPartitionReassignmentsRequest) -> Dispatch {
    let image = call.image();
    let topics: Vec<_> = match &request.topics {
        None => image.topics().filter_map(|topic| ongoing(topic, topic.partitions())).collect(),
        Some(asked) => {
            let asked = asked.iter().filter_map(|asked| {
                let topic = image.topic_by_name(&asked.name.0)?;
                let indexes = asked.partition_indexes.iter().map(|index| PartitionIndex(*index));
                ongoing(topic, indexes.filter_map(|index| Some((index, topic.partition(index)?))))
            });
            asked.collect()
        }
    };
    call.ready(&ListPartitionReassignmentsResponse::default().with_topics(topics))
}

/// The moves among some partitions of a topic, if there are any.
fn ongoing<'a>(
    topic: &Topic,
    partitions: impl Iterator<Item = (PartitionIndex, &'a Arc<PartitionRegistration>)>,
) -> Option<OngoingTopicReassignment> {
    let moved = partitions.filter(|(_, partition)| partition.is_reassigning()).map(|(index, partition)| {
        OngoingPartitionReassignment::default()
            .with_partition_index(index.get())
            .with_replicas(broker_ids(&partition.replicas))
            .with_adding_replicas(broker_ids(partition.adding_replicas()))
            .with_removing_replicas(broker_ids(partition.removing_replicas()))
    });
    let moved: Vec<_> = moved.collect();
    let topic_name = topic_name(&topic.name);
    (!moved.is_empty()).then(|| OngoingTopicReassignment::default().with_name(topic_name).with_partitions(moved))
}
