//! Makes sense of a segment's files after a restart or a truncation.
//!
//! Owns three questions: how far the batches are whole (`check_batches`), which index entries can be believed, and what
//! an [`ActiveSegment`] over these files knows (`load`). Index entries that are believed are kept; from the last of them
//! on the batch headers are walked, which yields the end offset and any entry that was lost. Indexes that are missing or
//! implausible are made again from the segment's beginning. Never reads a batch's records, and cuts a file only where the
//! caller said that it may.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use weir_protocol::ids::Offset;
use weir_protocol::records::batch::{self, BatchHeader};

use super::active::ActiveSegment;
use super::scan::{BatchScanner, LONG_WALK_BYTES, ScanError, Scanned};
use super::{Segment, SegmentFile};
use crate::context::StorageContext;
use crate::index_file::{IndexTail, read_entry};
use crate::offset_index::{self, OffsetIndexEntry};
use crate::time_index::{self, TimeIndexEntry};

/// The largest data file that Kafka's formats allow (positions are 31 bits).
const MAX_SEGMENT_BYTES: u64 = i32::MAX as u64;

/// How a segment is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLoad {
    /// Batches below this offset were fsynced: if one of them does not read, nothing is cut and the load fails.
    pub(crate) recovery_point: Offset,
    /// Batches whose last offset is at or above this are handed to the visitor.
    pub(crate) visit_from: Offset,
    /// The last batch may be cut short or half written: check its CRC too.
    pub(crate) check_tail: bool,
    /// The files are as a clean stop left them; else index entries that are not believed are cut off, so that nothing
    /// takes them for entries later.
    pub(crate) trusted: bool,
    /// A power cut may have hurt the indexes: look at every entry, not only the last, and believe only those below the
    /// recovery point, for beyond it one file may have reached the disk without the other.
    pub(crate) doubt_indexes: bool,
    pub(crate) index_interval_bytes: u32,
    pub(crate) now_ms: i64,
}

/// A segment, and where its batches end.
#[derive(Debug)]
pub(crate) struct LoadedSegment {
    pub(crate) active: ActiveSegment,
    pub(crate) next_offset: Offset,
}

/// Why a segment does not load.
#[derive(Debug, thiserror::Error)]
pub enum SegmentLoadError {
    /// A batch that was fsynced does not read.
    #[error("segment {base_offset}: {reason}, below the recovery point {recovery_point}: nothing was changed")]
    Corrupt {
        /// Of the segment.
        base_offset: Offset,
        /// What is wrong, and where.
        reason: String,
        /// What was fsynced.
        recovery_point: Offset,
    },
    /// The file is larger than positions can say.
    #[error("segment {base_offset} has {bytes} bytes")]
    TooLarge {
        /// Of the segment.
        base_offset: Offset,
        /// Its size.
        bytes: u64,
    },
    /// The files do not read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a visitor of batches is given: the file, where the batch is, and its header.
pub(crate) type Visit<'a> = dyn FnMut(&File, &Scanned) -> Result<(), SegmentLoadError> + 'a;

/// The size of a data file.
pub(crate) fn data_size(file: &File, base_offset: Offset) -> Result<u32, SegmentLoadError> {
    let bytes = file.metadata()?.len();
    if bytes > MAX_SEGMENT_BYTES {
        return Err(SegmentLoadError::TooLarge { base_offset, bytes });
    }
    Ok(bytes as u32)
}

/// Loads the segment as the one to append to. A tail that is cut off or no batch is removed, with a log line, unless it lies
/// below the recovery point.
pub(crate) fn load(
    segment: Segment,
    dir: &Path,
    context: &StorageContext,
    how: &SegmentLoad,
    visit: &mut Visit<'_>,
) -> Result<LoadedSegment, SegmentLoadError> {
    let base_offset = segment.base_offset;
    let file = segment.data(dir, context, false)?;
    let size = data_size(&file, base_offset)?;
    let mut active = ActiveSegment::new(base_offset, how.now_ms);
    active.segment = segment;
    // Taken as synced: the name was there when the process started. A crash of the host may still show otherwise, so the
    // first flush syncs the folder again.
    if size == 0 {
        cut_index_files(&active, dir)?;
        return Ok(LoadedSegment { active, next_offset: base_offset });
    }
    let indexed = adopt_indexes(&mut active, dir, size, how)?;
    let from = first_position(&active, dir, indexed, how)?;
    active.largest_timestamp = active.time_index.last();
    if let Some(first) = header_at(&file, 0, size)? {
        active.set_rolling_timestamp(first.max_timestamp);
    }
    let mut walk = Walk { active, file: &file, how, indexed, next_offset: base_offset };
    let valid = walk.run(from, size, visit)?;
    let Walk { mut active, next_offset, .. } = walk;
    if valid < size {
        tracing::warn!(
            file = %active.segment.path(dir, SegmentFile::Log).display(),
            position = valid, removed_bytes = size - valid, %next_offset,
            "removing the end of a log that a crash left incomplete"
        );
        file.set_len(u64::from(valid))?;
    }
    active.size = valid;
    if !how.trusted {
        cut_index_files(&active, dir)?;
        // Whoever wrote the entries that were found may not have come to sync them.
        active.indexes_unsynced = true;
    }
    Ok(LoadedSegment { active, next_offset })
}

/// Takes over the entries of both indexes that can be believed; returns the last of the offset index.
fn adopt_indexes(
    active: &mut ActiveSegment,
    dir: &Path,
    size: u32,
    how: &SegmentLoad,
) -> Result<Option<OffsetIndexEntry>, SegmentLoadError> {
    let base_offset = active.base_offset();
    let all = how.doubt_indexes;
    let open = |kind| match File::open(active.segment.path(dir, kind)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (Some(offsets), Some(times)) = (open(SegmentFile::OffsetIndex)?, open(SegmentFile::TimeIndex)?) else {
        return Ok(None);
    };
    let Some(mut len) = offset_index::believable_entries(&offsets, size, all)? else {
        tracing::warn!(dir = %dir.display(), %base_offset, "offset index is not plausible, making it again");
        return Ok(None);
    };
    if all {
        len = offset_index::entries_below(&offsets, len, how.recovery_point - base_offset)?;
    }
    if len == 0 {
        return Ok(None);
    }
    let last_bytes = read_entry(&offsets, len - 1)?;
    let last = OffsetIndexEntry::decode(last_bytes);
    let end = base_offset + i64::from(last.relative_offset) + 1;
    let Some(times_len) = time_index::believable_entries(&times, base_offset, end, all)? else {
        tracing::warn!(dir = %dir.display(), %base_offset, "time index is not plausible, making it again");
        return Ok(None);
    };
    if all && times_len == 0 {
        // Either no record has a timestamp, or the file was lost.
        return Ok(None);
    }
    let last_time: Option<[u8; TimeIndexEntry::BYTES]> =
        times_len.checked_sub(1).map(|last| read_entry(&times, last)).transpose()?;
    active.offset_index.tail = IndexTail::from_file(len, Some(last_bytes));
    active.time_index.tail = IndexTail::from_file(times_len, last_time);
    Ok(Some(last))
}

/// Shortens index files to the entries that are believed.
fn cut_index_files(active: &ActiveSegment, dir: &Path) -> io::Result<()> {
    let offsets = u64::from(active.offset_index.tail.len_in_file()) * OffsetIndexEntry::BYTES as u64;
    let times = u64::from(active.time_index.tail.len_in_file()) * TimeIndexEntry::BYTES as u64;
    for (kind, len) in [(SegmentFile::OffsetIndex, offsets), (SegmentFile::TimeIndex, times)] {
        let path = active.segment.path(dir, kind);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > len => OpenOptions::new().write(true).open(&path)?.set_len(len)?,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where the walk begins: at the last index entry, or earlier if batches before it are to be visited.
fn first_position(
    active: &ActiveSegment,
    dir: &Path,
    indexed: Option<OffsetIndexEntry>,
    how: &SegmentLoad,
) -> Result<u32, SegmentLoadError> {
    let base_offset = active.base_offset();
    let len = active.offset_index.tail.len();
    let Some(indexed) = indexed.filter(|_| how.visit_from > base_offset) else { return Ok(0) };
    if how.visit_from - base_offset > i64::from(indexed.relative_offset) {
        return Ok(indexed.position);
    }
    let file = File::open(active.segment.path(dir, SegmentFile::OffsetIndex))?;
    let around = offset_index::lookup_in_file(&file, len, base_offset, how.visit_from, how.visit_from)?;
    Ok(around.lower.map_or(0, |lower| lower.position).min(indexed.position))
}

fn header_at(file: &File, position: u32, size: u32) -> io::Result<Option<BatchHeader>> {
    if u64::from(position) + BatchHeader::LEN as u64 > u64::from(size) {
        return Ok(None);
    }
    let mut bytes = [0; BatchHeader::LEN];
    file.read_exact_at(&mut bytes, u64::from(position))?;
    Ok(BatchHeader::parse(&bytes).ok())
}

/// The walk from the last believed index entry to the end.
struct Walk<'a> {
    active: ActiveSegment,
    file: &'a File,
    how: &'a SegmentLoad,
    indexed: Option<OffsetIndexEntry>,
    next_offset: Offset,
}

impl Walk<'_> {
    /// Returns where the whole batches end.
    fn run(&mut self, from: u32, size: u32, visit: &mut Visit<'_>) -> Result<u32, SegmentLoadError> {
        let mut buffer = vec![0; LONG_WALK_BYTES.min((size as usize).max(2 * BatchHeader::LEN))];
        let mut scanner = BatchScanner::new(self.file, from, size, &mut buffer);
        // One batch behind, since the last one must be checked before it is believed.
        let mut held: Option<Scanned> = None;
        let stopped = loop {
            match scanner.next() {
                Ok(Some(scanned)) if scanned.header.base_offset < self.next_offset_after(held) => {
                    break Some((scanned.position, format!("offset {} repeats", scanned.header.base_offset)));
                }
                Ok(Some(scanned)) => {
                    if let Some(whole) = held.replace(scanned) {
                        self.take_in(&whole, visit)?;
                    }
                }
                Ok(None) => break None,
                Err(ScanError::Io(error)) => return Err(error.into()),
                Err(ScanError::Torn { position }) => break Some((position, "a batch is cut off".to_owned())),
                Err(ScanError::Corrupt { position, error }) => break Some((position, error.to_string())),
            }
        };
        let mut bad = stopped;
        if let Some(last) = held {
            match self.how.check_tail.then(|| check_crc(self.file, &last, &mut Vec::new())).transpose()?.flatten() {
                Some(reason) => bad = Some((last.position, reason)),
                None => self.take_in(&last, visit)?,
            }
        }
        let Some((position, reason)) = bad else { return Ok(size) };
        let recovery_point = self.how.recovery_point;
        if self.next_offset < recovery_point {
            let base_offset = self.active.base_offset();
            let reason = format!("{reason} at position {position}");
            return Err(SegmentLoadError::Corrupt { base_offset, reason, recovery_point });
        }
        Ok(position)
    }

    fn next_offset_after(&self, held: Option<Scanned>) -> i64 {
        held.map_or(self.next_offset.0, |held| held.header.next_offset())
    }

    fn take_in(&mut self, scanned: &Scanned, visit: &mut Visit<'_>) -> Result<(), SegmentLoadError> {
        self.next_offset = Offset(scanned.header.next_offset());
        let interval = self.how.index_interval_bytes;
        match self.indexed {
            Some(last) if scanned.position < last.position => {}
            Some(last) if scanned.position == last.position => self.active.resume_index_at(&scanned.header),
            _ => self.active.index(&scanned.header, scanned.position, interval),
        }
        if scanned.header.last_offset() >= self.how.visit_from.0 {
            visit(self.file, scanned)?;
        }
        Ok(())
    }
}

/// Visits the batches of a whole segment whose last offset is at or above `from`; stops quietly at what is no batch, which
/// is for the segment's readers to report.
pub(crate) fn visit_batches(
    file: &File,
    size: u32,
    from: Offset,
    visit: &mut Visit<'_>,
) -> Result<(), SegmentLoadError> {
    let mut buffer = vec![0; LONG_WALK_BYTES];
    let mut scanner = BatchScanner::new(file, 0, size, &mut buffer);
    loop {
        match scanner.next() {
            Ok(Some(scanned)) if scanned.header.last_offset() < from.0 => {}
            Ok(Some(scanned)) => visit(file, &scanned)?,
            Err(ScanError::Io(error)) => return Err(error.into()),
            Ok(None) | Err(_) => return Ok(()),
        }
    }
}

/// Where a check of the batches from `from` on may begin, and the offset of the batch there: at the batch that the index
/// leads to if one is there, else at the segment's beginning.
pub(crate) fn checked_position(
    segment: &Segment,
    dir: &Path,
    file: &File,
    size: u32,
    from: Offset,
) -> Result<(u32, Offset), SegmentLoadError> {
    let base_offset = segment.base_offset;
    let beginning = (0, base_offset);
    if from <= base_offset {
        return Ok(beginning);
    }
    let index = match File::open(segment.path(dir, SegmentFile::OffsetIndex)) {
        Ok(index) => index,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(beginning),
        Err(error) => return Err(error.into()),
    };
    let Some(len) = offset_index::believable_entries(&index, size, true)? else { return Ok(beginning) };
    let around = offset_index::lookup_in_file(&index, len, base_offset, from, from)?;
    let Some(lower) = around.lower else { return Ok(beginning) };
    let header = header_at(file, lower.position, size)?;
    let named = header.filter(|header| header.last_offset() - base_offset.0 == i64::from(lower.relative_offset));
    Ok(named.map_or(beginning, |header| (lower.position, Offset(header.base_offset))))
}

/// How far the batches of a file are whole.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Where the whole ones end.
    pub(crate) next_offset: Offset,
    /// The position of the first that is not, and what is wrong with it.
    pub(crate) bad: Option<(u32, String)>,
}

/// Checks batches from a batch's beginning on: every one is a batch, and those at or above `from` have their CRC and, if the
/// log is `gapless`, no offset missing before them.
pub(crate) fn check_batches(
    file: &File,
    (start, start_offset): (u32, Offset),
    size: u32,
    from: Offset,
    gapless: bool,
) -> Result<Checked, SegmentLoadError> {
    let mut buffer = vec![0; LONG_WALK_BYTES];
    let mut scanner = BatchScanner::new(file, start, size, &mut buffer);
    let mut batch_bytes = Vec::new();
    let mut next_offset = start_offset;
    loop {
        let scanned = match scanner.next() {
            Ok(Some(scanned)) => scanned,
            Ok(None) => return Ok(Checked { next_offset, bad: None }),
            Err(ScanError::Io(error)) => return Err(error.into()),
            Err(ScanError::Torn { position }) => {
                return Ok(Checked { next_offset, bad: Some((position, "a batch is cut off".to_owned())) });
            }
            Err(ScanError::Corrupt { position, error }) => {
                return Ok(Checked { next_offset, bad: Some((position, error.to_string())) });
            }
        };
        let base_offset = scanned.header.base_offset;
        let reason = if base_offset < next_offset.0 {
            Some(format!("offset {base_offset} repeats"))
        } else if gapless && next_offset >= from && base_offset > next_offset.0 {
            Some(format!("offsets {next_offset} to {} are missing", base_offset - 1))
        } else if scanned.header.last_offset() >= from.0 {
            check_crc(file, &scanned, &mut batch_bytes)?
        } else {
            None
        };
        if let Some(reason) = reason {
            return Ok(Checked { next_offset, bad: Some((scanned.position, reason)) });
        }
        next_offset = Offset(scanned.header.next_offset());
    }
}

/// What is wrong with the batch, if its CRC is.
fn check_crc(file: &File, scanned: &Scanned, bytes: &mut Vec<u8>) -> io::Result<Option<String>> {
    bytes.resize(scanned.size() as usize, 0);
    file.read_exact_at(bytes, u64::from(scanned.position))?;
    Ok(batch::verify_crc(bytes).err().map(|error| error.to_string()))
}
