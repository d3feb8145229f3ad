//! From an offset to the batch that holds it.
//!
//! Plain functions over a data file and what its offset index told. A look-up normally reads one header: that of the batch
//! the index names next above the target, which holds the target whenever batches are as long as the index interval. Else
//! the headers between two entries are walked, about `index.interval.bytes` of them. An index that does not lead to a
//! batch is not believed: the segment is walked from its beginning, and the caller is told by a log line.

use std::fs::File;
use std::os::unix::fs::FileExt;

use weir_protocol::ids::Offset;
use weir_protocol::records::batch::BatchHeader;

use super::scan::{BatchScanner, SHORT_WALK_BYTES, ScanError, Scanned};
use crate::offset_index::{OffsetIndexEntry, Surroundings};

/// Which bytes of which segment are searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<'a> {
    pub(crate) file: &'a File,
    pub(crate) base_offset: Offset,
    pub(crate) size: u32,
}

impl Extent<'_> {
    /// The first batch whose last offset is at least `target`, given the index entries around the target; `None` if
    /// all of the segment lies below it.
    pub(crate) fn locate(&self, around: Surroundings, target: Offset) -> Result<Option<Scanned>, ScanError> {
        let relative = target - self.base_offset;
        if let Some(lower) = around.lower.filter(|lower| i64::from(lower.relative_offset) == relative) {
            if let Some(found) = self.header_at(lower)? {
                return Ok(Some(found));
            }
            return self.locate_from_the_start(target);
        }
        if let Some(upper) = around.upper {
            match self.header_at(upper)? {
                Some(found) if found.header.base_offset <= target.0 => return Ok(Some(found)),
                Some(_) => {}
                None => return self.locate_from_the_start(target),
            }
        }
        let from = around.lower.map_or(0, |lower| lower.position);
        match self.walk(from, target) {
            Err(ScanError::Corrupt { position, .. }) if position == from && from > 0 => {
                self.locate_from_the_start(target)
            }
            other => other,
        }
    }

    /// The batch that the entry names, if that is what lies there.
    fn header_at(&self, entry: OffsetIndexEntry) -> Result<Option<Scanned>, ScanError> {
        let position = entry.position;
        if u64::from(position) + BatchHeader::LEN as u64 > u64::from(self.size) {
            return Ok(None);
        }
        let mut bytes = [0; BatchHeader::LEN];
        self.file.read_exact_at(&mut bytes, u64::from(position))?;
        let header = BatchHeader::parse(&bytes).ok();
        let named = header.filter(|header| {
            header.last_offset() - self.base_offset.0 == i64::from(entry.relative_offset)
                && u64::from(position) + header.size_bytes() as u64 <= u64::from(self.size)
        });
        Ok(named.map(|header| Scanned { position, header }))
    }

    #[cold]
    fn locate_from_the_start(&self, target: Offset) -> Result<Option<Scanned>, ScanError> {
        tracing::warn!(base_offset = %self.base_offset, %target, "offset index does not lead to a batch, reading without it");
        self.walk(0, target)
    }

    fn walk(&self, from: u32, target: Offset) -> Result<Option<Scanned>, ScanError> {
        let mut buffer = [0; SHORT_WALK_BYTES];
        let mut scanner = BatchScanner::new(self.file, from, self.size, &mut buffer);
        while let Some(scanned) = scanner.next()? {
            if scanned.header.last_offset() >= target.0 {
                return Ok(Some(scanned));
            }
        }
        Ok(None)
    }
}
