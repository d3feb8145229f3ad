//! One partition's log.
//!
//! Owns the segments of a partition and everything that must change together with them: end, start, high watermark and
//! last stable offset, producers, leader epochs, the recovery point. Answers to Kafka's `UnifiedLog` and `LocalLog`.
//!
//! Synchronous. One short mutex guards the state; it is held for the write of an append, never for a read of batches and
//! never for an fsync. Has no thread, no clock and no configuration file: the caller flushes, applies retention, passes the
//! time, and removes the files that [`StorageContext`] queues. Knows batches, not APIs; decodes records only where a rule
//! needs them (compacted topics, `message.timestamp.before.max.ms`, another codec, look-ups by time, transaction markers).
//!
//! Invariants: `log_start <= high_watermark <= log_end`; `recovery_point <= log_end`; the last segment is the active one and
//! base offsets ascend; what is below the recovery point has been fsynced, with the leader epochs that it needs; after a
//! failed write or fsync the directory is offline and no append or flush succeeds any more.
//!
//! `append` writes, `validate` and `recompress` judge and change a client's batches, `read` and `time` look up, `flush`
//! makes durable, `roll`, `retention` and `truncate` change the set of segments, `load` opens, `replay` rebuilds what
//! the batches tell of producers and epochs, `recall` finds what a snapshot does not tell of them.

mod append;
mod append_info;
mod error;
mod file_slice;
mod flush;
mod load;
mod read;
mod recall;
mod recompress;
mod replay;
mod retention;
mod roll;
mod state;
mod time;
mod transactions;
mod truncate;
mod validate;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use weir_protocol::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};

pub use append_info::{AppendInfo, AppendOrigin};
pub use error::{AppendError, EpochEnd, LoadError, LogStartError, ReadError, StorageError};
pub use file_slice::FileSlice;
pub use flush::PendingFlush;
pub use load::{LogLoad, Shutdown};
pub use read::{LogRead, ReadUpperBound};
pub use time::TimestampAndOffset;
pub use transactions::{AbortedTxn, ProducerSnapshotView};

pub use crate::segment::load::SegmentLoadError;

use crate::config::LogConfig;
use crate::context::StorageContext;
use crate::producer_state::DEFAULT_PRODUCER_ID_EXPIRATION_MS;
use state::State;

/// How often whoever waits for the state looks whether the disk has stopped answering.
const LOCK_LOOK: Duration = Duration::from_millis(50);

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();

/// One partition's log. `Send + Sync`; shared as `Arc<Log>`.
#[derive(Debug)]
pub struct Log {
    topic_partition: TopicPartition,
    topic_id: TopicId,
    context: Arc<StorageContext>,
    config: RwLock<Arc<LogConfig>>,
    state: Mutex<State>,
    offsets: PublishedOffsets,
    producer_id_expiration_ms: AtomicI64,
}

/// Copies of the state's offsets that are read without the lock.
#[derive(Debug, Default)]
struct PublishedOffsets {
    log_start: AtomicI64,
    log_end: AtomicI64,
    high_watermark: AtomicI64,
    last_stable: AtomicI64,
    recovery_point: AtomicI64,
    unflushed_bytes: AtomicU64,
    generation: AtomicU32,
}

impl Log {
    fn from_state(
        topic_partition: TopicPartition,
        topic_id: TopicId,
        context: Arc<StorageContext>,
        config: Arc<LogConfig>,
        state: State,
    ) -> Self {
        let log = Self {
            topic_partition,
            topic_id,
            context,
            config: RwLock::new(config),
            state: Mutex::new(state),
            offsets: PublishedOffsets::default(),
            producer_id_expiration_ms: AtomicI64::new(DEFAULT_PRODUCER_ID_EXPIRATION_MS),
        };
        log.publish(&log.state.lock());
        log
    }

    /// Which partition this is.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The id of its topic.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The directory that it lies in.
    pub fn context(&self) -> &Arc<StorageContext> {
        &self.context
    }

    /// The folder of the partition, as of now.
    pub fn dir(&self) -> PathBuf {
        self.state.lock().dir.to_path_buf()
    }

    /// The settings.
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    /// Changes the settings; the next append, roll or retention obeys them.
    pub fn set_config(&self, config: Arc<LogConfig>) {
        *self.config.write() = config;
    }

    /// How long a silent producer is remembered (`producer.id.expiration.ms`).
    pub fn set_producer_id_expiration_ms(&self, expiration_ms: i64) {
        self.producer_id_expiration_ms.store(expiration_ms, Ordering::Relaxed);
    }

    /// The first offset that readers may have.
    pub fn log_start_offset(&self) -> Offset {
        Offset(self.offsets.log_start.load(Ordering::Acquire))
    }

    /// The offset that the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        Offset(self.offsets.log_end.load(Ordering::Acquire))
    }

    /// Everything below is replicated as far as it has to be.
    pub fn high_watermark(&self) -> Offset {
        Offset(self.offsets.high_watermark.load(Ordering::Acquire))
    }

    /// Everything below is decided and replicated: where readers of committed data stop.
    pub fn last_stable_offset(&self) -> Offset {
        Offset(self.offsets.last_stable.load(Ordering::Acquire))
    }

    /// Everything below was fsynced.
    pub fn recovery_point(&self) -> Offset {
        Offset(self.offsets.recovery_point.load(Ordering::Acquire))
    }

    /// How many bytes were written since the last fsync.
    pub fn unflushed_bytes(&self) -> u64 {
        self.offsets.unflushed_bytes.load(Ordering::Relaxed)
    }

    /// The size of all segments' batches; nought while the disk does not answer.
    pub fn size_bytes(&self) -> u64 {
        let Ok(state) = self.lock_answering() else { return 0 };
        state.sealed.iter().map(|sealed| u64::from(sealed.size)).sum::<u64>() + u64::from(state.active.size)
    }

    /// How many segments there are, the active one included.
    pub fn segments_count(&self) -> usize {
        self.state.lock().sealed.len() + 1
    }

    /// Raises the high watermark to `offset`, at most to the log end; it never goes back. Returns what it is now.
    pub fn set_high_watermark(&self, offset: Offset) -> Offset {
        if offset <= self.high_watermark() {
            return self.high_watermark();
        }
        // Where the disk does not answer nothing is told either.
        let Ok(mut state) = self.lock_answering() else { return self.high_watermark() };
        let offset = offset.min(state.log_end);
        if offset > state.high_watermark {
            state.high_watermark = offset;
            state.producers.on_high_watermark_updated(offset);
            self.publish(&state);
            self.context.on_activity();
        }
        state.high_watermark
    }

    /// The base offset of the first segment; the log start lies in it or above.
    pub fn first_segment_base_offset(&self) -> Offset {
        self.state.lock().base_offset_at(0)
    }

    /// Whether the log was closed: it takes no appends.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// How many producers are remembered.
    pub fn producer_count(&self) -> usize {
        self.state.lock().producers.producer_count()
    }

    /// The offset of the newest producer snapshot, or where the log starts if there is none.
    pub fn producer_snapshot_offset(&self) -> Offset {
        let state = self.state.lock();
        state.producers.latest_snapshot_offset().unwrap_or(state.log_start)
    }

    /// The newest leader epoch.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.state.lock().epochs.latest_epoch()
    }

    /// The largest epoch that is not above `epoch`, and where it ends; -1 and -1 if `epoch` is newer than all known
    /// (KIP-101, KIP-279).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> EpochEnd {
        let state = self.state.lock();
        state.epochs.end_offset_for(epoch, state.log_end)
    }

    /// The epoch that the record at `offset` belongs to.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state.lock().epochs.epoch_for_offset(offset)
    }

    /// Notes that `epoch` starts at `offset`. Written to disk with the next flush: until then the batches tell it again, and so they do
    /// if the disk does not answer.
    pub fn assign_epoch_start(&self, epoch: LeaderEpoch, offset: Offset) {
        if let Ok(mut state) = self.lock_answering() {
            state.epochs.assign(epoch, offset);
        }
    }

    /// Makes the state's offsets visible to those who read them without the lock.
    fn publish(&self, state: &MutexGuard<'_, State>) {
        let offsets = &self.offsets;
        offsets.log_start.store(state.log_start.0, Ordering::Release);
        offsets.log_end.store(state.log_end.0, Ordering::Release);
        offsets.high_watermark.store(state.high_watermark.0, Ordering::Release);
        offsets.last_stable.store(state.last_stable_offset().0, Ordering::Release);
        offsets.recovery_point.store(state.recovery_point.0, Ordering::Release);
        offsets.generation.store(state.generation, Ordering::Release);
        offsets.unflushed_bytes.store(state.unflushed_bytes, Ordering::Relaxed);
    }

    fn generation(&self) -> u32 {
        self.offsets.generation.load(Ordering::Acquire)
    }

    /// Latches the directory offline, unless the disk is merely full or the process out of handles.
    fn fail(&self, doing: &'static str, error: std::io::Error) -> StorageError {
        if error.kind() == std::io::ErrorKind::StorageFull || error.kind() == std::io::ErrorKind::QuotaExceeded {
            return StorageError::DiskFull { dir: self.context.path().display().to_string() };
        }
        if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
            return StorageError::OutOfHandles;
        }
        self.context.take_offline(&format!("{doing} of {}", self.topic_partition), &error);
        StorageError::Io { doing, error }
    }

    /// Refuses to change anything in a directory that is offline or does not answer.
    #[inline]
    fn check_online(&self) -> Result<(), StorageError> {
        if self.context.is_available() { Ok(()) } else { Err(self.unavailable()) }
    }

    #[cold]
    fn unavailable(&self) -> StorageError {
        let reason = self.context.unavailable_reason().unwrap_or("it did not answer");
        StorageError::DirOffline { dir: self.context.path().display().to_string(), reason: reason.to_owned() }
    }

    /// The state, unless the directory does not answer: whoever holds it then may do so for as long as the disk is silent.
    #[inline]
    fn lock_answering(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        match self.state.try_lock() {
            Some(state) => Ok(state),
            None => self.wait_for_lock(),
        }
    }

    fn wait_for_lock(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        loop {
            if let Some(state) = self.state.try_lock_for(LOCK_LOOK) {
                return Ok(state);
            }
            if self.context.is_stalled() {
                return Err(self.unavailable());
            }
        }
    }
}

#[cfg(test)]
mod tests;
