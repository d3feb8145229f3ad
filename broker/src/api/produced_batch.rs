//! What the records of one partition in a Produce request may be: exactly one whole batch of format v2.
//!
//! Answers to Kafka's `ProduceRequest.validateRecords` and, for what is a batch at all, its `ByteBufferLogInputStream`: bytes that
//! are too few for a batch are none, and are left out after one. Of a batch whose header cannot be, the CRC says whether it was sent so
//! (INVALID_RECORD, final) or was damaged on its way (CORRUPT_MESSAGE, tried again), as it does in Kafka.

use std::fmt;

use weir_protocol::compression::Codec;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::records::batch::{self, BatchError, BatchHeader, LOG_OVERHEAD};

use crate::partition::PartitionError;

/// The first version that takes zstd (KIP-110).
const FIRST_VERSION_WITH_ZSTD: i16 = 7;
/// Bytes up to the magic byte and with it, which stands in one place in every format.
const UP_TO_MAGIC_BYTES: usize = 17;
/// The least that a length can say: a message of format v0 (Kafka's `LegacyRecord.RECORD_OVERHEAD_V0`).
const MIN_LENGTH: i32 = 14;
/// The newest format.
const MAX_MAGIC: u8 = 2;

/// The one batch of `records`, without the bytes after it that are none.
pub(super) fn only_batch(version: i16, records: &mut [u8]) -> Result<&mut [u8], PartitionError> {
    let Some(first) = next_batch(records)? else {
        return invalid(format_args!("Produce requests with version {version} must have at least one record batch"));
    };
    let (batch, rest) = records.split_at_mut(first.size_bytes);
    if first.magic != MAX_MAGIC {
        return invalid(format_args!(
            "Produce requests with version {version} are only allowed to contain record batches with magic version 2"
        ));
    }
    match BatchHeader::parse(batch) {
        Ok(header) if header.compression() == Codec::Zstd && version < FIRST_VERSION_WITH_ZSTD => {
            let message =
                format!("Produce requests with version {version} are not allowed to use ZStandard compression");
            return Err(PartitionError::new(ErrorCode::UnsupportedCompressionType, message));
        }
        Err(
            error @ (BatchError::UnknownCodec { .. }
            | BatchError::InvalidOffsets { .. }
            | BatchError::InvalidCount { .. }),
        ) if batch::crc_matches(batch) => return invalid(error),
        // Whatever else is wrong with it is the log's to say.
        _ => {}
    }
    if next_batch(rest)?.is_some() {
        return invalid(format_args!(
            "Produce requests with version {version} are only allowed to contain exactly one record batch per partition"
        ));
    }
    Ok(batch)
}

/// What tells one batch from the next, in any format.
struct Frame {
    size_bytes: usize,
    magic: u8,
}

/// The batch that `records` begin with, if it is whole.
fn next_batch(records: &[u8]) -> Result<Option<Frame>, PartitionError> {
    let Some(&[.., l0, l1, l2, l3]) = records.first_chunk::<LOG_OVERHEAD>() else { return Ok(None) };
    let length = i32::from_be_bytes([l0, l1, l2, l3]);
    if length < MIN_LENGTH {
        return corrupt(format_args!("Record size {length} is less than the minimum record overhead ({MIN_LENGTH})"));
    }
    let Some(&[.., magic]) = records.first_chunk::<UP_TO_MAGIC_BYTES>() else { return Ok(None) };
    if magic > MAX_MAGIC {
        return corrupt(format_args!("Invalid magic found in record: {}", magic.cast_signed()));
    }
    let size_bytes = LOG_OVERHEAD + length as usize;
    Ok((size_bytes <= records.len()).then_some(Frame { size_bytes, magic }))
}

fn invalid<T>(message: impl fmt::Display) -> Result<T, PartitionError> {
    Err(PartitionError::new(ErrorCode::InvalidRecord, message))
}

fn corrupt<T>(message: impl fmt::Display) -> Result<T, PartitionError> {
    Err(PartitionError::new(ErrorCode::CorruptMessage, message))
}
