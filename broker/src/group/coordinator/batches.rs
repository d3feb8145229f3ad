//! Records to batches of `__consumer_offsets`, none larger than the topic takes where that can be helped.

use bytes::BytesMut;
use thiserror::Error;
use weir_protocol::compression::Codec;
use weir_protocol::records::{BatchBuilder, BuildError, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

use crate::group::record::{CoordinatorRecord, RECORD_OVERHEAD_BYTES};

/// What Kafka's coordinators write as the base sequence of their batches, though they are no idempotent producers.
const BASE_SEQUENCE: i32 = 0;

/// Why records cannot be written.
#[derive(Debug, Error)]
pub(super) enum EncodeError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("a record of unknown type cannot be written")]
    UnknownType,
    #[error("a record takes a batch of {size_bytes} bytes, and the topic takes {max_batch_bytes} at most")]
    TooLarge { size_bytes: usize, max_batch_bytes: usize },
}

/// One batch and the records in it, in order.
pub(super) struct RecordBatch {
    pub(super) bytes: BytesMut,
    pub(super) records: Vec<CoordinatorRecord>,
}

/// Fills batches up to `max_batch_bytes`; a record that takes more alone is refused, and all of them with it.
pub(super) fn encode(
    records: Vec<CoordinatorRecord>,
    max_batch_bytes: usize,
    timestamp_ms: i64,
) -> Result<Vec<RecordBatch>, EncodeError> {
    let mut batches = Batches { full: Vec::new(), max_batch_bytes };
    let mut builder = builder();
    let mut contained = Vec::new();
    for record in records {
        let key = record.encode_key().ok_or(EncodeError::UnknownType)?;
        let value = record.encode_value();
        let size = key.len() + value.as_ref().map_or(0, |value| value.len()) + RECORD_OVERHEAD_BYTES;
        if !builder.is_empty() && builder.uncompressed_size_bytes() + size > max_batch_bytes {
            batches.close(std::mem::replace(&mut builder, self::builder()), std::mem::take(&mut contained))?;
        }
        builder.append(timestamp_ms, Some(&key), value.as_deref(), &[])?;
        contained.push(record);
    }
    if !builder.is_empty() {
        batches.close(builder, contained)?;
    }
    Ok(batches.full)
}

fn builder() -> BatchBuilder {
    BatchBuilder::new(Codec::None).producer(NO_PRODUCER_ID, NO_PRODUCER_EPOCH, BASE_SEQUENCE)
}

struct Batches {
    full: Vec<RecordBatch>,
    max_batch_bytes: usize,
}

impl Batches {
    fn close(&mut self, builder: BatchBuilder, records: Vec<CoordinatorRecord>) -> Result<(), EncodeError> {
        let bytes = builder.build()?;
        if bytes.len() > self.max_batch_bytes {
            return Err(EncodeError::TooLarge { size_bytes: bytes.len(), max_batch_bytes: self.max_batch_bytes });
        }
        self.full.push(RecordBatch { bytes, records });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::records::{RecordIter, batch};

    use super::*;
    use crate::group::ids::GroupId;

    fn tombstones(count: i32) -> Vec<CoordinatorRecord> {
        (0..count).map(|i| CoordinatorRecord::offset_tombstone(&GroupId::from("g"), "topic", i)).collect()
    }

    #[test]
    fn records_are_read_back_in_order() {
        let batches = encode(tombstones(3), 1_000_000, 7).expect("encodes");
        assert_eq!(batches.len(), 1);
        let read = RecordIter::new(batches[0].bytes.clone().freeze(), 1_000).expect("a batch");
        let read: Vec<_> = read
            .map(|record| record.expect("a record"))
            .map(|record| CoordinatorRecord::decode(record.key, record.value).expect("known"))
            .collect();
        assert_eq!(read, tombstones(3));
    }

    #[test]
    fn a_full_batch_is_closed_before_it_grows_past_the_limit() {
        let batches = encode(tombstones(100), 400, 7).expect("encodes");
        assert!(batches.len() > 5);
        assert!(batches.iter().all(|batch| batch.bytes.len() <= 400));
        assert_eq!(batches.into_iter().flat_map(|batch| batch.records).collect::<Vec<_>>(), tombstones(100));
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused_before_anything_is_written() {
        let size = encode(tombstones(1), 1_000, 7).expect("encodes")[0].bytes.len();
        assert_eq!(encode(tombstones(2), size, 7).expect("encodes").len(), 2);
        let refused = encode(tombstones(2), size - 1, 7).err();
        assert!(matches!(refused, Some(EncodeError::TooLarge { size_bytes, .. }) if size_bytes == size));
    }

    #[test]
    fn batches_name_no_producer_and_start_at_sequence_0_as_those_of_kafka() {
        let batches = encode(tombstones(1), 1_000, 7).expect("encodes");
        let header = batch::BatchHeader::parse(&batches[0].bytes).expect("a batch");
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, 0));
    }

    #[test]
    fn an_unknown_type_is_refused() {
        assert!(matches!(
            encode(vec![CoordinatorRecord::Unknown { key_type: 9 }], 100, 7),
            Err(EncodeError::UnknownType)
        ));
    }
}
