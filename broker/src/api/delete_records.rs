//! DeleteRecords (21): moves a partition's log start offset forward (KIP-107).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use weir_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::call::Call;
use crate::net::Dispatch;
use crate::partition::{PartitionError, Placement};

/// Asks for everything up to the high watermark.
const UP_TO_HIGH_WATERMARK: i64 = -1;

pub(super) fn handle(call: Call, request: DeleteRecordsRequest) -> Dispatch {
    let image = call.image();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let index = PartitionIndex(asked.partition_index);
            let placement = call.broker.partitions.find(&image, &topic.name, index);
            answer(asked.partition_index, delete(placement, asked.offset))
        });
        DeleteRecordsTopicResult::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    let response = DeleteRecordsResponse::default().with_topics(topics.collect());
    call.ready(&response)
}

/// The new log start offset, which the protocol calls the low watermark.
fn delete(placement: Placement, before: i64) -> Result<Offset, PartitionError> {
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
    let log = partition.log()?;
    let high_watermark = log.high_watermark();
    let before = if before == UP_TO_HIGH_WATERMARK { high_watermark } else { Offset(before) };
    if before < Offset(0) || before > high_watermark {
        return Err(ErrorCode::OffsetOutOfRange.into());
    }
    log.advance_log_start_offset(before)?;
    Ok(log.log_start_offset())
}

fn answer(index: i32, deleted: Result<Offset, PartitionError>) -> DeleteRecordsPartitionResult {
    let answer = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match deleted {
        Ok(start) => answer.with_low_watermark(start.get()),
        Err(error) => answer.with_low_watermark(-1).with_error_code(error.code.code()),
    }
}
