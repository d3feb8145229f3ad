//! Writes one v2 batch: producers, coordinators, the Raft log and the log cleaner.
//!
//! Records take the next offset delta, or the one given where compaction has left holes; the batch's last offset delta can
//! be set beyond its last record. Uncompressed records are written once, where they stay.
//!
//! Kafka: `MemoryRecordsBuilder`.

use super::batch::{
    ATTRIBUTES_AT, BatchHeader, CONTROL_BIT, DELETE_HORIZON_BIT, LOG_OVERHEAD, MAGIC, TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT, TimestampType,
};
use super::record::{Header, Record};
use super::{NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, patch, varint};
use crate::compression::{self, Codec, CompressionError};
use bytes::{BufMut, BytesMut};

/// Why a batch cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Offset deltas rise from record to record and fit 31 bits.
    #[error("offset delta {offset_delta} does not follow {last:?}")]
    OffsetOutOfOrder {
        /// The one given.
        offset_delta: i64,
        /// The record's before it.
        last: Option<i32>,
    },
    /// A batch's length is 31 bits.
    #[error("record batch would be larger than 2 GiB")]
    TooLarge,
    /// A batch without records must say which offsets it covers.
    #[error("record batch has neither records nor a last offset delta")]
    Empty,
    /// The codec failed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// Builds one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    codec: Codec,
    flags: i16,
    base_offset: i64,
    partition_leader_epoch: i32,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    log_append_time: Option<i64>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    last_offset_delta: Option<i32>,
    explicit_last_offset_delta: Option<i32>,
    records_count: i32,
    /// Room for the header, then the records as they are.
    buffer: BytesMut,
}

impl BatchBuilder {
    /// An empty batch at base offset 0, without producer, epoch and flags.
    pub fn new(codec: Codec) -> Self {
        Self::with_capacity(codec, 0)
    }

    /// [`BatchBuilder::new`] with room for `record_bytes` of records.
    pub fn with_capacity(codec: Codec, record_bytes: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(BatchHeader::LEN + record_bytes);
        buffer.put_bytes(0, BatchHeader::LEN);
        Self {
            codec,
            flags: 0,
            base_offset: 0,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            log_append_time: None,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            last_offset_delta: None,
            explicit_last_offset_delta: None,
            records_count: 0,
            buffer,
        }
    }

    /// The offset that the deltas count from.
    pub fn base_offset(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self
    }

    /// The epoch of the leader that appends the batch.
    pub fn partition_leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.partition_leader_epoch = leader_epoch;
        self
    }

    /// The producer, and the sequence of the first record.
    pub fn producer(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (producer_id, producer_epoch, base_sequence);
        self
    }

    /// Whether the batch belongs to a transaction.
    pub fn transactional(mut self, yes: bool) -> Self {
        self.set_flag(TRANSACTIONAL_BIT, yes);
        self
    }

    /// Whether the records are control records.
    pub fn control(mut self, yes: bool) -> Self {
        self.set_flag(CONTROL_BIT, yes);
        self
    }

    /// Stamps the whole batch with the broker's time.
    pub fn log_append_time(mut self, timestamp_ms: i64) -> Self {
        self.set_flag(TIMESTAMP_TYPE_BIT, true);
        self.log_append_time = Some(timestamp_ms);
        self
    }

    /// What timestamp deltas count from, instead of the first record's timestamp. Before the first record.
    pub fn base_timestamp(mut self, timestamp_ms: i64) -> Self {
        debug_assert_eq!(self.records_count, 0, "deltas already count from another base");
        self.base_timestamp = Some(timestamp_ms);
        self
    }

    /// When tombstones of the batch may go (KIP-534); it takes the base timestamp's place. Before the first record.
    pub fn delete_horizon(mut self, timestamp_ms: i64) -> Self {
        self.set_flag(DELETE_HORIZON_BIT, true);
        self.base_timestamp(timestamp_ms)
    }

    /// Keeps offsets up to this delta within the batch although compaction took their records.
    pub fn last_offset_delta(mut self, last_offset_delta: i32) -> Self {
        self.explicit_last_offset_delta = Some(last_offset_delta);
        self
    }

    /// A builder for what is left of the batch with `header`: everything but its records is kept, its offsets included.
    ///
    /// A delete horizon is kept. The codec is kept, the builder compresses anew.
    pub fn rebuild(header: &BatchHeader) -> Self {
        let mut builder = Self::new(header.compression())
            .base_offset(header.base_offset)
            .partition_leader_epoch(header.partition_leader_epoch)
            .producer(header.producer_id, header.producer_epoch, header.base_sequence)
            .transactional(header.is_transactional())
            .control(header.is_control())
            .last_offset_delta(header.last_offset_delta);
        if header.timestamp_type() == TimestampType::LogAppendTime {
            builder = builder.log_append_time(header.max_timestamp);
        }
        match header.delete_horizon() {
            Some(horizon) => builder.delete_horizon(horizon),
            None => builder.base_timestamp(header.base_timestamp),
        }
    }

    fn set_flag(&mut self, bit: i16, on: bool) {
        self.flags = if on { self.flags | bit } else { self.flags & !bit };
    }

    /// Records so far.
    pub fn records_count(&self) -> i32 {
        self.records_count
    }

    /// Whether there are no records yet.
    pub fn is_empty(&self) -> bool {
        self.records_count == 0
    }

    /// Header and records so far, before compression.
    pub fn uncompressed_size_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a record at the next offset delta.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        let next = self.last_offset_delta.map_or(0, |last| i64::from(last) + 1);
        self.append_delta(next, timestamp_ms, key, value, headers)
    }

    /// Adds a record at its own offset, which counts from the base offset.
    pub fn append_record(&mut self, record: &Record) -> Result<(), BuildError> {
        let delta = record.offset.saturating_sub(self.base_offset);
        self.append_delta(delta, record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers)
    }

    /// Adds a record at this offset delta, which must be greater than the last one's.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        self.append_delta(i64::from(offset_delta), timestamp_ms, key, value, headers)
    }

    fn append_delta(
        &mut self,
        offset_delta: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        let lowest = self.last_offset_delta.map_or(0, |last| i64::from(last) + 1);
        let Some(delta) = i32::try_from(offset_delta).ok().filter(|&delta| i64::from(delta) >= lowest) else {
            return Err(BuildError::OffsetOutOfOrder { offset_delta, last: self.last_offset_delta });
        };
        let base = self.base_timestamp.unwrap_or(timestamp_ms);
        let timestamp_delta = timestamp_ms.wrapping_sub(base);
        let body_bytes = body_size(timestamp_delta, delta, key, value, headers);
        let size = varint::size(body_bytes as i64) + body_bytes;
        if self.buffer.len() + size > i32::MAX as usize {
            return Err(BuildError::TooLarge);
        }
        let out = &mut self.buffer;
        out.reserve(size);
        varint::put(out, body_bytes as i64);
        out.put_i8(0);
        varint::put(out, timestamp_delta);
        varint::put(out, i64::from(delta));
        put_nullable(out, key);
        put_nullable(out, value);
        varint::put(out, headers.len() as i64);
        for (name, value) in headers {
            put_nullable(out, Some(name));
            put_nullable(out, value.as_deref());
        }
        self.base_timestamp = Some(base);
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        self.last_offset_delta = Some(delta);
        self.records_count += 1;
        Ok(())
    }

    /// The batch: header, records compressed by the codec, CRC.
    pub fn build(mut self) -> Result<BytesMut, BuildError> {
        let last_offset_delta = match (self.last_offset_delta, self.explicit_last_offset_delta) {
            (Some(last), Some(explicit)) if explicit < last => {
                return Err(BuildError::OffsetOutOfOrder { offset_delta: i64::from(explicit), last: Some(last) });
            }
            (_, Some(explicit)) if explicit < 0 => {
                return Err(BuildError::OffsetOutOfOrder { offset_delta: i64::from(explicit), last: None });
            }
            (_, Some(explicit)) => explicit,
            (Some(last), None) => last,
            (None, None) => return Err(BuildError::Empty),
        };
        // Kafka writes a batch without records uncompressed.
        let codec = if self.records_count == 0 { Codec::None } else { self.codec };
        let mut batch = std::mem::take(&mut self.buffer);
        if codec != Codec::None {
            let mut packed = Vec::new();
            compression::compress_into(codec, &batch[BatchHeader::LEN..], &mut packed)?;
            batch.truncate(BatchHeader::LEN);
            batch.extend_from_slice(&packed);
        }
        let batch_length = i32::try_from(batch.len() - LOG_OVERHEAD).map_err(|_| BuildError::TooLarge)?;
        let mut header = &mut batch[..BatchHeader::LEN];
        header.put_i64(self.base_offset);
        header.put_i32(batch_length);
        header.put_i32(self.partition_leader_epoch);
        header.put_i8(MAGIC);
        header.put_u32(0);
        header.put_i16(self.flags | i16::from(codec.id()));
        header.put_i32(last_offset_delta);
        header.put_i64(self.base_timestamp.unwrap_or(NO_TIMESTAMP));
        header.put_i64(self.log_append_time.unwrap_or(self.max_timestamp));
        header.put_i64(self.producer_id);
        header.put_i16(self.producer_epoch);
        header.put_i32(self.base_sequence);
        header.put_i32(self.records_count);
        debug_assert!(header.is_empty() && batch.len() > ATTRIBUTES_AT);
        patch::rewrite_crc(&mut batch);
        Ok(batch)
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(varint::size(-1), |bytes| varint::size(bytes.len() as i64) + bytes.len())
}

fn put_nullable(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
    }
}

fn body_size(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> usize {
    let headers_size: usize =
        headers.iter().map(|(name, value)| nullable_size(Some(name)) + nullable_size(value.as_deref())).sum();
    1 + varint::size(timestamp_delta)
        + varint::size(i64::from(offset_delta))
        + nullable_size(key)
        + nullable_size(value)
        + varint::size(headers.len() as i64)
        + headers_size
}
