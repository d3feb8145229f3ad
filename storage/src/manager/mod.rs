//! Every log of every log directory of a node.
//!
//! Owns the directories (their locks and identity), the map from partition to log, placement, start and stop, and the
//! background work: one flusher thread a directory and one housekeeping thread (Kafka's `LogManager`, the storage half of
//! `ReplicaManager`). Knows nothing of leaders, replicas or requests: who may write and what is committed is the caller's.
//!
//! - [`LogManager::open`] takes locks and reads identities, a few milliseconds whatever is on disk.
//! - [`LogManager::load`] brings partitions into service in parallel; each serves as soon as it is done.
//! - [`LogManager::commit_flush`] is the group commit: what waits on one disk shares its rounds.
//! - [`LogManager::close`] writes everything down; a manager that is only dropped leaves the disk as `kill -9` would.
//!
//! Invariants: a directory that failed once stays offline while the process lives, and the process lives; a recovery point
//! is written only for what was fsynced; idle threads sleep.

mod bulk_flush;
mod checkpoints;
mod close;
mod config;
mod directory;
mod disk_space;
mod error;
mod flusher;
mod futures;
mod housekeeping;
mod load;
mod metadata_log_record;
mod metrics;
mod partition_dir;
mod partition_metadata;
mod partitions;
mod relief;
mod state;
mod watcher;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use uuid::Uuid;
use weir_protocol::ids::{Offset, TopicId, TopicPartition};

pub use config::{
    Clock, DISK_FULL_CHECK_MS, DISK_RESERVE_BYTES, DISK_RESERVE_PER_MILLE, DISK_RESUME_PER_MILLE, LogManagerConfig,
    MAX_UNFLUSHED_BYTES, MAX_WAITING_FLUSHES, OnOffline, PRODUCER_EXPIRATION_CHECK_MS,
};
pub use disk_space::usable_bytes;
pub use error::{CreateError, DeleteError, MoveError, OpenError};
pub use futures::Moving;
pub use load::{Assignment, LoadSummary};
pub use metadata_log_record::MetadataLogRecord;
pub use metrics::{Counter, LogManagerMetrics};
pub use partition_metadata::PARTITION_METADATA_FILE;

use crate::config::LogConfig;
use crate::context::StorageContext;
use crate::file_cache::FileCache;
use crate::identity::{DirectoryIdentity, IdentityError, LastStop, Owner};
use crate::log::{Log, StorageError};
use directory::Directory;
use disk_space::DiskSpace;
use flusher::Waiting;
use housekeeping::Schedule;
use state::{Alarm, Shared, Slot};

/// Every log of a node. Shared by reference; all methods take `&self`.
pub struct LogManager {
    shared: Arc<Shared>,
    /// Held while loading, so that a stop waits for it.
    loading: Mutex<()>,
    schedule: Arc<Mutex<Schedule>>,
    housekeeper: Mutex<Option<JoinHandle<()>>>,
    flushers: Mutex<Vec<JoinHandle<()>>>,
}

/// Where a partition stands on this node.
#[derive(Clone, Debug)]
pub enum LogStatus {
    /// Not here.
    Absent,
    /// Found at start, in service soon.
    Loading,
    /// In service.
    Online(Arc<Log>),
    /// Found at start, and could not be opened.
    Failed(Arc<str>),
}

/// One log directory, for DescribeLogDirs and registration.
#[derive(Clone, Debug)]
pub struct LogDirStatus {
    /// The directory.
    pub path: PathBuf,
    /// Its id (KIP-858).
    pub id: Uuid,
    /// Why it is offline, or that it does not answer.
    pub offline: Option<String>,
    /// Produce is refused for lack of room.
    pub full: bool,
    /// Size of its disk, -1 if unknown.
    pub total_bytes: i64,
    /// Free space of its disk, -1 if unknown.
    pub usable_bytes: i64,
    /// How it was left before this start.
    pub last_stop: LastStop,
    /// The partitions in service in it, with their sizes in bytes.
    pub logs: Vec<(TopicPartition, u64)>,
    /// Those that are being moved to it.
    pub copies: Vec<CopyStatus>,
}

/// A partition that is being moved to a directory.
#[derive(Clone, Debug)]
pub struct CopyStatus {
    /// Which.
    pub partition: TopicPartition,
    /// The size of what has been copied.
    pub size_bytes: u64,
    /// How many offsets are still to be copied.
    pub lag: i64,
}

impl LogManager {
    /// Locks the directories and checks whose they are; reads no partition.
    pub fn open(config: LogManagerConfig) -> Result<Self, OpenError> {
        let identities = open_identities(&config)?;
        let files = Arc::new(config.max_open_files.map_or_else(FileCache::sized_for_process, FileCache::new));
        let context = |identity: &DirectoryIdentity| StorageContext::new(identity.path(), Arc::clone(&files));
        let directories: Vec<_> = identities
            .into_iter()
            .enumerate()
            .map(|(index, identity)| {
                let context = context(&identity);
                Arc::new(Directory::new(index, identity, context))
            })
            .collect();
        let alarm = Arc::new(Alarm::default());
        for directory in &directories {
            watcher::watch(directory, &alarm, config.on_offline.clone());
        }
        let shared = Arc::new(Shared {
            producer_id_expiration_ms: AtomicI64::new(config.producer_id_expiration_ms),
            config,
            directories,
            logs: RwLock::new(HashMap::new()),
            futures: Mutex::default(),
            deletions: Mutex::default(),
            metrics: LogManagerMetrics::default(),
            alarm,
            flush_ms: AtomicI64::new(i64::MAX),
            surveyed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let schedule = Arc::new(Mutex::new(Schedule::new(&shared, shared.now_ms())));
        let manager = Self {
            shared,
            loading: Mutex::default(),
            schedule,
            housekeeper: Mutex::default(),
            flushers: Mutex::default(),
        };
        for directory in &manager.shared.directories {
            relief::start(&manager.shared, directory);
        }
        if manager.shared.config.background {
            manager.start_threads().map_err(OpenError::Thread)?;
        }
        Ok(manager)
    }

    fn start_threads(&self) -> io::Result<()> {
        const STACK_BYTES: usize = 512 * 1024;
        for directory in &self.shared.directories {
            let (shared, directory) = (Arc::clone(&self.shared), Arc::clone(directory));
            let thread = std::thread::Builder::new()
                .name(format!("weir-flush-{}", directory.index))
                .stack_size(STACK_BYTES)
                .spawn(move || flusher::run(&shared, &directory))?;
            self.flushers.lock().push(thread);
        }
        let (shared, schedule) = (Arc::clone(&self.shared), Arc::clone(&self.schedule));
        let thread =
            std::thread::Builder::new().name("weir-housekeep".to_owned()).stack_size(STACK_BYTES).spawn(move || {
                let mut wait_ms = 0;
                while shared.alarm.wait(wait_ms) {
                    let now_ms = shared.now_ms();
                    wait_ms = schedule.lock().run(&shared, now_ms).saturating_sub(now_ms);
                }
            })?;
        *self.housekeeper.lock() = Some(thread);
        Ok(())
    }

    /// The cluster is known now: writes it into every directory.
    pub fn record_cluster_id(&self, cluster_id: &str) -> Result<(), IdentityError> {
        self.shared.directories.iter().try_for_each(|directory| directory.identity.lock().record_cluster_id(cluster_id))
    }

    /// The cluster that the directories belong to, once it is known.
    pub fn cluster_id(&self) -> Option<String> {
        self.shared.directories.iter().find_map(|directory| directory.identity.lock().cluster_id().map(str::to_owned))
    }

    /// Where it is kept what metadata log the directory of that id holds.
    pub fn metadata_log_record(&self, directory: Uuid) -> Option<MetadataLogRecord> {
        let found = self.shared.directories.iter().find(|found| found.id == directory);
        found.map(|directory| MetadataLogRecord(Arc::downgrade(directory)))
    }

    /// How the node stopped before, over all directories: the worst of them.
    pub fn last_stop(&self) -> LastStop {
        let stops = self.shared.directories.iter().map(|directory| directory.last_stop);
        let severity = |stop: &LastStop| match stop {
            LastStop::New => 0,
            LastStop::Clean(_) => 1,
            LastStop::SameBoot => 2,
            LastStop::Unclean => 3,
        };
        stops.max_by_key(severity).unwrap_or(LastStop::New)
    }

    /// The controller has taken note of how this node stopped: see [`DirectoryIdentity::record_boot_id`]. A directory of
    /// which not every log was opened keeps its past: what a power cut did to the others is still to be found. So does one that
    /// has failed.
    pub fn acknowledge_last_stop(&self) {
        let is_sound = |directory: &&Arc<Directory>| directory.is_whole() && !directory.context.is_offline();
        for directory in self.shared.directories.iter().filter(is_sound) {
            if let Err(error) = directory.identity.lock().record_boot_id() {
                directory.context.take_offline("writing the boot id", &error);
            }
            if directory.context.is_offline() {
                // It may have failed between the two.
                directory.context.disown_boot();
            }
        }
    }

    /// Brings every partition that is on disk into service, on a bounded number of threads, and returns when all are done.
    /// `assign` says whether a folder with this topic id is this node's (`None`: it has no readable id); `on_ready` is
    /// called on a recovery thread with each log that serves from now on.
    pub fn load(
        &self,
        assign: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Assignment + Sync),
        on_ready: &(dyn Fn(&Arc<Log>) + Sync),
    ) -> LoadSummary {
        let _loading = self.loading.lock();
        load::load(&self.shared, assign, on_ready)
    }

    /// The log of a partition in service.
    pub fn get(&self, partition: &TopicPartition) -> Option<Arc<Log>> {
        match self.shared.logs.read().get(partition) {
            Some(Slot::Online { log, .. }) => Some(Arc::clone(log)),
            _ => None,
        }
    }

    /// Where a partition stands.
    pub fn status(&self, partition: &TopicPartition) -> LogStatus {
        match self.shared.logs.read().get(partition) {
            None => LogStatus::Absent,
            Some(Slot::Loading { .. }) => LogStatus::Loading,
            Some(Slot::Online { log, .. }) => LogStatus::Online(Arc::clone(log)),
            Some(Slot::Failed { reason, .. }) => LogStatus::Failed(Arc::clone(reason)),
        }
    }

    /// All logs in service, in no order.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.shared.online()
    }

    /// Makes a partition: in the directory with this id, or in the online directory that has the fewest. One that exists
    /// with the same topic id is returned as it is. Until [`LogManager::load`] has found what is on disk, none is made.
    pub fn create(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        directory: Option<Uuid>,
    ) -> Result<Arc<Log>, CreateError> {
        partitions::create(&self.shared, partition, topic_id, config, directory)
    }

    /// Takes a partition out of service and out of sight at once (its folder is renamed to `-delete`); the files go after
    /// `file.delete.delay.ms`, in the background. A partition of another topic of that name is left alone: it came after the
    /// one that is to go.
    pub fn delete(&self, partition: &TopicPartition, topic_id: TopicId) -> Result<(), DeleteError> {
        partitions::delete(&self.shared, partition, topic_id)
    }

    /// Begins to move a partition to the directory with this id, or goes on with it; a move elsewhere is called off. Moved to where it
    /// lies, it stays.
    pub fn begin_move(&self, partition: &TopicPartition, to: Uuid) -> Result<Moving, MoveError> {
        futures::begin(&self.shared, partition, to)
    }

    /// What a partition that moves is copied to; none if it does not move. Reads what a start has found of it.
    pub fn moving(&self, partition: &TopicPartition) -> Result<Option<Arc<Log>>, MoveError> {
        futures::open(&self.shared, partition)
    }

    /// The partitions that move, and the directories they move to.
    pub fn moves(&self) -> Vec<(TopicPartition, Uuid)> {
        let futures = self.shared.futures.lock();
        let id = |future: &futures::FutureReplica| self.shared.directories[future.directory].id;
        futures.iter().map(|(partition, future)| (partition.clone(), id(future))).collect()
    }

    /// The copy is nearly complete, and durable: it may soon take the place of the original.
    pub fn prepare_move(&self, partition: &TopicPartition, future: &Log) -> Result<(), MoveError> {
        futures::prepare(&self.shared, partition, future)
    }

    /// Puts the copy, which is complete and durable, in the place of the original; nobody appends to that any more.
    pub fn finish_move(&self, partition: &TopicPartition, future: &Arc<Log>) -> Result<(), MoveError> {
        futures::finish(&self.shared, partition, future)
    }

    /// [`Log::truncate_to`], with the checkpoint that it asks for.
    pub fn truncate(&self, log: &Log, offset: Offset) -> Result<Offset, StorageError> {
        let log_end = log.truncate_to(offset, self.shared.now_ms())?;
        self.checkpoint_soon(log);
        Ok(log_end)
    }

    /// [`Log::truncate_fully_and_start_at`], likewise.
    pub fn start_over(&self, log: &Log, offset: Offset) -> Result<(), StorageError> {
        log.truncate_fully_and_start_at(offset, self.shared.now_ms())?;
        self.checkpoint_soon(log);
        Ok(())
    }

    /// A recovery point on disk above the log's end would make a crash look like the loss of what had been fsynced.
    fn checkpoint_soon(&self, log: &Log) {
        if let Some(directory) = self.shared.directory_of(log) {
            directory.flushes.ask(|round| round.checkpoint = true);
        }
    }

    /// Changes the settings of a partition in service.
    pub fn set_config(&self, partition: &TopicPartition, config: Arc<LogConfig>) {
        if let Some(log) = self.get(partition) {
            self.shared.note_flush_ms(config.flush_ms);
            log.set_config(Arc::clone(&config));
        }
        if let Some(futures::Copy::Open(log)) = self.shared.futures.lock().get(partition).map(|future| &future.copy) {
            log.set_config(config);
        }
    }

    /// Remembers idle producers so long from now on, in every log.
    pub fn set_producer_id_expiration_ms(&self, expiration_ms: i64) {
        if self.shared.producer_id_expiration_ms.swap(expiration_ms, Ordering::Relaxed) == expiration_ms {
            return;
        }
        for log in self.logs() {
            log.set_producer_id_expiration_ms(expiration_ms);
        }
    }

    /// Calls `waker` once everything of `log` below `up_to` is durable, or with the error that took the directory offline.
    /// The fsync is done by the directory's flusher, which serves all that waits in one round; `waker` runs on its thread
    /// (or here, when nothing has to be waited for) and must be quick.
    pub fn commit_flush(&self, log: &Arc<Log>, up_to: Offset, waker: impl FnOnce(io::Result<()>) + Send + 'static) {
        if log.recovery_point() >= up_to {
            return waker(Ok(()));
        }
        let Some(directory) = self.shared.directory_of(log) else {
            return waker(Err(io::Error::other("the log is of another manager")));
        };
        let waiting = Waiting { log: Arc::clone(log), up_to, waker: Some(Box::new(waker)) };
        if let Err(refused) = directory.flushes.push(waiting) {
            // The queue is full, or the node is stopping: the caller pays.
            let outcome = flusher::flush(&self.shared, directory, log, up_to);
            if let Some(waker) = refused.waker {
                waker(outcome);
            }
        }
    }

    /// The directories and what is in them. Asks the file system for the room on each disk.
    pub fn dirs(&self) -> Vec<LogDirStatus> {
        self.shared.directories.iter().map(|directory| self.dir_status(directory)).collect()
    }

    /// The ids of the directories that work and answer, in the order of the configuration.
    pub fn online_directories(&self) -> Vec<Uuid> {
        let online = self.shared.directories.iter().filter(|directory| directory.context.is_available());
        online.map(|directory| directory.id).collect()
    }

    /// Looks whether directories have stopped answering for `patience`, or answer again; to be called now and then by whoever can do
    /// something about it. True if that changed of any.
    pub fn look_for_stalls(&self, now: Instant, patience: Duration) -> bool {
        let looks = self.shared.directories.iter().map(|directory| directory.look_for_stall(now, patience));
        // Every one is looked at.
        looks.fold(false, |changed, change| changed | change)
    }

    /// Whether a directory does not answer at the moment.
    pub fn has_stalled(&self) -> bool {
        self.shared.directories.iter().any(|directory| directory.context.is_stalled())
    }

    fn dir_status(&self, directory: &Directory) -> LogDirStatus {
        let space = directory.context.is_available().then(|| DiskSpace::of(&directory.path).ok()).flatten();
        let bytes =
            |part: fn(DiskSpace) -> u64| space.map_or(-1, |space| i64::try_from(part(space)).unwrap_or(i64::MAX));
        let logs = self.shared.logs_of(directory);
        LogDirStatus {
            path: directory.path.clone(),
            id: directory.id,
            offline: directory.context.unavailable_reason().map(str::to_owned),
            full: directory.context.is_full(),
            total_bytes: bytes(|space| space.total),
            usable_bytes: bytes(|space| space.usable),
            last_stop: directory.last_stop,
            logs: logs.iter().map(|log| (log.topic_partition().clone(), log.size_bytes())).collect(),
            copies: self.copies_in(directory),
        }
    }

    fn copies_in(&self, directory: &Directory) -> Vec<CopyStatus> {
        let copies: Vec<_> = {
            let futures = self.shared.futures.lock();
            let here = futures.iter().filter(|(_, future)| future.directory == directory.index);
            let open = |future: &futures::FutureReplica| match &future.copy {
                futures::Copy::Open(log) => Some(Arc::clone(log)),
                futures::Copy::Found(_) => None,
            };
            here.map(|(partition, future)| (partition.clone(), open(future))).collect()
        };
        let status = |(partition, copy): (TopicPartition, Option<Arc<Log>>)| {
            let end = self.get(&partition).map_or(Offset(0), |log| log.log_end_offset());
            let copied = copy.as_ref().map_or(Offset(0), |copy| copy.log_end_offset());
            let size_bytes = copy.map_or(0, |copy| copy.size_bytes());
            CopyStatus { partition, size_bytes, lag: (end - copied).max(0) }
        };
        copies.into_iter().map(status).collect()
    }

    /// The id of the directory that a log lies in.
    pub fn directory_id(&self, log: &Log) -> Option<Uuid> {
        self.shared.directory_of(log).map(|directory| directory.id)
    }

    /// The counters.
    pub fn metrics(&self) -> &LogManagerMetrics {
        &self.shared.metrics
    }

    /// Does the housekeeping that is due at `now_ms`; returns when the next is. For owners without the background threads.
    pub fn housekeep(&self, now_ms: i64) -> i64 {
        self.schedule.lock().run(&self.shared, now_ms)
    }

    /// Serves what waits for the flushers, on this thread. For owners without the background threads.
    pub fn flush_waiting(&self) {
        for directory in &self.shared.directories {
            flusher::serve(&self.shared, directory, directory.flushes.take());
        }
    }

    /// Stops. With `clean`, every log is flushed and written down and `.kafka_cleanshutdown` tells the next start so, with
    /// this broker epoch; without, the disk is left as it is. Waits for a load that is under way to come to a halt.
    pub fn close(&self, clean: bool, broker_epoch: weir_protocol::ids::BrokerEpoch) {
        if self.stop_threads() && clean {
            let _loading = self.loading.lock();
            close::write_down(&self.shared, broker_epoch);
        }
    }

    /// Ends the threads; `false` if that was done before.
    fn stop_threads(&self) -> bool {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.shared.alarm.close();
        self.shared.directories.iter().for_each(|directory| directory.flushes.close());
        let mut threads = std::mem::take(&mut *self.flushers.lock());
        threads.extend(self.housekeeper.lock().take());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a storage thread has panicked");
            }
        }
        true
    }
}

impl Drop for LogManager {
    /// As `kill -9` would leave it, but without threads.
    fn drop(&mut self) {
        self.stop_threads();
    }
}

impl std::fmt::Debug for LogManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogManager").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// Opens every directory and checks that they belong together.
fn open_identities(config: &LogManagerConfig) -> Result<Vec<DirectoryIdentity>, OpenError> {
    if config.dirs.is_empty() {
        return Err(OpenError::NoDirectory);
    }
    if let Some(path) =
        config.dirs.iter().enumerate().find_map(|(i, dir)| config.dirs[..i].contains(dir).then_some(dir))
    {
        return Err(OpenError::Repeated { path: path.clone() });
    }
    let owner =
        Owner { node_id: config.node_id, cluster_id: config.cluster_id.clone(), boot_id: config.boot_id.clone() };
    let mut identities: Vec<DirectoryIdentity> = Vec::with_capacity(config.dirs.len());
    for dir in &config.dirs {
        let identity = DirectoryIdentity::open(dir, &owner, (config.new_id)())?;
        if let Some(twin) = identities.iter().find(|other| other.directory_id() == identity.directory_id()) {
            let (first, second) = (twin.path().to_owned(), dir.clone());
            return Err(OpenError::SameDirectoryId { first, second });
        }
        identities.push(identity);
    }
    unite_clusters(&mut identities)?;
    Ok(identities)
}

/// All directories are of one cluster; one that is new takes it from the others.
fn unite_clusters(identities: &mut [DirectoryIdentity]) -> Result<(), OpenError> {
    let known =
        identities.iter().find_map(|identity| Some((identity.path().to_owned(), identity.cluster_id()?.to_owned())));
    let Some((first, first_cluster)) = known else { return Ok(()) };
    for identity in identities {
        match identity.cluster_id() {
            None => identity.record_cluster_id(&first_cluster)?,
            Some(cluster) if cluster == first_cluster => {}
            Some(cluster) => {
                let (second, second_cluster) = (identity.path().to_owned(), cluster.to_owned());
                return Err(OpenError::MixedClusters { first, first_cluster, second, second_cluster });
            }
        }
    }
    Ok(())
}
