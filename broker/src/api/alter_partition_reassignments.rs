//! AlterPartitionReassignments (45): gives partitions other replicas, or calls such a move off (KIP-455, KIP-860).

use weir_controller::decide::{
    AlterPartitionReassignmentsRequest as Decide, ControllerResponse, PartitionReassignment,
    PartitionReassignmentResult,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::TopicPartition;
use weir_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use weir_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::call::Call;
use super::wire::{error_fields, our_broker_ids, owned, topic_name};
use crate::administration::Administration;
use crate::net::Dispatch;

pub(super) fn handle(call: Call<Administration>, request: AlterPartitionReassignmentsRequest) -> Dispatch {
    let partitions = request.topics.iter().flat_map(|topic| {
        let name = owned(&topic.name.0);
        topic.partitions.iter().map(move |partition| PartitionReassignment {
            partition: TopicPartition::new(name.clone(), partition.partition_index),
            replicas: partition.replicas.as_deref().map(our_broker_ids),
        })
    });
    let allow_replication_factor_change = call.version() == 0 || request.allow_replication_factor_change;
    let decide = Decide { partitions: partitions.collect(), allow_replication_factor_change };
    call.later(async move |call| {
        let response = match call.node.submit(decide).await {
            Ok(ControllerResponse::AlterPartitionReassignments(response)) => answer(response.partitions),
            Ok(_) => failed(ErrorCode::UnknownServerError),
            Err(code) => failed(code),
        };
        response.with_allow_replication_factor_change(allow_replication_factor_change)
    })
}

fn failed(code: ErrorCode) -> AlterPartitionReassignmentsResponse {
    AlterPartitionReassignmentsResponse::default().with_error_code(code.code())
}

fn answer(results: Vec<PartitionReassignmentResult>) -> AlterPartitionReassignmentsResponse {
    let mut topics: Vec<ReassignableTopicResponse> = Vec::new();
    for result in results {
        let (code, message) = error_fields(&result.outcome);
        let partition = ReassignablePartitionResponse::default()
            .with_partition_index(result.partition.partition.get())
            .with_error_code(code)
            .with_error_message(message);
        match topics.last_mut().filter(|topic| *topic.name.0 == *result.partition.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                ReassignableTopicResponse::default()
                    .with_name(topic_name(&result.partition.topic))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    AlterPartitionReassignmentsResponse::default().with_responses(topics)
}
