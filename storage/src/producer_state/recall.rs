//! The batches that a snapshot does not tell of.
//!
//! Kafka's snapshot file holds the last batch of each producer, but a client may repeat any of its last five: after a
//! restart, one whose answer was lost would be refused as out of order although the log has it. The log still tells of the
//! others. It is asked when, and only when, a batch would be refused, and once for each time that producers were loaded.

use std::collections::HashMap;

use weir_protocol::ids::{Offset, ProducerId};

use super::ProducerState;
use super::append::ProducerBatch;
use super::entry::{BATCHES_TO_RETAIN, BatchMetadata};

/// What is found below the snapshot that producers were loaded from.
#[derive(Debug)]
pub(crate) struct Recall {
    before: Offset,
    /// Oldest first, [`BATCHES_TO_RETAIN`] at most.
    found: HashMap<ProducerId, Vec<BatchMetadata>>,
}

impl Recall {
    /// Batches below this offset are looked for.
    pub(crate) fn before(&self) -> Offset {
        self.before
    }

    /// Takes in a batch that lies below, in offset order. Only those of known producers, in their epoch, are kept.
    pub(crate) fn take_in(&mut self, state: &ProducerState, batch: &ProducerBatch) {
        let Some(entry) = state.entry(batch.producer_id) else { return };
        let Some(oldest) = entry.batches().first() else { return };
        let wanted = entry.batches().len() < BATCHES_TO_RETAIN
            && entry.producer_epoch() == batch.producer_epoch
            && batch.last_offset < oldest.first_offset();
        if !wanted {
            return;
        }
        let found = self.found.entry(batch.producer_id).or_default();
        if found.len() == BATCHES_TO_RETAIN {
            found.remove(0);
        }
        found.push(BatchMetadata::of(batch));
    }
}

impl ProducerState {
    /// Begins to look for what the snapshot did not tell; `None` if the producers come from none, or this was done.
    pub(crate) fn begin_recall(&mut self) -> Option<Recall> {
        let before = self.table.as_mut()?.told_by_snapshot.take()?;
        Some(Recall { before, found: HashMap::new() })
    }

    /// Puts what was found before what is known.
    pub(crate) fn finish_recall(&mut self, recall: Recall) {
        let Some(table) = self.table.as_mut() else { return };
        for (producer_id, found) in recall.found {
            if let Some(entry) = table.producers.get_mut(&producer_id) {
                entry.prepend(&found);
            }
        }
    }
}
