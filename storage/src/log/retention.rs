//! Which segments go because of their age, the log's size, or where it starts (Kafka's `deleteOldSegments`).
//!
//! Segments are deleted whole, from the front, and never beyond the high watermark. Their files are renamed to `.deleted`
//! and queued at the directory's context. A log that is compacted only loses nothing but what lies below its start.

use weir_protocol::ids::Offset;

use super::state::State;
use super::{Log, LogStartError, StorageError};
use crate::config::LogConfig;
use crate::context::PendingDeletion;
use crate::segment::SealedSegment;

impl Log {
    /// Moves the log start up to `offset` (DeleteRecords, or a follower that learns it from its leader); the segments below
    /// go with the next retention. Bound by the high watermark; never moves back. Returns what it is now.
    pub fn advance_log_start_offset(&self, offset: Offset) -> Result<Offset, LogStartError> {
        let mut state = self.state.lock();
        if offset > state.high_watermark {
            return Err(LogStartError::BeyondHighWatermark { offset, high_watermark: state.high_watermark });
        }
        if offset > state.log_start {
            state.move_log_start(offset);
            self.publish(&state);
            self.context.on_activity();
        }
        Ok(state.log_start)
    }

    /// Deletes the segments that the policy lets go at `now_ms`; returns how many. The log start follows.
    pub fn delete_expired_segments(&self, now_ms: i64) -> Result<usize, StorageError> {
        let config = self.config();
        self.check_online()?;
        let mut deleted =
            self.delete_front(&config, now_ms, |front, log_start, _| Ok(front.end_offset <= log_start))?;
        if config.cleanup.delete {
            deleted += self.delete_front(&config, now_ms, |front, _, log_bytes| {
                Ok(config.retention_bytes >= 0
                    && log_bytes.saturating_sub(u64::from(front.size)) >= config.retention_bytes as u64)
            })?;
            deleted += self.delete_front(&config, now_ms, |front, _, _| {
                Ok(config.retention_ms >= 0
                    && now_ms.saturating_sub(front.largest_timestamp(self)?) > config.retention_ms)
            })?;
        }
        Ok(deleted)
    }

    /// Deletes segments from the front while `expired` says so of the first.
    fn delete_front(
        &self,
        config: &LogConfig,
        now_ms: i64,
        expired: impl Fn(&Front, Offset, u64) -> Result<bool, StorageError>,
    ) -> Result<usize, StorageError> {
        let mut deleted = 0;
        loop {
            let (front, log_start, log_bytes) = {
                let state = self.lock_answering()?;
                if state.closed {
                    return Ok(deleted);
                }
                (Front::of(&state), state.log_start, state.size_bytes())
            };
            let Some(front) = front else { return Ok(deleted) };
            if !expired(&front, log_start, log_bytes)? {
                return Ok(deleted);
            }
            if !self.delete_segment(&front, config, now_ms)? {
                return Ok(deleted);
            }
            deleted += 1;
        }
    }

    /// Deletes the first segment if it still is what was judged; the active one is rolled for it.
    fn delete_segment(&self, front: &Front, config: &LogConfig, now_ms: i64) -> Result<bool, StorageError> {
        let mut state = self.lock_answering()?;
        let _change = self.context.changing();
        if state.closed || !Front::of(&state).is_some_and(|now| now.is_same(front)) {
            return Ok(false);
        }
        if state.sealed.is_empty() {
            let log_end = state.log_end;
            self.roll_to(&mut state, log_end, now_ms)?;
        }
        if state.sealed.len() == 1 && state.active.size == 0 {
            // The name of the empty file is all that carries the log end over a restart.
            self.make_active_file(&state)?;
        }
        let gone = state.sealed.remove(0);
        let first = state.base_offset_at(0);
        if first > state.log_start {
            state.move_log_start(first);
        }
        let dir = std::sync::Arc::clone(&state.dir);
        let snapshots = state.producers.delete_snapshots_before(&dir, first);
        self.publish(&state);
        drop(state);
        snapshots.map_err(|error| self.fail("deletion of a producer snapshot", error))?;
        tracing::info!(partition = %self.topic_partition, base_offset = %gone.base_offset(), size_bytes = gone.size, "deleting segment");
        self.delete_files(&gone, &dir, config, now_ms).map(|()| true)
    }

    /// Renames a segment's files and queues them for removal.
    pub(super) fn delete_files(
        &self,
        gone: &SealedSegment,
        dir: &std::path::Path,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        gone.segment.close();
        let files = gone.segment.rename_deleted(dir).map_err(|error| self.fail("deletion of a segment", error))?;
        let delay_ms = i64::try_from(config.file_delete_delay_ms).unwrap_or(i64::MAX);
        self.context.defer_deletion(PendingDeletion { due_ms: now_ms.saturating_add(delay_ms), files });
        Ok(())
    }
}

/// The first segment of a log, as a retention rule sees it.
struct Front {
    segment: SealedSegment,
    size: u32,
    end_offset: Offset,
    dir: std::sync::Arc<std::path::Path>,
    sealed: bool,
}

impl Front {
    /// The first segment, if it may be deleted at all: not an empty active one, and nothing beyond the high watermark.
    fn of(state: &State) -> Option<Self> {
        let sealed = !state.sealed.is_empty();
        let segment = if sealed { state.sealed[0].clone() } else { state.active.seal() };
        let end_offset = state.end_offset_at(0);
        let deletable = (sealed || segment.size > 0) && end_offset <= state.high_watermark;
        let dir = std::sync::Arc::clone(&state.dir);
        deletable.then_some(Self { size: segment.size, segment, end_offset, dir, sealed })
    }

    fn is_same(&self, judged: &Self) -> bool {
        self.segment.base_offset() == judged.segment.base_offset()
            && self.size == judged.size
            && self.sealed == judged.sealed
    }

    fn largest_timestamp(&self, log: &Log) -> Result<i64, StorageError> {
        if let Some(known) = self.segment.largest_timestamp {
            return Ok(known.timestamp);
        }
        let largest =
            self.segment.read_largest_timestamp(&self.dir).map_err(|error| log.fail("read of a time index", error))?;
        log.remember_largest_timestamp(self.segment.base_offset(), largest);
        Ok(largest.timestamp)
    }
}

impl State {
    fn size_bytes(&self) -> u64 {
        self.sealed.iter().map(|sealed| u64::from(sealed.size)).sum::<u64>() + u64::from(self.active.size)
    }

    /// The log starts at `offset` now: epochs and producers follow.
    pub(super) fn move_log_start(&mut self, offset: Offset) {
        self.log_start = offset;
        self.high_watermark = self.high_watermark.max(offset);
        self.epochs.truncate_from_start(offset);
        self.producers.on_log_start_offset_incremented(offset);
    }
}
