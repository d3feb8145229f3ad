//! ElectLeaders (43): has partitions led by their preferred replica, or by any (KIP-183, KIP-460).

use weir_controller::decide::{
    ControllerResponse, ElectLeadersRequest as Decide, ElectionType, PartitionElectionResult,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::TopicPartition;
use weir_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use weir_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::call::Call;
use super::wire::{error_fields, owned, topic_name};
use crate::administration::Administration;
use crate::net::Dispatch;

pub(super) fn handle(call: Call<Administration>, request: ElectLeadersRequest) -> Dispatch {
    let election_type = match request.election_type {
        0 => ElectionType::Preferred,
        1 => ElectionType::Unclean,
        _ => return call.ready(&failed(ErrorCode::InvalidRequest)),
    };
    let partitions = request.topic_partitions.as_ref().map(|topics| {
        let all = topics.iter().flat_map(|topic| {
            let name = owned(&topic.topic.0);
            topic.partitions.iter().map(move |&index| TopicPartition::new(name.clone(), index))
        });
        all.collect()
    });
    let is_for_all = partitions.is_none();
    let decide = Decide { election_type, partitions };
    call.later(async move |call| match call.node.submit(decide).await {
        Ok(ControllerResponse::ElectLeaders(response)) => answer(response.partitions, is_for_all),
        Ok(_) => failed(ErrorCode::UnknownServerError),
        Err(code) => failed(code),
    })
}

fn failed(code: ErrorCode) -> ElectLeadersResponse {
    ElectLeadersResponse::default().with_error_code(code.code())
}

/// Where all partitions were meant, those that needed nothing are left out, as in Kafka.
fn answer(results: Vec<PartitionElectionResult>, is_for_all: bool) -> ElectLeadersResponse {
    let mut topics: Vec<ReplicaElectionResult> = Vec::new();
    for result in results {
        let (code, message) = error_fields(&result.outcome);
        if is_for_all && code == ErrorCode::ElectionNotNeeded.code() {
            continue;
        }
        let partition = PartitionResult::default()
            .with_partition_id(result.partition.partition.get())
            .with_error_code(code)
            .with_error_message(message);
        match topics.iter_mut().find(|topic| *topic.topic.0 == *result.partition.topic) {
            Some(topic) => topic.partition_result.push(partition),
            None => topics.push(
                ReplicaElectionResult::default()
                    .with_topic(topic_name(&result.partition.topic))
                    .with_partition_result(vec![partition]),
            ),
        }
    }
    ElectLeadersResponse::default().with_replica_election_results(topics)
}
