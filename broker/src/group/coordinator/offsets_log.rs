//! What the coordinator needs of the partitions of `__consumer_offsets`; the broker's partitions implement it.

use bytes::BytesMut;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};

/// Called once: the records are replicated, or never will be here.
pub type ReplicatedCallback = Box<dyn FnOnce(Result<(), ErrorCode>) + Send>;

/// The log of `__consumer_offsets`, as its leader.
///
/// No method may call back into the coordinator before it returns, [`OffsetsLog::on_replicated`]'s callback excepted:
/// appends happen while a shard is locked.
pub trait OffsetsLog: Send + Sync + 'static {
    /// Appends one batch as the leader of `leader_epoch`; offsets and epoch are patched into it. Returns the offset of
    /// its first record. Fails if this broker does not lead the partition in that epoch any more.
    fn append(
        &self,
        partition: PartitionIndex,
        leader_epoch: LeaderEpoch,
        batch: BytesMut,
    ) -> Result<Offset, ErrorCode>;

    /// The largest batch that the partition takes, header included; it may change from call to call.
    fn max_batch_bytes(&self, partition: PartitionIndex) -> usize;

    /// Whether this broker leads in `leader_epoch` and everything below `end` is replicated: no failure that replication allows for
    /// can undo it. Of the log of a later leader that says nothing: what stands at those offsets then may be somebody else's.
    fn is_replicated(&self, partition: PartitionIndex, leader_epoch: LeaderEpoch, end: Offset) -> bool;

    /// Calls `callback` once everything below `end` is replicated, at once if it is; or with an error once this broker
    /// does not lead in `leader_epoch` any more.
    fn on_replicated(
        &self,
        partition: PartitionIndex,
        leader_epoch: LeaderEpoch,
        end: Offset,
        callback: ReplicatedCallback,
    );

    /// Whether this broker leads the partition as far as it knows, but is cut off: another may lead by now, and coordinate its groups.
    fn is_cut_off(&self, partition: PartitionIndex) -> bool;

    /// Asks for [`GroupCoordinator::load`](super::GroupCoordinator::load) of the partition from another thread: an
    /// append failed, and memory and log may differ.
    fn request_load(&self, partition: PartitionIndex, leader_epoch: LeaderEpoch);
}

/// What a client of the coordinator is told when the log fails (Kafka's `CoordinatorOperationExceptionHelper`).
pub(super) fn client_error(log_error: ErrorCode) -> ErrorCode {
    match log_error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch | ErrorCode::KafkaStorageError => {
            ErrorCode::NotCoordinator
        }
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
