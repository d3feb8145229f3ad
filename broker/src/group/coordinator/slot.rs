//! One partition's place in the coordinator: not ours, being loaded, led here, or led here and cut off.

use ahash::AHashMap;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};

use super::batches::{self, EncodeError};
use super::offsets_log::OffsetsLog;
use super::release::Waiter;
use crate::group::clock::Now;
use crate::group::ids::Ticket;
use crate::group::record::CoordinatorRecord;
use crate::group::shard::{Answer, Effects, GroupCoordinatorShard};

/// Behind one short mutex; tiny unless the partition is led here.
pub(super) enum Slot {
    /// Another broker coordinates these groups.
    Absent,
    /// The log of this epoch is being read.
    Loading { leader_epoch: LeaderEpoch },
    /// This broker coordinated these groups in this epoch, and is cut off: if it turns out that it still does, the log is read again.
    CutOff { leader_epoch: LeaderEpoch },
    /// This broker coordinates these groups.
    Active(Box<ActiveShard>),
}

/// A shard, and what its shell keeps for it.
pub(super) struct ActiveShard {
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) core: GroupCoordinatorShard,
    /// Parked requests; as many as the core has tickets, so members bound it.
    pub(super) waiting: AHashMap<Ticket, Waiter>,
    /// The offset after the last record that was replayed.
    pub(super) log_end: Offset,
}

/// Records that the log did not take.
#[derive(Clone, Copy, Debug)]
pub(super) struct PersistError {
    pub(super) code: ErrorCode,
    /// Nothing was appended, and nothing in memory knows of the records: the shard goes on as if they had not been asked for.
    pub(super) is_harmless: bool,
}

impl Slot {
    /// The shard, or what a client is told instead.
    pub(super) fn active(&mut self) -> Result<&mut ActiveShard, ErrorCode> {
        match self {
            Slot::Absent | Slot::CutOff { .. } => Err(ErrorCode::NotCoordinator),
            Slot::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Slot::Active(shard) => Ok(shard),
        }
    }
}

impl ActiveShard {
    /// Appends records and replays them at the offsets they got. After an error that is not harmless nothing here can be
    /// trusted.
    pub(super) fn persist(
        &mut self,
        log: &dyn OffsetsLog,
        partition: PartitionIndex,
        max_batch_bytes: usize,
        now: Now,
        records: Vec<CoordinatorRecord>,
    ) -> Result<(), PersistError> {
        if records.is_empty() {
            return Ok(());
        }
        // Offsets and tombstones are known to memory by replay alone; a generation is in the soft state already.
        let is_soft =
            |record: &CoordinatorRecord| matches!(record, CoordinatorRecord::GroupMetadata { value: Some(_), .. });
        let mut is_harmless = !records.iter().any(is_soft);
        let batches = batches::encode(records, max_batch_bytes, now.wall_ms).map_err(|error| {
            tracing::error!(partition = partition.0, %error, "group records could not be encoded");
            let code = match error {
                EncodeError::TooLarge { .. } => ErrorCode::MessageTooLarge,
                EncodeError::Build(_) | EncodeError::UnknownType => ErrorCode::UnknownServerError,
            };
            PersistError { code, is_harmless }
        })?;
        for batch in batches {
            let appended = log.append(partition, self.leader_epoch, batch.bytes);
            let mut offset = appended.map_err(|code| PersistError { code, is_harmless })?;
            is_harmless = false;
            for record in batch.records {
                self.core.replay(offset, None, record);
                offset = Offset(offset.0 + 1);
            }
            self.log_end = offset;
        }
        Ok(())
    }

    /// Pairs answers with the requests they are for.
    pub(super) fn take_waiters(&mut self, answers: Vec<Answer>) -> Vec<(Waiter, Answer)> {
        let pair = |answer: Answer| self.waiting.remove(&answer.ticket()).map(|waiter| (waiter, answer));
        answers.into_iter().filter_map(pair).collect()
    }

    /// Answers whatever is parked with `code`; the shard is of no use afterwards.
    pub(super) fn retire(mut self, now: Now, code: ErrorCode) {
        let mut effects = Effects::default();
        self.core.on_unloaded(now, code, &mut effects);
        for (waiter, answer) in self.take_waiters(effects.answers) {
            waiter.give(answer);
        }
    }
}
