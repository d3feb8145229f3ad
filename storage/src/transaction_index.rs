//! The aborted transactions of one segment, byte for byte Kafka's `.txnindex`.
//!
//! Owns the entry format, appends, look-ups and truncation (Kafka's `TransactionIndex`, KIP-98). A segment without an
//! aborted transaction has no file and this costs nothing. Entries are 34 bytes, in the order of their last offsets:
//!
//! ```text
//!  0  version             i16  0
//!  2  producer id         i64
//! 10  first offset        i64
//! 18  last offset         i64  of the abort marker
//! 26  last stable offset  i64  at the time of the abort
//! ```
//!
//! Invariant: a torn last entry is not read; opening cuts it off before the first append.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use weir_protocol::ids::{Offset, ProducerId};

const VERSION: i16 = 0;

/// One aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// The offset of its first record in this partition.
    pub first_offset: Offset,
    /// The offset of its abort marker.
    pub last_offset: Offset,
    /// The last stable offset once it was decided.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    /// The size of an entry in the file.
    pub const BYTES: usize = 34;

    /// The entry as it is in the file.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut buf = &mut out[..];
        buf.put_i16(VERSION);
        buf.put_i64(self.producer_id.0);
        buf.put_i64(self.first_offset.0);
        buf.put_i64(self.last_offset.0);
        buf.put_i64(self.last_stable_offset.0);
        out
    }

    /// Reads an entry.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, TransactionIndexError> {
        let mut buf = &bytes[..];
        let version = buf.get_i16();
        if version > VERSION {
            return Err(TransactionIndexError::Version(version));
        }
        Ok(Self {
            producer_id: ProducerId(buf.get_i64()),
            first_offset: Offset(buf.get_i64()),
            last_offset: Offset(buf.get_i64()),
            last_stable_offset: Offset(buf.get_i64()),
        })
    }
}

/// Why a transaction index does not serve.
#[derive(Debug, thiserror::Error)]
pub enum TransactionIndexError {
    /// Written by something newer.
    #[error("aborted transaction of unknown version {0}")]
    Version(i16),
    /// Last offsets ascend, and none is below the segment's base.
    #[error("last offset {last_offset} of an aborted transaction is not above {floor}")]
    OutOfOrder {
        /// Of the entry.
        last_offset: Offset,
        /// What it must be above.
        floor: Offset,
    },
    /// The file does not read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The index of one segment.
#[derive(Debug)]
pub struct TransactionIndex {
    path: PathBuf,
    /// Absent while the segment has no aborted transaction.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    entries: u64,
    last_offset: Offset,
}

impl TransactionIndex {
    /// Opens the index at `path`, which need not exist; checks the order of its entries and that all lie at or above
    /// `base_offset`.
    pub fn open(path: PathBuf, base_offset: Offset) -> Result<Self, TransactionIndexError> {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { path, open: None }),
            Err(error) => return Err(error.into()),
        };
        let entries = file.metadata()?.len() / AbortedTransaction::BYTES as u64;
        let mut open = Open { file, entries, last_offset: Offset(base_offset.0 - 1) };
        let mut floor = open.last_offset;
        for index in 0..entries {
            let entry = open.entry(index)?;
            if entry.last_offset <= floor {
                return Err(TransactionIndexError::OutOfOrder { last_offset: entry.last_offset, floor });
            }
            floor = entry.last_offset;
        }
        open.last_offset = floor;
        open.file.set_len(entries * AbortedTransaction::BYTES as u64)?;
        Ok(Self { path, open: Some(open) })
    }

    /// An index of which the caller knows that there is no file.
    pub fn absent(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Where the file is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file is (being) renamed along with its segment or partition.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// No aborted transaction is in the index.
    pub fn is_empty(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.entries == 0)
    }

    /// Adds an entry; the first one makes the file.
    pub fn append(&mut self, entry: &AbortedTransaction) -> Result<(), TransactionIndexError> {
        if self.open.is_none() {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&self.path)?;
            self.open = Some(Open { file, entries: 0, last_offset: Offset::NONE });
        }
        let open = self.open.as_mut().expect("opened above");
        if entry.last_offset <= open.last_offset {
            let (last_offset, floor) = (entry.last_offset, open.last_offset);
            return Err(TransactionIndexError::OutOfOrder { last_offset, floor });
        }
        open.file.write_all_at(&entry.encode(), open.entries * AbortedTransaction::BYTES as u64)?;
        open.entries += 1;
        open.last_offset = entry.last_offset;
        Ok(())
    }

    /// Adds the transactions that overlap `fetch_offset..upper_bound` to `out`. `true` when the search is complete; `false`
    /// when the next segment's index must be asked too.
    pub fn collect(
        &self,
        fetch_offset: Offset,
        upper_bound: Offset,
        out: &mut Vec<AbortedTransaction>,
    ) -> Result<bool, TransactionIndexError> {
        let Some(open) = &self.open else { return Ok(false) };
        for index in 0..open.entries {
            let entry = open.entry(index)?;
            if entry.last_offset >= fetch_offset && entry.first_offset < upper_bound {
                out.push(entry);
            }
            if entry.last_stable_offset >= upper_bound {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops the entries whose last offset is at or above `offset`.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), TransactionIndexError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut last_offset = Offset::NONE;
        for index in 0..open.entries {
            let entry = open.entry(index)?;
            if entry.last_offset >= offset {
                open.file.set_len(index * AbortedTransaction::BYTES as u64)?;
                open.entries = index;
                open.last_offset = last_offset;
                return Ok(());
            }
            last_offset = entry.last_offset;
        }
        Ok(())
    }

    /// Drops every entry.
    pub fn reset(&mut self) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.file.set_len(0)?;
            open.entries = 0;
            open.last_offset = Offset::NONE;
        }
        Ok(())
    }

    /// Makes the entries durable.
    pub fn flush(&self) -> io::Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.file.sync_data())
    }
}

impl Open {
    fn entry(&self, index: u64) -> Result<AbortedTransaction, TransactionIndexError> {
        let mut bytes = [0; AbortedTransaction::BYTES];
        self.file.read_exact_at(&mut bytes, index * AbortedTransaction::BYTES as u64)?;
        AbortedTransaction::decode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(producer: i64, first: i64, last: i64, stable: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(producer),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(stable),
        }
    }

    fn index_of(entries: &[AbortedTransaction]) -> (tempfile::TempDir, TransactionIndex) {
        let dir = tempfile::tempdir().unwrap();
        let mut index = TransactionIndex::open(dir.path().join("0.txnindex"), Offset(0)).unwrap();
        for entry in entries {
            index.append(entry).unwrap();
        }
        (dir, index)
    }

    fn collected(index: &TransactionIndex, from: i64, to: i64) -> (Vec<i64>, bool) {
        let mut out = Vec::new();
        let complete = index.collect(Offset(from), Offset(to), &mut out).unwrap();
        (out.iter().map(|entry| entry.first_offset.0).collect(), complete)
    }

    #[test]
    fn entry_has_kafkas_bytes() {
        let golden = [
            0, 0, // version
            0, 0, 0, 0, 0, 0, 0, 7, // producer id
            0, 0, 0, 0, 0, 0, 1, 0, // first offset
            0, 0, 0, 0, 0, 0, 1, 16, // last offset
            0, 0, 0, 0, 0, 0, 0, 250, // last stable offset
        ];
        let entry = aborted(7, 256, 272, 250);
        assert_eq!(entry.encode(), golden);
        assert_eq!(AbortedTransaction::decode(&golden).unwrap(), entry);
    }

    #[test]
    fn no_file_until_a_transaction_aborts() {
        let (_dir, mut index) = index_of(&[]);
        assert!(index.is_empty() && !index.path().exists());
        index.append(&aborted(1, 0, 10, 11)).unwrap();
        assert!(!index.is_empty() && index.path().exists());
    }

    #[test]
    fn last_offsets_must_ascend() {
        let (_dir, mut index) = index_of(&[aborted(1, 0, 10, 11)]);
        assert!(matches!(index.append(&aborted(2, 5, 10, 11)), Err(TransactionIndexError::OutOfOrder { .. })));
    }

    #[test]
    fn collect_yields_overlaps_and_stops_at_the_upper_bound() {
        let (_dir, index) =
            index_of(&[aborted(0, 0, 10, 11), aborted(1, 5, 15, 13), aborted(2, 18, 35, 25), aborted(3, 32, 50, 40)]);
        assert_eq!(collected(&index, 0, 100), (vec![0, 5, 18, 32], false));
        assert_eq!(collected(&index, 0, 32), (vec![0, 5, 18], true));
        assert_eq!(collected(&index, 0, 35), (vec![0, 5, 18, 32], true));
        assert_eq!(collected(&index, 10, 35), (vec![0, 5, 18, 32], true));
        assert_eq!(collected(&index, 11, 35), (vec![5, 18, 32], true));
        assert_eq!(collected(&index, 20, 41), (vec![18, 32], false));
    }

    #[test]
    fn truncation_drops_entries_at_or_above_the_offset_and_appends_go_on() {
        let (_dir, mut index) = index_of(&[aborted(0, 0, 10, 11), aborted(1, 5, 15, 13), aborted(2, 18, 35, 25)]);
        index.truncate_to(Offset(15)).unwrap();
        assert_eq!(collected(&index, 0, 100), (vec![0], false));
        index.append(&aborted(4, 12, 16, 17)).unwrap();
        let reopened = TransactionIndex::open(index.path().to_owned(), Offset(0)).unwrap();
        assert_eq!(collected(&reopened, 0, 100), (vec![0, 12], false));
    }

    #[test]
    fn torn_entry_is_cut_off_and_entry_below_the_segment_is_corrupt() {
        let (_dir, index) = index_of(&[aborted(0, 3, 10, 11)]);
        let mut bytes = std::fs::read(index.path()).unwrap();
        bytes.extend_from_slice(&[0; 20]);
        std::fs::write(index.path(), &bytes).unwrap();
        let reopened = TransactionIndex::open(index.path().to_owned(), Offset(0)).unwrap();
        assert_eq!(collected(&reopened, 0, 100), (vec![3], false));
        assert_eq!(std::fs::metadata(index.path()).unwrap().len(), 34);
        let error = TransactionIndex::open(index.path().to_owned(), Offset(11)).unwrap_err();
        assert!(matches!(error, TransactionIndexError::OutOfOrder { .. }));
    }
}
