//! The header of a v2 record batch, its CRC, and the walk from batch to batch.
//!
//! ```text
//!  0  baseOffset            i64   not under the CRC
//!  8  batchLength           i32   not under the CRC; bytes after this field
//! 12  partitionLeaderEpoch  i32   not under the CRC
//! 16  magic                 i8    2; in the same place in every format
//! 17  crc                   u32   CRC-32C of everything from 21 on
//! 21  attributes            i16   0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
//! 23  lastOffsetDelta       i32
//! 27  baseTimestamp         i64   or the delete horizon (KIP-534)
//! 35  maxTimestamp          i64
//! 43  producerId            i64
//! 51  producerEpoch         i16
//! 53  baseSequence          i32
//! 57  recordsCount          i32
//! 61  records
//! ```
//!
//! Kafka: `DefaultRecordBatch`. A parsed header is consistent in itself (sizes, codec, offsets that do not overflow); that
//! its records are all there and match its count is for those who walk them.

use crate::compression::{Codec, CompressionError};
use std::borrow::Cow;

/// Bytes before and including `batchLength`: what `batchLength` does not count.
pub const LOG_OVERHEAD: usize = 12;

pub(super) const BASE_OFFSET_AT: usize = 0;
pub(super) const LENGTH_AT: usize = 8;
pub(super) const PARTITION_LEADER_EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const BASE_TIMESTAMP_AT: usize = 27;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;

/// The only format that is read: v2.
pub const MAGIC: i8 = 2;

pub(super) const CODEC_MASK: i16 = 0x07;
pub(super) const TIMESTAMP_TYPE_BIT: i16 = 1 << 3;
pub(super) const TRANSACTIONAL_BIT: i16 = 1 << 4;
pub(super) const CONTROL_BIT: i16 = 1 << 5;
pub(super) const DELETE_HORIZON_BIT: i16 = 1 << 6;

/// Who set a batch's timestamps: `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer, record by record.
    #[default]
    CreateTime,
    /// The broker, for the whole batch, at the append.
    LogAppendTime,
}

/// Why bytes are no v2 batch, or not the batch that they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the batch, or its header, has. At the end of a fetch response that is no error (KIP-74).
    #[error("record batch of {needed} bytes is cut off after {available}")]
    Truncated {
        /// What the batch needs.
        needed: usize,
        /// What is there.
        available: usize,
    },
    /// Message format v0 or v1: UNSUPPORTED_FOR_MESSAGE_FORMAT.
    #[error("message format v{magic} is not supported: produce with format v2 (Kafka 0.11 and newer clients)")]
    LegacyMagic {
        /// 0 or 1.
        magic: i8,
    },
    /// No format that exists.
    #[error("unknown record batch magic {magic}")]
    UnknownMagic {
        /// The byte found.
        magic: i8,
    },
    /// The length field cannot be right.
    #[error("record batch length {length} is less than a header's")]
    InvalidLength {
        /// The field.
        length: i32,
    },
    /// A codec id without a codec.
    #[error("unknown compression codec id {id} in record batch")]
    UnknownCodec {
        /// The id.
        id: u8,
    },
    /// A negative offset delta, or offsets beyond 64 bits.
    #[error("record batch at base offset {base_offset} has last offset delta {last_offset_delta}")]
    InvalidOffsets {
        /// The field.
        base_offset: i64,
        /// The field.
        last_offset_delta: i32,
    },
    /// A count that the offsets or bytes of the batch cannot hold.
    #[error("record batch claims {records_count} records with last offset delta {last_offset_delta}")]
    InvalidCount {
        /// The field.
        records_count: i32,
        /// The field.
        last_offset_delta: i32,
    },
    /// The CRC-32C does not match.
    #[error("record batch is corrupt: CRC {stored:#010x} stored, {computed:#010x} computed")]
    CrcMismatch {
        /// The field.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
}

/// The fields of a batch's header, copied out of its 61 bytes, with Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record, before compaction took any.
    pub base_offset: i64,
    /// Bytes after this field.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Always 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: i16,
    /// The last record's offset less the base offset, before compaction took any.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from; the delete horizon where the flag says so.
    pub base_timestamp: i64,
    /// The greatest timestamp of the records, or the log append time.
    pub max_timestamp: i64,
    /// The producer id, or -1.
    pub producer_id: i64,
    /// The producer epoch, or -1.
    pub producer_epoch: i16,
    /// The sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub records_count: i32,
}

#[inline(always)]
fn field<const N: usize>(header: &[u8; BatchHeader::LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

impl BatchHeader {
    /// The size of the header.
    pub const LEN: usize = 61;

    /// Reads the header that `bytes` begin with; the records need not be there.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let Some(raw) = bytes.first_chunk::<{ BatchHeader::LEN }>() else {
            return Err(incomplete(bytes));
        };
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(field(raw, BASE_OFFSET_AT)),
            batch_length: i32::from_be_bytes(field(raw, LENGTH_AT)),
            partition_leader_epoch: i32::from_be_bytes(field(raw, PARTITION_LEADER_EPOCH_AT)),
            magic: raw[MAGIC_AT] as i8,
            crc: u32::from_be_bytes(field(raw, CRC_AT)),
            attributes: i16::from_be_bytes(field(raw, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(raw, 23)),
            base_timestamp: i64::from_be_bytes(field(raw, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(field(raw, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(raw, 43)),
            producer_epoch: i16::from_be_bytes(field(raw, 51)),
            base_sequence: i32::from_be_bytes(field(raw, 53)),
            records_count: i32::from_be_bytes(field(raw, 57)),
        };
        header.check()?;
        Ok(header)
    }

    #[inline]
    fn check(&self) -> Result<(), BatchError> {
        check_magic(self.magic)?;
        if self.batch_length < (Self::LEN - LOG_OVERHEAD) as i32 {
            return Err(BatchError::InvalidLength { length: self.batch_length });
        }
        let id = (self.attributes & CODEC_MASK) as u8;
        if Codec::from_id(id).is_none() {
            return Err(BatchError::UnknownCodec { id });
        }
        let (base_offset, last_offset_delta) = (self.base_offset, self.last_offset_delta);
        if last_offset_delta < 0 || base_offset > i64::MAX - 1 - i64::from(last_offset_delta) {
            return Err(BatchError::InvalidOffsets { base_offset, last_offset_delta });
        }
        if self.records_count < 0 || i64::from(self.records_count) > i64::from(last_offset_delta) + 1 {
            return Err(BatchError::InvalidCount { records_count: self.records_count, last_offset_delta });
        }
        Ok(())
    }

    /// The whole batch's size, header included.
    #[inline]
    pub const fn size_bytes(&self) -> usize {
        LOG_OVERHEAD + self.batch_length as usize
    }

    /// The offset of the last record, before compaction took any.
    #[inline]
    pub const fn last_offset(&self) -> i64 {
        self.base_offset + self.last_offset_delta as i64
    }

    /// The offset after the batch.
    #[inline]
    pub const fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The codec of the records.
    #[inline]
    pub fn compression(&self) -> Codec {
        // `check` refuses headers with other ids.
        Codec::from_id((self.attributes & CODEC_MASK) as u8).unwrap_or_default()
    }

    /// Who set the timestamps.
    #[inline]
    pub const fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch belongs to a transaction.
    #[inline]
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the records are control records, never shown to applications.
    #[inline]
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// When tombstones and markers of the batch may go (KIP-534), in milliseconds, if compaction has set it.
    #[inline]
    pub const fn delete_horizon(&self) -> Option<i64> {
        if self.attributes & DELETE_HORIZON_BIT == 0 { None } else { Some(self.base_timestamp) }
    }

    /// Whether a producer id is set.
    #[inline]
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id > super::NO_PRODUCER_ID
    }

    /// The sequence of the last record; sequences wrap to 0 after `i32::MAX`. -1 where the batch has none.
    #[inline]
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return super::NO_SEQUENCE;
        }
        let last = self.base_sequence as i64 + self.last_offset_delta as i64;
        if last > i32::MAX as i64 { (last - i32::MAX as i64 - 1) as i32 } else { last as i32 }
    }
}

#[inline]
fn check_magic(magic: i8) -> Result<(), BatchError> {
    match magic {
        MAGIC => Ok(()),
        0 | 1 => Err(BatchError::LegacyMagic { magic }),
        _ => Err(BatchError::UnknownMagic { magic }),
    }
}

/// Why fewer bytes than a header are no batch: a legacy message may be shorter than our header.
#[cold]
fn incomplete(bytes: &[u8]) -> BatchError {
    match bytes.get(MAGIC_AT).map(|&magic| check_magic(magic as i8)) {
        Some(Err(error)) => error,
        _ => BatchError::Truncated { needed: BatchHeader::LEN, available: bytes.len() },
    }
}

/// Splits the first batch off `bytes`: its header, all its bytes, and what follows.
#[inline]
pub fn split_first(bytes: &[u8]) -> Result<(BatchHeader, &[u8], &[u8]), BatchError> {
    let header = BatchHeader::parse(bytes)?;
    let needed = header.size_bytes();
    if needed > bytes.len() {
        return Err(BatchError::Truncated { needed, available: bytes.len() });
    }
    let (batch, rest) = bytes.split_at(needed);
    Ok((header, batch, rest))
}

/// Checks the CRC of the batch that `bytes` begin with, which must be there whole.
#[inline]
pub fn verify_crc(bytes: &[u8]) -> Result<(), BatchError> {
    let (header, batch, _) = split_first(bytes)?;
    let computed = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    if computed == header.crc {
        return Ok(());
    }
    Err(BatchError::CrcMismatch { stored: header.crc, computed })
}

/// Whether the CRC of the whole batch `batch` matches, whatever else its header says.
pub fn crc_matches(batch: &[u8]) -> bool {
    let stored = batch.get(CRC_AT..ATTRIBUTES_AT).and_then(|bytes| bytes.first_chunk());
    stored.is_some_and(|stored| u32::from_be_bytes(*stored) == crc32c::crc32c(&batch[ATTRIBUTES_AT..]))
}

/// Walks the batches of `bytes`: each one's header and all its bytes. Ends after the first error. CRCs are not checked.
#[inline]
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The bytes not yet walked; after an error none.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(BatchHeader, &'a [u8]), BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match split_first(self.rest) {
            Ok((header, batch, rest)) => {
                self.rest = rest;
                Some(Ok((header, batch)))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Batches<'_> {}

/// What follows the header of a whole batch: its records, compressed or not.
///
/// A batch without records (compaction leaves such to remember a producer) has no bytes here, whatever its codec.
pub(super) fn body<'a>(header: &BatchHeader, batch: &'a [u8]) -> &'a [u8] {
    match header.records_count {
        0 => &[],
        _ => batch.get(BatchHeader::LEN..header.size_bytes()).unwrap_or_default(),
    }
}

/// The records of a whole batch, uncompressed: borrowed where no codec is set, at most `max_bytes` otherwise.
pub fn decompressed_records<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    max_bytes: usize,
) -> Result<Cow<'a, [u8]>, CompressionError> {
    match (header.compression(), body(header, batch)) {
        (Codec::None, body) => Ok(Cow::Borrowed(body)),
        (_, []) if header.records_count == 0 => Ok(Cow::Borrowed(&[])),
        (codec, body) => crate::compression::decompress(codec, body, max_bytes).map(Cow::Owned),
    }
}
