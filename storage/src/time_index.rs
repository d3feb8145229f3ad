//! Timestamp to offset: the `.timeindex` of a segment, byte for byte Kafka's `TimeIndex`.
//!
//! ```text
//! 0  timestamp        i64  the largest in the segment up to and including that batch, in milliseconds
//! 8  relative offset  u32  of the last record of the batch that has it, less the segment's base offset
//! ```
//!
//! Big-endian, twelve bytes an entry, timestamps ascending strictly. Entries come with those of the offset index; a segment
//! that is sealed or closed gets a last one, so that its largest timestamp is in the file (KIP-33).
//! Owns the entry format and the look-up; never opens or syncs files.

use std::fs::File;
use std::io;

use weir_protocol::ids::Offset;

use crate::index_file::{IndexTail, read_entry, search_file, search_memory};

/// A timestamp and the offset that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// In milliseconds, -1 if there is none.
    pub timestamp: i64,
    /// The last offset of the batch.
    pub offset: Offset,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIndexEntry {
    /// In milliseconds.
    pub timestamp: i64,
    /// The last offset of the batch, less the segment's base offset.
    pub relative_offset: u32,
}

impl TimeIndexEntry {
    /// The size of an entry in the file.
    pub const BYTES: usize = 12;

    /// The entry as it is in the file.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..].copy_from_slice(&self.relative_offset.to_be_bytes());
        out
    }

    /// Reads an entry.
    pub fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, o0, o1, o2, o3] = bytes;
        Self {
            timestamp: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            relative_offset: u32::from_be_bytes([o0, o1, o2, o3]),
        }
    }

    fn absolute(self, base_offset: Offset) -> TimestampOffset {
        TimestampOffset { timestamp: self.timestamp, offset: base_offset + i64::from(self.relative_offset) }
    }
}

fn timestamp(entry: &[u8; TimeIndexEntry::BYTES]) -> i64 {
    TimeIndexEntry::decode(*entry).timestamp
}

/// The time index of an active segment.
#[derive(Debug)]
pub(crate) struct TimeIndex {
    base_offset: Offset,
    pub(crate) tail: IndexTail<{ TimeIndexEntry::BYTES }>,
}

impl TimeIndex {
    pub(crate) fn new(base_offset: Offset) -> Self {
        Self { base_offset, tail: IndexTail::new() }
    }

    /// The last entry; before the first one, no timestamp at the base offset.
    pub(crate) fn last(&self) -> TimestampOffset {
        self.tail.last().map_or(TimestampOffset { timestamp: -1, offset: self.base_offset }, |entry| {
            TimeIndexEntry::decode(*entry).absolute(self.base_offset)
        })
    }

    /// Adds the largest timestamp so far unless the last entry has it.
    pub(crate) fn maybe_append(&mut self, largest: TimestampOffset) {
        if largest.timestamp > self.last().timestamp {
            let relative = largest.offset - self.base_offset;
            let relative_offset = u32::try_from(relative).expect("the segment was rolled in time");
            self.tail.push(TimeIndexEntry { timestamp: largest.timestamp, relative_offset }.encode());
        }
    }

    /// The last entry in memory at or below `target`, or how many entries of the file to search.
    pub(crate) fn lookup(&self, target: i64) -> Result<Option<TimestampOffset>, u32> {
        let in_memory = self.tail.in_memory();
        match in_memory.first() {
            Some(first) if self.tail.first_in_memory() > 0 && timestamp(first) > target => {
                Err(self.tail.first_in_memory())
            }
            _ => {
                let (lower, _) = search_memory(in_memory, target, timestamp);
                Ok(lower.map(|entry| TimeIndexEntry::decode(entry).absolute(self.base_offset)))
            }
        }
    }
}

/// The last of the first `len` entries of a file whose timestamp is at most `target`.
pub(crate) fn lookup_in_file(
    file: &File,
    len: u32,
    base_offset: Offset,
    target: i64,
) -> io::Result<Option<TimestampOffset>> {
    if len == 0 {
        return Ok(None);
    }
    let bounds = (timestamp(&read_entry(file, 0)?), timestamp(&read_entry(file, len - 1)?));
    let (lower, _) = search_file(file, len, target, bounds, timestamp)?;
    Ok(lower.map(|entry| TimeIndexEntry::decode(entry).absolute(base_offset)))
}

/// How many entries a file holds; a half one does not count.
pub(crate) fn entries_in_file(file: &File) -> io::Result<u32> {
    let whole = file.metadata()?.len() / TimeIndexEntry::BYTES as u64;
    Ok(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// How many entries of a file can be believed for a segment whose records end before `end`: those up to the last with an
/// offset below it. `None` if entries are out of order; with `all` every one is checked, else only the last two.
pub(crate) fn believable_entries(file: &File, base: Offset, end: Offset, all: bool) -> io::Result<Option<u32>> {
    let mut len = entries_in_file(file)?;
    while len > 0 {
        let last = TimeIndexEntry::decode(read_entry(file, len - 1)?);
        let zeros = last.timestamp == 0 && last.relative_offset == 0;
        if base + i64::from(last.relative_offset) < end && last.timestamp >= 0 && !zeros {
            break;
        }
        len -= 1;
    }
    let from = if all { 1 } else { len.saturating_sub(1).max(1) };
    for number in from..len {
        let earlier = TimeIndexEntry::decode(read_entry(file, number - 1)?);
        let later = TimeIndexEntry::decode(read_entry(file, number)?);
        if later.timestamp <= earlier.timestamp || later.relative_offset <= earlier.relative_offset {
            return Ok(None);
        }
    }
    Ok(Some(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timestamp: i64, offset: i64) -> TimestampOffset {
        TimestampOffset { timestamp, offset: Offset(offset) }
    }

    #[test]
    fn entry_has_kafkas_bytes() {
        let golden = [0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0, 0, 0, 0, 7];
        let entry = TimeIndexEntry { timestamp: 1_700_000_000_000, relative_offset: 7 };
        assert_eq!(entry.encode(), golden);
        assert_eq!(TimeIndexEntry::decode(golden), entry);
    }

    #[test]
    fn only_a_larger_timestamp_is_added() {
        let mut index = TimeIndex::new(Offset(100));
        assert_eq!(index.last(), at(-1, 100));
        for entry in [at(50, 109), at(50, 119), at(40, 119), at(51, 129)] {
            index.maybe_append(entry);
        }
        assert_eq!(index.tail.len(), 2);
        assert_eq!(index.last(), at(51, 129));
    }

    #[test]
    fn lookup_yields_the_last_entry_at_or_below_the_time() {
        let file = tempfile::tempfile().unwrap();
        let mut index = TimeIndex::new(Offset(0));
        for n in 1..=400 {
            index.maybe_append(at(n * 10, n));
        }
        assert_eq!(index.lookup(9), Ok(None));
        assert_eq!(index.lookup(10), Ok(Some(at(10, 1))));
        assert_eq!(index.lookup(5000), Ok(Some(at(4000, 400))));
        index.tail.write_out(&file).unwrap();
        index.tail.trim();
        let len = index.lookup(1005).unwrap_err();
        assert_eq!(lookup_in_file(&file, len, Offset(0), 1005).unwrap(), Some(at(1000, 100)));
        assert_eq!(lookup_in_file(&file, len, Offset(0), 9).unwrap(), None);
    }

    #[test]
    fn entries_at_or_beyond_the_end_are_not_believed() {
        let file = tempfile::tempfile().unwrap();
        let mut index = TimeIndex::new(Offset(5));
        for n in 1..=4 {
            index.maybe_append(at(n * 10, 5 + n));
        }
        index.tail.write_out(&file).unwrap();
        assert_eq!(believable_entries(&file, Offset(5), Offset(100), true).unwrap(), Some(4));
        assert_eq!(believable_entries(&file, Offset(5), Offset(8), true).unwrap(), Some(2));
    }
}
