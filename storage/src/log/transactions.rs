//! Which transactions were aborted, and which producers write.

use std::io;

use parking_lot::MutexGuard;
use weir_protocol::ids::{Offset, ProducerEpoch, ProducerId};

use super::state::State;
use super::{Log, ReadError, StorageError};
use crate::producer_state::CompletedTransaction;
use crate::segment::SegmentFile;
use crate::transaction_index::{AbortedTransaction, TransactionIndex, TransactionIndexError};

/// An aborted transaction as a Fetch response names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// The offset of its first record.
    pub first_offset: Offset,
}

/// A producer as DescribeProducers shows it (KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshotView {
    /// Its id.
    pub producer_id: ProducerId,
    /// The highest epoch seen.
    pub producer_epoch: ProducerEpoch,
    /// The last sequence written, -1 if none.
    pub last_sequence: i32,
    /// Of its last batch or marker, in milliseconds, -1 if none.
    pub last_timestamp: i64,
    /// Of the coordinator that wrote its last marker, -1 if none.
    pub coordinator_epoch: i32,
    /// Where its ongoing transaction began, -1 if there is none.
    pub current_transaction_first_offset: Offset,
}

fn io_error(error: TransactionIndexError) -> io::Error {
    match error {
        TransactionIndexError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl Log {
    /// The producers that are remembered, in no order.
    pub fn active_producers(&self) -> Vec<ProducerSnapshotView> {
        let state = self.state.lock();
        let view = |entry: &crate::producer_state::ProducerStateEntry| ProducerSnapshotView {
            producer_id: entry.producer_id(),
            producer_epoch: entry.producer_epoch(),
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp(),
            coordinator_epoch: entry.coordinator_epoch(),
            current_transaction_first_offset: entry.current_transaction_first_offset().unwrap_or(Offset::NONE),
        };
        state.producers.producers().map(view).collect()
    }

    /// Whether something is known of this producer; where the disk does not answer it may be.
    pub fn knows_producer(&self, id: ProducerId) -> bool {
        self.lock_answering().map_or(true, |state| state.producers.entry(id).is_some())
    }

    /// Forgets producers that were silent for longer than `producer.id.expiration.ms`; returns how many.
    pub fn remove_expired_producers(&self, now_ms: i64) -> usize {
        let expiration_ms = self.producer_id_expiration_ms.load(std::sync::atomic::Ordering::Relaxed);
        self.state.lock().producers.remove_expired(now_ms, expiration_ms)
    }

    /// The aborted transactions with records in `from..to`, in the order of their markers (KIP-98).
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>, ReadError> {
        let mut found = Vec::new();
        let state = self.state.lock();
        let first = state.segment_index(from);
        for sealed in &state.sealed[first.min(state.sealed.len())..] {
            if !sealed.has_transaction_index {
                continue;
            }
            let path = sealed.segment.path(&state.dir, SegmentFile::TransactionIndex);
            let index = TransactionIndex::open(path, sealed.base_offset()).map_err(io_error)?;
            if index.collect(from, to, &mut found).map_err(io_error)? {
                return Ok(views(&found));
            }
        }
        if let Some(index) = &state.active.transaction_index {
            index.collect(from, to, &mut found).map_err(io_error)?;
        }
        Ok(views(&found))
    }

    /// Puts a decided transaction into the transaction index if it was aborted.
    pub(super) fn index_transaction(
        &self,
        state: &mut MutexGuard<'_, State>,
        transaction: &CompletedTransaction,
        last_stable_offset: Offset,
    ) -> Result<(), StorageError> {
        if !transaction.aborted {
            return Ok(());
        }
        let entry = AbortedTransaction {
            producer_id: transaction.producer_id,
            first_offset: transaction.first_offset,
            last_offset: transaction.last_offset,
            last_stable_offset,
        };
        let State { active, dir, .. } = &mut **state;
        active.transaction_index(dir).and_then(|index| index.append(&entry)).map_err(|error| {
            // The marker is in the log already, so this cannot be taken back, whatever the reason.
            let error = io_error(error);
            self.context.take_offline(&format!("transaction index write of {}", self.topic_partition), &error);
            StorageError::Io { doing: "transaction index write", error }
        })
    }
}

fn views(found: &[AbortedTransaction]) -> Vec<AbortedTxn> {
    found.iter().map(|txn| AbortedTxn { producer_id: txn.producer_id, first_offset: txn.first_offset }).collect()
}
