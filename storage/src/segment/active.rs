//! The segment that is appended to.
//!
//! Owns what grows with each batch: the size, both indexes' tails, the largest timestamp, when to roll, and a short memory
//! of the newest batches so that a reader at the end of the log is served without a look at any file. The file itself
//! is made by the first append. Rules of index entries and rolling are Kafka's (`LogSegment.append`, `shouldRoll`).
//! Never validates batches and never fsyncs.

use std::io;
use std::path::Path;

use weir_protocol::ids::Offset;
use weir_protocol::records::batch::BatchHeader;

use super::{SealedSegment, Segment, SegmentFile};
use crate::config::LogConfig;
use crate::context::StorageContext;
use crate::offset_index::{OffsetIndex, OffsetIndexEntry};
use crate::time_index::{TimeIndex, TimeIndexEntry, TimestampOffset};
use crate::transaction_index::TransactionIndex;

/// How many of the newest batches are remembered.
const RECENT_BATCHES: usize = 8;

/// Where one of the newest batches is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecentBatch {
    pub(crate) base_offset: i64,
    pub(crate) position: u32,
    pub(crate) size: u32,
}

/// The newest batches, a ring.
#[derive(Debug, Default)]
struct RecentBatches {
    ring: [RecentBatch; RECENT_BATCHES],
    count: u32,
}

impl RecentBatches {
    fn push(&mut self, batch: RecentBatch) {
        self.ring[self.count as usize % RECENT_BATCHES] = batch;
        // Wraps after 2^32 batches at a multiple of the ring's length; then the ring is taken as fresh, which is safe.
        self.count = self.count.wrapping_add(1);
    }

    /// The batch that begins at exactly `offset`; newest first, for that is what readers ask for.
    fn beginning_at(&self, offset: Offset) -> Option<RecentBatch> {
        let kept = (self.count as usize).min(RECENT_BATCHES);
        (1..=kept)
            .map(|back| self.ring[(self.count as usize - back) % RECENT_BATCHES])
            .find(|batch| batch.base_offset == offset.0)
    }
}

/// The active segment.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) segment: Segment,
    pub(crate) size: u32,
    pub(crate) offset_index: OffsetIndex,
    pub(crate) time_index: TimeIndex,
    /// -1 and the base offset while no record has a timestamp.
    pub(crate) largest_timestamp: TimestampOffset,
    /// The max timestamp of the first batch: rolling by time counts from here. -1 while there is none.
    rolling_timestamp: i64,
    bytes_since_index_entry: u32,
    created_ms: i64,
    recent: RecentBatches,
    pub(crate) transaction_index: Option<Box<TransactionIndex>>,
    /// The data file is in the folder, and the folder has been fsynced since.
    pub(crate) folder_synced: bool,
    /// Index entries were written since the index files were last fsynced.
    pub(crate) indexes_unsynced: bool,
}

impl ActiveSegment {
    /// An empty segment; nothing is on disk yet.
    pub(crate) fn new(base_offset: Offset, now_ms: i64) -> Self {
        Self {
            segment: Segment::new(base_offset),
            size: 0,
            offset_index: OffsetIndex::new(base_offset),
            time_index: TimeIndex::new(base_offset),
            largest_timestamp: TimestampOffset { timestamp: -1, offset: base_offset },
            rolling_timestamp: -1,
            bytes_since_index_entry: 0,
            created_ms: now_ms,
            recent: RecentBatches::default(),
            transaction_index: None,
            folder_synced: false,
            indexes_unsynced: false,
        }
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.segment.base_offset
    }

    /// Takes in a batch that was written at the end of the file.
    #[inline]
    pub(crate) fn take_in(&mut self, header: &BatchHeader, index_interval_bytes: u32) {
        self.recent.push(RecentBatch {
            base_offset: header.base_offset,
            position: self.size,
            size: header.size_bytes() as u32,
        });
        self.index(header, self.size, index_interval_bytes);
        self.size += header.size_bytes() as u32;
    }

    /// Updates timestamps and indexes for the batch at `position`, in Kafka's order.
    pub(super) fn index(&mut self, header: &BatchHeader, position: u32, index_interval_bytes: u32) {
        let last_offset = Offset(header.last_offset());
        if header.max_timestamp > self.largest_timestamp.timestamp {
            self.largest_timestamp = TimestampOffset { timestamp: header.max_timestamp, offset: last_offset };
        }
        if position == 0 {
            self.rolling_timestamp = header.max_timestamp;
        }
        if self.bytes_since_index_entry > index_interval_bytes {
            self.offset_index.append(last_offset, position);
            self.time_index.maybe_append(self.largest_timestamp);
            self.bytes_since_index_entry = 0;
        }
        self.bytes_since_index_entry = self.bytes_since_index_entry.saturating_add(header.size_bytes() as u32);
    }

    /// The batch that the last index entry names was met again: intervals count from it.
    pub(super) fn resume_index_at(&mut self, header: &BatchHeader) {
        self.bytes_since_index_entry = header.size_bytes() as u32;
    }

    /// A batch that was found on disk tells when rolling by time counts from.
    pub(super) fn set_rolling_timestamp(&mut self, first_max_timestamp: i64) {
        self.rolling_timestamp = first_max_timestamp;
    }

    /// The batch that begins at exactly `offset`, if it is one of the newest.
    pub(crate) fn recent_batch(&self, offset: Offset) -> Option<RecentBatch> {
        self.recent.beginning_at(offset)
    }

    /// Whether to roll before an append of `bytes` that ends at `last_offset` and has `max_timestamp`
    /// (`RollParams`). `jitter_ms` is taken off `segment.ms`.
    pub(crate) fn should_roll(
        &self,
        bytes: u32,
        last_offset: Offset,
        max_timestamp: i64,
        now_ms: i64,
        jitter_ms: i64,
        config: &LogConfig,
    ) -> bool {
        if self.size == 0 {
            return last_offset - self.base_offset() > i64::from(i32::MAX);
        }
        let waited = if max_timestamp >= 0 && self.rolling_timestamp >= 0 {
            max_timestamp.saturating_sub(self.rolling_timestamp)
        } else {
            now_ms.saturating_sub(self.created_ms)
        };
        let segment_bytes = config.segment_bytes.min(i32::MAX as u32);
        self.size > segment_bytes.saturating_sub(bytes)
            || waited > config.segment_ms.saturating_sub(jitter_ms)
            || self.offset_index.tail.len() >= config.segment_index_bytes / OffsetIndexEntry::BYTES as u32
            || self.time_index.tail.len() + 1 >= config.segment_index_bytes / TimeIndexEntry::BYTES as u32
            || last_offset - self.base_offset() > i64::from(i32::MAX)
    }

    /// Writes index entries out once many of them wait in memory.
    pub(crate) fn maybe_spill(&mut self, dir: &Path) -> io::Result<()> {
        if self.offset_index.tail.wants_spill() || self.time_index.tail.wants_spill() {
            self.write_indexes(dir)?;
            self.offset_index.tail.trim();
            self.time_index.tail.trim();
        }
        Ok(())
    }

    /// Writes every index entry that the files lack. A segment without batches has no files.
    pub(crate) fn write_indexes(&mut self, dir: &Path) -> io::Result<()> {
        // Times first: a load takes the last offset entry for the place up to which the time index is complete.
        if self.time_index.tail.is_dirty() {
            self.time_index.tail.write_out(&self.segment.open_index(dir, SegmentFile::TimeIndex)?)?;
            self.indexes_unsynced = true;
        }
        if self.offset_index.tail.is_dirty() {
            self.offset_index.tail.write_out(&self.segment.open_index(dir, SegmentFile::OffsetIndex)?)?;
            self.indexes_unsynced = true;
        }
        Ok(())
    }

    /// Whether the files lack entries of batches below `offset`.
    pub(crate) fn lacks_index_below(&self, offset: Offset) -> bool {
        let relative = offset - self.base_offset();
        let (offsets, times) = (&self.offset_index.tail, &self.time_index.tail);
        let offset_of = |entry: &[u8; OffsetIndexEntry::BYTES]| OffsetIndexEntry::decode(*entry).relative_offset;
        let time_of = |entry: &[u8; TimeIndexEntry::BYTES]| TimeIndexEntry::decode(*entry).relative_offset;
        offsets.unwritten().first().is_some_and(|entry| i64::from(offset_of(entry)) < relative)
            || times.unwritten().first().is_some_and(|entry| i64::from(time_of(entry)) < relative)
    }

    /// Makes what the index files hold, and their names, durable.
    pub(crate) fn sync_indexes(&mut self, dir: &Path) -> io::Result<()> {
        for kind in [SegmentFile::OffsetIndex, SegmentFile::TimeIndex] {
            self.segment.open_index(dir, kind)?.sync_data()?;
        }
        crate::checkpoint::sync_dir(dir)?;
        self.indexes_unsynced = false;
        Ok(())
    }

    /// Adds the last entry of the time index and writes both, as Kafka does when a segment is rolled or closed.
    pub(crate) fn complete_indexes(&mut self, dir: &Path) -> io::Result<()> {
        if self.size == 0 {
            return Ok(());
        }
        self.time_index.maybe_append(self.largest_timestamp);
        self.write_indexes(dir)?;
        for (kind, len) in [
            (SegmentFile::OffsetIndex, self.offset_index.tail.len() as u64 * OffsetIndexEntry::BYTES as u64),
            (SegmentFile::TimeIndex, self.time_index.tail.len() as u64 * TimeIndexEntry::BYTES as u64),
        ] {
            // Kafka takes a missing index for a crash; and what lies beyond the entries (of its own preallocation, or of a
            // log that was longer) must not be read as entries.
            let file = self.segment.open_index(dir, kind)?;
            if file.metadata()?.len() != len {
                file.set_len(len)?;
            }
        }
        Ok(())
    }

    /// What the segment is once another one is appended to.
    pub(crate) fn seal(&self) -> SealedSegment {
        SealedSegment {
            segment: self.segment.clone(),
            size: self.size,
            largest_timestamp: (self.largest_timestamp.timestamp >= 0).then_some(self.largest_timestamp),
            has_transaction_index: self.transaction_index.as_ref().is_some_and(|index| !index.is_empty()),
            synced: false,
        }
    }

    /// The transaction index, opened or made in memory when it is first needed.
    pub(crate) fn transaction_index(
        &mut self,
        dir: &Path,
    ) -> Result<&mut TransactionIndex, crate::transaction_index::TransactionIndexError> {
        if self.transaction_index.is_none() {
            let path = self.segment.path(dir, SegmentFile::TransactionIndex);
            self.transaction_index = Some(Box::new(TransactionIndex::open(path, self.base_offset())?));
        }
        Ok(self.transaction_index.as_mut().expect("set above"))
    }

    /// Reserves the disk space of a whole segment without changing the length of the file, where the disk can do that.
    pub(crate) fn preallocate(&self, dir: &Path, context: &StorageContext, bytes: u32) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        let file = self.segment.data(dir, context, true)?;
        match fallocate(&*file, FallocateFlags::KEEP_SIZE, 0, u64::from(bytes)) {
            Err(rustix::io::Errno::OPNOTSUPP) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
