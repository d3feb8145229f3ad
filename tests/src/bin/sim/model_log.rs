//! A partition's log as a list: one record an offset, each with the epoch of the leader that wrote it.

use weir_broker::replication::{EpochEnd, LocalLog};
use weir_protocol::ids::{LeaderEpoch, Offset};

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u64,
}

/// The log of one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelLog {
    entries: Vec<Entry>,
    high_watermark: i64,
    /// The high watermark as it stands on disk: what a restarted process knows.
    checkpointed: i64,
    /// How many records a power cut cannot take.
    flushed: usize,
}

impl ModelLog {
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn from(&self, offset: Offset, most: usize) -> Vec<Entry> {
        let start = usize::try_from(offset.get()).unwrap_or(0).min(self.entries.len());
        let end = self.entries.len().min(start + most);
        self.entries[start..end].to_vec()
    }

    pub(crate) fn append(&mut self, entries: &[Entry]) {
        self.entries.extend_from_slice(entries);
    }

    pub(crate) fn truncate(&mut self, to: Offset) {
        self.entries.truncate(usize::try_from(to.get()).unwrap_or(0));
        self.high_watermark = self.high_watermark.min(self.entries.len() as i64);
        self.flushed = self.flushed.min(self.entries.len());
    }

    /// Moves the high watermark forward, as far as the log goes.
    pub(crate) fn raise_high_watermark(&mut self, to: Offset) {
        self.high_watermark = self.high_watermark.max(to.get().min(self.entries.len() as i64));
    }

    pub(crate) fn checkpoint(&mut self) {
        self.checkpointed = self.high_watermark;
    }

    pub(crate) fn flush(&mut self) {
        self.flushed = self.entries.len();
    }

    /// The machine loses power: some part of what was not flushed is gone, from the end. `kept` says how much stays, in thousandths.
    pub(crate) fn cut_power(&mut self, kept: usize) {
        let at_risk = self.entries.len() - self.flushed;
        self.entries.truncate(self.flushed + at_risk * kept / 1_000);
        self.crash();
    }

    /// The process ends: what it wrote is in the page cache and stays, what it knew is as old as the checkpoint.
    pub(crate) fn crash(&mut self) {
        self.high_watermark = self.checkpointed.min(self.entries.len() as i64);
    }
}

impl LocalLog for ModelLog {
    fn log_start_offset(&self) -> Offset {
        Offset(0)
    }

    fn log_end_offset(&self) -> Offset {
        Offset(self.entries.len() as i64)
    }

    fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark)
    }

    fn latest_epoch(&self) -> LeaderEpoch {
        self.entries.last().map_or(LeaderEpoch::NONE, |entry| entry.epoch)
    }

    fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let Some(last) = self.entries.iter().rposition(|entry| entry.epoch <= epoch) else {
            // An epoch older than all known ends where the first known begins, as in the real log.
            return Some(EpochEnd { epoch, end_offset: Offset(0) });
        };
        Some(EpochEnd { epoch: self.entries[last].epoch, end_offset: Offset(last as i64 + 1) })
    }
}
