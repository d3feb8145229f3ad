//! Rewrites a client's batches in the topic's codec (`compression.type` other than `producer`).
//!
//! Runs outside the log's mutex. Offsets, timestamps, producer fields and headers stay as they are. What is held beside the
//! result does not grow with what the records take when they are decompressed.

use weir_protocol::compression::{Codec, CompressionError};
use weir_protocol::records::batch::{BatchHeader, batches};
use weir_protocol::records::{TranscodeError, TranscodeLimits, transcode};

use super::AppendError;
use super::validate::decompressed_bytes_limit;
use crate::config::LogConfig;

/// The same records, every batch in `codec`. Those that are in it already stay as they are, whatever their level.
pub(super) fn recompress(records: &[u8], codec: Codec, config: &LogConfig) -> Result<Vec<u8>, AppendError> {
    let mut out = Vec::with_capacity(records.len());
    for found in batches(records) {
        let (header, bytes) = found?;
        if header.compression() == codec {
            out.extend_from_slice(bytes);
            continue;
        }
        let limits = TranscodeLimits {
            decompressed_bytes: decompressed_bytes_limit(config),
            batch_bytes: BatchHeader::LEN.max(config.max_message_bytes as usize),
        };
        let rewritten = transcode(bytes, codec, config.compression_level, limits);
        out.extend_from_slice(&rewritten.map_err(|error| refused(&error, config))?);
    }
    Ok(out)
}

fn refused(error: &TranscodeError, config: &LogConfig) -> AppendError {
    match error {
        TranscodeError::Compression(CompressionError::OutputTooLarge { max_bytes, .. }) => {
            AppendError::TooLarge { size_bytes: max_bytes + 1, max_bytes: config.max_message_bytes }
        }
        error => AppendError::InvalidRecord(format!("Record batch does not rewrite: {error}")),
    }
}
