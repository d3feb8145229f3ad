//! What the batches tell of producers, transactions and leader epochs, told again after a restart or a truncation.
//!
//! Producers start from their newest snapshot, or, since a segment that begins with known producers has a snapshot at its
//! base, from the active segment's base with none. Only headers are read, and the one record of a transaction marker.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use weir_protocol::ids::{LeaderEpoch, Offset};

use super::append::{end_transaction, producer_batch};
use super::state::State;
use super::{Log, SegmentLoadError};
use crate::context::StorageContext;
use crate::leader_epoch_cache::LeaderEpochCache;
use crate::producer_state::{PendingProducers, ProducerState, Validation};
use crate::segment::active::ActiveSegment;
use crate::segment::load::{data_size, visit_batches};
use crate::segment::scan::Scanned;
use crate::segment::{SealedSegment, SegmentFile};
use crate::transaction_index::{AbortedTransaction, TransactionIndexError};

/// Takes in batches in offset order.
pub(super) struct Replay<'a> {
    pub(super) producers: &'a mut ProducerState,
    pub(super) epochs: &'a mut LeaderEpochCache,
    /// Transactions that the batches abort; their index may lack the last of them.
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Replay<'_> {
    /// The segment at `base_offset` comes next and everything before it was taken in. A later start that replays only from
    /// here must find the producers that are known now, and a power cut may have taken the snapshot that told of them.
    pub(super) fn begin_segment(&mut self, dir: &std::path::Path, base_offset: Offset) -> std::io::Result<()> {
        if self.producers.end_offset() > base_offset {
            return Ok(());
        }
        self.producers.set_end_offset(base_offset);
        self.producers.take_snapshot(dir).map(|_| ())
    }

    /// Takes in one batch; what the state already reflects is passed over.
    pub(super) fn take_in(&mut self, file: &File, scanned: &Scanned) -> Result<(), SegmentLoadError> {
        let header = &scanned.header;
        let (epoch, base_offset) = (LeaderEpoch(header.partition_leader_epoch), Offset(header.base_offset));
        // An epoch that began before the replay does not begin again here.
        if self.epochs.epoch_for_offset(base_offset) != Some(epoch) {
            self.epochs.assign(epoch, base_offset);
        }
        if header.last_offset() < self.producers.end_offset().0 {
            return Ok(());
        }
        if header.has_producer_id() {
            self.take_in_producer(file, scanned)?;
        }
        self.producers.set_end_offset(Offset(header.next_offset()));
        Ok(())
    }

    fn take_in_producer(&mut self, file: &File, scanned: &Scanned) -> Result<(), SegmentLoadError> {
        let header = &scanned.header;
        let mut pending = PendingProducers::default();
        if header.is_control() {
            let mut bytes = vec![0; scanned.size() as usize];
            file.read_exact_at(&mut bytes, u64::from(scanned.position))?;
            // A marker that does not decode was taken by nobody, then or now.
            let Ok(Some(marker)) = end_transaction(header, &bytes) else { return Ok(()) };
            let _ = pending.end_transaction(self.producers, &marker, Validation::Replication);
        } else {
            let _ = pending.append(self.producers, &producer_batch(header), Validation::Replication);
        }
        let completed = pending.completed().to_vec();
        self.producers.commit(pending);
        for transaction in &completed {
            if transaction.aborted {
                self.aborted.push(AbortedTransaction {
                    producer_id: transaction.producer_id,
                    first_offset: transaction.first_offset,
                    last_offset: transaction.last_offset,
                    last_stable_offset: self.producers.last_stable_offset(transaction),
                });
            }
            self.producers.complete(transaction);
        }
        Ok(())
    }
}

/// Replays the batches of sealed segments from `from` on, up to the segment at `next_base`.
pub(super) fn replay_sealed(
    replay: &mut Replay<'_>,
    sealed: &[SealedSegment],
    dir: &std::path::Path,
    context: &StorageContext,
    from: Offset,
    next_base: Offset,
) -> Result<(), SegmentLoadError> {
    let first = sealed.partition_point(|segment| segment.base_offset() <= from).saturating_sub(1);
    for segment in &sealed[first..] {
        replay.begin_segment(dir, segment.base_offset())?;
        let file = segment.segment.data(dir, context, false)?;
        visit_batches(&file, segment.size, from, &mut |file, scanned| replay.take_in(file, scanned))?;
    }
    Ok(replay.begin_segment(dir, next_base)?)
}

/// Opens the active segment's transaction index and adds what it lacks.
pub(super) fn complete_transaction_index(
    active: &mut ActiveSegment,
    dir: &std::path::Path,
    aborted: &[AbortedTransaction],
) -> Result<(), SegmentLoadError> {
    let base_offset = active.base_offset();
    active.transaction_index(dir).map_err(std::io::Error::other)?;
    for entry in aborted.iter().filter(|entry| entry.last_offset >= base_offset) {
        match active.transaction_index(dir).and_then(|index| index.append(entry)) {
            // It is there already.
            Ok(()) | Err(TransactionIndexError::OutOfOrder { .. }) => {}
            Err(error) => return Err(std::io::Error::other(error).into()),
        }
    }
    Ok(())
}

/// Where the producers must be replayed from, given where the state ends: a state without any snapshot knows that there
/// was no producer before the active segment.
pub(super) fn replay_start(producers: &ProducerState, active_base: Offset) -> Offset {
    match producers.latest_snapshot_offset() {
        Some(_) => producers.end_offset(),
        None => producers.end_offset().max(active_base),
    }
}

impl Log {
    /// Brings the producers to the log end after a truncation.
    pub(super) fn reload_producers(&self, state: &mut State, now_ms: i64) -> Result<(), SegmentLoadError> {
        let dir = Arc::clone(&state.dir);
        let expiration_ms = self.producer_id_expiration_ms.load(Ordering::Relaxed);
        let State { producers, epochs, active, sealed, log_start, log_end, .. } = state;
        producers.truncate_and_reload(&dir, *log_start, *log_end, now_ms, expiration_ms)?;
        if producers.end_offset() == *log_end {
            return Ok(());
        }
        let from = replay_start(producers, active.base_offset());
        producers.set_end_offset(from);
        let mut replay = Replay { producers, epochs, aborted: Vec::new() };
        if from < active.base_offset() {
            replay_sealed(&mut replay, sealed, &dir, &self.context, from, active.base_offset())?;
        }
        if active.size > 0 {
            let file = active.segment.data(&dir, &self.context, false)?;
            let size = data_size(&file, active.base_offset())?;
            visit_batches(&file, size, from, &mut |file, scanned| replay.take_in(file, scanned))?;
        }
        let aborted = replay.aborted;
        producers.set_end_offset(*log_end);
        if SegmentFile::TransactionIndex.path(&dir, active.base_offset()).exists() || !aborted.is_empty() {
            complete_transaction_index(active, &dir, &aborted)?;
        }
        Ok(())
    }
}
