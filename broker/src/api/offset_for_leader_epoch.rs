//! OffsetForLeaderEpoch (23): where a leader epoch ends in the leader's log (KIP-101, KIP-320).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use weir_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use weir_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::call::Call;
use crate::net::Dispatch;
use crate::partition::{PartitionError, Placement};

pub(super) fn handle(call: Call, request: OffsetForLeaderEpochRequest) -> Dispatch {
    let image = call.image();
    let is_follower = request.replica_id.0 >= 0;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let placement = call.node.partitions.find(&image, &topic.topic, PartitionIndex(asked.partition));
            answer(asked, end_of_epoch(placement, asked, is_follower))
        });
        OffsetForLeaderTopicResult::default().with_partitions(partitions.collect()).with_topic(topic.topic)
    });
    let response = OffsetForLeaderEpochResponse::default().with_topics(topics.collect());
    call.ready(&response)
}

fn end_of_epoch(
    placement: Placement,
    asked: &OffsetForLeaderPartition,
    is_follower: bool,
) -> Result<(LeaderEpoch, Offset), PartitionError> {
    let partition = match placement {
        Placement::Local(partition) => partition,
        Placement::Elsewhere(_) => return Err(ErrorCode::NotLeaderOrFollower.into()),
        Placement::Unknown => return Err(ErrorCode::UnknownTopicOrPartition.into()),
    };
    let (current, asked) = (LeaderEpoch(asked.current_leader_epoch), LeaderEpoch(asked.leader_epoch));
    partition.end_of_epoch(current, asked, is_follower)
}

fn answer(asked: &OffsetForLeaderPartition, end: Result<(LeaderEpoch, Offset), PartitionError>) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(asked.partition);
    match end {
        Ok((epoch, end)) => answer.with_leader_epoch(epoch.get()).with_end_offset(end.get()),
        Err(error) => answer.with_error_code(error.code.code()).with_leader_epoch(-1).with_end_offset(-1),
    }
}
