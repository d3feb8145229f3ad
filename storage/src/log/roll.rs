//! Closes the active segment and begins another (Kafka's `LocalLog.roll`).

use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::MutexGuard;
use weir_protocol::ids::Offset;

use super::state::State;
use super::{Log, StorageError};
use crate::config::LogConfig;
use crate::segment::active::ActiveSegment;

impl Log {
    /// Begins a new segment at the log end, unless the active one is empty. Returns its base offset.
    pub fn roll(&self, now_ms: i64) -> Result<Offset, StorageError> {
        let config = self.config();
        let mut state = self.state.lock();
        self.check_online()?;
        let log_end = state.log_end;
        self.roll_to(&mut state, log_end, &config, now_ms)?;
        Ok(state.active.base_offset())
    }

    /// Begins a new segment at `base_offset` or the log end, whichever is higher. The sealed one is left as Kafka leaves it:
    /// complete indexes, and a snapshot of the producers beside it. Its data is fsynced by the next flush.
    pub(super) fn roll_to(
        &self,
        state: &mut MutexGuard<'_, State>,
        base_offset: Offset,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let base_offset = base_offset.max(state.log_end);
        let State { active, dir, producers, .. } = &mut **state;
        if active.size == 0 {
            if active.base_offset() != base_offset {
                // An empty segment has at most an empty file, whose name is wrong now.
                active.segment.close();
                let _ = std::fs::remove_file(active.segment.path(dir, crate::segment::SegmentFile::Log));
                *active = ActiveSegment::new(base_offset, now_ms);
            }
            return Ok(());
        }
        active.complete_indexes(dir).map_err(|error| self.fail("index write", error))?;
        producers.set_end_offset(base_offset);
        producers.take_snapshot(dir).map_err(|error| self.fail("producer snapshot", error))?;
        let sealed = active.seal();
        let next = ActiveSegment::new(base_offset, now_ms);
        if config.preallocate {
            next.preallocate(dir, &self.context, config.segment_bytes)
                .map_err(|error| self.fail("preallocation", error))?;
        }
        state.bytes_since_snapshot = 0;
        state.sealed.push(sealed);
        state.active = next;
        Ok(())
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
