//! Offset to file position: the `.index` of a segment, byte for byte Kafka's `OffsetIndex`.
//!
//! ```text
//! 0  relative offset  u32  of the last record of the batch, less the segment's base offset
//! 4  position         u32  where the batch begins in the `.log`
//! ```
//!
//! Big-endian, eight bytes an entry, both columns ascending. An entry is added for the first batch after more than
//! `index.interval.bytes`. Sparse: a look-up gives a place to begin, and the caller reads batch headers from there.
//! Owns the entry format, the look-ups and the check of a file that was found; never opens or syncs files.

use std::fs::File;
use std::io;

use weir_protocol::ids::Offset;

use crate::index_file::{IndexTail, Neighbours, read_entry, search_file, search_memory};

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetIndexEntry {
    /// The last offset of a batch, less the segment's base offset.
    pub relative_offset: u32,
    /// Where that batch begins.
    pub position: u32,
}

impl OffsetIndexEntry {
    /// The size of an entry in the file.
    pub const BYTES: usize = 8;

    /// The entry as it is in the file.
    pub fn encode(self) -> [u8; Self::BYTES] {
        (u64::from(self.relative_offset) << 32 | u64::from(self.position)).to_be_bytes()
    }

    /// Reads an entry.
    pub fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let both = u64::from_be_bytes(bytes);
        Self { relative_offset: (both >> 32) as u32, position: both as u32 }
    }
}

fn relative_offset(entry: &[u8; OffsetIndexEntry::BYTES]) -> i64 {
    i64::from(OffsetIndexEntry::decode(*entry).relative_offset)
}

fn position(entry: &[u8; OffsetIndexEntry::BYTES]) -> i64 {
    i64::from(OffsetIndexEntry::decode(*entry).position)
}

/// What surrounds a target: the entry at or below it, and the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    pub(crate) lower: Option<OffsetIndexEntry>,
    pub(crate) upper: Option<OffsetIndexEntry>,
}

impl Surroundings {
    /// Without entries that point at or beyond `size`: they came after the caller looked at the segment.
    pub(crate) fn below(self, size: u32) -> Self {
        let within = |entry: &OffsetIndexEntry| entry.position < size;
        Self { lower: self.lower.filter(within), upper: self.upper.filter(within) }
    }
}

impl From<Neighbours<{ OffsetIndexEntry::BYTES }>> for Surroundings {
    fn from((lower, upper): Neighbours<{ OffsetIndexEntry::BYTES }>) -> Self {
        Self { lower: lower.map(OffsetIndexEntry::decode), upper: upper.map(OffsetIndexEntry::decode) }
    }
}

/// The answer of an active index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ActiveLookup {
    /// Known from memory.
    Memory(Surroundings),
    /// The target lies among the first so many entries, which are in the file only.
    File(u32),
}

/// The offset index of an active segment.
#[derive(Debug)]
pub(crate) struct OffsetIndex {
    base_offset: Offset,
    pub(crate) tail: IndexTail<{ OffsetIndexEntry::BYTES }>,
}

impl OffsetIndex {
    pub(crate) fn new(base_offset: Offset) -> Self {
        Self { base_offset, tail: IndexTail::new() }
    }

    /// Adds the batch at `position` whose last offset is `last_offset`.
    pub(crate) fn append(&mut self, last_offset: Offset, position: u32) {
        let relative_offset = u32::try_from(last_offset - self.base_offset).expect("the segment was rolled in time");
        self.tail.push(OffsetIndexEntry { relative_offset, position }.encode());
    }

    /// The entries around `target`.
    pub(crate) fn lookup(&self, target: Offset) -> ActiveLookup {
        self.search(target - self.base_offset, relative_offset)
    }

    /// The entries around the file position `at`.
    pub(crate) fn lookup_position(&self, at: u32) -> ActiveLookup {
        self.search(i64::from(at), position)
    }

    fn search(&self, target: i64, key: fn(&[u8; OffsetIndexEntry::BYTES]) -> i64) -> ActiveLookup {
        let in_memory = self.tail.in_memory();
        match in_memory.first() {
            Some(first) if self.tail.first_in_memory() > 0 && key(first) > target => {
                // The first entry in memory may be the upper neighbour: include it, the file has it.
                ActiveLookup::File(self.tail.first_in_memory() + 1)
            }
            _ => ActiveLookup::Memory(search_memory(in_memory, target, key).into()),
        }
    }
}

/// The entries around `target` among the first `len` of the file; `end_offset` is where the segment ends, about.
pub(crate) fn lookup_in_file(
    file: &File,
    len: u32,
    base_offset: Offset,
    end_offset: Offset,
    target: Offset,
) -> io::Result<Surroundings> {
    let bounds = (0, end_offset - base_offset);
    Ok(search_file(file, len, target - base_offset, bounds, relative_offset)?.into())
}

/// The entries around the file position `at` among the first `len` of the file.
pub(crate) fn lookup_position_in_file(file: &File, len: u32, size: u32, at: u32) -> io::Result<Surroundings> {
    Ok(search_file(file, len, i64::from(at), (0, i64::from(size)), position)?.into())
}

/// How many entries a file holds; a half one does not count.
pub(crate) fn entries_in_file(file: &File) -> io::Result<u32> {
    let whole = file.metadata()?.len() / OffsetIndexEntry::BYTES as u64;
    Ok(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// How many entries of a file can be believed for a segment of `size` bytes: whole ones, up to the first that points at or
/// beyond the end. `None` if the last of them is not plausible (Kafka preallocates, so zeros follow after its crash). With
/// `all` every entry is checked for order, else only the last.
pub(crate) fn believable_entries(file: &File, size: u32, all: bool) -> io::Result<Option<u32>> {
    let whole = file.metadata()?.len() / OffsetIndexEntry::BYTES as u64;
    let Ok(mut len) = u32::try_from(whole) else { return Ok(None) };
    let within = lookup_position_in_file(file, len, size, size.saturating_sub(1))?;
    if let Some(beyond) = within.upper {
        // Entries of batches that were truncated away: find their number by the position they have.
        len = entries_while(file, len, |entry| entry.position < beyond.position)?;
    }
    if len == 0 {
        return Ok(Some(0));
    }
    let last = OffsetIndexEntry::decode(read_entry(file, len - 1)?);
    if last.position == 0 || last.position >= size {
        return Ok(None);
    }
    if all && !ascends(file, len)? {
        return Ok(None);
    }
    Ok(Some(len))
}

/// How many of the first `len` entries of a file have a relative offset below `relative`.
pub(crate) fn entries_below(file: &File, len: u32, relative: i64) -> io::Result<u32> {
    entries_while(file, len, |entry| i64::from(entry.relative_offset) < relative)
}

/// How many of the first `len` entries are before the first that `holds` refuses, given that it refuses all after it.
fn entries_while(file: &File, len: u32, holds: impl Fn(OffsetIndexEntry) -> bool) -> io::Result<u32> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(OffsetIndexEntry::decode(read_entry(file, middle)?)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn ascends(file: &File, len: u32) -> io::Result<bool> {
    let mut bytes = vec![0; len as usize * OffsetIndexEntry::BYTES];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, 0)?;
    let (entries, _) = bytes.as_chunks::<{ OffsetIndexEntry::BYTES }>();
    let mut entries = entries.iter().map(|entry| OffsetIndexEntry::decode(*entry));
    let Some(mut last) = entries.next() else { return Ok(true) };
    Ok(last.position > 0
        && entries.all(|entry| {
            let above = entry.relative_offset > last.relative_offset && entry.position > last.position;
            last = entry;
            above
        }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn entry(relative_offset: u32, position: u32) -> OffsetIndexEntry {
        OffsetIndexEntry { relative_offset, position }
    }

    fn file_of(entries: &[OffsetIndexEntry]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for entry in entries {
            file.write_all(&entry.encode()).unwrap();
        }
        file
    }

    #[test]
    fn entry_has_kafkas_bytes() {
        let golden = [0, 0, 0, 9, 0, 0, 0x10, 0x22];
        assert_eq!(entry(9, 0x1022).encode(), golden);
        assert_eq!(OffsetIndexEntry::decode(golden), entry(9, 0x1022));
    }

    #[test]
    fn lookup_yields_the_entry_at_or_below_and_the_next() {
        let mut index = OffsetIndex::new(Offset(100));
        index.append(Offset(109), 50);
        index.append(Offset(119), 90);
        let around = |target| match index.lookup(Offset(target)) {
            ActiveLookup::Memory(found) => (found.lower.map(|e| e.position), found.upper.map(|e| e.position)),
            ActiveLookup::File(_) => panic!("all is in memory"),
        };
        assert_eq!(around(100), (None, Some(50)));
        assert_eq!(around(109), (Some(50), Some(90)));
        assert_eq!(around(118), (Some(50), Some(90)));
        assert_eq!(around(500), (Some(90), None));
    }

    #[test]
    fn lookup_below_the_memory_names_the_entries_of_the_file() {
        let file = tempfile::tempfile().unwrap();
        let mut index = OffsetIndex::new(Offset(0));
        for n in 1..=300 {
            index.append(Offset(n * 10), n as u32 * 100);
        }
        index.tail.write_out(&file).unwrap();
        index.tail.trim();
        let ActiveLookup::File(len) = index.lookup(Offset(55)) else { panic!("the entry is not in memory") };
        let found = lookup_in_file(&file, len, Offset(0), Offset(3001), Offset(55)).unwrap();
        assert_eq!(found, Surroundings { lower: Some(entry(50, 500)), upper: Some(entry(60, 600)) });
        let edge = i64::from(OffsetIndexEntry::decode(index.tail.in_memory()[0]).relative_offset);
        let ActiveLookup::File(len) = index.lookup(Offset(edge - 1)) else { panic!("one below") };
        let found = lookup_in_file(&file, len, Offset(0), Offset(3001), Offset(edge - 1)).unwrap();
        assert_eq!(found.upper.unwrap().relative_offset, edge as u32);
    }

    #[test]
    fn entries_beyond_the_data_and_half_entries_are_not_believed() {
        let mut file = file_of(&[entry(9, 50), entry(19, 90), entry(29, 200)]);
        file.write_all(&[1, 2, 3]).unwrap();
        assert_eq!(believable_entries(&file, 300, true).unwrap(), Some(3));
        assert_eq!(believable_entries(&file, 200, true).unwrap(), Some(2));
        assert_eq!(believable_entries(&file, 10, true).unwrap(), Some(0));
    }

    #[test]
    fn zeros_and_disorder_make_a_file_unbelievable() {
        assert_eq!(believable_entries(&file_of(&[entry(9, 50), entry(0, 0)]), 300, false).unwrap(), None);
        let disorder = [entry(9, 50), entry(8, 60), entry(30, 70)];
        assert_eq!(believable_entries(&file_of(&disorder), 300, true).unwrap(), None);
        assert_eq!(believable_entries(&file_of(&disorder), 300, false).unwrap(), Some(3));
    }
}
