//! Changes to a batch in place: what a leader writes into a batch before it appends it.
//!
//! Base offset and leader epoch are not under the CRC; a log append time is, and rewrites it (Kafka: `DefaultRecordBatch`).
//!
//! Each function takes a slice that begins with a batch whose header has parsed and which is there whole; a shorter one is
//! a broken promise of the caller and panics.

use super::batch::{
    ATTRIBUTES_AT, BASE_OFFSET_AT, CRC_AT, LENGTH_AT, LOG_OVERHEAD, MAX_TIMESTAMP_AT, PARTITION_LEADER_EPOCH_AT,
    TIMESTAMP_TYPE_BIT, TimestampType,
};

/// Sets the offset of the first record; the others follow, since they are deltas.
#[inline]
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    put(batch, BASE_OFFSET_AT, base_offset.to_be_bytes());
}

/// Sets the epoch of the leader that appends the batch.
#[inline]
pub fn set_partition_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    put(batch, PARTITION_LEADER_EPOCH_AT, leader_epoch.to_be_bytes());
}

/// Marks the batch as stamped by the broker at `timestamp_ms`, and rewrites the CRC.
#[inline]
pub fn set_log_append_time(batch: &mut [u8], timestamp_ms: i64) {
    set_max_timestamp(batch, TimestampType::LogAppendTime, timestamp_ms);
}

/// Sets who set the timestamps and the greatest of them, and rewrites the CRC.
pub fn set_max_timestamp(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp_ms: i64) {
    let attributes = i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]]);
    let attributes = match timestamp_type {
        TimestampType::CreateTime => attributes & !TIMESTAMP_TYPE_BIT,
        TimestampType::LogAppendTime => attributes | TIMESTAMP_TYPE_BIT,
    };
    put(batch, ATTRIBUTES_AT, attributes.to_be_bytes());
    put(batch, MAX_TIMESTAMP_AT, max_timestamp_ms.to_be_bytes());
    rewrite_crc(batch);
}

/// Computes the CRC of the batch that `batch` begins with and stores it.
pub fn rewrite_crc(batch: &mut [u8]) {
    let length =
        i32::from_be_bytes([batch[LENGTH_AT], batch[LENGTH_AT + 1], batch[LENGTH_AT + 2], batch[LENGTH_AT + 3]]);
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..LOG_OVERHEAD + length as usize]);
    put(batch, CRC_AT, crc.to_be_bytes());
}

#[inline(always)]
pub(super) fn put<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    batch[at..at + N].copy_from_slice(&bytes);
}
