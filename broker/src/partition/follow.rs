//! Following: what a follower does to its log because its leader said so.
//!
//! Everything here names the leader epoch in which the leader was asked, and does nothing once that is over.

use std::sync::Arc;

use weir_protocol::ids::{LeaderEpoch, Offset};
use weir_storage::log::{AppendError, AppendInfo, Log, StorageError};

use super::{Partition, PartitionError};
use crate::replication::{EpochEnd, LocalLog};

/// Why what a leader sent was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// This broker does not follow in that epoch any more.
    #[error("the leader epoch is over")]
    Over,
    /// The log cannot be opened.
    #[error("the log cannot be opened: {:?} {:?}", .0.code, .0.message)]
    Log(PartitionError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not be changed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What became of an answer that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The bytes that were appended.
    pub bytes: u64,
    /// Flush up to here before the next fetch, which promises that it is done.
    pub flush_to: Option<Offset>,
}

/// A log in the words of the core.
#[derive(Clone, Copy, Debug)]
pub struct FollowerLog<'a>(pub &'a Log);

impl LocalLog for FollowerLog<'_> {
    fn log_start_offset(&self) -> Offset {
        self.0.log_start_offset()
    }

    fn log_end_offset(&self) -> Offset {
        self.0.log_end_offset()
    }

    fn high_watermark(&self) -> Offset {
        self.0.high_watermark()
    }

    fn latest_epoch(&self) -> LeaderEpoch {
        self.0.latest_epoch().unwrap_or(LeaderEpoch::NONE)
    }

    fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        epoch_end(self.0, epoch)
    }
}

/// The largest epoch of `log` that is not above `epoch`, and its end.
pub(super) fn epoch_end(log: &Log, epoch: LeaderEpoch) -> Option<EpochEnd> {
    let latest = log.latest_epoch()?;
    let (epoch, end_offset) = log.end_offset_for_epoch(epoch.min(latest));
    (epoch != LeaderEpoch::NONE).then_some(EpochEnd { epoch, end_offset })
}

impl Partition {
    /// Appends what the leader of `leader_epoch` sent, and learns from it what is committed and where its log starts.
    pub fn take_in(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        records: &[u8],
        high_watermark: Offset,
        log_start_offset: Offset,
        now_ms: i64,
    ) -> Result<Taken, FollowError> {
        self.as_follower(leader_epoch, |log| {
            let mut taken = Taken { bytes: 0, flush_to: None };
            if !records.is_empty() {
                let info = self.append_fetched(log, records, leader_epoch, now_ms)?;
                taken.bytes = info.bytes;
                taken.flush_to = info.needs_fsync.then_some(info.log_end_offset);
            }
            // More may be committed than has come so far.
            self.advance(log, Some(high_watermark.min(log.log_end_offset())));
            let start = log_start_offset.min(log.high_watermark());
            if start > log.log_start_offset() {
                // It is not beyond the high watermark, which is all that could be wrong with it.
                let _ = log.advance_log_start_offset(start);
            }
            Ok(taken)
        })
    }

    /// Appends what was fetched. A log that has nothing, and starts where the leader deleted records up to within a batch, takes that
    /// batch whole: its start moves back there, and to the leader's again once the batch is here.
    fn append_fetched(
        &self,
        log: &Log,
        records: &[u8],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, FollowError> {
        let refused = match log.append_as_follower(records, leader_epoch, now_ms) {
            Ok(info) => return Ok(info),
            Err(refused) => refused,
        };
        let start = log.start_that_takes(&refused).ok_or(refused)?;
        self.local.logs.start_over(log, start)?;
        Ok(log.append_as_follower(records, leader_epoch, now_ms)?)
    }

    /// Cuts the log where it parts from that of the leader of `leader_epoch`.
    pub fn cut(self: &Arc<Self>, leader_epoch: LeaderEpoch, to: Offset) -> Result<(), FollowError> {
        self.as_follower(leader_epoch, |log| {
            let high_watermark = log.high_watermark();
            if to < high_watermark {
                // Only after an unclean election, or a power cut that took what was not flushed.
                tracing::warn!(partition = %self.topic_partition(), %to, %high_watermark, "the leader lacks records that were committed: they are cut here too");
            }
            let log_end = self.local.logs.truncate(log, to)?;
            self.note_cut(log_end);
            Ok(())
        })
    }

    /// Drops everything and starts where the log of the leader of `leader_epoch` does.
    pub fn start_over(self: &Arc<Self>, leader_epoch: LeaderEpoch, at: Offset) -> Result<(), FollowError> {
        self.as_follower(leader_epoch, |log| {
            tracing::warn!(partition = %self.topic_partition(), %at, log_end = %log.log_end_offset(), "the leader has deleted what this replica lacks: it starts over");
            self.local.logs.start_over(log, at)?;
            self.note_cut(at);
            Ok(())
        })
    }

    fn as_follower<T>(
        &self,
        leader_epoch: LeaderEpoch,
        act: impl FnOnce(&Arc<Log>) -> Result<T, FollowError>,
    ) -> Result<T, FollowError> {
        self.log().map_err(FollowError::Log)?;
        let tenure = self.tenure.read();
        // While the tenure is held it is not replaced.
        let log = self.log().map_err(FollowError::Log)?;
        if !tenure.follows() || tenure.registration.leader_epoch != leader_epoch {
            return Err(FollowError::Over);
        }
        act(&log)
    }
}
