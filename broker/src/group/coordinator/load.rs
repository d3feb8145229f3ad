//! Becoming the coordinator of a partition's groups by reading its log, and ceasing to be.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use bytes::Bytes;
use thiserror::Error;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerId};
use weir_protocol::records::{self, BatchError, ControlRecordType, RecordIter, batch};

use super::GroupCoordinator;
use super::slot::{ActiveShard, Slot};
use crate::group::record::{CoordinatorRecord, RecordError};
use crate::group::shard::GroupCoordinatorShard;

/// The largest batch that is decompressed while loading.
const MAX_BATCH_BYTES: usize = 256 * 1024 * 1024;

/// Why a partition's groups could not be loaded; the broker coordinates none of them then.
#[derive(Debug, Error)]
pub enum LoadError<E> {
    /// A later epoch was begun or ended meanwhile: there is nothing to do.
    #[error("another epoch took over while the groups were loaded")]
    Superseded,
    /// The log could not be read.
    #[error("reading the log failed: {0}")]
    Read(E),
    /// What was read is no batch.
    #[error("a batch after offset {after} is damaged: {error}")]
    Batch {
        /// The last offset that could be read.
        after: i64,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The records of a batch cannot be walked.
    #[error("the batch at offset {offset} is damaged: {error}")]
    Records {
        /// The batch's first offset.
        offset: i64,
        /// What is wrong with it.
        error: records::RecordError,
    },
    /// A record of a known type cannot be understood.
    #[error("the record at offset {offset} cannot be read: {error}")]
    Record {
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        error: RecordError,
    },
}

/// What a load found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LoadSummary {
    /// Records replayed, tombstones included.
    pub records: u64,
    /// Groups there are now.
    pub groups: usize,
    /// Where the log ended.
    pub log_end: i64,
}

impl GroupCoordinator {
    /// Says that this broker leads the partition in `leader_epoch` and will load it: requests are told to wait. Returns
    /// false if that epoch is over, or loaded already.
    pub fn begin_load(&self, partition: PartitionIndex, leader_epoch: LeaderEpoch) -> bool {
        let Some(slot) = self.slot(partition) else { return false };
        let now = self.clock.now();
        let mut locked = slot.lock();
        let is_news = match &*locked {
            Slot::Absent => true,
            Slot::Loading { leader_epoch: known } | Slot::CutOff { leader_epoch: known } => known.0 <= leader_epoch.0,
            Slot::Active(shard) => shard.leader_epoch.0 < leader_epoch.0,
        };
        if !is_news {
            return false;
        }
        let replaced = std::mem::replace(&mut *locked, Slot::Loading { leader_epoch });
        drop(locked);
        if let Slot::Active(shard) = replaced {
            shard.retire(now, ErrorCode::NotCoordinator);
        }
        true
    }

    /// Reads the partition's log, as chunks of whole batches from its start to its end, and takes the groups over.
    ///
    /// Blocking work for a thread that may block; the shard is not locked while it reads.
    pub fn load<E>(
        &self,
        partition: PartitionIndex,
        leader_epoch: LeaderEpoch,
        chunks: impl IntoIterator<Item = Result<Bytes, E>>,
    ) -> Result<LoadSummary, LoadError<E>> {
        if !self.begin_load(partition, leader_epoch) {
            return Err(LoadError::Superseded);
        }
        let mut loader = Loader::new(GroupCoordinatorShard::new(Arc::clone(&self.config)), partition);
        let outcome = chunks.into_iter().try_for_each(|chunk| loader.replay_chunk(chunk.map_err(LoadError::Read)?));
        let slot = self.slot(partition).ok_or(LoadError::Superseded)?;
        let now = self.clock.now();
        let mut locked = slot.lock();
        if !matches!(&*locked, Slot::Loading { leader_epoch: loading } if loading.0 == leader_epoch.0) {
            return Err(LoadError::Superseded);
        }
        if let Err(error) = outcome {
            *locked = Slot::Absent;
            return Err(error);
        }
        let summary = loader.summary();
        *locked = Slot::Active(Box::new(ActiveShard {
            leader_epoch,
            core: loader.core,
            waiting: AHashMap::new(),
            log_end: Offset(summary.log_end),
        }));
        // Starts the sessions of loaded members; a group that is too large by now may emit records. The lock is kept: before
        // that nobody is in any group.
        let started =
            self.turn_locked(locked, now, partition, None, |shard, now, effects| shard.on_loaded(now, effects));
        started.map(|_| summary).map_err(|_| LoadError::Superseded)
    }

    /// Another broker leads the partition from `leader_epoch` on, or the partition is gone: parked requests are told to
    /// look for their coordinator.
    pub fn unload(&self, partition: PartitionIndex, leader_epoch: LeaderEpoch) {
        let Some(slot) = self.slot(partition) else { return };
        let now = self.clock.now();
        let mut locked = slot.lock();
        let is_over = match &*locked {
            Slot::Absent => false,
            Slot::Loading { leader_epoch: known } | Slot::CutOff { leader_epoch: known } => known.0 <= leader_epoch.0,
            Slot::Active(shard) => shard.leader_epoch.0 <= leader_epoch.0,
        };
        if is_over {
            let retired = std::mem::replace(&mut *locked, Slot::Absent);
            drop(locked);
            if let Slot::Active(shard) = retired {
                shard.retire(now, ErrorCode::NotCoordinator);
            }
        }
    }

    /// Ends all of them: parked requests are answered, so that connections can close.
    pub fn shutdown(&self) {
        for partition in self.partitions() {
            self.unload(partition, LeaderEpoch(i32::MAX));
        }
    }
}

/// Replays a log into a shard that nobody else sees yet.
struct Loader {
    core: GroupCoordinatorShard,
    partition: PartitionIndex,
    records: u64,
    log_end: i64,
    unknown_types: AHashSet<i16>,
}

impl Loader {
    fn new(core: GroupCoordinatorShard, partition: PartitionIndex) -> Self {
        Loader { core, partition, records: 0, log_end: 0, unknown_types: AHashSet::new() }
    }

    fn summary(&self) -> LoadSummary {
        LoadSummary { records: self.records, groups: self.core.durable().groups().count(), log_end: self.log_end }
    }

    fn replay_chunk<E>(&mut self, chunk: Bytes) -> Result<(), LoadError<E>> {
        for found in batch::batches(&chunk) {
            let (header, bytes) = found.map_err(|error| LoadError::Batch { after: self.log_end - 1, error })?;
            let offset = header.base_offset;
            let records = RecordIter::new(chunk.slice_ref(bytes), MAX_BATCH_BYTES)
                .map_err(|error| LoadError::Records { offset, error })?;
            let producer = header.is_transactional().then_some(ProducerId(header.producer_id));
            for record in records {
                let record = record.map_err(|error| LoadError::Records { offset, error })?;
                self.records += 1;
                if header.is_control() {
                    self.replay_control(ProducerId(header.producer_id), record.key.as_deref());
                } else {
                    self.replay_record(producer, record)?;
                }
            }
            self.log_end = header.next_offset();
        }
        Ok(())
    }

    fn replay_control(&mut self, producer: ProducerId, key: Option<&[u8]>) {
        match ControlRecordType::from_key(key) {
            Ok(ControlRecordType::Commit) => self.core.replay_end_transaction(producer, true),
            Ok(ControlRecordType::Abort) => self.core.replay_end_transaction(producer, false),
            // Other markers say nothing about offsets.
            _ => {}
        }
    }

    fn replay_record<E>(&mut self, producer: Option<ProducerId>, record: records::Record) -> Result<(), LoadError<E>> {
        let offset = record.offset;
        let record =
            CoordinatorRecord::decode(record.key, record.value).map_err(|error| LoadError::Record { offset, error })?;
        if let CoordinatorRecord::Unknown { key_type } = record
            && self.unknown_types.insert(key_type)
        {
            tracing::warn!(
                partition = self.partition.0,
                key_type,
                offset,
                "unknown record type while loading offsets and groups; such records are left alone"
            );
        }
        self.core.replay(Offset(offset), producer, record);
        Ok(())
    }
}
