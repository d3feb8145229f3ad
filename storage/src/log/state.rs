//! What the log's mutex guards.

use std::path::Path;
use std::sync::Arc;

use weir_protocol::ids::Offset;

use crate::leader_epoch_cache::LeaderEpochCache;
use crate::producer_state::ProducerState;
use crate::segment::active::ActiveSegment;
use crate::segment::{SealedSegment, SegmentFile};

/// The log as it is at one moment.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dir: Arc<Path>,
    /// Ascending by base offset; the active segment comes after them.
    pub(super) sealed: Vec<SealedSegment>,
    pub(super) active: ActiveSegment,
    pub(super) log_start: Offset,
    pub(super) log_end: Offset,
    pub(super) high_watermark: Offset,
    pub(super) recovery_point: Offset,
    pub(super) producers: ProducerState,
    pub(super) epochs: LeaderEpochCache,
    pub(super) unflushed_bytes: u64,
    /// Bytes appended since the newest producer snapshot: what a recovery would have to walk.
    pub(super) bytes_since_snapshot: u64,
    /// Counts truncations: what was computed outside the lock before one does not hold after it.
    pub(super) generation: u32,
    /// No append, flush or truncation is taken any more.
    pub(super) closed: bool,
}

impl State {
    /// Where readers of committed data stop.
    pub(super) fn last_stable_offset(&self) -> Offset {
        match self.producers.first_unstable_offset() {
            Some(unstable) => unstable.max(self.log_start).min(self.high_watermark),
            None => self.high_watermark,
        }
    }

    /// The place in `sealed` of the segment that holds `offset`; `sealed.len()` for the active one. An offset below all
    /// segments belongs to the first.
    pub(super) fn segment_index(&self, offset: Offset) -> usize {
        if offset >= self.active.base_offset() {
            return self.sealed.len();
        }
        self.sealed.partition_point(|sealed| sealed.base_offset() <= offset).saturating_sub(1)
    }

    /// The base offset of the segment at this place.
    pub(super) fn base_offset_at(&self, index: usize) -> Offset {
        self.sealed.get(index).map_or(self.active.base_offset(), SealedSegment::base_offset)
    }

    /// Where the segment at this place ends: at the base of the next one.
    pub(super) fn end_offset_at(&self, index: usize) -> Offset {
        if index >= self.sealed.len() { self.log_end } else { self.base_offset_at(index + 1) }
    }

    /// The folder was renamed. Open handles stay good.
    pub(super) fn move_to(&mut self, folder: &Path) {
        self.dir = Arc::from(folder);
        let base_offset = self.active.base_offset();
        if let Some(index) = &mut self.active.transaction_index {
            index.set_path(SegmentFile::TransactionIndex.path(folder, base_offset));
        }
    }
}
