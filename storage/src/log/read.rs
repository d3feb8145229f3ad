//! The read path: from an offset to a stretch of a file.
//!
//! The mutex is held to find the segment and to ask the index in memory; batch headers are read outside of it. A reader at
//! the end of the log is served from the memory of the newest batches, without a system call. Upper bounds cut exactly at
//! a batch's edge. A read that loses a race with a truncation or a deletion is tried again.

use std::io;
use std::sync::Arc;

use weir_protocol::ids::Offset;

use super::state::State;
use super::{FileSlice, Log, ReadError};
use crate::offset_index::{self, ActiveLookup, Surroundings};
use crate::segment::Segment;
use crate::segment::locate::Extent;
use crate::segment::scan::ScanError;

/// How often a read is tried again when the files changed under it.
const MAX_ATTEMPTS: u32 = 3;

/// The offset that a read stops before: the log end for followers, the high watermark or the last stable offset for
/// consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadUpperBound(pub Offset);

impl ReadUpperBound {
    /// Whatever is in the log.
    pub const LOG_END: Self = Self(Offset(i64::MAX));
}

/// The outcome of a read.
#[derive(Clone, Debug)]
pub struct LogRead {
    /// The batches, the first of which holds the offset asked for; `None` if there are none (yet).
    pub slice: Option<FileSlice>,
    /// Where the log starts.
    pub log_start_offset: Offset,
    /// Where the log ends.
    pub log_end_offset: Offset,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable_offset: Offset,
}

impl LogRead {
    /// How many bytes of batches there are.
    pub fn size_bytes(&self) -> u32 {
        self.slice.as_ref().map_or(0, |slice| slice.length)
    }
}

/// A segment as it was under the lock.
pub(super) struct View {
    pub(super) segment: Segment,
    pub(super) size: u32,
    pub(super) end_offset: Offset,
    pub(super) active: bool,
    generation: u32,
    dir: Arc<std::path::Path>,
}

/// Where the first batch is.
struct Start {
    position: u32,
    first_batch_bytes: u32,
}

impl Log {
    /// Reads from the batch that holds `from`, up to `max_bytes`, not beyond `upper`. With `min_one` the first batch comes
    /// whole even if it is larger (KIP-74); without, a first batch that does not fit gives nothing.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: u32,
        upper: ReadUpperBound,
        min_one: bool,
    ) -> Result<LogRead, ReadError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let generation = self.generation();
            match self.try_read(from, max_bytes, upper.0, min_one) {
                Err(error) if attempts < MAX_ATTEMPTS && self.may_have_raced(&error, generation) => {}
                other => return other,
            }
        }
    }

    /// Files that vanish or end early are no fault of the disk if the log changed meanwhile.
    pub(super) fn may_have_raced(&self, error: &ReadError, generation: u32) -> bool {
        match error {
            ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => true,
            ReadError::Io(_) | ReadError::Corrupt { .. } => self.generation() != generation,
            ReadError::OffsetOutOfRange { .. } => false,
        }
    }

    fn try_read(&self, from: Offset, max_bytes: u32, upper: Offset, min_one: bool) -> Result<LogRead, ReadError> {
        let state = self.lock_answering().map_err(io::Error::other)?;
        let mut read = LogRead {
            slice: None,
            log_start_offset: state.log_start,
            log_end_offset: state.log_end,
            high_watermark: state.high_watermark,
            last_stable_offset: state.last_stable_offset(),
        };
        if from < state.log_start || from > state.log_end {
            return Err(ReadError::OffsetOutOfRange {
                offset: from,
                log_start: state.log_start,
                log_end: state.log_end,
            });
        }
        let upper = upper.min(state.log_end);
        if from >= upper || (max_bytes == 0 && !min_one) {
            return Ok(read);
        }
        let view = state.view(state.segment_index(from));
        let recent = view.active.then(|| state.active.recent_batch(from)).flatten();
        let start = recent.map(|batch| Start { position: batch.position, first_batch_bytes: batch.size });
        let recent_limit = view.active.then(|| state.active.recent_batch(upper)).flatten().map(|batch| batch.position);
        drop(state);
        let Some((view, start)) = self.find_start(view, start, from)? else { return Ok(read) };
        let limit = match recent_limit {
            Some(limit) => limit,
            None => self.find_limit(&view, &start, upper, max_bytes)?,
        };
        if start.position >= limit || (start.first_batch_bytes > max_bytes && !min_one) {
            return Ok(read);
        }
        let length = self.length(&view, &start, limit, max_bytes)?;
        let file = view.data(self)?;
        read.slice = Some(FileSlice { file, position: u64::from(start.position), length });
        Ok(read)
    }

    /// The first batch at or after `from`, in this segment or (after compaction) in a later one.
    fn find_start(
        &self,
        mut view: View,
        known: Option<Start>,
        from: Offset,
    ) -> Result<Option<(View, Start)>, ReadError> {
        if let Some(start) = known {
            return Ok(Some((view, start)));
        }
        loop {
            if let Some(found) = self.locate(&view, from)? {
                let start = Start { position: found.position, first_batch_bytes: found.size() };
                return Ok(Some((view, start)));
            }
            let state = self.lock_answering().map_err(io::Error::other)?;
            if view.active || state.generation != view.generation {
                return Ok(None);
            }
            // Retention may have taken segments from the front meanwhile: go by offset, not by place.
            let next = state.segment_index(view.end_offset);
            view = state.view(next);
        }
    }

    /// The first batch of the segment whose last offset is at least `target`.
    pub(super) fn locate(
        &self,
        view: &View,
        target: Offset,
    ) -> Result<Option<crate::segment::scan::Scanned>, ReadError> {
        if view.size == 0 {
            return Ok(None);
        }
        let around = self.surroundings(view, target)?;
        let file = view.data(self)?;
        let base_offset = view.segment.base_offset;
        let extent = Extent { file: &file, base_offset, size: view.size };
        extent.locate(around, target).map_err(|error| read_error(base_offset, error))
    }

    /// What the offset index knows around `target`.
    fn surroundings(&self, view: &View, target: Offset) -> Result<Surroundings, ReadError> {
        let len = if view.active {
            let state = self.lock_answering().map_err(io::Error::other)?;
            if !view.is_current(&state) {
                // It was sealed since: its index is complete in the file.
                None
            } else {
                match state.active.offset_index.lookup(target) {
                    ActiveLookup::Memory(around) => return Ok(around.below(view.size)),
                    ActiveLookup::File(len) => Some(len),
                }
            }
        } else {
            None
        };
        let Some(file) = view.offset_index(self)? else { return Ok(Surroundings::default()) };
        let len = match len {
            Some(len) => len,
            None => offset_index::entries_in_file(&file)?,
        };
        let base_offset = view.segment.base_offset;
        let around = offset_index::lookup_in_file(&file, len, base_offset, view.end_offset, target)?;
        Ok(around.below(view.size))
    }

    /// Where the first batch that is not wholly below `upper` begins. A position beyond what the caller can take at all is
    /// not looked for further.
    fn find_limit(&self, view: &View, start: &Start, upper: Offset, max_bytes: u32) -> Result<u32, ReadError> {
        if upper >= view.end_offset {
            return Ok(view.size);
        }
        let enough = start.position.saturating_add(max_bytes.max(start.first_batch_bytes));
        let around = self.surroundings(view, upper)?;
        if let Some(lower) = around.lower.filter(|lower| lower.position >= enough) {
            return Ok(lower.position);
        }
        let file = view.data(self)?;
        let base_offset = view.segment.base_offset;
        let extent = Extent { file: &file, base_offset, size: view.size };
        let found = extent.locate(around, upper).map_err(|error| read_error(base_offset, error))?;
        Ok(found.map_or(view.size, |found| found.position))
    }

    /// How many bytes to give: whole batches if the index knows an edge within the caller's limit, so that none is sent that
    /// must be sent again.
    fn length(&self, view: &View, start: &Start, limit: u32, max_bytes: u32) -> Result<u32, ReadError> {
        let available = limit - start.position;
        let wanted = max_bytes.max(start.first_batch_bytes);
        if wanted >= available {
            return Ok(available);
        }
        let end = start.position + wanted;
        let edge = self.index_edge(view, end)?.filter(|edge| *edge >= start.position + start.first_batch_bytes);
        Ok(edge.map_or(wanted, |edge| edge - start.position))
    }

    /// The last position at or below `at` that the index knows as a batch's beginning.
    fn index_edge(&self, view: &View, at: u32) -> Result<Option<u32>, ReadError> {
        let mut len = None;
        if view.active {
            let state = self.lock_answering().map_err(io::Error::other)?;
            if view.is_current(&state) {
                match state.active.offset_index.lookup_position(at) {
                    ActiveLookup::Memory(around) => return Ok(around.lower.map(|lower| lower.position)),
                    ActiveLookup::File(entries) => len = Some(entries),
                }
            }
        }
        let Some(file) = view.offset_index(self)? else { return Ok(None) };
        let len = match len {
            Some(len) => len,
            None => offset_index::entries_in_file(&file)?,
        };
        let around = offset_index::lookup_position_in_file(&file, len, view.size, at)?;
        Ok(around.lower.map(|lower| lower.position))
    }
}

impl State {
    /// The segment at this place as it is now.
    pub(super) fn view(&self, index: usize) -> View {
        let active = index >= self.sealed.len();
        let (segment, size) = match self.sealed.get(index) {
            Some(sealed) => (&sealed.segment, sealed.size),
            None => (&self.active.segment, self.active.size),
        };
        View {
            segment: segment.clone(),
            size,
            end_offset: self.end_offset_at(index),
            active,
            generation: self.generation,
            dir: Arc::clone(&self.dir),
        }
    }
}

impl View {
    /// The segment is still the active one, and was not truncated.
    fn is_current(&self, state: &State) -> bool {
        self.generation == state.generation && self.segment.base_offset == state.active.base_offset()
    }

    pub(super) fn data(&self, log: &Log) -> io::Result<Arc<std::fs::File>> {
        self.segment.data(&self.dir, &log.context, false)
    }

    /// The offset index file; `None` if there is none, when headers are walked.
    fn offset_index(&self, log: &Log) -> io::Result<Option<Arc<std::fs::File>>> {
        match self.segment.offset_index(&self.dir, &log.context) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        &self.dir
    }
}

pub(super) fn read_error(base_offset: Offset, error: ScanError) -> ReadError {
    match error {
        ScanError::Io(error) => ReadError::Io(error),
        other => ReadError::Corrupt { base_offset, reason: other.to_string() },
    }
}
