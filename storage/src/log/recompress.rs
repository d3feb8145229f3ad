//! Rewrites a client's batches in the topic's codec (`compression.type` other than `producer`).
//!
//! Runs outside the log's mutex. Offsets, timestamps, producer fields and headers stay as they are.

use bytes::Bytes;
use weir_protocol::compression::Codec;
use weir_protocol::records::batch::batches;
use weir_protocol::records::{BatchBuilder, RecordIter, TimestampType};

use super::AppendError;
use super::validate::{MAX_DECOMPRESSED_BYTES, record_error};

/// The same records, every batch in `codec`. Those that are in it already stay as they are, whatever their level.
pub(super) fn recompress(records: &[u8], codec: Codec, level: Option<i32>) -> Result<Vec<u8>, AppendError> {
    let mut out = Vec::with_capacity(records.len());
    for found in batches(records) {
        let (header, bytes) = found?;
        if header.compression() == codec {
            out.extend_from_slice(bytes);
            continue;
        }
        let mut builder = BatchBuilder::new(codec)
            .compression_level(level)
            .base_offset(header.base_offset)
            .producer(header.producer_id, header.producer_epoch, header.base_sequence)
            .transactional(header.is_transactional())
            .base_timestamp(header.base_timestamp);
        if header.timestamp_type() == TimestampType::LogAppendTime {
            builder = builder.log_append_time(header.max_timestamp);
        }
        for record in RecordIter::new(Bytes::copy_from_slice(bytes), MAX_DECOMPRESSED_BYTES).map_err(record_error)? {
            let record = record.map_err(record_error)?;
            builder
                .append_record(&record)
                .map_err(|error| AppendError::InvalidRecord(format!("Record batch does not rewrite: {error}")))?;
        }
        let rebuilt = builder
            .build()
            .map_err(|error| AppendError::InvalidRecord(format!("Record batch does not rewrite: {error}")))?;
        out.extend_from_slice(&rebuilt);
    }
    Ok(out)
}
