//! One producer id as a partition knows it.
//!
//! Owns the last five batches of the producer's epoch, the epochs and the ongoing transaction (Kafka's
//! `ProducerStateEntry`, KIP-98). Never decides whether a batch is acceptable: that is `append`. Invariant: the batches are
//! all of the current epoch, oldest first, and live inside the entry, so an entry is one allocation.

use weir_protocol::ids::{Offset, ProducerEpoch, ProducerId};

use super::append::ProducerBatch;

/// How many batches are kept to recognise a repeated one: the most that a client may have in flight (KIP-98).
pub const BATCHES_TO_RETAIN: usize = 5;

/// Where a retained batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMetadata {
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// Its last offset less its first.
    pub offset_delta: i32,
    /// Its largest timestamp, in milliseconds.
    pub timestamp: i64,
}

impl BatchMetadata {
    const EMPTY: Self = Self { last_sequence: -1, last_offset: Offset::NONE, offset_delta: 0, timestamp: -1 };

    /// What is kept of a batch.
    pub(super) fn of(batch: &ProducerBatch) -> Self {
        Self {
            last_sequence: batch.last_sequence,
            last_offset: batch.last_offset,
            offset_delta: (batch.last_offset.0 - batch.first_offset.0) as i32,
            timestamp: batch.max_timestamp,
        }
    }

    /// The sequence of its first record.
    pub fn first_sequence(&self) -> i32 {
        decrement_sequence(self.last_sequence, self.offset_delta)
    }

    /// The offset of its first record.
    pub fn first_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }
}

/// `sequence + by`, where the number after `i32::MAX` is 0. Both are at least 0.
pub fn increment_sequence(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX)) as i32
}

/// `sequence - by`, where the number before 0 is `i32::MAX`. Both are at least 0.
pub fn decrement_sequence(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) - i64::from(by)) & i64::from(i32::MAX)) as i32
}

/// The state of one producer id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerStateEntry {
    producer_id: ProducerId,
    last_timestamp: i64,
    /// -1 when no transaction is ongoing.
    transaction_first_offset: Offset,
    batches: [BatchMetadata; BATCHES_TO_RETAIN],
    coordinator_epoch: i32,
    producer_epoch: ProducerEpoch,
    batch_count: u8,
}

impl ProducerStateEntry {
    /// A producer of which nothing is known.
    pub fn empty(producer_id: ProducerId) -> Self {
        Self {
            producer_id,
            last_timestamp: -1,
            transaction_first_offset: Offset::NONE,
            batches: [BatchMetadata::EMPTY; BATCHES_TO_RETAIN],
            coordinator_epoch: -1,
            producer_epoch: ProducerEpoch::NONE,
            batch_count: 0,
        }
    }

    /// A producer as a snapshot file describes it: with its last batch at most.
    pub(super) fn restored(
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: i32,
        last_timestamp: i64,
        transaction_first_offset: Option<Offset>,
        last_batch: Option<BatchMetadata>,
    ) -> Self {
        let mut entry = Self { producer_epoch, coordinator_epoch, ..Self::empty(producer_id) };
        if let Some(batch) = last_batch {
            entry.push(batch);
        }
        entry.last_timestamp = last_timestamp;
        entry.transaction_first_offset = transaction_first_offset.unwrap_or(Offset::NONE);
        entry
    }

    /// Whose state this is.
    pub fn producer_id(&self) -> ProducerId {
        self.producer_id
    }

    /// The highest epoch seen, -1 if none.
    pub fn producer_epoch(&self) -> ProducerEpoch {
        self.producer_epoch
    }

    /// The epoch of the coordinator that wrote the last marker, -1 if none.
    pub fn coordinator_epoch(&self) -> i32 {
        self.coordinator_epoch
    }

    /// The largest timestamp of the last batch or the timestamp of the last marker, in milliseconds, -1 if none.
    pub fn last_timestamp(&self) -> i64 {
        self.last_timestamp
    }

    /// The first offset of the ongoing transaction.
    pub fn current_transaction_first_offset(&self) -> Option<Offset> {
        (self.transaction_first_offset.0 >= 0).then_some(self.transaction_first_offset)
    }

    /// The retained batches of the current epoch, oldest first.
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.batch_count)]
    }

    /// The newest retained batch.
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches().last()
    }

    /// The last sequence written in the current epoch, -1 if none is known.
    pub fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(-1, |batch| batch.last_sequence)
    }

    /// The offset of the last record written in the current epoch, -1 if none is known.
    pub fn last_data_offset(&self) -> Offset {
        self.last_batch().map_or(Offset::NONE, |batch| batch.last_offset)
    }

    pub(super) fn find_duplicate(&self, epoch: ProducerEpoch, first: i32, last: i32) -> Option<BatchMetadata> {
        if epoch != self.producer_epoch {
            return None;
        }
        self.batches().iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last).copied()
    }

    pub(super) fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.transaction_first_offset.0 < 0 && now_ms.saturating_sub(self.last_timestamp) >= expiration_ms
    }

    pub(super) fn add_batch(&mut self, epoch: ProducerEpoch, batch: BatchMetadata) {
        self.set_epoch(epoch);
        self.last_timestamp = batch.timestamp;
        self.push(batch);
    }

    pub(super) fn begin_transaction(&mut self, first_offset: Offset) {
        self.transaction_first_offset = first_offset;
    }

    pub(super) fn end_transaction(&mut self, epoch: ProducerEpoch, coordinator_epoch: i32, timestamp: i64) {
        self.set_epoch(epoch);
        self.coordinator_epoch = coordinator_epoch;
        self.last_timestamp = timestamp;
        self.transaction_first_offset = Offset::NONE;
    }

    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.producer_epoch != epoch {
            self.producer_epoch = epoch;
            self.batch_count = 0;
        }
    }

    /// Puts earlier batches, oldest first, before those that are known: as many as there is room for, and only while each
    /// one's sequence is followed by the next.
    pub(super) fn prepend(&mut self, earlier: &[BatchMetadata]) {
        for batch in earlier.iter().rev() {
            let count = usize::from(self.batch_count);
            let Some(oldest) = self.batches().first() else { return };
            if count == BATCHES_TO_RETAIN || increment_sequence(batch.last_sequence, 1) != oldest.first_sequence() {
                return;
            }
            self.batches.copy_within(..count, 1);
            self.batches[0] = *batch;
            self.batch_count += 1;
        }
    }

    fn push(&mut self, batch: BatchMetadata) {
        let count = usize::from(self.batch_count);
        if count == BATCHES_TO_RETAIN {
            self.batches.rotate_left(1);
            self.batches[count - 1] = batch;
        } else {
            self.batches[count] = batch;
            self.batch_count += 1;
        }
    }
}
