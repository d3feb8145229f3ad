//! Partitions as this broker serves them: roles, high watermark, appends, reads.
//!
//! A [`Partition`] joins what the controller decided (leader, epochs, in-sync replicas) with the log on disk, and performs what the
//! cores of [`crate::replication`] conclude. It checks that this broker leads at the epoch the client believes in, appends, and moves the
//! high watermark; it never decides who leads. Kafka's `Partition` and, for the table of all of them, `ReplicaManager`.

mod append;
mod errors;
mod follow;
mod isr;
mod local;
mod log_ref;
mod moved;
mod preferred;
mod read;
mod refusals;
mod replicate;
mod role;
mod table;
mod throttles;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, mpsc};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;
use weir_controller::decide::ReplicaDirectory;
use weir_controller::image::{DIRECTORY_LOST, PartitionRegistration};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use weir_storage::log::Log;
use weir_storage::manager::DeleteError;

use crate::config::TopicConfig;

pub use append::{Appended, ProduceOrigin};
pub use errors::{PartitionError, append_error, read_error};
pub use follow::{FollowError, FollowerLog, Taken};
pub use local::LocalBroker;
pub use log_ref::LogRef;
pub use read::{Isolation, Read, ReadFailure, Reader};
pub use role::RoleChange;
pub use table::{PartitionTable, Placement, TableChange};
pub use throttles::{ReplicaSide, Throttles};

use refusals::Refusals;
use role::Tenure;

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
    local: Arc<LocalBroker>,
    /// Replaced by a move to another directory while the tenure is held for writing: whoever acts under the tenure opens the log first,
    /// and reads here again once it has the tenure.
    log: ArcSwapOption<Log>,
    /// Where the log was cut since a move last looked; `i64::MAX` if it was not.
    cut: AtomicI64,
    /// Held while the log is opened, so that whoever needs it meanwhile waits for it and is not refused, and while it is deleted.
    files: Mutex<Files>,
    /// The replica is no longer here: whoever still holds this makes no log of it.
    gone: AtomicBool,
    /// Held for reading through an append, so that no record is written under a leadership that has ended.
    tenure: RwLock<Tenure>,
    refusals: Refusals,
}

/// What is to be known before a log is opened or deleted.
#[derive(Debug, Default)]
struct Files {
    deleted: bool,
    /// The replica that was here before and is still to be deleted; a reassignment may come back before that is done.
    before: Option<Arc<Partition>>,
}

impl Partition {
    fn new(
        topic: Arc<TopicState>,
        index: PartitionIndex,
        local: Arc<LocalBroker>,
        registration: Arc<PartitionRegistration>,
        acts: bool,
        before: Option<Arc<Partition>>,
    ) -> Self {
        Self {
            topic,
            index,
            log: ArcSwapOption::empty(),
            cut: AtomicI64::new(i64::MAX),
            files: Mutex::new(Files { deleted: false, before }),
            gone: AtomicBool::new(false),
            tenure: RwLock::new(Tenure::new(registration, local.member(), acts)),
            refusals: Refusals::default(),
            local,
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

    /// The broker whose replica it is.
    pub fn local(&self) -> &Arc<LocalBroker> {
        &self.local
    }

    /// What the controller last said of it.
    pub fn registration(&self) -> Arc<PartitionRegistration> {
        self.tenure.read().registration.clone()
    }

    /// Its log, opened or created now if nobody has needed it before. Refused while its directory has failed or does not answer: the
    /// leadership goes to another replica.
    pub fn log(&self) -> Result<LogRef, PartitionError> {
        if let Some(log) = self.opened_log() {
            return available(log);
        }
        let mut files = self.files.lock();
        if let Some(log) = self.opened_log() {
            return available(log);
        }
        if self.is_gone() {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        if let Some(before) = &files.before {
            before.delete().map_err(|error| PartitionError::new(ErrorCode::KafkaStorageError, error))?;
            files.before = None;
        }
        let log = self.open_log()?;
        self.tell_directory(&log);
        self.log.store(Some(log));
        self.opened_log().ok_or_else(|| ErrorCode::NotLeaderOrFollower.into())
    }

    /// Has the controller told in which directory the log lies, unless it knows. A log that is empty where one was lost is none that
    /// anybody may elect.
    fn tell_directory(&self, log: &Log) {
        let registered = self.tenure.read().registration.directory_of(self.local.id());
        let lies = self.local.logs.directory_id(log);
        let (Some(registered), Some(directory)) = (registered, lies) else { return };
        let is_lost = registered == DIRECTORY_LOST && log.log_end_offset() == log.log_start_offset();
        if registered != directory && !is_lost {
            let (topic_id, partition) = self.key();
            self.local.tell_directory(ReplicaDirectory { topic_id, partition, directory });
        }
    }

    fn open_log(&self) -> Result<Arc<Log>, PartitionError> {
        let topic_partition = self.topic_partition();
        let config = Arc::new(self.topic.config.load().log.clone());
        let wanted = self.local.take_preferred(&topic_partition);
        let directory = self.directory().or(wanted);
        let log = self.local.logs.create(&topic_partition, self.topic.id, config, directory)?;
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
        self.local.logs.commit_flush(log, end, move |outcome| drop(done.send(outcome)));
        let storage_error = |error: &dyn std::fmt::Display| PartitionError::new(ErrorCode::KafkaStorageError, error);
        flushed.recv().map_err(|error| storage_error(&error))?.map_err(|error| storage_error(&error))
    }

    /// The directory that the controller chose, unless it left that to this broker (KIP-858).
    fn directory(&self) -> Option<Uuid> {
        // The first hundred ids are reserved: unassigned, lost and the like.
        const RESERVED_IDS: u128 = 100;
        let directory = self.tenure.read().registration.directory_of(self.local.id())?;
        (directory.as_u128() >= RESERVED_IDS).then_some(directory)
    }

    /// The directory in which the log lies, or is to lie; none while this broker is still to choose.
    pub(crate) fn lies_in(&self) -> Option<Uuid> {
        self.opened_log().and_then(|log| self.local.logs.directory_id(&log)).or_else(|| self.directory())
    }

    /// Whether the log is open in a directory that has failed or does not answer.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.opened_log().is_some_and(|log| !log.context().is_available())
    }

    /// Whoever waits here looks again.
    pub(crate) fn wake_all(&self) {
        self.local.committed().notify(&self.key());
        self.local.appended().notify(&self.key());
    }

    /// The directory that the controller chose, where it is not online on this node: the disk is lost, and the replica is placed anew
    /// once this broker is registered without it.
    pub(crate) fn awaited_directory(&self) -> Option<Uuid> {
        self.directory().filter(|directory| !self.local.logs.online_directories().contains(directory))
    }

    /// The log, if something has needed it since the start.
    pub fn opened_log(&self) -> Option<LogRef> {
        LogRef::of(&self.log)
    }

    /// The replica is no longer here.
    pub(crate) fn retire(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Deletes the log of a replica that is no longer here; a second time does nothing.
    pub(crate) fn delete(&self) -> Result<(), DeleteError> {
        let mut files = self.files.lock();
        if files.deleted {
            return Ok(());
        }
        if let Some(before) = files.before.take() {
            before.delete()?;
        }
        match self.local.logs.delete(&self.topic_partition(), self.topic.id) {
            Ok(()) | Err(DeleteError::Absent(_)) => {
                files.deleted = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn is_sole_replica(&self) -> bool {
        matches!(self.tenure.read().role, role::Role::Sole)
    }

    /// Checks that this broker leads, at the epoch the client believes in if it names one (KIP-320).
    pub fn check_leadership(&self, believed: LeaderEpoch) -> Result<LeaderEpoch, PartitionError> {
        self.tenure.read().check_leadership(believed)
    }

    /// Whether everything below `required`, which was appended in `leader_epoch`, is committed. An error once this broker does not lead in
    /// that epoch any more: what stands at those offsets then may be somebody else's.
    pub fn is_committed(&self, required: Offset, leader_epoch: LeaderEpoch) -> Result<bool, PartitionError> {
        // In this order: while the leadership holds, nothing but it moves the high watermark.
        let high_watermark = self.log()?.high_watermark();
        let tenure = self.tenure.read();
        if tenure.check_leadership(LeaderEpoch::NONE)? != leader_epoch {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        if high_watermark < required {
            return Ok(false);
        }
        match tenure.leadership().and_then(role::Leadership::known) {
            Some(state) if state.lock().is_under_min_isr() => Err(ErrorCode::NotEnoughReplicasAfterAppend.into()),
            _ => Ok(true),
        }
    }

    /// The end of what `reader` may be told of. Refused to a consumer while a new leader does not know how far an earlier one has
    /// told (KIP-207).
    pub fn readable_end(&self, reader: Reader) -> Result<Offset, PartitionError> {
        let log = self.log()?;
        let Reader::Consumer { isolation, .. } = reader else { return Ok(log.log_end_offset()) };
        drop(log);
        let tenure = self.tenure.read();
        let log = &self.log()?;
        if let Some(leadership) = tenure.leadership() {
            let state = leadership.state(log, &tenure, self.terms(), &self.local).lock();
            if state.told_high_watermark().is_none() {
                return Err(ErrorCode::OffsetNotAvailable.into());
            }
        }
        Ok(match isolation {
            Isolation::ReadCommitted => log.last_stable_offset(),
            Isolation::ReadUncommitted => log.high_watermark(),
        })
    }
}

fn available(log: LogRef) -> Result<LogRef, PartitionError> {
    let context = log.context();
    if context.is_available() {
        return Ok(log);
    }
    let (dir, reason) = (context.path().display(), context.unavailable_reason().unwrap_or("it did not answer"));
    Err(PartitionError::new(ErrorCode::KafkaStorageError, format!("log directory {dir} is offline: {reason}")))
}

#[cfg(test)]
pub(crate) mod tests;
