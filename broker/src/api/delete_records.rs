//! DeleteRecords (21): moves a partition's log start offset forward (KIP-107), and answers once every replica that lives has done so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use weir_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::call::Call;
use crate::net::Dispatch;
use crate::partition::{Partition, PartitionError, Placement};
use crate::purgatory::Wake;

/// Asks for everything up to the high watermark.
const UP_TO_HIGH_WATERMARK: i64 = -1;

/// A partition whose followers are still to delete what its leader has.
struct Pending {
    partition: Arc<Partition>,
    before: Offset,
    /// Where in the response its answer stands.
    place: (usize, usize),
}

pub(super) fn handle(call: Call, request: DeleteRecordsRequest) -> Dispatch {
    let image = call.image();
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
    let mut response = DeleteRecordsResponse::default();
    let mut pending = Vec::new();
    for (at_topic, topic) in request.topics.into_iter().enumerate() {
        let mut results = Vec::with_capacity(topic.partitions.len());
        for (at_part, asked) in topic.partitions.iter().enumerate() {
            let index = PartitionIndex(asked.partition_index);
            let placement = call.node.partitions.find(&image, &topic.name, index);
            let deleted = delete(placement, asked.offset).and_then(|(partition, before)| {
                let low = low_watermark(&call, &partition)?;
                if low < before {
                    pending.push(Pending { partition, before, place: (at_topic, at_part) });
                }
                Ok(low)
            });
            results.push(answer(asked.partition_index, deleted));
        }
        response.topics.push(DeleteRecordsTopicResult::default().with_partitions(results).with_name(topic.name));
    }
    if pending.is_empty() {
        return call.ready(&response);
    }
    call.later(async move |call| {
        for Pending { partition, before, place: (topic, part) } in pending {
            let result = &mut response.topics[topic].partitions[part];
            *result = answer(result.partition_index, deleted_for_good(&call, &partition, before, deadline).await);
        }
        response
    })
}

/// Deletes here; returns what is to be deleted everywhere.
fn delete(placement: Placement, before: i64) -> Result<(Arc<Partition>, Offset), PartitionError> {
    let partition = match placement {
        Placement::Local(partition) => partition,
        Placement::Elsewhere(_) => return Err(ErrorCode::NotLeaderOrFollower.into()),
        Placement::Unknown => return Err(ErrorCode::UnknownTopicOrPartition.into()),
    };
    partition.check_leadership(LeaderEpoch::NONE)?;
    let cleanup = partition.topic().config.load().log.cleanup;
    if cleanup.compact && !cleanup.delete {
        let message = format!("The records of {} are compacted, never deleted.", partition.topic_partition());
        return Err(PartitionError::new(ErrorCode::PolicyViolation, message));
    }
    let high_watermark = partition.log()?.high_watermark();
    let before = if before == UP_TO_HIGH_WATERMARK { high_watermark } else { Offset(before) };
    if before < Offset(0) || before > high_watermark {
        return Err(ErrorCode::OffsetOutOfRange.into());
    }
    partition.delete_records(before)?;
    Ok((partition, before))
}

/// The log start offset of all replicas that live, which the protocol calls the low watermark.
fn low_watermark(call: &Call, partition: &Partition) -> Result<Offset, PartitionError> {
    let image = call.image();
    partition.low_watermark(|broker| image.broker(broker).is_some_and(|broker| !broker.fenced))
}

async fn deleted_for_good(
    call: &Call,
    partition: &Partition,
    before: Offset,
    deadline: Instant,
) -> Result<Offset, PartitionError> {
    let mut watch = call.node.arrivals.watch([partition.key()], Some(deadline));
    loop {
        let low = low_watermark(call, partition)?;
        if low >= before {
            return Ok(low);
        }
        partition.refuse_if_cut_off()?;
        match watch.wake().await {
            Wake::Notified => {}
            Wake::Deadline | Wake::Closed | Wake::Full => return Err(ErrorCode::RequestTimedOut.into()),
        }
    }
}

fn answer(index: i32, deleted: Result<Offset, PartitionError>) -> DeleteRecordsPartitionResult {
    let answer = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match deleted {
        Ok(start) => answer.with_low_watermark(start.get()),
        Err(error) => answer.with_low_watermark(-1).with_error_code(error.code.code()),
    }
}
