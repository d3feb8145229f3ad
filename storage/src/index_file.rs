//! What the offset and the time index have in common: fixed entries in ascending order, the newest ones in memory.
//!
//! Owns the tail of an active segment's index and the search of an index file. The entries of an active index are kept
//! encoded; once [`SPILL_ENTRIES`] are in memory they are written to the file and all but the newest [`KEEP_ENTRIES`]
//! are forgotten, so that an index of any size costs a partition little, readers near the end touch no file and a crash
//! loses few entries (recovery makes them again from the batches). Sealed indexes, and the older part of an active one,
//! are searched in the file itself: a guess by interpolation, then one small block read. That needs two or three reads
//! of the page cache, no mapping, no memory, and a bad disk is an error instead of a signal.
//!
//! Never knows what an entry means; never fsyncs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Entries in memory at which they are written out.
pub(crate) const SPILL_ENTRIES: usize = 256;
/// Entries that stay in memory after that.
pub(crate) const KEEP_ENTRIES: usize = 128;
/// Entries read at once by a search.
const BLOCK_ENTRIES: u32 = 32;
/// Guesses by interpolation before a search halves the range.
const MAX_GUESSES: u32 = 4;

/// The entries of an active segment's index: `first..` in memory, `..written` in the file.
///
/// ```text
/// 0 ............ first ....... written ....... len
/// |-- file only --|-- both -----|-- memory only --|
/// ```
///
/// Invariants: `first <= written <= len`; the last entry, if there is one, is in memory.
#[derive(Debug, Default)]
pub(crate) struct IndexTail<const BYTES: usize> {
    entries: Vec<[u8; BYTES]>,
    first: u32,
    written: u32,
}

impl<const BYTES: usize> IndexTail<BYTES> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), first: 0, written: 0 }
    }

    /// An index whose file holds `len` entries, the last of which is `last`.
    pub(crate) fn from_file(len: u32, last: Option<[u8; BYTES]>) -> Self {
        debug_assert_eq!(len == 0, last.is_none());
        Self { entries: last.into_iter().collect(), first: len.saturating_sub(1), written: len }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> u32 {
        self.first + self.entries.len() as u32
    }

    /// How many of them the file holds.
    pub(crate) fn len_in_file(&self) -> u32 {
        self.written
    }

    /// How many of them are in the file alone.
    pub(crate) fn first_in_memory(&self) -> u32 {
        self.first
    }

    pub(crate) fn in_memory(&self) -> &[[u8; BYTES]] {
        &self.entries
    }

    pub(crate) fn last(&self) -> Option<&[u8; BYTES]> {
        self.entries.last()
    }

    pub(crate) fn push(&mut self, entry: [u8; BYTES]) {
        if self.entries.is_empty() {
            // Most partitions are small: grow from one cache line, not from Vec's guess.
            self.entries.reserve_exact(4);
        }
        self.entries.push(entry);
    }

    /// Enough entries wait in memory that they should be written out.
    pub(crate) fn wants_spill(&self) -> bool {
        self.entries.len() >= SPILL_ENTRIES
    }

    /// The file lacks entries.
    pub(crate) fn is_dirty(&self) -> bool {
        self.written < self.len()
    }

    /// What the file lacks.
    pub(crate) fn unwritten(&self) -> &[[u8; BYTES]] {
        &self.entries[(self.written - self.first) as usize..]
    }

    /// Writes what the file lacks, at its place.
    pub(crate) fn write_out(&mut self, file: &File) -> io::Result<()> {
        file.write_all_at(self.unwritten().as_flattened(), u64::from(self.written) * BYTES as u64)?;
        self.written = self.len();
        Ok(())
    }

    /// Forgets all but the newest entries; only those that the file holds.
    pub(crate) fn trim(&mut self) {
        let in_file = (self.written - self.first) as usize;
        let excess = self.entries.len().saturating_sub(KEEP_ENTRIES).min(in_file);
        self.entries.drain(..excess);
        self.first += excess as u32;
    }
}

/// Entry `number` of an index file.
pub(crate) fn read_entry<const BYTES: usize>(file: &File, number: u32) -> io::Result<[u8; BYTES]> {
    let mut entry = [0; BYTES];
    file.read_exact_at(&mut entry, u64::from(number) * BYTES as u64)?;
    Ok(entry)
}

/// Two neighbours around a target: the last entry whose key is at most the target, and the one after it.
pub(crate) type Neighbours<const BYTES: usize> = (Option<[u8; BYTES]>, Option<[u8; BYTES]>);

/// The neighbours of `target` among entries that are in memory.
pub(crate) fn search_memory<const BYTES: usize>(
    entries: &[[u8; BYTES]],
    target: i64,
    key: impl Fn(&[u8; BYTES]) -> i64,
) -> Neighbours<BYTES> {
    let above = entries.partition_point(|entry| key(entry) <= target);
    (above.checked_sub(1).map(|at| entries[at]), entries.get(above).copied())
}

/// The neighbours of `target` among the first `len` entries of an index file. `keys` are bounds of what the keys may be: a
/// close guess saves reads, a wrong one costs some.
pub(crate) fn search_file<const BYTES: usize>(
    file: &File,
    len: u32,
    target: i64,
    keys: (i64, i64),
    key: impl Fn(&[u8; BYTES]) -> i64,
) -> io::Result<Neighbours<BYTES>> {
    // All entries below `low` have keys at most the target, all from `high` on have keys above it.
    let (mut low, mut high) = (0, len);
    let (mut low_key, mut high_key) = keys;
    let (mut lower, mut upper) = (None, None);
    let mut block = [[0; BYTES]; BLOCK_ENTRIES as usize];
    let mut guesses = 0;
    while low < high {
        let middle = if guesses < MAX_GUESSES {
            interpolate((low, high), (low_key, high_key), target)
        } else {
            low + (high - low) / 2
        };
        guesses += 1;
        let start = middle.saturating_sub(BLOCK_ENTRIES / 2).max(low).min(high.saturating_sub(BLOCK_ENTRIES).max(low));
        let count = (high - start).min(BLOCK_ENTRIES) as usize;
        file.read_exact_at(block[..count].as_flattened_mut(), u64::from(start) * BYTES as u64)?;
        match block[..count].partition_point(|entry| key(entry) <= target) {
            0 => {
                upper = Some(block[0]);
                (high, high_key) = (start, key(&block[0]));
            }
            above if above == count => {
                lower = Some(block[count - 1]);
                (low, low_key) = (start + count as u32, key(&block[count - 1]));
            }
            above => return Ok((Some(block[above - 1]), Some(block[above]))),
        }
    }
    Ok((lower, upper))
}

/// Where in `low..high` the target lies if keys grow evenly.
fn interpolate((low, high): (u32, u32), (low_key, high_key): (i64, i64), target: i64) -> u32 {
    let span = i128::from(high_key) - i128::from(low_key);
    let ahead = (i128::from(target) - i128::from(low_key)).clamp(0, span.max(0));
    if span <= 0 {
        return low + (high - low) / 2;
    }
    let guess = i128::from(low) + i128::from(high - low) * ahead / span;
    u32::try_from(guess).unwrap_or(low).clamp(low, high - 1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn key(entry: &[u8; 8]) -> i64 {
        i64::from_be_bytes(*entry)
    }

    fn file_of(keys: &[i64]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_be_bytes()).collect();
        file.write_all(&bytes).unwrap();
        file
    }

    proptest! {
        #[test]
        fn a_search_of_the_file_finds_what_a_search_of_memory_finds(
            mut keys in prop::collection::vec(0i64..100_000, 0..600),
            target in -10i64..100_010,
            bound in 0i64..200_000,
        ) {
            keys.sort_unstable();
            let entries: Vec<[u8; 8]> = keys.iter().map(|key| key.to_be_bytes()).collect();
            let found = search_file(&file_of(&keys), keys.len() as u32, target, (0, bound), key).unwrap();
            prop_assert_eq!(found, search_memory(&entries, target, key));
        }
    }

    #[test]
    fn spilled_entries_are_in_the_file_and_the_newest_stay_in_memory() {
        let file = tempfile::tempfile().unwrap();
        let mut tail = IndexTail::<8>::new();
        for number in 0..1000i64 {
            tail.push(number.to_be_bytes());
            if tail.wants_spill() {
                tail.write_out(&file).unwrap();
                tail.trim();
            }
        }
        assert_eq!(tail.len(), 1000);
        assert!(tail.in_memory().len() < SPILL_ENTRIES);
        tail.write_out(&file).unwrap();
        assert!(!tail.is_dirty());
        for number in 0..1000 {
            assert_eq!(key(&read_entry(&file, number).unwrap()), i64::from(number));
        }
        assert_eq!(key(&tail.in_memory()[0]), i64::from(tail.first_in_memory()));
    }
}
