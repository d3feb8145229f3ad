//! DescribeProducers (61): what a partition's leader knows of its producers (KIP-664).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, PartitionIndex};
use weir_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use weir_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId, StrBytes};

use super::call::Call;
use crate::net::Dispatch;
use crate::partition::{PartitionError, Placement};

pub(super) fn handle(call: Call, request: DescribeProducersRequest) -> Dispatch {
    let image = call.image();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let placement = call.node.partitions.find(&image, &topic.name, PartitionIndex(index));
            answer(index, producers(placement))
        });
        TopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    let response = DescribeProducersResponse::default().with_topics(topics.collect());
    call.ready(&response)
}

fn producers(placement: Placement) -> Result<Vec<ProducerState>, PartitionError> {
    let partition = match placement {
        Placement::Local(partition) => partition,
        Placement::Elsewhere(_) => return Err(ErrorCode::NotLeaderOrFollower.into()),
        Placement::Unknown => return Err(ErrorCode::UnknownTopicOrPartition.into()),
    };
    partition.check_leadership(LeaderEpoch::NONE)?;
    let producers = partition.log()?.active_producers().into_iter().map(|producer| {
        ProducerState::default()
            .with_producer_id(ProducerId(producer.producer_id.get()))
            .with_producer_epoch(i32::from(producer.producer_epoch.get()))
            .with_last_sequence(producer.last_sequence)
            .with_last_timestamp(producer.last_timestamp)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.current_transaction_first_offset.get())
    });
    Ok(producers.collect())
}

fn answer(index: i32, producers: Result<Vec<ProducerState>, PartitionError>) -> PartitionResponse {
    let answer = PartitionResponse::default().with_partition_index(index);
    match producers {
        Ok(producers) => answer.with_active_producers(producers),
        Err(error) => answer.with_error_code(error.code.code()).with_error_message(Some(StrBytes::from_string(
            error.message.unwrap_or_else(|| error.code.message().into()),
        ))),
    }
}
