//! Closes the active segment and begins another (Kafka's `LocalLog.roll`).

use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::MutexGuard;
use weir_protocol::ids::Offset;

use super::state::State;
use super::{Log, StorageError};
use crate::config::LogConfig;
use crate::segment::SegmentFile;
use crate::segment::active::ActiveSegment;

impl Log {
    /// Begins a new segment at the log end, unless the active one is empty. Returns its base offset.
    pub fn roll(&self, now_ms: i64) -> Result<Offset, StorageError> {
        let mut state = self.state.lock();
        self.check_online()?;
        let log_end = state.log_end;
        self.roll_to(&mut state, log_end, now_ms)?;
        Ok(state.active.base_offset())
    }

    /// Begins a new segment at `base_offset` or the log end, whichever is higher. The sealed one is left as Kafka leaves it:
    /// complete indexes, and a snapshot of the producers beside it. Its data is fsynced by the next flush.
    pub(super) fn roll_to(
        &self,
        state: &mut MutexGuard<'_, State>,
        base_offset: Offset,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let base_offset = base_offset.max(state.log_end);
        let State { active, dir, producers, .. } = &mut **state;
        if active.size == 0 {
            if active.base_offset() != base_offset {
                // An empty segment has at most an empty file, whose name is wrong now.
                active.segment.close();
                let empty = active.segment.path(dir, SegmentFile::Log);
                *active = ActiveSegment::new(base_offset, now_ms);
                self.make_active_file(state)?;
                let _ = std::fs::remove_file(empty);
            }
            return Ok(());
        }
        active.complete_indexes(dir).map_err(|error| self.fail("index write", error))?;
        producers.set_end_offset(base_offset);
        producers.take_snapshot(dir).map_err(|error| self.fail("producer snapshot", error))?;
        let sealed = active.seal();
        let next = ActiveSegment::new(base_offset, now_ms);
        state.bytes_since_snapshot = 0;
        state.sealed.push(sealed);
        state.active = next;
        Ok(())
    }

    /// Makes the active segment's file, which else the first append does, and its name durable.
    pub(super) fn make_active_file(&self, state: &State) -> Result<(), StorageError> {
        let made = state.active.segment.data(&state.dir, &self.context, true);
        made.and_then(|_| std::fs::File::open(&*state.dir)?.sync_all())
            .map_err(|error| self.fail("making a segment", error))
    }

    /// What is taken off `segment.ms` for the segment at `base_offset`: the same after a restart, another for each segment.
    pub(super) fn jitter_ms(&self, base_offset: Offset, config: &LogConfig) -> i64 {
        if config.segment_jitter_ms <= 0 {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        (&self.topic_partition, base_offset).hash(&mut hasher);
        (hasher.finish() % config.segment_jitter_ms as u64) as i64
    }
}
