//! Records to batches of `__consumer_offsets`, none larger than the topic takes where that can be helped.

use bytes::BytesMut;
use thiserror::Error;
use weir_protocol::compression::Codec;
use weir_protocol::records::{BatchBuilder, BuildError};

use crate::group::record::CoordinatorRecord;

/// A record's own overhead in a batch, at the most: lengths, deltas, attributes, header count.
const RECORD_OVERHEAD_BYTES: usize = 40;

/// Why records cannot be written.
#[derive(Debug, Error)]
pub(super) enum EncodeError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("a record of unknown type cannot be written")]
    UnknownType,
}

/// One batch and the records in it, in order.
pub(super) struct RecordBatch {
    pub(super) bytes: BytesMut,
    pub(super) records: Vec<CoordinatorRecord>,
}

/// Fills batches up to `max_batch_bytes`; a record that is larger alone gets a batch of its own.
pub(super) fn encode(
    records: Vec<CoordinatorRecord>,
    max_batch_bytes: usize,
    timestamp_ms: i64,
) -> Result<Vec<RecordBatch>, EncodeError> {
    let mut batches = Vec::new();
    let mut builder = BatchBuilder::new(Codec::None);
    let mut contained = Vec::new();
    for record in records {
        let key = record.encode_key().ok_or(EncodeError::UnknownType)?;
        let value = record.encode_value();
        let size = key.len() + value.as_ref().map_or(0, |value| value.len()) + RECORD_OVERHEAD_BYTES;
        if !builder.is_empty() && builder.uncompressed_size_bytes() + size > max_batch_bytes {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(Codec::None));
            batches.push(RecordBatch { bytes: full.build()?, records: std::mem::take(&mut contained) });
        }
        builder.append(timestamp_ms, Some(&key), value.as_deref(), &[])?;
        contained.push(record);
    }
    if !builder.is_empty() {
        batches.push(RecordBatch { bytes: builder.build()?, records: contained });
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use weir_protocol::records::RecordIter;

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
    fn a_record_beyond_the_limit_goes_alone() {
        let batches = encode(tombstones(2), 1, 7).expect("encodes");
        assert_eq!(batches.iter().map(|batch| batch.records.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn an_unknown_type_is_refused() {
        assert!(matches!(
            encode(vec![CoordinatorRecord::Unknown { key_type: 9 }], 100, 7),
            Err(EncodeError::UnknownType)
        ));
    }
}
