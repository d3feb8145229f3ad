//! One segment of a log: a file of batches, and its indexes.
//!
//! Owns the names of the files, how their handles are opened through the cache, and what is known of a sealed segment.
//! `active` appends to the last segment, `scan` walks batch headers, `locate` finds the batch of an offset, `load`
//! makes sense of files that were found. Never knows a log's other segments, high watermark or retention.

pub(crate) mod active;
pub(crate) mod load;
pub(crate) mod locate;
pub(crate) mod scan;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_protocol::ids::Offset;

use crate::context::StorageContext;
use crate::file_cache::{Handle, HandleSlots};
use crate::time_index::{self, TimeIndexEntry, TimestampOffset};

/// What is added to the name of a file that waits to be removed.
pub const DELETED_SUFFIX: &str = ".deleted";

/// A kind of file that belongs to a segment; the name is its base offset in 20 digits and this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentFile {
    /// The batches.
    Log,
    /// Offset to position.
    OffsetIndex,
    /// Timestamp to offset.
    TimeIndex,
    /// Aborted transactions.
    TransactionIndex,
}

impl SegmentFile {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::TransactionIndex];

    /// The part of the name after the base offset.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TransactionIndex => ".txnindex",
        }
    }

    /// Where this file of the segment at `base_offset` lies in the partition's folder.
    pub fn path(self, dir: &Path, base_offset: Offset) -> PathBuf {
        dir.join(format!("{:020}{}", base_offset.0, self.suffix()))
    }

    /// The kind and base offset that a file name tells; `None` for any other file.
    pub fn parse(name: &str) -> Option<(Self, Offset)> {
        let (digits, _) = name.split_once('.')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let kind = Self::ALL.into_iter().find(|kind| name[digits.len()..] == *kind.suffix())?;
        Some((kind, Offset(digits.parse().ok()?)))
    }
}

/// Which segment, and its open handles.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    handles: Arc<HandleSlots>,
}

impl Segment {
    pub(crate) fn new(base_offset: Offset) -> Self {
        Self { base_offset, handles: Arc::default() }
    }

    pub(crate) fn path(&self, dir: &Path, kind: SegmentFile) -> PathBuf {
        kind.path(dir, self.base_offset)
    }

    /// The file of batches, opened or from the cache; made if `create`.
    pub(crate) fn data(&self, dir: &Path, context: &StorageContext, create: bool) -> io::Result<Arc<File>> {
        match self.handles.get(Handle::Data) {
            Some(file) => Ok(file),
            None => self.open(Handle::Data, dir, context, create),
        }
    }

    /// The offset index, opened or from the cache.
    pub(crate) fn offset_index(&self, dir: &Path, context: &StorageContext) -> io::Result<Arc<File>> {
        match self.handles.get(Handle::OffsetIndex) {
            Some(file) => Ok(file),
            None => self.open(Handle::OffsetIndex, dir, context, false),
        }
    }

    #[cold]
    fn open(&self, which: Handle, dir: &Path, context: &StorageContext, create: bool) -> io::Result<Arc<File>> {
        let kind = match which {
            Handle::Data => SegmentFile::Log,
            Handle::OffsetIndex => SegmentFile::OffsetIndex,
        };
        let file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).open(self.path(dir, kind))?;
        let file = Arc::new(file);
        self.handles.put(which, Arc::clone(&file), context.files());
        Ok(file)
    }

    /// Lets go of the handles, for example because the files were renamed or replaced.
    pub(crate) fn close(&self) {
        self.handles.close();
    }

    /// Opens one of the index files for writing, making it if need be; not cached.
    pub(crate) fn open_index(&self, dir: &Path, kind: SegmentFile) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.path(dir, kind))
    }

    /// Renames the segment's files out of the way; returns their new names. Files that do not exist are passed over.
    pub(crate) fn rename_deleted(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut renamed = Vec::with_capacity(SegmentFile::ALL.len());
        for kind in SegmentFile::ALL {
            let from = self.path(dir, kind);
            let mut to = from.clone().into_os_string();
            to.push(DELETED_SUFFIX);
            match std::fs::rename(&from, &to) {
                Ok(()) => renamed.push(to.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(renamed)
    }
}

/// A segment that is no longer appended to.
#[derive(Clone, Debug)]
pub(crate) struct SealedSegment {
    pub(crate) segment: Segment,
    pub(crate) size: u32,
    /// Unknown until someone asks; see [`SealedSegment::read_largest_timestamp`].
    pub(crate) largest_timestamp: Option<TimestampOffset>,
    pub(crate) has_transaction_index: bool,
    /// Data and indexes were fsynced.
    pub(crate) synced: bool,
}

impl SealedSegment {
    pub(crate) fn base_offset(&self) -> Offset {
        self.segment.base_offset
    }

    /// The largest timestamp in the segment, from the last entry of its time index; when there is none, what the file
    /// system says of the last change (as Kafka does), with the base offset.
    pub(crate) fn read_largest_timestamp(&self, dir: &Path) -> io::Result<TimestampOffset> {
        let base_offset = self.base_offset();
        match File::open(self.segment.path(dir, SegmentFile::TimeIndex)) {
            Ok(file) => {
                let len = time_index::entries_in_file(&file)?;
                if let Some(last) = len.checked_sub(1) {
                    let entry = TimeIndexEntry::decode(crate::index_file::read_entry(&file, last)?);
                    let offset = base_offset + i64::from(entry.relative_offset);
                    return Ok(TimestampOffset { timestamp: entry.timestamp, offset });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let modified = std::fs::metadata(self.segment.path(dir, SegmentFile::Log))?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(TimestampOffset { timestamp: i64::try_from(since.as_millis()).unwrap_or(i64::MAX), offset: base_offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_kafkas() {
        let path = SegmentFile::TimeIndex.path(Path::new("/d/t-0"), Offset(1234));
        assert_eq!(path, Path::new("/d/t-0/00000000000000001234.timeindex"));
        assert_eq!(SegmentFile::parse("00000000000000001234.timeindex"), Some((SegmentFile::TimeIndex, Offset(1234))));
    }

    #[test]
    fn other_files_are_no_segment_files() {
        for name in ["00000000000000000000.log.deleted", "leader-epoch-checkpoint", ".log", "12.snapshot", "x.log"] {
            assert_eq!(SegmentFile::parse(name), None, "{name}");
        }
    }
}
