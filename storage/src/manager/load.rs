//! What is found on disk at start becomes logs in service.
//!
//! Owns the order: checkpoints are read, folders are told apart by name, every partition is registered as loading, and then
//! a bounded number of threads a directory opens them, each in service as soon as it is done. A partition that is not ours
//! (its topic id is not in the metadata image) is renamed to `-stray` and left for the operator; leftovers of deletions are
//! removed in the background; moves between directories (`-future`) go on. One partition that does not open is
//! reported and does not hold back the others.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weir_protocol::ids::{Offset, TopicId, TopicPartition};

use super::checkpoints::FoundOffsets;
use super::directory::Directory;
use super::futures;
use super::partition_dir::{self, Folder};
use super::partition_metadata;
use super::state::{DueFolder, Shared, Slot};
use crate::checkpoint::{self, HIGH_WATERMARK_FILE, LOG_START_FILE, RECOVERY_POINT_FILE};
use crate::config::LogConfig;
use crate::identity::LastStop;
use crate::log::{Log, LogLoad, Shutdown};

/// The Raft log of the controller lies in a log directory and belongs to the controller.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Whether a partition that was found belongs to this node.
#[derive(Clone, Debug)]
pub enum Assignment {
    /// It does, as a partition of this topic with these settings.
    Ours {
        /// The topic's id in the metadata image.
        topic_id: TopicId,
        /// The topic's settings.
        config: Arc<LogConfig>,
    },
    /// Its topic is gone, or another of the same name, or the partition is no longer assigned here.
    Stray,
}

/// What became of the partitions that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadSummary {
    /// In service.
    pub online: usize,
    /// Set aside.
    pub stray: usize,
    /// Not opened; the reasons are in the log and in [`super::LogStatus::Failed`].
    pub failed: usize,
}

/// The partitions found in one directory.
struct Found {
    directory: Arc<Directory>,
    /// A partition without a recovery point is younger than the file, and not one of which the file has been lost.
    recovery_points_known: bool,
    partitions: Vec<TopicPartition>,
    /// Copies of partitions that were being moved here.
    copies: Vec<(TopicPartition, PathBuf)>,
    next: AtomicUsize,
}

/// Decides whose a partition is, given the topic id in its folder.
pub(super) type Assign<'a> = &'a (dyn Fn(&TopicPartition, Option<TopicId>) -> Assignment + Sync);
/// Told of each log as it comes into service.
pub(super) type OnReady<'a> = &'a (dyn Fn(&Arc<Log>) + Sync);

pub(super) fn load(shared: &Shared, assign: Assign<'_>, on_ready: OnReady<'_>) -> LoadSummary {
    let found: Vec<_> = shared.directories.iter().filter_map(|directory| survey(shared, directory)).collect();
    shared.surveyed.store(true, Ordering::Release);
    let threads = shared.config.recovery_threads_per_dir.max(1);
    std::thread::scope(|scope| {
        for found in &found {
            for _ in 0..threads.min(found.partitions.len()) {
                scope.spawn(move || work(shared, found, assign, on_ready));
            }
        }
    });
    fail_unreachable(shared);
    let copies = found.iter().flat_map(|found| {
        found.copies.iter().cloned().map(|(partition, path)| (Arc::clone(&found.directory), partition, path))
    });
    futures::settle_found(shared, copies.collect());
    let mut summary = LoadSummary::default();
    for slot in shared.logs.read().values() {
        match slot {
            Slot::Online { .. } => summary.online += 1,
            Slot::Failed { .. } => summary.failed += 1,
            Slot::Loading { .. } => {}
        }
    }
    let all: usize = found.iter().map(|found| found.partitions.len()).sum();
    let metrics = &shared.metrics;
    summary.stray = metrics.partitions_stray.get() as usize;
    tracing::info!(partitions = all, stray = summary.stray, failed = summary.failed, "loaded the log directories");
    if !shared.is_closed() {
        for directory in shared.directories.iter().filter(|directory| !directory.context.is_offline()) {
            directory.set_loaded();
            super::relief::flush_promised(shared, directory);
            directory.flushes.ask(|round| round.relieve = true);
        }
    }
    summary
}

/// Reads a directory's checkpoints and the names in it, and registers its partitions. An unreadable directory goes offline.
fn survey(shared: &Shared, directory: &Arc<Directory>) -> Option<Found> {
    let prepared = directory.identity.lock().clear_clean_shutdown().and_then(|()| folders(&directory.path));
    let folders = match prepared {
        Ok(folders) => folders,
        Err(error) => {
            directory.context.take_offline("listing the directory", &error);
            return None;
        }
    };
    let (mut partitions, mut copies) = (Vec::new(), Vec::new());
    for (name, folder) in folders {
        let path = directory.path.join(&name);
        match folder {
            Folder::Partition(partition) if &*partition.topic == CLUSTER_METADATA_TOPIC => {}
            Folder::Partition(partition) => {
                if register(shared, directory, &partition) {
                    partitions.push(partition);
                }
            }
            Folder::Deleted => {
                shared.deletions.lock().push(DueFolder { due_ms: i64::MIN, path });
            }
            Folder::Stray => {
                tracing::warn!(path = %path.display(), "a stray partition is still here; remove it if its data is not needed")
            }
            Folder::Future(Some(partition)) => copies.push((partition, path)),
            Folder::Future(None) => {
                tracing::warn!(path = %path.display(), "nobody knows what this is a copy of; remove it if its data is not needed")
            }
            Folder::Other => {}
        }
    }
    shared.alarm.ring();
    let recovery_points = offsets(directory, RECOVERY_POINT_FILE);
    let recovery_points_known = recovery_points.is_some();
    let recovery_points = recovery_points.unwrap_or_default();
    let log_starts = offsets(directory, LOG_START_FILE).unwrap_or_default();
    let high_watermarks = offsets(directory, HIGH_WATERMARK_FILE).unwrap_or_default();
    let found_of = |partition: &TopicPartition| FoundOffsets {
        recovery_point: recovery_points.get(partition).copied(),
        log_start: log_starts.get(partition).copied(),
        high_watermark: high_watermarks.get(partition).copied(),
    };
    let entries = partitions.iter().map(|partition| (partition.clone(), found_of(partition)));
    directory.found.lock().extend(entries);
    Some(Found {
        directory: Arc::clone(directory),
        recovery_points_known,
        partitions,
        copies,
        next: AtomicUsize::new(0),
    })
}

/// What is still to be opened in a directory that went offline meanwhile will not be.
fn fail_unreachable(shared: &Shared) {
    for slot in shared.logs.write().values_mut() {
        if let Slot::Loading { directory } = *slot
            && let Some(reason) = shared.directories[directory].context.offline_reason()
        {
            *slot = Slot::Failed { directory, reason: reason.into() };
        }
    }
}

fn folders(dir: &Path) -> io::Result<Vec<(String, Folder)>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            let folder = Folder::of(&name);
            folders.push((name, folder));
        }
    }
    Ok(folders)
}

/// Puts a found partition into the map; `false` if another directory has it too, which neither is believed then.
fn register(shared: &Shared, directory: &Directory, partition: &TopicPartition) -> bool {
    let mut logs = shared.logs.write();
    if let Some(slot) = logs.get_mut(partition) {
        let other = Arc::clone(&shared.directories[slot.directory()]);
        if let Some(believed) = settle_moved(shared, [&other, directory], partition) {
            *slot = Slot::Loading { directory: believed.index };
            directory.partitions.fetch_add(usize::from(believed.index == directory.index), Ordering::Relaxed);
            return believed.index == directory.index;
        }
        let (first, second) = (&shared.directories[slot.directory()].path, &directory.path);
        let reason = format!("it is in two log directories, {} and {}", first.display(), second.display());
        tracing::error!(%partition, "{reason}; remove the one that is not needed");
        *slot = Slot::Failed { directory: slot.directory(), reason: reason.into() };
        return false;
    }
    logs.insert(partition.clone(), Slot::Loading { directory: directory.index });
    directory.partitions.fetch_add(1, Ordering::Relaxed);
    true
}

/// Of two folders of a partition that moved from one to the other when the process ended, the one that was moved to is believed,
/// and the other removed.
fn settle_moved<'a>(
    shared: &Shared,
    directories: [&'a Directory; 2],
    partition: &TopicPartition,
) -> Option<&'a Directory> {
    let folder = |directory: &Directory| directory.path.join(partition_dir::name(partition));
    let came_from = |here: &Directory, there: &Directory| futures::moved_from(&folder(here)) == Some(there.id);
    let [first, second] = directories;
    let (believed, left) = match (came_from(first, second), came_from(second, first)) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        _ => return None,
    };
    let renamed = left.path.join(partition_dir::deleted_name(partition, (shared.config.new_id)()));
    if let Err(error) = fs::rename(folder(left), &renamed) {
        left.context.take_offline("removing what a move left", &error);
        return None;
    }
    left.retired.lock().insert(partition.clone());
    shared.deletions.lock().push(DueFolder { due_ms: i64::MIN, path: renamed });
    tracing::info!(%partition, from = %left.path.display(), to = %believed.path.display(), "a move between log directories had come to its end");
    Some(believed)
}

/// As Kafka does, a checkpoint that does not read is as good as none: more is read again, nothing is lost. `None` if it is
/// missing or does not read.
fn offsets(directory: &Directory, file: &str) -> Option<HashMap<TopicPartition, Offset>> {
    let path = directory.path.join(file);
    match checkpoint::read_offsets(&path) {
        Ok(offsets) => path.exists().then_some(offsets),
        Err(error) => {
            tracing::warn!(%error, "starting without this checkpoint");
            None
        }
    }
}

/// One recovery thread: takes the directory's partitions one after the other.
fn work(shared: &Shared, found: &Found, assign: Assign<'_>, on_ready: OnReady<'_>) {
    while !shared.is_closed() && !found.directory.context.is_offline() {
        let index = found.next.fetch_add(1, Ordering::Relaxed);
        let Some(partition) = found.partitions.get(index) else { return };
        let here = found.directory.index;
        if !matches!(shared.logs.read().get(partition), Some(Slot::Loading { directory }) if *directory == here) {
            continue;
        }
        if let Err(reason) = load_one(shared, found, partition, assign, on_ready) {
            tracing::error!(%partition, %reason, "cannot open a partition");
            shared.metrics.partitions_failed.add(1);
            let slot = Slot::Failed { directory: found.directory.index, reason: reason.into() };
            shared.logs.write().insert(partition.clone(), slot);
        }
    }
}

fn load_one(
    shared: &Shared,
    found: &Found,
    partition: &TopicPartition,
    assign: Assign<'_>,
    on_ready: OnReady<'_>,
) -> Result<(), String> {
    let directory = &found.directory;
    let dir = directory.path.join(partition_dir::name(partition));
    let topic_id = partition_metadata::read(&dir).map_err(|error| error.to_string())?;
    forget_move(shared, &dir).map_err(|error| error.to_string())?;
    let (topic_id, config) = match assign(partition, topic_id) {
        Assignment::Ours { topic_id: wanted, config } if topic_id == Some(wanted) => (wanted, config),
        _ => return set_aside(shared, directory, partition, &dir),
    };
    let offsets = directory.found.lock().get(partition).copied().unwrap_or_default();
    let younger = found.recovery_points_known.then_some(Offset(0));
    shared.note_flush_ms(config.flush_ms);
    let log = Log::open(LogLoad {
        dir,
        topic_partition: partition.clone(),
        topic_id,
        context: Arc::clone(&directory.context),
        config,
        recovery_point: offsets.recovery_point.or(younger),
        log_start: offsets.log_start.unwrap_or(Offset(0)),
        shutdown: shutdown(directory.last_stop),
        producer_id_expiration_ms: shared.producer_id_expiration_ms.load(Ordering::Relaxed),
        now_ms: shared.now_ms(),
    })
    .map_err(|error| error.to_string())?;
    let log = Arc::new(log);
    if let Some(high_watermark) = offsets.high_watermark {
        log.set_high_watermark(high_watermark);
    }
    let slot = Slot::Online { directory: directory.index, log: Arc::clone(&log) };
    {
        // In this order a checkpoint that is written meanwhile has the partition once or twice, and never not.
        shared.logs.write().insert(partition.clone(), slot);
        directory.found.lock().remove(partition);
    }
    shared.metrics.partitions_loaded.add(1);
    on_ready(&log);
    Ok(())
}

/// Where a partition came from need not be known any more once the directory is there and has nothing of it.
fn forget_move(shared: &Shared, dir: &Path) -> io::Result<()> {
    let from = futures::moved_from(dir);
    match shared.directories.iter().find(|directory| Some(directory.id) == from) {
        Some(from) if from.context.is_available() => futures::clear_moved_from(dir),
        _ => Ok(()),
    }
}

/// What a log may believe of its folder. A directory that is new to us but holds partitions was not left by us.
fn shutdown(last_stop: LastStop) -> Shutdown {
    match last_stop {
        LastStop::Clean(_) => Shutdown::Clean,
        LastStop::SameBoot => Shutdown::SameBoot,
        LastStop::New | LastStop::Unclean => Shutdown::Unclean,
    }
}

/// Renames a partition that is not ours, so that a new one of its name starts empty and nothing is lost.
fn set_aside(shared: &Shared, directory: &Directory, partition: &TopicPartition, dir: &Path) -> Result<(), String> {
    let stray = directory.path.join(partition_dir::stray_name(partition, (shared.config.new_id)()));
    fs::rename(dir, &stray).map_err(|error| error.to_string())?;
    tracing::warn!(%partition, path = %stray.display(), "not in the cluster's metadata: set aside; remove it if its data is not needed");
    directory.forget(partition);
    shared.logs.write().remove(partition);
    directory.partitions.fetch_sub(1, Ordering::Relaxed);
    shared.metrics.partitions_stray.add(1);
    Ok(())
}
