//! One batch's records in another codec, piece by piece.
//!
//! Records do not change when their codec does, so nothing is taken apart: what one codec gives goes into the other, and the
//! header is patched. What is held is what both codecs hold, and the result.

use super::batch::{
    self, ATTRIBUTES_AT, BatchHeader, CODEC_MASK, LENGTH_AT, LOG_OVERHEAD, MAX_TIMESTAMP_AT, TimestampType,
};
use super::record::RecordError;
use super::skim::RecordSkim;
use super::{NO_TIMESTAMP, patch};
use crate::compression::{Codec, CompressionError, Compressor, Decompressor};

/// What passes from codec to codec at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// How much a batch may be while it changes its codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranscodeLimits {
    /// Its records, decompressed.
    pub decompressed_bytes: usize,
    /// The batch in its new codec.
    pub batch_bytes: usize,
}

/// Why a batch cannot change its codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscodeError {
    /// Its records are not what they should be.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Offset deltas rise from record to record.
    #[error("offset delta {offset_delta} does not follow {last}")]
    OffsetOutOfOrder {
        /// The one found.
        offset_delta: i32,
        /// The record's before it.
        last: i32,
    },
    /// The codec failed, or what it writes is too large.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// The batch that `batch` begins with, its records checked and in `codec`, at the level given or the codec's default.
///
/// The maximum timestamp is what the records say, unless the broker has stamped the batch.
pub fn transcode(
    batch: &[u8],
    codec: Codec,
    level: Option<i32>,
    limits: TranscodeLimits,
) -> Result<Vec<u8>, TranscodeError> {
    let (header, batch, _) = batch::split_first(batch).map_err(RecordError::from)?;
    let max_timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => check_records(batch, limits)?,
        TimestampType::LogAppendTime => check_records(batch, limits).map(|_| header.max_timestamp)?,
    };
    let mut reader = Decompressor::new(header.compression(), batch::body(&header, batch), limits.decompressed_bytes);
    let start = batch[..BatchHeader::LEN].to_vec();
    let mut compressor = Compressor::new(codec, level, start, limits.batch_bytes.min(i32::MAX as usize))?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece)? {
            0 => break,
            read => compressor.write(&piece[..read])?,
        }
    }
    let mut out = compressor.finish()?;
    let length = (out.len() - LOG_OVERHEAD) as i32;
    let attributes = (header.attributes & !CODEC_MASK) | i16::from(codec.id());
    patch::put(&mut out, LENGTH_AT, length.to_be_bytes());
    patch::put(&mut out, ATTRIBUTES_AT, attributes.to_be_bytes());
    patch::put(&mut out, MAX_TIMESTAMP_AT, max_timestamp.to_be_bytes());
    patch::rewrite_crc(&mut out);
    Ok(out)
}

/// Checks every record and returns the greatest timestamp.
fn check_records(batch: &[u8], limits: TranscodeLimits) -> Result<i64, TranscodeError> {
    let mut max_timestamp = NO_TIMESTAMP;
    let mut last = -1;
    for record in RecordSkim::new(batch, limits.decompressed_bytes)? {
        let record = record?;
        if record.offset_delta <= last {
            return Err(TranscodeError::OffsetOutOfOrder { offset_delta: record.offset_delta, last });
        }
        last = record.offset_delta;
        max_timestamp = max_timestamp.max(record.timestamp);
    }
    Ok(max_timestamp)
}
