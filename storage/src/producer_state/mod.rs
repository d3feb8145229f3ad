//! What a partition remembers of its producers: the broker's half of idempotence and transactions.
//!
//! Owns the table of producer ids with their last batches, the ongoing transactions, those decided but not yet replicated,
//! and the list of snapshot files (Kafka's `ProducerStateManager`, KIP-98, KIP-360). Never reads the log, a clock or a
//! configuration: the log feeds it batches, offsets and time. Invariants: the state describes exactly the batches below
//! `end_offset`; a snapshot file named for an offset describes the batches below that offset; a partition that no producer
//! with an id has written to allocates nothing and writes no snapshot, so *no snapshot file* means *no producer known*.

mod append;
mod entry;
mod recall;
mod snapshot;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use weir_protocol::ids::{Offset, ProducerId};

pub use append::{
    CompletedTransaction, EndTransaction, PendingProducers, ProducerBatch, ProducerStateError, Validation,
};
pub use entry::{BATCHES_TO_RETAIN, BatchMetadata, ProducerStateEntry, decrement_sequence, increment_sequence};
pub(crate) use recall::Recall;
pub use snapshot::{SnapshotError, decode_snapshot, encode_snapshot, snapshot_file_name, snapshot_offset};

/// How long a producer id is remembered after its last write: Kafka's `producer.id.expiration.ms`.
pub const DEFAULT_PRODUCER_ID_EXPIRATION_MS: i64 = 86_400_000;

/// A transaction is late when it outlives its timeout by this much: Kafka's `LATE_TRANSACTION_BUFFER_MS`.
pub const LATE_TRANSACTION_BUFFER_MS: i64 = 5 * 60 * 1000;

/// The producers of one partition.
#[derive(Debug)]
pub struct ProducerState {
    /// Absent until a producer with an id writes.
    table: Option<Box<Table>>,
    /// Sorted; the offsets of the snapshot files beside the log.
    snapshots: Vec<Offset>,
    end_offset: Offset,
    last_snapshot_offset: Offset,
}

#[derive(Debug, Default)]
struct Table {
    producers: HashMap<ProducerId, Box<ProducerStateEntry>>,
    /// By first offset.
    ongoing: BTreeMap<Offset, Transaction>,
    /// Decided, but the marker is not yet below the high watermark; by first offset.
    unreplicated: BTreeMap<Offset, Transaction>,
    /// The snapshot that the producers were loaded from, until what it does not tell of was looked for in the log.
    told_by_snapshot: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
struct Transaction {
    producer_id: ProducerId,
    /// The offset of the marker, -1 while undecided.
    last_offset: Offset,
}

impl ProducerState {
    /// An empty state that begins at `start`, given the offsets of the snapshot files that lie beside the log.
    pub fn new(start: Offset, mut snapshots: Vec<Offset>) -> Self {
        snapshots.sort_unstable();
        snapshots.dedup();
        snapshots.shrink_to_fit();
        Self { table: None, snapshots, end_offset: start, last_snapshot_offset: start }
    }

    /// Everything below this offset is reflected here.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// The log was appended to or replayed up to `offset` (exclusive).
    pub fn set_end_offset(&mut self, offset: Offset) {
        self.end_offset = offset;
    }

    /// How many producer ids are known.
    pub fn producer_count(&self) -> usize {
        self.table.as_ref().map_or(0, |table| table.producers.len())
    }

    /// Nothing is known and nothing is undecided.
    pub fn is_empty(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table.producers.is_empty() && table.unreplicated.is_empty())
    }

    /// The known producers, in no order.
    pub fn producers(&self) -> impl Iterator<Item = &ProducerStateEntry> {
        self.table.iter().flat_map(|table| table.producers.values().map(|entry| &**entry))
    }

    /// What is known of one producer.
    pub fn entry(&self, id: ProducerId) -> Option<&ProducerStateEntry> {
        self.table.as_ref()?.producers.get(&id).map(|entry| &**entry)
    }

    /// The retained batch that `batch` repeats, if it does: same epoch and the same first and last sequence.
    pub fn find_duplicate(&self, batch: &ProducerBatch) -> Option<BatchMetadata> {
        self.entry(batch.producer_id)?.find_duplicate(batch.producer_epoch, batch.first_sequence, batch.last_sequence)
    }

    /// Makes the outcome of an append (checked into `pending`) the state. The caller then completes the transactions that
    /// the append decided, and sets the end offset.
    pub fn commit(&mut self, pending: PendingProducers) {
        if pending.is_empty() {
            return;
        }
        let table = self.table.get_or_insert_default();
        for entry in pending.entries {
            match table.producers.get_mut(&entry.producer_id()) {
                Some(current) => **current = entry,
                None => {
                    table.producers.insert(entry.producer_id(), Box::new(entry));
                }
            }
        }
        for (producer_id, first_offset) in pending.started {
            table.ongoing.insert(first_offset, Transaction { producer_id, last_offset: Offset::NONE });
        }
    }

    /// The last stable offset once `completed` is decided: what its entry in the transaction index carries. Asked before
    /// [`Self::complete`], which follows only when the index has the entry.
    pub fn last_stable_offset(&self, completed: &CompletedTransaction) -> Offset {
        self.table
            .as_ref()
            .and_then(|table| table.ongoing.iter().find(|(_, txn)| txn.producer_id != completed.producer_id))
            .map_or(Offset(completed.last_offset.0 + 1), |(first, _)| *first)
    }

    /// Marks a transaction as decided. It still holds the first unstable offset until its marker is replicated.
    pub fn complete(&mut self, completed: &CompletedTransaction) {
        let table = self.table.get_or_insert_default();
        table.ongoing.remove(&completed.first_offset);
        let decided = Transaction { producer_id: completed.producer_id, last_offset: completed.last_offset };
        table.unreplicated.insert(completed.first_offset, decided);
    }

    /// The earliest offset whose transaction is undecided or decided but not replicated; readers of committed data stop here.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let table = self.table.as_ref()?;
        let undecided = table.ongoing.keys().next();
        let unreplicated = table.unreplicated.keys().next();
        undecided.into_iter().chain(unreplicated).min().copied()
    }

    /// The earliest offset of a transaction that has no marker yet.
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.table.as_ref()?.ongoing.keys().next().copied()
    }

    /// Whether the oldest ongoing transaction has outlived `max_transaction_timeout_ms` (KIP-664).
    pub fn has_late_transaction(&self, now_ms: i64, max_transaction_timeout_ms: i64) -> bool {
        let Some(table) = self.table.as_ref() else { return false };
        let Some(oldest) = table.ongoing.values().next() else { return false };
        let last_ms = table.producers.get(&oldest.producer_id).map_or(-1, |entry| entry.last_timestamp());
        last_ms > 0 && now_ms.saturating_sub(last_ms) > max_transaction_timeout_ms + LATE_TRANSACTION_BUFFER_MS
    }

    /// Transactions whose marker is below the high watermark no longer hold back readers of committed data.
    pub fn on_high_watermark_updated(&mut self, high_watermark: Offset) {
        if let Some(table) = self.table.as_mut().filter(|table| !table.unreplicated.is_empty()) {
            table.unreplicated.retain(|_, txn| txn.last_offset >= high_watermark);
        }
    }

    /// The log now starts at `log_start`: decided transactions below it are gone, producers are kept.
    pub fn on_log_start_offset_incremented(&mut self, log_start: Offset) {
        self.on_high_watermark_updated(log_start);
        self.end_offset = self.end_offset.max(log_start);
        self.last_snapshot_offset = self.latest_snapshot_offset().unwrap_or(log_start);
    }

    /// Forgets producers that have been silent for `expiration_ms` and have no ongoing transaction; returns how many.
    pub fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let Some(table) = self.table.as_mut() else { return 0 };
        let before = table.producers.len();
        table.producers.retain(|_, entry| !entry.is_expired(now_ms, expiration_ms));
        let removed = before - table.producers.len();
        if removed > 0 && table.producers.is_empty() && table.ongoing.is_empty() && table.unreplicated.is_empty() {
            self.table = None;
        }
        removed
    }

    /// The log now spans `log_start..log_end`: drops what lies outside and, unless the state already ends there, starts
    /// again from the newest usable snapshot in range. The caller replays batches from [`Self::end_offset`] to `log_end`.
    /// Snapshots that do not read are deleted, and the next older one is tried.
    pub fn truncate_and_reload(
        &mut self,
        dir: &Path,
        log_start: Offset,
        log_end: Offset,
        now_ms: i64,
        expiration_ms: i64,
    ) -> io::Result<()> {
        self.retain_snapshots(dir, |offset| offset <= log_end && offset > log_start)?;
        if log_end == self.end_offset {
            self.on_log_start_offset_incremented(log_start);
            return Ok(());
        }
        self.table = None;
        while let Some(offset) = self.latest_snapshot_offset() {
            match snapshot::read(dir, offset) {
                Ok(entries) => {
                    self.load(entries.into_iter().filter(|entry| !entry.is_expired(now_ms, expiration_ms)));
                    if let Some(table) = &mut self.table {
                        table.told_by_snapshot = Some(offset);
                    }
                    self.last_snapshot_offset = offset;
                    self.end_offset = offset;
                    return Ok(());
                }
                Err(SnapshotError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %offset, %error, "dropping a producer snapshot that does not read");
                    self.remove_snapshot(dir, offset)?;
                }
            }
        }
        self.last_snapshot_offset = log_start;
        self.end_offset = log_start;
        Ok(())
    }

    /// Puts known producers into the table, with their ongoing transactions.
    fn load(&mut self, entries: impl Iterator<Item = ProducerStateEntry>) {
        for entry in entries {
            let table = self.table.get_or_insert_default();
            if let Some(first) = entry.current_transaction_first_offset() {
                let transaction = Transaction { producer_id: entry.producer_id(), last_offset: Offset::NONE };
                table.ongoing.insert(first, transaction);
            }
            table.producers.insert(entry.producer_id(), Box::new(entry));
        }
    }

    /// Forgets everything, deletes every snapshot and begins again at `offset`.
    pub fn truncate_fully_and_start_at(&mut self, dir: &Path, offset: Offset) -> io::Result<()> {
        self.table = None;
        self.retain_snapshots(dir, |_| false)?;
        self.end_offset = offset;
        self.last_snapshot_offset = offset;
        Ok(())
    }

    /// Writes a snapshot at the end offset unless there is one, or there is nothing to remember and no older snapshot that
    /// would be believed instead. Returns whether a file was written. It is not durable yet, and need not be: a start that
    /// does not find it whole walks further back; only a clean stop, which promises that it is there, syncs it.
    pub fn take_snapshot(&mut self, dir: &Path) -> io::Result<bool> {
        if self.end_offset <= self.last_snapshot_offset {
            return Ok(false);
        }
        if self.producer_count() == 0 && self.snapshots.is_empty() {
            return Ok(false);
        }
        let bytes = encode_snapshot(self.producers());
        snapshot::write(dir, self.end_offset, &bytes)?;
        if let Err(at) = self.snapshots.binary_search(&self.end_offset) {
            self.snapshots.insert(at, self.end_offset);
        }
        self.last_snapshot_offset = self.end_offset;
        Ok(true)
    }

    /// Makes the newest snapshot durable.
    pub fn sync_latest_snapshot(&self, dir: &Path) -> io::Result<()> {
        self.latest_snapshot_offset().map_or(Ok(()), |offset| snapshot::sync(dir, offset))
    }

    /// The offset of the newest snapshot.
    pub fn latest_snapshot_offset(&self) -> Option<Offset> {
        self.snapshots.last().copied()
    }

    /// The offset of the oldest snapshot.
    pub fn oldest_snapshot_offset(&self) -> Option<Offset> {
        self.snapshots.first().copied()
    }

    /// The offsets of all snapshots, ascending.
    pub fn snapshot_offsets(&self) -> &[Offset] {
        &self.snapshots
    }

    /// Deletes the snapshots below `offset`.
    pub fn delete_snapshots_before(&mut self, dir: &Path, offset: Offset) -> io::Result<()> {
        self.retain_snapshots(dir, |snapshot| snapshot >= offset)
    }

    /// Deletes one snapshot, if it exists.
    pub fn remove_snapshot(&mut self, dir: &Path, offset: Offset) -> io::Result<()> {
        self.retain_snapshots(dir, |snapshot| snapshot != offset)
    }

    /// Deletes the snapshots that belong to no segment, except the newest one if it lies beyond every segment's base: that
    /// one was written by a clean stop or with a recovery point.
    pub fn remove_stray_snapshots(&mut self, dir: &Path, segment_base_offsets: &[Offset]) -> io::Result<()> {
        let latest = self.latest_snapshot_offset();
        let last_base = segment_base_offsets.iter().max().copied();
        self.retain_snapshots(dir, |offset| {
            segment_base_offsets.contains(&offset) || (Some(offset) == latest && Some(offset) >= last_base)
        })
    }

    /// Deletes the files of the snapshots that `keep` refuses; a file that is already gone counts as deleted.
    fn retain_snapshots(&mut self, dir: &Path, keep: impl Fn(Offset) -> bool) -> io::Result<()> {
        let mut failed = None;
        self.snapshots.retain(|&offset| {
            if keep(offset) || failed.is_some() {
                return true;
            }
            match snapshot::delete(dir, offset) {
                Ok(()) => false,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
