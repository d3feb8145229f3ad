//! ListOffsets (2): where a partition starts, ends, or reaches a time (KIP-79, KIP-734, KIP-1005, KIP-1023).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::list_offsets_request::ListOffsetsPartition;
use weir_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use weir_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::call::Call;
use crate::net::Dispatch;
use crate::partition::{Isolation, Partition, PartitionError, Placement, Reader};

/// The first version whose answer has a place for the leader epoch; the codec refuses to leave one out.
const FIRST_WITH_LEADER_EPOCH: i16 = 4;

/// The first version whose clients know OFFSET_NOT_AVAILABLE (KIP-207).
const FIRST_WITH_OFFSET_NOT_AVAILABLE: i16 = 5;

/// The end of what may be read.
const LATEST: i64 = -1;
/// The log start offset.
const EARLIEST: i64 = -2;
/// The record with the greatest timestamp.
const MAX_TIMESTAMP: i64 = -3;
/// The start of what is on local disk.
const EARLIEST_LOCAL: i64 = -4;
/// The end of what is in the object store.
const LATEST_TIERED: i64 = -5;
/// The start of what is still to be put into the object store.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The first version in which a timestamp below zero has its meaning; `None` if it has none in any.
fn first_version_of(timestamp: i64) -> Option<i16> {
    match timestamp {
        LATEST | EARLIEST => Some(1),
        MAX_TIMESTAMP => Some(7),
        EARLIEST_LOCAL => Some(8),
        LATEST_TIERED => Some(9),
        EARLIEST_PENDING_UPLOAD => Some(11),
        _ => None,
    }
}

/// What a look-up found; nothing is -1 throughout.
struct Found {
    timestamp: i64,
    offset: Offset,
    leader_epoch: LeaderEpoch,
}

impl Found {
    const NOTHING: Self = Self { timestamp: -1, offset: Offset::NONE, leader_epoch: LeaderEpoch::NONE };

    fn at(offset: Offset, leader_epoch: LeaderEpoch) -> Self {
        Self { timestamp: -1, offset, leader_epoch }
    }
}

pub(super) fn handle(call: Call, request: ListOffsetsRequest) -> Dispatch {
    let image = call.image();
    let reader = match request.replica_id.0 {
        0.. => Reader::Follower,
        _ => Reader::Consumer { isolation: Isolation::from_wire(request.isolation_level), takes_followers: false },
    };
    // Until this broker knows what it still leads, it tells consumers of nothing.
    let is_held = reader != Reader::Follower && !call.node.lifecycle.presence().is_certain();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let index = PartitionIndex(asked.partition_index);
            let found = match call.node.partitions.find(&image, &topic.name, index) {
                Placement::Local(_) if is_held => Err(ErrorCode::NotLeaderOrFollower.into()),
                Placement::Local(partition) => look_up(&partition, asked, reader, call.version()),
                Placement::Elsewhere(_) => Err(ErrorCode::NotLeaderOrFollower.into()),
                Placement::Unknown => Err(ErrorCode::UnknownTopicOrPartition.into()),
            };
            answer(asked.partition_index, found, call.version())
        });
        ListOffsetsTopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    let response = ListOffsetsResponse::default().with_topics(topics.collect());
    call.ready(&response)
}

fn look_up(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    reader: Reader,
    version: i16,
) -> Result<Found, PartitionError> {
    if asked.timestamp < 0 && first_version_of(asked.timestamp).is_none_or(|first| version < first) {
        let message = format!("The timestamp {} has no meaning in version {version} of ListOffsets.", asked.timestamp);
        return Err(PartitionError::new(ErrorCode::UnsupportedVersion, message));
    }
    if reader != Reader::Follower {
        partition.refuse_if_cut_off()?;
    }
    let leader_epoch = partition.check_leadership(LeaderEpoch(asked.current_leader_epoch))?;
    let log = partition.log()?;
    let end = match asked.timestamp {
        // Where the log starts is known, whatever is committed.
        EARLIEST | EARLIEST_LOCAL | LATEST_TIERED | EARLIEST_PENDING_UPLOAD => log.log_end_offset(),
        _ => partition.readable_end(reader)?,
    };
    let epoch_at = |offset| log.epoch_for_offset(offset).unwrap_or(leader_epoch);
    match asked.timestamp {
        LATEST => Ok(Found::at(end, leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            Ok(Found::at(start, epoch_at(start)))
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Found::NOTHING),
        MAX_TIMESTAMP => {
            let found = log.max_timestamp_offset()?.filter(|found| found.offset < end);
            Ok(found.map_or(Found::NOTHING, |found| Found {
                timestamp: found.timestamp,
                offset: found.offset,
                leader_epoch: found.leader_epoch,
            }))
        }
        timestamp => {
            let found = log.offset_for_timestamp(timestamp)?.filter(|found| found.offset < end);
            Ok(found.map_or(Found::NOTHING, |found| Found {
                timestamp: found.timestamp,
                offset: found.offset,
                leader_epoch: found.leader_epoch,
            }))
        }
    }
}

fn answer(index: i32, found: Result<Found, PartitionError>, version: i16) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
    let (code, found) = match found {
        Ok(found) => (ErrorCode::None, found),
        // Clients before KIP-207 know another error for it.
        Err(error) if error.code == ErrorCode::OffsetNotAvailable && version < FIRST_WITH_OFFSET_NOT_AVAILABLE => {
            (ErrorCode::LeaderNotAvailable, Found::NOTHING)
        }
        Err(error) => (error.code, Found::NOTHING),
    };
    let answer = answer.with_error_code(code.code()).with_timestamp(found.timestamp).with_offset(found.offset.get());
    if version < FIRST_WITH_LEADER_EPOCH { answer } else { answer.with_leader_epoch(found.leader_epoch.get()) }
}
