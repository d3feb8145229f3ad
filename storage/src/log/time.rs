//! From a time to an offset (ListOffsets; KIP-33, KIP-734).
//!
//! Segments are chosen by their largest timestamp, the place within one by the time and the offset index, and only the one
//! batch that holds the answer is decoded. All of it outside the mutex.

use std::fs::File;
use std::io;

use bytes::Bytes;
use weir_protocol::ids::{LeaderEpoch, Offset};
use weir_protocol::records::{RecordSkim, TimestampType};

use super::read::{View, read_error};
use super::validate::MAX_DECOMPRESSED_BYTES;
use super::{Log, ReadError};
use crate::segment::SegmentFile;
use crate::segment::scan::{BatchScanner, LONG_WALK_BYTES, Scanned};
use crate::time_index::{self, TimestampOffset};

/// How often a look-up is tried again when the files changed under it.
const MAX_ATTEMPTS: u32 = 3;

/// A record found by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// Its timestamp, in milliseconds.
    pub timestamp: i64,
    /// Its offset.
    pub offset: Offset,
    /// The leader epoch of its batch, -1 if none.
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record whose timestamp is at least `timestamp_ms`, in offset order; `None` if there is none.
    pub fn offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        self.with_stable_segments(|log| log.try_offset_for_timestamp(timestamp_ms))
    }

    /// The first record that has the largest timestamp of the log; `None` if no record has one.
    pub fn max_timestamp_offset(&self) -> Result<Option<TimestampAndOffset>, ReadError> {
        self.with_stable_segments(Self::try_max_timestamp_offset)
    }

    /// Runs a look-up over several segments again if they were changed by a truncation or retention meanwhile.
    fn with_stable_segments<T>(&self, look_up: impl Fn(&Self) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let generation = self.generation();
            match look_up(self) {
                Err(error) if attempts < MAX_ATTEMPTS && self.may_have_raced(&error, generation) => {}
                other => return other,
            }
        }
    }

    fn try_offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        let log_start = self.log_start_offset();
        for (view, largest) in self.views_with_largest_timestamps()? {
            if largest.timestamp < timestamp_ms || view.end_offset <= log_start {
                continue;
            }
            if let Some(found) = self.search_segment(&view, timestamp_ms, log_start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn try_max_timestamp_offset(&self) -> Result<Option<TimestampAndOffset>, ReadError> {
        let mut best: Option<(View, TimestampOffset)> = None;
        for (view, largest) in self.views_with_largest_timestamps()? {
            let better = best.as_ref().is_none_or(|(_, known)| largest.timestamp > known.timestamp);
            if largest.timestamp >= 0 && better && view.size > 0 {
                best = Some((view, largest));
            }
        }
        let Some((view, largest)) = best else { return Ok(None) };
        let Some(batch) = self.locate(&view, largest.offset)? else { return Ok(None) };
        let log_start = self.log_start_offset();
        self.search_batch(&view, &batch, batch.header.max_timestamp, log_start)
    }

    /// Every segment with its largest timestamp, -1 for a segment without records.
    fn views_with_largest_timestamps(&self) -> Result<Vec<(View, TimestampOffset)>, ReadError> {
        let mut views = Vec::new();
        let mut unknown = Vec::new();
        {
            let state = self.state.lock();
            for index in 0..=state.sealed.len() {
                let known = match state.sealed.get(index) {
                    Some(sealed) => sealed.largest_timestamp,
                    None => Some(state.active.largest_timestamp),
                };
                let placeholder = TimestampOffset { timestamp: -1, offset: state.base_offset_at(index) };
                if known.is_none() {
                    unknown.push((index, state.sealed[index].clone()));
                }
                views.push((state.view(index), known.unwrap_or(placeholder)));
            }
        }
        for (index, sealed) in unknown {
            let (view, largest) = &mut views[index];
            *largest = sealed.read_largest_timestamp(view.dir())?;
            self.remember_largest_timestamp(sealed.base_offset(), *largest);
        }
        Ok(views)
    }

    pub(super) fn remember_largest_timestamp(&self, base_offset: Offset, largest: TimestampOffset) {
        let mut state = self.state.lock();
        if let Ok(at) = state.sealed.binary_search_by_key(&base_offset, |sealed| sealed.base_offset()) {
            state.sealed[at].largest_timestamp = Some(largest);
        }
    }

    /// The first record of the segment at or after the time and at or above `from`.
    fn search_segment(
        &self,
        view: &View,
        timestamp_ms: i64,
        from: Offset,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        let below = self.time_index_floor(view, timestamp_ms)?;
        let start = below.map_or(view.segment.base_offset, |below| below.offset).max(from);
        let Some(first) = self.locate(view, start)? else { return Ok(None) };
        let file = view.data(self)?;
        let mut buffer = vec![0; LONG_WALK_BYTES];
        let mut scanner = BatchScanner::new(&file, first.position, view.size, &mut buffer);
        loop {
            let next = scanner.next().map_err(|error| read_error(view.segment.base_offset, error))?;
            let Some(batch) = next else { return Ok(None) };
            if batch.header.max_timestamp < timestamp_ms || batch.header.last_offset() < from.0 {
                continue;
            }
            if let Some(found) = self.search_batch(view, &batch, timestamp_ms, from)? {
                return Ok(Some(found));
            }
        }
    }

    /// The last entry of the segment's time index at or below the time: what lies before its offset is older.
    fn time_index_floor(&self, view: &View, timestamp_ms: i64) -> Result<Option<TimestampOffset>, ReadError> {
        let base_offset = view.segment.base_offset;
        // An entry says "up to and including this offset nothing is later", so one that equals the time is too late.
        let target = timestamp_ms.saturating_sub(1);
        let mut len = None;
        if view.active {
            let state = self.state.lock();
            if state.active.base_offset() == base_offset {
                match state.active.time_index.lookup(target) {
                    Ok(found) => return Ok(found),
                    Err(entries) => len = Some(entries),
                }
            }
        }
        let file = match File::open(view.segment.path(view.dir(), SegmentFile::TimeIndex)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let len = match len {
            Some(len) => len,
            None => time_index::entries_in_file(&file)?,
        };
        Ok(time_index::lookup_in_file(&file, len, base_offset, target)?)
    }

    /// The first record of the batch at or after the time and at or above `from`.
    fn search_batch(
        &self,
        view: &View,
        batch: &Scanned,
        timestamp_ms: i64,
        from: Offset,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        let header = &batch.header;
        let leader_epoch = LeaderEpoch(header.partition_leader_epoch);
        let answer = |timestamp, offset| TimestampAndOffset { timestamp, offset: Offset(offset), leader_epoch };
        if header.timestamp_type() == TimestampType::LogAppendTime {
            // One time for all its records.
            let offset = header.base_offset.max(from.0);
            return Ok((header.max_timestamp >= timestamp_ms).then(|| answer(header.max_timestamp, offset)));
        }
        let bytes = self.batch_bytes(view, batch)?;
        let corrupt = |error: &dyn std::fmt::Display| ReadError::Corrupt {
            base_offset: view.segment.base_offset,
            reason: format!("batch at position {}: {error}", batch.position),
        };
        for record in RecordSkim::new(&bytes, MAX_DECOMPRESSED_BYTES).map_err(|error| corrupt(&error))? {
            let record = record.map_err(|error| corrupt(&error))?;
            let offset = header.base_offset + i64::from(record.offset_delta);
            if record.timestamp >= timestamp_ms && offset >= from.0 {
                return Ok(Some(answer(record.timestamp, offset)));
            }
        }
        Ok(None)
    }

    fn batch_bytes(&self, view: &View, batch: &Scanned) -> Result<Bytes, ReadError> {
        let slice =
            super::FileSlice { file: view.data(self)?, position: u64::from(batch.position), length: batch.size() };
        Ok(slice.to_bytes()?)
    }
}
