//! Whether a producer may append this batch now, and what the state is if the write succeeds.
//!
//! Owns the rules of sequences, epochs and markers (Kafka's `ProducerAppendInfo`; KIP-98, KIP-360, KIP-890). Pure: the
//! state changes only when the log hands a [`PendingProducers`] back to [`ProducerState::commit`] after its write; a
//! failed write drops it. Several batches of one append see each other.

use weir_protocol::ids::{Offset, ProducerEpoch, ProducerId};

use super::ProducerState;
use super::entry::{BatchMetadata, ProducerStateEntry};

/// How much of a batch is checked, by who appends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// A client's batch: epoch and sequence.
    Client,
    /// A coordinator's batch, which carries no sequences: epoch alone.
    Coordinator,
    /// A leader has checked it already (replication, recovery): nothing is refused.
    Replication,
}

/// What a data batch says of its producer.
#[derive(Clone, Copy, Debug)]
pub struct ProducerBatch {
    /// Never -1.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of the first record, -1 if none.
    pub first_sequence: i32,
    /// The sequence of the last record (see [`super::increment_sequence`]), -1 if none.
    pub last_sequence: i32,
    /// The offset given to the first record.
    pub first_offset: Offset,
    /// The offset given to the last record.
    pub last_offset: Offset,
    /// The batch's max timestamp, in milliseconds.
    pub max_timestamp: i64,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
}

/// A marker that ends a transaction.
#[derive(Clone, Copy, Debug)]
pub struct EndTransaction {
    /// Whose transaction ends.
    pub producer_id: ProducerId,
    /// The epoch in the marker's batch.
    pub producer_epoch: ProducerEpoch,
    /// The epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
    /// Aborted rather than committed.
    pub aborted: bool,
    /// The marker's offset.
    pub offset: Offset,
    /// The marker's timestamp, in milliseconds.
    pub timestamp: i64,
    /// `transaction.version` of the request: from 2 on a marker's epoch must be above the producer's (KIP-890).
    pub transaction_version: i16,
}

/// A transaction that an append decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTransaction {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// The offset of its first record.
    pub first_offset: Offset,
    /// The offset of its marker.
    pub last_offset: Offset,
    /// Aborted rather than committed: it goes into the transaction index.
    pub aborted: bool,
}

/// Why a producer's batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerStateError {
    /// INVALID_PRODUCER_EPOCH: a newer incarnation has written.
    #[error(
        "Epoch of producer {producer_id} at offset {offset} is {epoch}, which is smaller than the last seen epoch {current}"
    )]
    InvalidProducerEpoch {
        /// Whose batch.
        producer_id: ProducerId,
        /// The offset it would have had.
        offset: Offset,
        /// The epoch it carries.
        epoch: ProducerEpoch,
        /// The epoch it must have at least.
        current: ProducerEpoch,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: a batch is missing in between.
    #[error(
        "Out of order sequence number for producer {producer_id} at offset {offset}: {sequence} (incoming seq. number), \
         {current} (current end sequence number)"
    )]
    OutOfOrderSequence {
        /// Whose batch.
        producer_id: ProducerId,
        /// The offset it would have had.
        offset: Offset,
        /// The first sequence it carries.
        sequence: i32,
        /// The last sequence written.
        current: i32,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: the first batch of an epoch has sequence 0.
    #[error(
        "Invalid sequence number for new epoch of producer {producer_id} at offset {offset}: {epoch} (request epoch), \
         {sequence} (seq. number), {current} (current producer epoch)"
    )]
    NewEpochNotAtZero {
        /// Whose batch.
        producer_id: ProducerId,
        /// The offset it would have had.
        offset: Offset,
        /// The epoch it carries.
        epoch: ProducerEpoch,
        /// The first sequence it carries.
        sequence: i32,
        /// The epoch known so far.
        current: ProducerEpoch,
    },
    /// INVALID_TXN_STATE: a plain batch from a producer with an ongoing transaction.
    #[error("Expected transactional write from producer {producer_id} at offset {offset}")]
    ExpectedTransactional {
        /// Whose batch.
        producer_id: ProducerId,
        /// The offset it would have had.
        offset: Offset,
    },
    /// TRANSACTION_COORDINATOR_FENCED: a marker of a coordinator that has been replaced.
    #[error(
        "Invalid coordinator epoch for producerId {producer_id} at offset {offset}: {epoch} (zombie), {current} (current)"
    )]
    CoordinatorFenced {
        /// Whose transaction.
        producer_id: ProducerId,
        /// The offset it would have had.
        offset: Offset,
        /// The marker's coordinator epoch.
        epoch: i32,
        /// The coordinator epoch known so far.
        current: i32,
    },
}

/// The state that an append will leave if its write succeeds. Empty ones allocate nothing.
#[derive(Debug, Default)]
pub struct PendingProducers {
    pub(super) entries: Vec<ProducerStateEntry>,
    /// Ids of `entries` of which nothing was known before this append.
    unknown: Vec<ProducerId>,
    pub(super) started: Vec<(ProducerId, Offset)>,
    completed: Vec<CompletedTransaction>,
}

impl PendingProducers {
    /// The append holds no batch of a producer with an id.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The transactions that the append decides, in offset order.
    pub fn completed(&self) -> &[CompletedTransaction] {
        &self.completed
    }

    /// Checks a data batch against the state and this append's earlier batches, and takes it in.
    pub fn append(
        &mut self,
        state: &ProducerState,
        batch: &ProducerBatch,
        validation: Validation,
    ) -> Result<(), ProducerStateError> {
        let index = self.entry_index(state, batch.producer_id);
        let unknown = self.unknown.contains(&batch.producer_id);
        let entry = &mut self.entries[index];
        if validation != Validation::Replication {
            check_epoch(entry, batch.producer_epoch, batch.first_offset)?;
        }
        if validation == Validation::Client {
            check_sequence(entry, unknown, batch)?;
        }
        match entry.current_transaction_first_offset() {
            Some(_) if !batch.transactional && validation != Validation::Replication => {
                let (producer_id, offset) = (batch.producer_id, batch.first_offset);
                return Err(ProducerStateError::ExpectedTransactional { producer_id, offset });
            }
            None if batch.transactional => {
                entry.begin_transaction(batch.first_offset);
                self.started.push((batch.producer_id, batch.first_offset));
            }
            _ => {}
        }
        entry.add_batch(batch.producer_epoch, BatchMetadata::of(batch));
        Ok(())
    }

    /// Checks a marker and takes it in. A marker without a transaction (nothing was written to this partition) decides
    /// nothing but moves the epochs.
    pub fn end_transaction(
        &mut self,
        state: &ProducerState,
        marker: &EndTransaction,
        validation: Validation,
    ) -> Result<(), ProducerStateError> {
        let index = self.entry_index(state, marker.producer_id);
        let entry = &mut self.entries[index];
        if validation != Validation::Replication {
            check_marker_epoch(entry, marker)?;
            if entry.coordinator_epoch() > marker.coordinator_epoch {
                return Err(ProducerStateError::CoordinatorFenced {
                    producer_id: marker.producer_id,
                    offset: marker.offset,
                    epoch: marker.coordinator_epoch,
                    current: entry.coordinator_epoch(),
                });
            }
        }
        if let Some(first_offset) = entry.current_transaction_first_offset() {
            self.completed.push(CompletedTransaction {
                producer_id: marker.producer_id,
                first_offset,
                last_offset: marker.offset,
                aborted: marker.aborted,
            });
        }
        entry.end_transaction(marker.producer_epoch, marker.coordinator_epoch, marker.timestamp);
        Ok(())
    }

    /// The place of this producer in `entries`, copied from the state the first time it is met.
    fn entry_index(&mut self, state: &ProducerState, id: ProducerId) -> usize {
        if let Some(index) = self.entries.iter().rposition(|entry| entry.producer_id() == id) {
            return index;
        }
        let entry = state.entry(id).cloned().unwrap_or_else(|| ProducerStateEntry::empty(id));
        if entry.producer_epoch() == ProducerEpoch::NONE {
            self.unknown.push(id);
        }
        self.entries.push(entry);
        self.entries.len() - 1
    }
}

fn check_epoch(entry: &ProducerStateEntry, epoch: ProducerEpoch, offset: Offset) -> Result<(), ProducerStateError> {
    let current = entry.producer_epoch();
    if epoch < current {
        let producer_id = entry.producer_id();
        return Err(ProducerStateError::InvalidProducerEpoch { producer_id, offset, epoch, current });
    }
    Ok(())
}

/// From transaction version 2 on a marker's epoch is above that of the transaction's batches; an equal one is refused
/// unless no transaction is ongoing, when it is the harmless repetition of a marker that was written before.
fn check_marker_epoch(entry: &ProducerStateEntry, marker: &EndTransaction) -> Result<(), ProducerStateError> {
    let current = entry.producer_epoch();
    let stale = marker.transaction_version >= 2
        && marker.producer_epoch == current
        && entry.current_transaction_first_offset().is_some();
    if stale {
        return Err(ProducerStateError::InvalidProducerEpoch {
            producer_id: marker.producer_id,
            offset: marker.offset,
            epoch: marker.producer_epoch,
            current,
        });
    }
    check_epoch(entry, marker.producer_epoch, marker.offset)
}

/// The next sequence follows the last, a new epoch begins at 0, and a producer of which nothing is known (its records may
/// have been deleted by retention) begins anywhere.
fn check_sequence(entry: &ProducerStateEntry, unknown: bool, batch: &ProducerBatch) -> Result<(), ProducerStateError> {
    let (producer_id, offset, sequence) = (batch.producer_id, batch.first_offset, batch.first_sequence);
    if batch.producer_epoch != entry.producer_epoch() {
        let current = entry.producer_epoch();
        if sequence != 0 && current != ProducerEpoch::NONE {
            let epoch = batch.producer_epoch;
            return Err(ProducerStateError::NewEpochNotAtZero { producer_id, offset, epoch, sequence, current });
        }
        return Ok(());
    }
    let current = entry.last_sequence();
    let in_sequence = i64::from(sequence) == i64::from(current) + 1 || (sequence == 0 && current == i32::MAX);
    if unknown || in_sequence {
        return Ok(());
    }
    Err(ProducerStateError::OutOfOrderSequence { producer_id, offset, sequence, current })
}
