//! The producer snapshot file, byte for byte Kafka's.
//!
//! `{offset, 20 digits}.snapshot` describes the producers of all batches below the offset:
//!
//! ```text
//!  0  version            i16  1
//!  2  crc                u32  CRC-32C of all that follows
//!  6  entry count        i32
//! 10  entries, 46 bytes each:
//!     0  producer id                 i64
//!     8  producer epoch              i16
//!    10  last sequence               i32  -1 if none
//!    14  last offset                 i64  -1 if none
//!    22  offset delta                i32  last offset less first offset of the last batch
//!    26  timestamp                   i64
//!    34  coordinator epoch           i32  -1 if none
//!    38  current txn first offset    i64  -1 if none
//! ```
//!
//! Big-endian. Entries are written in the order of their ids, so that equal states give equal bytes. A file is written in
//! place and not fsynced: one that a power cut tears fails its CRC, and an older one is used.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use weir_protocol::ids::{Offset, ProducerEpoch, ProducerId};

use super::entry::{BatchMetadata, ProducerStateEntry};

const VERSION: i16 = 1;
const ENTRIES_AT: usize = 6;
const HEADER_BYTES: usize = 10;
const ENTRY_BYTES: usize = 46;

/// Why a snapshot does not read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Shorter than its header, or not as long as its count says.
    #[error("{len} bytes do not hold a snapshot")]
    Length {
        /// What there is.
        len: usize,
    },
    /// Written by something newer.
    #[error("unknown version {0}")]
    Version(i16),
    /// The bytes are not those that were written.
    #[error("the CRC is {stored:#010x}, the content gives {computed:#010x}")]
    Crc {
        /// In the file.
        stored: u32,
        /// Of the content.
        computed: u32,
    },
    /// The file does not read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The file name of the snapshot at `offset`.
pub fn snapshot_file_name(offset: Offset) -> String {
    format!("{:020}.snapshot", offset.0)
}

/// The offset in a snapshot's file name; `None` if the name is not one.
pub fn snapshot_offset(file_name: &str) -> Option<Offset> {
    let digits = file_name.strip_suffix(".snapshot")?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok().map(Offset))?
}

/// The bytes of a snapshot of these producers.
pub fn encode_snapshot<'a>(entries: impl Iterator<Item = &'a ProducerStateEntry>) -> Vec<u8> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by_key(|entry| entry.producer_id());
    let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES);
    out.put_i16(VERSION);
    out.put_u32(0);
    out.put_i32(i32::try_from(entries.len()).expect("fewer than 2^31 producers"));
    for entry in entries {
        out.put_i64(entry.producer_id().0);
        out.put_i16(entry.producer_epoch().0);
        out.put_i32(entry.last_sequence());
        out.put_i64(entry.last_data_offset().0);
        out.put_i32(entry.last_batch().map_or(0, |batch| batch.offset_delta));
        out.put_i64(entry.last_timestamp());
        out.put_i32(entry.coordinator_epoch());
        out.put_i64(entry.current_transaction_first_offset().unwrap_or(Offset::NONE).0);
    }
    let crc = crc32c::crc32c(&out[ENTRIES_AT..]);
    out[2..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The producers that a snapshot describes.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Vec<ProducerStateEntry>, SnapshotError> {
    let wrong_length = || SnapshotError::Length { len: bytes.len() };
    if bytes.len() < HEADER_BYTES {
        return Err(wrong_length());
    }
    let mut buf = bytes;
    let version = buf.get_i16();
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let stored = buf.get_u32();
    let computed = crc32c::crc32c(buf);
    if stored != computed {
        return Err(SnapshotError::Crc { stored, computed });
    }
    let count = usize::try_from(buf.get_i32()).map_err(|_| wrong_length())?;
    if count.checked_mul(ENTRY_BYTES) != Some(buf.len()) {
        return Err(wrong_length());
    }
    Ok((0..count).map(|_| decode_entry(&mut buf)).collect())
}

/// Reads one entry; the caller has checked that 46 bytes are there.
fn decode_entry(buf: &mut &[u8]) -> ProducerStateEntry {
    let producer_id = ProducerId(buf.get_i64());
    let producer_epoch = ProducerEpoch(buf.get_i16());
    let last_sequence = buf.get_i32();
    let last_offset = Offset(buf.get_i64());
    let offset_delta = buf.get_i32();
    let timestamp = buf.get_i64();
    let coordinator_epoch = buf.get_i32();
    let transaction = Offset(buf.get_i64());
    let batch = BatchMetadata { last_sequence, last_offset, offset_delta, timestamp };
    ProducerStateEntry::restored(
        producer_id,
        producer_epoch,
        coordinator_epoch,
        timestamp,
        (transaction.0 >= 0).then_some(transaction),
        (last_offset.0 >= 0).then_some(batch),
    )
}

fn path(dir: &Path, offset: Offset) -> PathBuf {
    dir.join(snapshot_file_name(offset))
}

pub(super) fn read(dir: &Path, offset: Offset) -> Result<Vec<ProducerStateEntry>, SnapshotError> {
    decode_snapshot(&fs::read(path(dir, offset))?)
}

pub(super) fn write(dir: &Path, offset: Offset, bytes: &[u8]) -> io::Result<()> {
    File::create(path(dir, offset))?.write_all(bytes)
}

pub(super) fn sync(dir: &Path, offset: Offset) -> io::Result<()> {
    File::open(path(dir, offset))?.sync_data()
}

/// Deletes the file; one that is already gone is as good.
pub(super) fn delete(dir: &Path, offset: Offset) -> io::Result<()> {
    match fs::remove_file(path(dir, offset)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
