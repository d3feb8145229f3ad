//! The Raft log on disk: a storage log named `__cluster_metadata-0`.
//!
//! Owns the mapping between Raft and the log: index = offset, term = partition leader epoch, one entry = one batch of one
//! record. It knows where the log logically starts (just behind what was purged, or what the snapshot covers) and never
//! returns an entry below that, although whole segments go later and further back. It knows no openraft trait.
//!
//! Invariants: entries are appended without gaps; nothing here is acknowledged before [`MetadataLog::flush`] returned; after
//! one failed write or fsync every further append and flush fails (the storage log sees to it), for what the page cache then
//! holds is unknown. A write that only finds the disk full is an error of kind `StorageFull`, leaves the log as it was and may be
//! done again (`room`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use uuid::Uuid;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicPartition};
use weir_protocol::records::batch::BatchHeader;
use weir_storage::config::{CleanupPolicy, LogConfig};
use weir_storage::context::StorageContext;
use weir_storage::file_cache::FileCache;
use weir_storage::log::{AppendError, Log, LogLoad, ReadUpperBound, Shutdown, StorageError};

use super::entry_batch::{self, EntryError, encode_entry, log_id, now_ms};
use super::readable::OfNewerBuild;
use super::room::Room;
use super::snapshot_file::{SnapshotId, oldest_snapshot_end};
use super::start_error::REPLACE_FOLDER;
use super::tail_check::{Tail, check_tail};
use super::types::{Entry, LogId};
use crate::decide::SupportedFeatures;

/// Kafka's id of that topic.
const CLUSTER_METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

/// Open segments of the metadata log; it rarely has more than two.
const MAX_OPEN_FILES: usize = 8;

/// Kafka's name of the topic that holds the cluster's metadata.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// The folder of the metadata log within its log directory.
pub const CLUSTER_METADATA_FOLDER: &str = "__cluster_metadata-0";

/// The size at which a segment is full. Segments also roll when a prefix is purged, so that it can go the next time.
const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;

/// How much of the log one read of the file takes into memory; a larger entry is read whole.
const READ_BYTES: u32 = 1024 * 1024;

/// Why the metadata log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// The storage log could not be opened or read.
    #[error("the metadata log {directory} cannot be opened: {reason}")]
    Open {
        /// Its folder.
        directory: PathBuf,
        /// What the storage said.
        reason: String,
    },
    /// The disk lost or changed entries that were acknowledged.
    #[error(
        "the metadata log is damaged: {segment} cannot be read from byte {position} on (offset {offset}), yet intact entries follow, so this is no write cut short by a crash; cutting there would undo acknowledged changes, so this node does not start; {REPLACE_FOLDER}"
    )]
    Damaged {
        /// The file.
        segment: PathBuf,
        /// Where the bad entry begins.
        position: u64,
        /// Which entry it should be.
        offset: i64,
    },
    /// The log holds an entry that this build does not know.
    #[error("{segment}, offset {offset}: {found}; this node does not start, and its metadata stay as they are")]
    OfNewerBuild {
        /// The file.
        segment: PathBuf,
        /// Which entry it is.
        offset: i64,
        /// What it holds.
        found: OfNewerBuild,
    },
    /// The log begins later than what the snapshot covers.
    #[error(
        "the metadata log {directory} starts at offset {log_start}, but the newest snapshot that can be read covers only what is below {covered}: the records between are missing, so this node does not start; {REPLACE_FOLDER}"
    )]
    Gap {
        /// Its folder.
        directory: PathBuf,
        /// Where the log starts.
        log_start: u64,
        /// Where the snapshot ends; nought without one.
        covered: u64,
    },
}

/// The Raft log, over one storage log.
pub(crate) struct MetadataLog {
    log: Log,
    context: Arc<StorageContext>,
    directory: PathBuf,
    /// The last entry that is logically gone; entries up to it are never returned.
    purged: Mutex<Option<LogId>>,
    flushing: Mutex<()>,
    fsyncs: AtomicU64,
    room: Arc<Room>,
    #[cfg(test)]
    failing: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    full: std::sync::atomic::AtomicBool,
}

/// Entries as the log holds them, one behind the other.
pub(crate) struct EncodedEntries {
    /// Index of the first.
    first: u64,
    batches: BytesMut,
    timestamp_ms: i64,
}

impl EncodedEntries {
    /// Nothing if there are none.
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> io::Result<Option<Self>> {
        let mut batches = BytesMut::new();
        let (mut first, mut next) = (None, None);
        let timestamp_ms = now_ms();
        for entry in entries {
            let index = entry.log_id.index();
            assert!(next.is_none_or(|next| next == index), "entry {index} does not follow the one before it");
            let batch = encode_entry(&entry, timestamp_ms).map_err(io::Error::other)?;
            if batches.is_empty() {
                batches = batch;
            } else {
                batches.extend_from_slice(&batch);
            }
            first = first.or(Some(index));
            next = Some(index + 1);
        }
        Ok(first.map(|first| Self { first, batches, timestamp_ms }))
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.batches.len() as u64
    }
}

impl MetadataLog {
    /// Opens the log of `directory` so that it continues where `snapshot` ends.
    ///
    /// What it finds is durable once it returns. What the snapshot covers is purged. A log that ends before the snapshot, or that holds
    /// another entry where the snapshot ends, is what a crash leaves while a snapshot replaces a log: it is emptied.
    pub(crate) fn open(
        directory: &Path,
        snapshot: Option<SnapshotId>,
        supported: &SupportedFeatures,
    ) -> Result<Self, MetadataLogError> {
        let failed = |reason: String| MetadataLogError::Open { directory: directory.to_path_buf(), reason };
        let context = StorageContext::new(directory, Arc::new(FileCache::new(MAX_OPEN_FILES)));
        let covered = snapshot.map_or(0, |snapshot| snapshot.end_offset);
        // Nothing tells how the last process ended, so all that no snapshot covers is read; it is little.
        let shutdown = match check_tail(directory, to_offset(covered).get(), supported)
            .map_err(|error| failed(error.to_string()))?
        {
            Tail::Whole => Shutdown::SameBoot,
            Tail::Torn => Shutdown::Unclean,
            Tail::Damaged { segment, position, offset } => {
                return Err(MetadataLogError::Damaged { segment, position, offset });
            }
            Tail::OfNewerBuild { segment, offset, found } => {
                return Err(MetadataLogError::OfNewerBuild { segment, offset, found });
            }
        };
        let log = Log::open(LogLoad {
            dir: directory.to_path_buf(),
            topic_partition: TopicPartition { topic: CLUSTER_METADATA_TOPIC.into(), partition: PartitionIndex(0) },
            topic_id: CLUSTER_METADATA_TOPIC_ID,
            context: Arc::clone(&context),
            config: Arc::new(log_config()),
            recovery_point: Some(to_offset(covered)),
            log_start: Offset(0),
            shutdown,
            producer_id_expiration_ms: i64::MAX,
            now_ms: now_ms(),
        });
        let opened = Self {
            log: log.map_err(|error| failed(error.to_string()))?,
            context,
            directory: directory.to_path_buf(),
            purged: Mutex::new(snapshot.and_then(SnapshotId::last_log_id)),
            flushing: Mutex::new(()),
            fsyncs: AtomicU64::new(0),
            room: Room::new(directory),
            #[cfg(test)]
            failing: std::sync::atomic::AtomicBool::new(false),
            #[cfg(test)]
            full: std::sync::atomic::AtomicBool::new(false),
        };
        if opened.start() > covered {
            let directory = directory.to_path_buf();
            return Err(MetadataLogError::Gap { directory, log_start: opened.start(), covered });
        }
        if let Some(last_covered) = opened.purged() {
            let held = opened.log_id_at(last_covered.index()).map_err(|error| failed(error.to_string()))?;
            let continues = held.is_some_and(|held| held == last_covered);
            // The covered prefix may be gone altogether, if the log starts exactly where the snapshot ends.
            if !continues && opened.start() != covered {
                opened.restart_at(covered).map_err(|error| failed(error.to_string()))?;
            }
        }
        // What a killed process wrote may be in the page cache alone, and whoever asks is answered that this node has it.
        opened.flush().map_err(|error| failed(error.to_string()))?;
        Ok(opened)
    }

    /// Index of the first entry that is physically there.
    fn start(&self) -> u64 {
        to_index(self.log.log_start_offset().get())
    }

    /// Index behind the last entry.
    fn end(&self) -> u64 {
        to_index(self.log.log_end_offset().get())
    }

    /// The room on its disk.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// How many fsyncs the log has cost.
    pub(crate) fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    /// The last entry that was purged.
    pub(crate) fn purged(&self) -> Option<LogId> {
        *self.purged.lock()
    }

    /// The last entry, or the last purged one if there is none.
    pub(crate) fn last(&self) -> io::Result<Option<LogId>> {
        let purged = self.purged();
        let last = self.end().checked_sub(1).filter(|last| purged.is_none_or(|purged| *last > purged.index()));
        match last {
            Some(last) => Ok(self.log_id_at(last)?.or(purged)),
            None => Ok(purged),
        }
    }

    /// Appends entries; they are durable after the next [`MetadataLog::flush`].
    #[cfg(test)]
    pub(crate) fn append(&self, entries: impl IntoIterator<Item = Entry>) -> io::Result<()> {
        EncodedEntries::of(entries)?.map_or(Ok(()), |entries| self.write(&entries))
    }

    /// Appends entries; they are durable after the next [`MetadataLog::flush`].
    pub(crate) fn write(&self, entries: &EncodedEntries) -> io::Result<()> {
        #[cfg(test)]
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.make_next(entries.first)?;
        let epoch = LeaderEpoch(i32::MAX);
        self.log.append_as_follower(&entries.batches, epoch, entries.timestamp_ms).map_err(append_error)?;
        Ok(())
    }

    /// Sees to it that the next entry is the one at `index`: an empty log may start anywhere.
    fn make_next(&self, index: u64) -> io::Result<()> {
        let (start, end) = (self.start(), self.end());
        if index != end && start == end {
            return self.restart_at(index);
        }
        assert_eq!(index, end, "an entry is appended behind the last one");
        Ok(())
    }

    /// Makes everything that was appended durable.
    pub(crate) fn flush(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.failing.load(Ordering::Relaxed) {
            return Err(io::Error::other("this fsync was told to fail"));
        }
        // Two who want the same entries durable pay for one fsync.
        let _one_at_a_time = self.flushing.lock();
        let end = self.log.log_end_offset();
        if self.log.recovery_point() < end {
            self.log.flush(end).map_err(storage_error)?;
            self.fsyncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets no entry find room from now on, or any.
    #[cfg(test)]
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Makes every fsync from now on fail.
    #[cfg(test)]
    pub(crate) fn fail_flushes(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// The entries from `start` to before `end`, as many as are there and as fit `max_bytes`, but one at least.
    pub(crate) fn read(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let first = self.purged().map_or(0, |purged| purged.index() + 1).max(self.start());
        let mut next = start.max(first);
        let end = end.min(self.end());
        let mut entries = Vec::new();
        let mut bytes = 0;
        while next < end && (bytes < max_bytes || entries.is_empty()) {
            let mut batches = self.read_batches(next, READ_BYTES)?;
            let before = next;
            while next < end && (bytes < max_bytes || entries.is_empty()) {
                let Some(batch) = split_batch(&mut batches).map_err(damaged)? else { break };
                let entry = entry_batch::decode_batch(&batch).and_then(|batch| batch.into_entry()).map_err(damaged)?;
                if entry.log_id.index() < next {
                    continue;
                }
                if entry.log_id.index() != next {
                    return Err(damaged(format!("entry {} stands where entry {next} belongs", entry.log_id.index())));
                }
                bytes += batch.len();
                entries.push(entry);
                next += 1;
            }
            if next == before {
                return Err(damaged(format!("entry {next} cannot be read")));
            }
        }
        Ok(entries)
    }

    /// Batches from the one at `index` on: that one whole, and what else fits `max_bytes`.
    fn read_batches(&self, index: u64, max_bytes: u32) -> io::Result<Bytes> {
        let read =
            self.log.read(to_offset(index), max_bytes, ReadUpperBound::LOG_END, true).map_err(io::Error::other)?;
        read.slice.map_or_else(|| Ok(Bytes::new()), |slice| slice.to_bytes())
    }

    /// The log id of the entry at `index`, if it is physically there.
    fn log_id_at(&self, index: u64) -> io::Result<Option<LogId>> {
        if index < self.start() || index >= self.end() {
            return Ok(None);
        }
        let batch = self.read_batches(index, 1)?;
        let header = BatchHeader::parse(&batch).map_err(damaged)?;
        let term = u64::try_from(header.partition_leader_epoch).map_err(damaged)?;
        Ok(Some(log_id(term, to_index(header.base_offset))))
    }

    /// Whether [`MetadataLog::purge`] up to there leaves nothing, so that the log begins anew.
    pub(crate) fn ends_before(&self, last: LogId) -> bool {
        last.index() + 1 > self.end()
    }

    /// Drops every entry behind `last`; all of them without one.
    pub(crate) fn truncate_after(&self, last: Option<LogId>) -> io::Result<()> {
        let keep = last.map_or(0, |last| last.index() + 1);
        if keep >= self.end() {
            return Ok(());
        }
        let end = self.log.truncate_to(to_offset(keep), now_ms()).map_err(io::Error::other)?;
        debug_assert_eq!(end, to_offset(keep), "every entry is a batch of its own");
        Ok(())
    }

    /// Forgets every entry up to `last`, which a durable snapshot covers.
    ///
    /// Whole segments go once the older of the two retained snapshots covers them too, so that a spoilt newest snapshot
    /// costs nothing.
    pub(crate) fn purge(&self, last: LogId) -> io::Result<()> {
        let behind = last.index() + 1;
        {
            let mut purged = self.purged.lock();
            *purged = (*purged).max(Some(last));
        }
        if behind > self.end() {
            return self.restart_at(behind);
        }
        match oldest_snapshot_end(&self.directory)? {
            Some(retained) => self.delete_segments_below(retained.min(behind)),
            None => Ok(()),
        }
    }

    fn delete_segments_below(&self, index: u64) -> io::Result<()> {
        let now_ms = now_ms();
        match self.log.roll(now_ms) {
            // The active segment stays until the next purge; those before it make room.
            Ok(_) | Err(StorageError::DiskFull { .. }) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        self.log.set_high_watermark(self.log.log_end_offset());
        self.log.advance_log_start_offset(to_offset(index)).map_err(io::Error::other)?;
        let deleted = self.log.delete_expired_segments(now_ms).map_err(io::Error::other)?;
        for deletion in self.context.take_all_deletions() {
            for file in deletion.files {
                match fs::remove_file(&file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        tracing::debug!(deleted, below = index, "deleted segments of the metadata log");
        Ok(())
    }

    /// Makes durable what is not, and leaves the folder as a clean stop does. Nothing is taken after it.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.log.close().map_err(io::Error::other)
    }

    fn restart_at(&self, index: u64) -> io::Result<()> {
        self.log.truncate_fully_and_start_at(to_offset(index), now_ms()).map_err(io::Error::other)
    }
}

/// The metadata log keeps what no snapshot covers, whatever its age or size; only [`MetadataLog::purge`] deletes.
fn log_config() -> LogConfig {
    LogConfig {
        segment_bytes: SEGMENT_BYTES,
        segment_ms: i64::MAX,
        retention_ms: -1,
        retention_bytes: -1,
        max_message_bytes: entry_batch::MAX_BATCH_BYTES as u32,
        flush_messages: i64::MAX,
        flush_ms: i64::MAX,
        file_delete_delay_ms: 0,
        cleanup: CleanupPolicy { delete: true, compact: false },
        ..LogConfig::default()
    }
}

/// Takes the first whole batch off `batches`.
fn split_batch(batches: &mut Bytes) -> Result<Option<Bytes>, EntryError> {
    let Some(overhead) = batches.first_chunk() else { return Ok(None) };
    let size = entry_batch::batch_size(overhead)?;
    Ok((size <= batches.len()).then(|| batches.split_to(size)))
}

fn damaged(reason: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the metadata log is damaged: {reason}"))
}

fn append_error(error: AppendError) -> io::Error {
    match error {
        AppendError::DiskFull { .. } => io::Error::new(io::ErrorKind::StorageFull, error.to_string()),
        other => io::Error::other(other),
    }
}

/// A fsync that failed for lack of room has failed for good: only what the storage log says may be done again is.
fn storage_error(error: StorageError) -> io::Error {
    match error {
        StorageError::DiskFull { .. } => io::Error::new(io::ErrorKind::StorageFull, error.to_string()),
        other => io::Error::other(other),
    }
}

fn to_offset(index: u64) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
}

fn to_index(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
