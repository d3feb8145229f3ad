//! The write path.
//!
//! A leader's append is judged outside the mutex (`validate`), then gets offsets and epoch in place (neither is under the
//! CRC), is checked against the producers' state, rolls the segment if it is time, and is written with one pwrite of the
//! whole buffer. The state changes only after the write succeeded. A failed write is taken back by cutting the file; a full
//! disk is an answer, anything else takes the directory offline.

use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use parking_lot::MutexGuard;
use weir_protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use weir_protocol::records::batch::{BatchHeader, batches};
use weir_protocol::records::{EndTransactionMarker, NO_TIMESTAMP, RecordIter, TimestampType, batch, patch};

use super::state::State;
use super::validate::{Summary, check_sizes, validate};
use super::{AppendError, AppendInfo, AppendOrigin, Log, recompress};
use crate::config::{CompressionType, LogConfig};
use crate::producer_state::{
    BatchMetadata, EndTransaction, PendingProducers, ProducerBatch, ProducerStateError, Validation,
};

/// The most that the one record of a control batch may take if it comes compressed, which nobody does.
const MAX_CONTROL_RECORD_BYTES: usize = 64 << 10;

/// What an append covers, once its offsets are known.
#[derive(Clone, Copy, Debug)]
struct Extent {
    first_offset: Offset,
    last_offset: Offset,
    summary: Summary,
}

impl Log {
    /// Appends as the leader of the partition. Checks everything, assigns offsets and `leader_epoch` in place in `records`
    /// (with [`AppendOrigin::RaftLeader`] both come with the batches and must continue the log), and writes once.
    ///
    /// A batch that an idempotent producer repeats is answered with its first offsets and written no second time.
    pub fn append_as_leader(
        &self,
        records: &mut [u8],
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let config = self.config.read();
        let summary = validate(records, &config, origin, now_ms)?;
        match config.compression {
            CompressionType::Codec(codec) if summary.other_codec => {
                let mut rewritten = recompress::recompress(records, codec, &config)?;
                check_sizes(&rewritten, &config, origin)?;
                self.append_judged(&mut rewritten, summary, leader_epoch, origin, &config, now_ms)
            }
            _ => self.append_judged(records, summary, leader_epoch, origin, &config, now_ms),
        }
    }

    fn append_judged(
        &self,
        records: &mut [u8],
        mut summary: Summary,
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let log_append_time = config.timestamp_type == TimestampType::LogAppendTime && origin == AppendOrigin::Client;
        if log_append_time {
            for_each_batch(records, |_, bytes| patch::set_log_append_time(bytes, now_ms))?;
            summary.max_timestamp = now_ms;
        }
        let mut state = self.lock_answering()?;
        self.check_writable(&state, origin)?;
        let extent = if origin == AppendOrigin::RaftLeader {
            let extent = continuing_extent(records, &state, summary)?;
            if extent.first_offset != state.log_end {
                return Err(out_of_order(&extent, extent.last_offset, &state));
            }
            extent
        } else {
            let first_offset = state.log_end;
            let mut next = first_offset.0;
            for_each_batch(records, |header, bytes| {
                patch::set_base_offset(bytes, next);
                patch::set_partition_leader_epoch(bytes, leader_epoch.0);
                next += i64::from(header.last_offset_delta) + 1;
            })?;
            Extent { first_offset, last_offset: Offset(next - 1), summary }
        };
        let mut info = match self.write_numbered(&mut state, records, &extent, origin, config, now_ms)? {
            Written::Appended => self.info(&state, &extent, records.len(), config),
            Written::Duplicate(earlier) => self.duplicate_info(&state, &earlier, config),
        };
        if log_append_time && !info.duplicate {
            info.log_append_time_ms = now_ms;
        }
        Ok(info)
    }

    /// Appends what a leader sent, offsets and epochs kept as they come. Bytes after the last whole batch (a fetch may end
    /// within one) and batches of an epoch above `max_leader_epoch` are left out (KAFKA-18723); if nothing is left, the
    /// outcome covers no record and no byte.
    pub fn append_as_follower(
        &self,
        records: &[u8],
        max_leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let config = self.config.read();
        let (records, summary) = whole_batches(records, max_leader_epoch)?;
        let mut state = self.lock_answering()?;
        self.check_writable(&state, AppendOrigin::Replication)?;
        if records.is_empty() {
            let none = Extent { first_offset: state.log_end, last_offset: state.log_end + -1, summary };
            return Ok(self.info(&state, &none, 0, &config));
        }
        let extent = continuing_extent(records, &state, summary)?;
        self.write_numbered(&mut state, records, &extent, AppendOrigin::Replication, &config, now_ms)?;
        Ok(self.info(&state, &extent, records.len(), &config))
    }

    fn check_writable(&self, state: &State, origin: AppendOrigin) -> Result<(), AppendError> {
        self.check_online()?;
        if state.closed {
            return Err(AppendError::Closed);
        }
        if self.context.is_full() && origin == AppendOrigin::Client {
            return Err(AppendError::DiskFull { dir: self.context.path().display().to_string() });
        }
        Ok(())
    }

    /// Checks producers, rolls, writes, and takes the batches in.
    fn write_numbered(
        &self,
        state: &mut MutexGuard<'_, State>,
        records: &[u8],
        extent: &Extent,
        origin: AppendOrigin,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Written, AppendError> {
        let mut pending = PendingProducers::default();
        let mut judged = judge_producers(&mut pending, state, records, origin);
        if let Err(AppendError::Producer(ProducerStateError::OutOfOrderSequence { .. })) = judged
            && self.recall_batches(state)
        {
            pending = PendingProducers::default();
            judged = judge_producers(&mut pending, state, records, origin);
        }
        if let Some(earlier) = judged? {
            return Ok(Written::Duplicate(earlier));
        }
        let _change = self.context.changing();
        self.roll_if_due(state, records.len() as u32, extent, config, now_ms)?;
        if config.preallocate && state.active.size == 0 {
            let reserved = state.active.preallocate(&state.dir, &self.context, config.segment_bytes);
            reserved.map_err(|error| self.fail("preallocation", error))?;
        }
        self.write(state, records)?;
        for found in batches(records) {
            let (header, _) = found?;
            state.active.take_in(&header, config.index_interval_bytes);
            state.epochs.assign(LeaderEpoch(header.partition_leader_epoch), Offset(header.base_offset));
        }
        state.log_end = extent.last_offset + 1;
        state.unflushed_bytes += records.len() as u64;
        state.bytes_since_snapshot += records.len() as u64;
        let indexed = self.commit_producers(state, pending);
        let log_end = state.log_end;
        state.producers.set_end_offset(log_end);
        self.publish(state);
        self.context.on_append(records.len() as u64);
        indexed?;
        let State { active, dir, .. } = &mut **state;
        match active.maybe_spill(dir) {
            // Index entries can wait in memory for a disk with room.
            Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(self.fail("index write", error).into()),
            _ => Ok(Written::Appended),
        }
    }

    fn roll_if_due(
        &self,
        state: &mut MutexGuard<'_, State>,
        bytes: u32,
        extent: &Extent,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let jitter_ms = self.jitter_ms(state.active.base_offset(), config);
        let max_timestamp = extent.summary.max_timestamp;
        if state.active.should_roll(bytes, extent.last_offset, max_timestamp, now_ms, jitter_ms, config) {
            self.roll_to(state, extent.first_offset, now_ms)?;
        }
        Ok(())
    }

    /// Writes at the end of the active segment, or leaves the file as it was.
    fn write(&self, state: &State, records: &[u8]) -> Result<(), AppendError> {
        let active = &state.active;
        let at = u64::from(active.size);
        let file = active.segment.data(&state.dir, &self.context, true).map_err(|error| self.fail("open", error))?;
        let written = self.write_at(&file, records, at);
        if let Err(error) = written {
            // Part of it may be in the file.
            if let Err(rollback) = file.set_len(at) {
                self.context.take_offline(&format!("taking back an append of {}", self.topic_partition), &rollback);
            }
            return Err(self.fail("append", error).into());
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[inline(always)]
    fn write_at(&self, file: &std::fs::File, records: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(records, at)
    }

    #[cfg(test)]
    fn write_at(&self, file: &std::fs::File, records: &[u8], at: u64) -> io::Result<()> {
        match self.context.faults.take_write() {
            Some((bytes, error)) => {
                file.write_all_at(&records[..bytes.min(records.len())], at)?;
                Err(error)
            }
            None => file.write_all_at(records, at),
        }
    }

    /// Makes the producers' new state the state; aborted transactions go into the transaction index first.
    fn commit_producers(
        &self,
        state: &mut MutexGuard<'_, State>,
        pending: PendingProducers,
    ) -> Result<(), AppendError> {
        if pending.is_empty() {
            return Ok(());
        }
        let completed = pending.completed().to_vec();
        state.producers.commit(pending);
        for transaction in completed {
            let last_stable_offset = state.producers.last_stable_offset(&transaction);
            self.index_transaction(state, &transaction, last_stable_offset)?;
            state.producers.complete(&transaction);
        }
        Ok(())
    }

    fn info(&self, state: &State, extent: &Extent, bytes: usize, config: &LogConfig) -> AppendInfo {
        AppendInfo {
            first_offset: extent.first_offset,
            last_offset: extent.last_offset,
            log_append_time_ms: NO_TIMESTAMP,
            log_start_offset: state.log_start,
            bytes: bytes as u64,
            duplicate: false,
            needs_fsync: state.log_end - state.recovery_point >= config.flush_messages,
            record_count: extent.summary.record_count,
            max_timestamp: extent.summary.max_timestamp,
            log_end_offset: state.log_end,
        }
    }

    fn duplicate_info(&self, state: &State, earlier: &BatchMetadata, config: &LogConfig) -> AppendInfo {
        let log_append_time = config.timestamp_type == TimestampType::LogAppendTime;
        AppendInfo {
            first_offset: earlier.first_offset(),
            last_offset: earlier.last_offset,
            log_append_time_ms: if log_append_time { earlier.timestamp } else { NO_TIMESTAMP },
            log_start_offset: state.log_start,
            bytes: 0,
            duplicate: true,
            // The first attempt may have been answered by nobody: its records must be as durable as any.
            needs_fsync: config.flush_messages == 1 && earlier.last_offset >= state.recovery_point,
            record_count: 0,
            max_timestamp: earlier.timestamp,
            log_end_offset: state.log_end,
        }
    }
}

enum Written {
    Appended,
    Duplicate(BatchMetadata),
}

/// Calls `change` with each batch's header and bytes.
fn for_each_batch(mut records: &mut [u8], mut change: impl FnMut(&BatchHeader, &mut [u8])) -> Result<(), AppendError> {
    while !records.is_empty() {
        let header = BatchHeader::parse(records)?;
        let (bytes, rest) = records.split_at_mut(header.size_bytes());
        change(&header, bytes);
        records = rest;
    }
    Ok(())
}

/// The whole batches at the beginning of `records` up to this epoch, their CRCs checked.
fn whole_batches(records: &[u8], max_leader_epoch: LeaderEpoch) -> Result<(&[u8], Summary), AppendError> {
    let mut summary = Summary { max_timestamp: NO_TIMESTAMP, ..Summary::default() };
    let mut rest = records;
    while rest.len() >= BatchHeader::LEN {
        let header = BatchHeader::parse(rest)?;
        if header.size_bytes() > rest.len() || header.partition_leader_epoch > max_leader_epoch.0 {
            break;
        }
        let (bytes, after) = rest.split_at(header.size_bytes());
        batch::verify_crc(bytes)?;
        summary.record_count += header.records_count as u64;
        summary.offset_count += i64::from(header.last_offset_delta) + 1;
        summary.max_timestamp = summary.max_timestamp.max(header.max_timestamp);
        rest = after;
    }
    Ok((&records[..records.len() - rest.len()], summary))
}

/// No segment can hold more than positions of 31 bits say, whatever the configuration.
fn check_file_size(records: &[u8]) -> Result<(), AppendError> {
    let segment_bytes = i32::MAX as u32;
    if records.len() > segment_bytes as usize {
        return Err(AppendError::LargerThanSegment { size_bytes: records.len(), segment_bytes });
    }
    Ok(())
}

/// The offsets of batches that come with theirs: ascending, and none below the log end.
fn continuing_extent(records: &[u8], state: &State, summary: Summary) -> Result<Extent, AppendError> {
    let mut extent: Option<Extent> = None;
    let mut first_batch_last = Offset::NONE;
    for found in batches(records) {
        let (header, _) = found?;
        let (first, last_offset) = (Offset(header.base_offset), Offset(header.last_offset()));
        match &mut extent {
            None => {
                extent = Some(Extent { first_offset: first, last_offset, summary });
                first_batch_last = last_offset;
            }
            Some(extent) if first > extent.last_offset => extent.last_offset = last_offset,
            Some(extent) => return Err(out_of_order(extent, first_batch_last, state)),
        }
    }
    check_file_size(records)?;
    let extent = extent.ok_or_else(|| AppendError::InvalidRecord("The append holds no record batch".to_owned()))?;
    if extent.first_offset < state.log_end {
        return Err(out_of_order(&extent, first_batch_last, state));
    }
    Ok(extent)
}

fn out_of_order(extent: &Extent, last: Offset, state: &State) -> AppendError {
    AppendError::OffsetsOutOfOrder { first: extent.first_offset, last, log_end: state.log_end }
}

/// Checks every batch that has a producer and collects what the producers' state will be; returns the earlier batch if one
/// of a client's repeats it.
fn judge_producers(
    pending: &mut PendingProducers,
    state: &State,
    records: &[u8],
    origin: AppendOrigin,
) -> Result<Option<BatchMetadata>, AppendError> {
    let validation = match origin {
        AppendOrigin::Client => Validation::Client,
        AppendOrigin::Coordinator => Validation::Coordinator,
        AppendOrigin::RaftLeader | AppendOrigin::Replication => Validation::Replication,
    };
    for found in batches(records) {
        let (header, bytes) = found?;
        if !header.has_producer_id() {
            continue;
        }
        if header.is_control() {
            let Some(marker) = end_transaction(&header, bytes)? else { continue };
            pending.end_transaction(&state.producers, &marker, validation)?;
            continue;
        }
        let batch = producer_batch(&header);
        if origin == AppendOrigin::Client
            && let Some(earlier) = state.producers.find_duplicate(&batch)
        {
            return Ok(Some(earlier));
        }
        pending.append(&state.producers, &batch, validation)?;
    }
    Ok(None)
}

/// What a data batch tells of its producer.
pub(super) fn producer_batch(header: &BatchHeader) -> ProducerBatch {
    ProducerBatch {
        producer_id: ProducerId(header.producer_id),
        producer_epoch: ProducerEpoch(header.producer_epoch),
        first_sequence: header.base_sequence,
        last_sequence: header.last_sequence(),
        first_offset: Offset(header.base_offset),
        last_offset: Offset(header.last_offset()),
        max_timestamp: header.max_timestamp,
        transactional: header.is_transactional(),
    }
}

/// The marker in a control batch; `None` for control records of another kind.
pub(super) fn end_transaction(header: &BatchHeader, bytes: &[u8]) -> Result<Option<EndTransaction>, AppendError> {
    let undecodable =
        |error: &dyn std::fmt::Display| AppendError::InvalidRecord(format!("Control batch does not decode: {error}"));
    let mut records = RecordIter::new(Bytes::copy_from_slice(bytes), MAX_CONTROL_RECORD_BYTES)
        .map_err(|error| undecodable(&error))?;
    let Some(record) = records.next() else { return Ok(None) };
    let record = record.map_err(|error| undecodable(&error))?;
    let Ok(marker) = EndTransactionMarker::decode(record.key.as_deref(), record.value.as_deref()) else {
        return Ok(None);
    };
    Ok(Some(EndTransaction {
        producer_id: ProducerId(header.producer_id),
        producer_epoch: ProducerEpoch(header.producer_epoch),
        coordinator_epoch: marker.coordinator_epoch,
        aborted: !marker.committed,
        offset: Offset(header.base_offset),
        timestamp: record.timestamp,
        transaction_version: 0,
    }))
}
