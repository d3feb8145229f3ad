//! Looks in the log for the batches of producers that a snapshot does not tell of.
//!
//! Walks the headers of the stretch before the snapshot, with the log's mutex held: at most [`RECALL_BYTES`] of batches, once
//! for each time that the log was opened or truncated, and only when a client's batch would be refused.

use std::path::Path;

use weir_protocol::ids::Offset;

use super::append::producer_batch;
use super::state::State;
use super::{Log, SegmentLoadError};
use crate::offset_index::{self, ActiveLookup, OffsetIndexEntry, Surroundings};
use crate::producer_state::{ProducerState, Recall};
use crate::segment::Segment;
use crate::segment::scan::{BatchScanner, LONG_WALK_BYTES, ScanError};

/// How far before a snapshot batches are looked for: what a client has in flight was appended shortly before the end.
pub(super) const RECALL_BYTES: u32 = 32 << 20;

/// A stretch of a segment, from a batch's beginning.
struct Stretch {
    segment: Segment,
    from: u32,
    size: u32,
}

impl Log {
    /// Completes what is known of the producers. Returns whether there was anything to complete.
    #[cold]
    pub(super) fn recall_batches(&self, state: &mut State) -> bool {
        let Some(mut recall) = state.producers.begin_recall() else { return false };
        let walked = self.walk_before_snapshot(state, &mut recall);
        if let Err(error) = walked {
            // What was found before it counts; the batch is judged by that.
            tracing::warn!(partition = %self.topic_partition, %error, "cannot look for earlier batches of producers");
        }
        state.producers.finish_recall(recall);
        true
    }

    fn walk_before_snapshot(&self, state: &State, recall: &mut Recall) -> Result<(), SegmentLoadError> {
        let stretches = self.stretches_before(state, recall.before())?;
        for stretch in stretches.iter().rev() {
            self.walk_stretch(stretch, &state.dir, &state.producers, recall)?;
        }
        Ok(())
    }

    /// What lies before `before`, [`RECALL_BYTES`] or a little more of it; newest first.
    fn stretches_before(&self, state: &State, before: Offset) -> Result<Vec<Stretch>, SegmentLoadError> {
        let mut stretches = Vec::new();
        let mut left = RECALL_BYTES;
        let newest = state.segment_index(before + -1);
        for index in (0..=newest).rev() {
            let view = state.view(index);
            let end = match index == newest {
                true => self.index_entry(state, &view.segment, view.size, Search::Offset(before))?,
                false => None,
            };
            let end = end.map_or(view.size, |entry| entry.position);
            let from = match end.checked_sub(left) {
                None | Some(0) => None,
                Some(at) => self.index_entry(state, &view.segment, view.size, Search::Position(at))?,
            };
            let from = from.map_or(0, |entry| entry.position);
            stretches.push(Stretch { segment: view.segment, from, size: view.size });
            left = left.saturating_sub(end - from.min(end));
            if left == 0 {
                break;
            }
        }
        Ok(stretches)
    }

    /// The last entry of a segment's offset index at or below the target.
    fn index_entry(
        &self,
        state: &State,
        segment: &Segment,
        size: u32,
        search: Search,
    ) -> Result<Option<OffsetIndexEntry>, SegmentLoadError> {
        let mut len = None;
        if segment.base_offset == state.active.base_offset() {
            let found = match search {
                Search::Offset(target) => state.active.offset_index.lookup(target),
                Search::Position(at) => state.active.offset_index.lookup_position(at),
            };
            match found {
                ActiveLookup::Memory(around) => return Ok(around.lower),
                ActiveLookup::File(entries) => len = Some(entries),
            }
        }
        let file = segment.offset_index(&state.dir, &self.context)?;
        let len = match len {
            Some(len) => len,
            None => offset_index::entries_in_file(&file)?,
        };
        let base_offset = segment.base_offset;
        let around: Surroundings = match search {
            Search::Offset(target) => offset_index::lookup_in_file(&file, len, base_offset, target, target)?,
            Search::Position(at) => offset_index::lookup_position_in_file(&file, len, size, at)?,
        };
        Ok(around.below(size).lower)
    }

    fn walk_stretch(
        &self,
        stretch: &Stretch,
        dir: &Path,
        producers: &ProducerState,
        recall: &mut Recall,
    ) -> Result<(), SegmentLoadError> {
        let file = stretch.segment.data(dir, &self.context, false)?;
        let mut buffer = vec![0; LONG_WALK_BYTES];
        let mut scanner = BatchScanner::new(&file, stretch.from, stretch.size, &mut buffer);
        loop {
            match scanner.next() {
                Ok(Some(scanned)) if scanned.header.base_offset >= recall.before().0 => return Ok(()),
                Ok(Some(scanned)) => {
                    if scanned.header.has_producer_id() && !scanned.header.is_control() {
                        recall.take_in(producers, &producer_batch(&scanned.header));
                    }
                }
                Err(ScanError::Io(error)) => return Err(error.into()),
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Search {
    Offset(Offset),
    Position(u32),
}
