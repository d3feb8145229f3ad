//! Takes records back from the end (Kafka's `truncateTo`, `truncateFullyAndStartAt`).
//!
//! Cuts at a batch's edge: a batch that holds the offset goes whole, so the log may end below it. Everything that was derived
//! from the removed batches goes with them: index entries, epochs, producers, the recovery point, the high watermark. Holds
//! the mutex throughout; truncations are rare and nothing may be appended or read meanwhile.

use std::io;
use std::sync::Arc;

use parking_lot::MutexGuard;
use weir_protocol::ids::Offset;

use super::state::State;
use super::{AppendError, Log, StorageError};
use crate::checkpoint::Durability;
use crate::config::LogConfig;
use crate::offset_index::Surroundings;
use crate::segment::active::ActiveSegment;
use crate::segment::load::{self, SegmentLoad, SegmentLoadError};
use crate::segment::locate::Extent;
use crate::segment::scan::ScanError;
use crate::segment::{SealedSegment, SegmentFile};

impl Log {
    /// Removes the records at and above `offset`. Returns where the log ends now: at `offset`, or where the batch that holds it began. Cuts
    /// no record if the log ends before `offset`; an epoch that begins at the log end goes in any case. If the recovery point moved back,
    /// the caller writes the directory's checkpoint soon: one that stays above the log end makes a later crash look like the loss of what
    /// had been fsynced, and the log refuses to open.
    pub fn truncate_to(&self, offset: Offset, now_ms: i64) -> Result<Offset, StorageError> {
        let config = self.config();
        let mut state = self.lock_answering()?;
        self.check_online()?;
        let _change = self.context.changing();
        if offset >= state.log_end {
            // A leader notes its epoch when it is elected: one that was deposed before its first record has an epoch that
            // nobody else knows, and no record of it to cut.
            let log_end = state.log_end;
            state.epochs.truncate_from_end(log_end);
            return Ok(log_end);
        }
        tracing::info!(partition = %self.topic_partition, log_end = %state.log_end, %offset, "truncating log");
        if offset <= state.base_offset_at(0) {
            self.start_over(&mut state, offset, &config, now_ms)?;
            return Ok(state.log_end);
        }
        state.generation = state.generation.wrapping_add(1);
        let outcome = self.cut(&mut state, offset, &config, now_ms);
        self.publish(&state);
        outcome.map_err(|error| self.fail_truncation(into_io(error)))?;
        Ok(state.log_end)
    }

    /// Removes every record; the next one gets `offset`.
    pub fn truncate_fully_and_start_at(&self, offset: Offset, now_ms: i64) -> Result<(), StorageError> {
        let config = self.config();
        let mut state = self.lock_answering()?;
        self.check_online()?;
        let _change = self.context.changing();
        tracing::info!(partition = %self.topic_partition, log_end = %state.log_end, %offset, "truncating log fully");
        self.start_over(&mut state, offset, &config, now_ms)
    }

    /// Where this log is to start over so that the append that it refused continues it. A batch comes whole, also where records were
    /// deleted up to its middle: a log that starts there, and has nothing yet, has to start where the batch does (Kafka's
    /// `UnexpectedAppendOffsetException`).
    pub fn start_that_takes(&self, refused: &AppendError) -> Option<Offset> {
        match refused {
            AppendError::OffsetsOutOfOrder { first, last, log_end } => {
                let is_empty = self.log_start_offset() == *log_end && self.log_end_offset() == *log_end;
                (is_empty && first < log_end && log_end <= last).then_some(*first)
            }
            _ => None,
        }
    }

    /// Takes the directory offline whatever the error, for what is in memory no longer is what is on disk: an append to it
    /// could be written anywhere.
    fn fail_truncation(&self, error: io::Error) -> StorageError {
        self.context.take_offline(&format!("truncation of {}", self.topic_partition), &error);
        StorageError::Io { doing: "truncation", error }
    }

    fn start_over(
        &self,
        state: &mut MutexGuard<'_, State>,
        offset: Offset,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        state.generation = state.generation.wrapping_add(1);
        let dir = Arc::clone(&state.dir);
        let mut gone: Vec<SealedSegment> = std::mem::take(&mut state.sealed);
        gone.push(state.active.seal());
        state.active = ActiveSegment::new(offset, now_ms);
        state.log_start = offset;
        state.log_end = offset;
        state.high_watermark = offset;
        state.recovery_point = offset;
        state.unflushed_bytes = 0;
        state.bytes_since_snapshot = 0;
        state.epochs.clear();
        let snapshots = state.producers.truncate_fully_and_start_at(&dir, offset);
        self.publish(state);
        let restarted = || -> Result<(), StorageError> {
            // From the end, so that a crash leaves the beginning of what there was, which is to be truncated again.
            for segment in gone.iter().rev() {
                self.delete_files(segment, &dir, config, now_ms)?;
            }
            snapshots.map_err(|error| self.fail("deletion of a producer snapshot", error))?;
            state
                .epochs
                .write_if_dirty(&dir, Durability::OwnFsync)
                .map_err(|error| self.fail("leader epoch checkpoint", error))?;
            // The name of the empty file carries the offset over a restart.
            self.make_active_file(state)
        };
        restarted().map_err(|error| self.fail_truncation(io::Error::other(error.to_string())))
    }

    /// Cuts the segment that holds `offset`, which becomes the active one, and deletes those after it.
    fn cut(
        &self,
        state: &mut MutexGuard<'_, State>,
        offset: Offset,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), SegmentLoadError> {
        let dir = Arc::clone(&state.dir);
        // What is in memory only would be lost with the reload below.
        state.active.write_indexes(&dir)?;
        let at = state.segment_index(offset);
        let segment = if at == state.sealed.len() {
            state.active.segment.clone()
        } else {
            let mut later: Vec<_> = state.sealed.drain(at + 1..).collect();
            later.push(state.active.seal());
            // From the end, so that a crash leaves no gap.
            for segment in later.iter().rev() {
                self.delete_files(segment, &dir, config, now_ms).map_err(storage_io)?;
            }
            state.sealed.pop().expect("the segment at this place").segment
        };
        let file = segment.data(&dir, &self.context, false)?;
        let size = load::data_size(&file, segment.base_offset)?;
        let extent = Extent { file: &file, base_offset: segment.base_offset, size };
        let position = match extent.locate(self.file_surroundings(&segment, &dir, offset, state)?, offset) {
            Ok(found) => found.map_or(size, |found| found.position),
            Err(ScanError::Io(error)) => return Err(error.into()),
            Err(ScanError::Torn { position } | ScanError::Corrupt { position, .. }) => position,
        };
        file.set_len(u64::from(position))?;
        let how = SegmentLoad {
            recovery_point: Offset(0),
            visit_from: Offset(i64::MAX),
            check_tail: false,
            trusted: false,
            doubt_indexes: false,
            index_interval_bytes: config.index_interval_bytes,
            now_ms,
        };
        let loaded = load::load(segment, &dir, &self.context, &how, &mut |_, _| Ok(()))?;
        state.active = loaded.active;
        self.follow_truncation(state, loaded.next_offset, now_ms)
    }

    fn file_surroundings(
        &self,
        segment: &crate::segment::Segment,
        dir: &std::path::Path,
        offset: Offset,
        state: &State,
    ) -> io::Result<Surroundings> {
        let file = match segment.offset_index(dir, &self.context) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Surroundings::default()),
            Err(error) => return Err(error),
        };
        let len = crate::offset_index::entries_in_file(&file)?;
        crate::offset_index::lookup_in_file(&file, len, segment.base_offset, state.log_end, offset)
    }

    /// Brings everything else back to the new log end.
    fn follow_truncation(
        &self,
        state: &mut MutexGuard<'_, State>,
        log_end: Offset,
        now_ms: i64,
    ) -> Result<(), SegmentLoadError> {
        state.log_end = log_end;
        state.log_start = state.log_start.min(log_end);
        state.high_watermark = state.high_watermark.min(log_end);
        state.recovery_point = state.recovery_point.min(log_end);
        if state.recovery_point == log_end {
            state.unflushed_bytes = 0;
        }
        state.epochs.truncate_from_end(log_end);
        let dir = Arc::clone(&state.dir);
        let base_offset = state.active.base_offset();
        if SegmentFile::TransactionIndex.path(&dir, base_offset).exists() {
            let index = state.active.transaction_index(&dir).map_err(index_io)?;
            index.truncate_to(log_end).map_err(index_io)?;
        }
        self.reload_producers(state, now_ms)
    }
}

fn storage_io(error: StorageError) -> SegmentLoadError {
    match error {
        StorageError::Io { error, .. } => error.into(),
        other => io::Error::other(other.to_string()).into(),
    }
}

fn index_io(error: crate::transaction_index::TransactionIndexError) -> SegmentLoadError {
    io::Error::other(error).into()
}

fn into_io(error: SegmentLoadError) -> io::Error {
    match error {
        SegmentLoadError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
