//! Partitions as this broker serves them: leadership, high watermark, appends, reads.
//!
//! A [`Partition`] joins what the controller decided (leader, epochs, in-sync replicas) with the log on disk. It checks
//! that this broker leads at the epoch the client believes in, appends, and moves the high watermark; it never decides
//! who leads. Kafka's `Partition` and, for the table of all of them, `ReplicaManager`.

mod append;
mod errors;
mod read;
mod table;

use std::sync::{Arc, OnceLock, mpsc};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;
use weir_controller::image::PartitionRegistration;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use weir_storage::log::Log;
use weir_storage::manager::LogManager;

use crate::config::TopicConfig;

pub use append::{Appended, ProduceOrigin};
pub use errors::{PartitionError, append_error, read_error};
pub use read::{Isolation, Read, ReadFailure};
pub use table::{PartitionTable, Placement};

/// What all partitions of a topic share.
#[derive(Debug)]
pub struct TopicState {
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Its settings, replaced as a whole when they change.
    pub config: ArcSwap<TopicConfig>,
}

/// What names a partition to those who wait for it.
pub type PartitionKey = (TopicId, PartitionIndex);

/// A partition with a replica on this broker.
#[derive(Debug)]
pub struct Partition {
    topic: Arc<TopicState>,
    index: PartitionIndex,
    local: BrokerId,
    logs: Arc<LogManager>,
    log: OnceLock<Arc<Log>>,
    /// Held while the log is opened, so that whoever needs it meanwhile waits for it and is not refused.
    opening: Mutex<()>,
    /// Held for reading through an append, so that no record is written under a leadership that has ended.
    registration: RwLock<Arc<PartitionRegistration>>,
}

impl Partition {
    fn new(
        topic: Arc<TopicState>,
        index: PartitionIndex,
        local: BrokerId,
        logs: Arc<LogManager>,
        registration: Arc<PartitionRegistration>,
    ) -> Self {
        Self {
            topic,
            index,
            local,
            logs,
            log: OnceLock::new(),
            opening: Mutex::new(()),
            registration: RwLock::new(registration),
        }
    }

    /// The topic it belongs to.
    pub fn topic(&self) -> &Arc<TopicState> {
        &self.topic
    }

    /// Its index.
    pub fn index(&self) -> PartitionIndex {
        self.index
    }

    /// Its name.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.name.clone(), partition: self.index }
    }

    /// What it is known by in the purgatory.
    pub fn key(&self) -> PartitionKey {
        (self.topic.id, self.index)
    }

    /// What the controller last said of it.
    pub fn registration(&self) -> Arc<PartitionRegistration> {
        self.registration.read().clone()
    }

    fn set_registration(&self, registration: Arc<PartitionRegistration>) {
        *self.registration.write() = registration;
    }

    /// Its log, opened or created now if nobody has needed it before.
    pub fn log(&self) -> Result<&Arc<Log>, PartitionError> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let _opening = self.opening.lock();
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let log = self.open_log()?;
        Ok(self.log.get_or_init(|| log))
    }

    fn open_log(&self) -> Result<Arc<Log>, PartitionError> {
        let topic_partition = self.topic_partition();
        let config = Arc::new(self.topic.config.load().log.clone());
        let log = self.logs.create(&topic_partition, self.topic.id, config, self.directory())?;
        if self.is_sole_replica() {
            if self.topic.config.load().log.flush_messages == 1 {
                self.flush_found(&log)?;
            }
            log.set_high_watermark(log.log_end_offset());
        }
        Ok(log)
    }

    /// What a killed process left unflushed is seen once it is flushed. The start has done that for all logs together, but
    /// for one that is asked for before it is through.
    fn flush_found(&self, log: &Arc<Log>) -> Result<(), PartitionError> {
        let end = log.log_end_offset();
        if log.recovery_point() >= end {
            return Ok(());
        }
        let (done, flushed) = mpsc::channel();
        // The receiver waits right here.
        self.logs.commit_flush(log, end, move |outcome| drop(done.send(outcome)));
        let storage_error = |error: &dyn std::fmt::Display| PartitionError::new(ErrorCode::KafkaStorageError, error);
        flushed.recv().map_err(|error| storage_error(&error))?.map_err(|error| storage_error(&error))
    }

    /// The directory that the controller chose, unless it left that to this broker (KIP-858).
    fn directory(&self) -> Option<Uuid> {
        // The first hundred ids are reserved: unassigned, lost and the like.
        const RESERVED_IDS: u128 = 100;
        let directory = self.registration.read().directory_of(self.local)?;
        (directory.as_u128() >= RESERVED_IDS).then_some(directory)
    }

    /// The log, if something has needed it since the start.
    pub fn opened_log(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    fn is_sole_replica(&self) -> bool {
        *self.registration.read().isr == [self.local]
    }

    /// Checks that this broker leads, at the epoch the client believes in if it names one (KIP-320).
    pub fn check_leadership(&self, believed: LeaderEpoch) -> Result<LeaderEpoch, PartitionError> {
        check_leadership(&self.registration.read(), self.local, believed)
    }

    /// The end of what a consumer may read.
    pub fn readable_end(&self, isolation: Isolation) -> Result<Offset, PartitionError> {
        let log = self.log()?;
        Ok(match isolation {
            Isolation::ReadCommitted => log.last_stable_offset(),
            Isolation::ReadUncommitted => log.high_watermark(),
        })
    }
}

fn check_leadership(
    registration: &PartitionRegistration,
    local: BrokerId,
    believed: LeaderEpoch,
) -> Result<LeaderEpoch, PartitionError> {
    let epoch = registration.leader_epoch;
    if believed != LeaderEpoch::NONE && believed < epoch {
        return Err(ErrorCode::FencedLeaderEpoch.into());
    }
    if believed > epoch {
        return Err(ErrorCode::UnknownLeaderEpoch.into());
    }
    if registration.leader != local {
        return Err(ErrorCode::NotLeaderOrFollower.into());
    }
    Ok(epoch)
}
