//! The records of the simulated `__consumer_offsets`: replicas hold their numbers, and what these stand for is kept once.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use weir_broker::group::CoordinatorRecord;
use weir_protocol::compression::Codec;
use weir_protocol::records::{BatchBuilder, RecordIter, patch};

/// More than any batch of this world takes.
pub(crate) const MAX_BATCH_BYTES: usize = 1_048_588;

/// A record, and a batch of it alone.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) record: CoordinatorRecord,
    batch: Bytes,
}

impl Stored {
    pub(crate) fn new(record: CoordinatorRecord) -> Self {
        let key = record.encode_key().expect("every type that is written has a key");
        let value = record.encode_value();
        let mut builder = BatchBuilder::new(Codec::None);
        builder.append(0, Some(&key), value.as_deref(), &[]).expect("a record fits its batch");
        Self { record, batch: builder.build().expect("a batch of one record").freeze() }
    }

    /// Its batch as it stands in the log at `offset`.
    pub(crate) fn put_at(&self, offset: i64, chunk: &mut BytesMut) {
        let start = chunk.len();
        chunk.extend_from_slice(&self.batch);
        patch::set_base_offset(&mut chunk[start..], offset);
    }
}

/// All records that any coordinator has written, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<Arc<Stored>>>>);

impl Records {
    /// Keeps the records of a batch, read from its bytes; returns their numbers.
    pub(crate) fn keep(&self, batch: Bytes) -> Vec<u64> {
        let mut kept = self.0.lock().expect("nobody panics holding it");
        let read = RecordIter::new(batch, MAX_BATCH_BYTES).expect("the coordinator writes batches");
        let numbers = read.map(|record| {
            let record = record.expect("of whole records");
            let record = CoordinatorRecord::decode(record.key, record.value).expect("that can be read");
            kept.push(Arc::new(Stored::new(record)));
            kept.len() as u64 - 1
        });
        numbers.collect()
    }

    pub(crate) fn get(&self, number: u64) -> Arc<Stored> {
        self.0.lock().expect("nobody panics holding it")[number as usize].clone()
    }
}
