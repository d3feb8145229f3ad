//! Making and deleting partitions.
//!
//! Owns placement (the online directory with the fewest partitions, as Kafka), the folder's first content, and the rename
//! that takes a deleted partition out of sight. Neither fsyncs: a folder that a power cut takes held nothing that was
//! promised, and one that comes back is found to be stray.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;
use weir_protocol::ids::{TopicId, TopicPartition};

use super::directory::Directory;
use super::error::{CreateError, DeleteError};
use super::state::{DueFolder, Shared, Slot};
use super::{partition_dir, partition_metadata};
use crate::config::LogConfig;
use crate::log::Log;

pub(super) fn create(
    shared: &Shared,
    partition: &TopicPartition,
    topic_id: TopicId,
    config: Arc<LogConfig>,
    wanted: Option<Uuid>,
) -> Result<Arc<Log>, CreateError> {
    if shared.is_closed() {
        return Err(CreateError::Closed);
    }
    let directory = match reserve(shared, partition, topic_id, wanted)? {
        Reserved::New(directory) => directory,
        Reserved::Exists(log) => return Ok(log),
    };
    shared.note_flush_ms(config.flush_ms);
    match make(shared, &directory, partition, topic_id, config) {
        Ok(log) => {
            let slot = Slot::Online { directory: directory.index, log: Arc::clone(&log) };
            shared.logs.write().insert(partition.clone(), slot);
            shared.metrics.partitions_created.add(1);
            Ok(log)
        }
        Err(error) => {
            shared.logs.write().remove(partition);
            directory.partitions.fetch_sub(1, Ordering::Relaxed);
            Err(error)
        }
    }
}

enum Reserved {
    New(Arc<Directory>),
    Exists(Arc<Log>),
}

/// Chooses the directory and takes the partition's place in the map, so that no one else makes it.
fn reserve(
    shared: &Shared,
    partition: &TopicPartition,
    topic_id: TopicId,
    wanted: Option<Uuid>,
) -> Result<Reserved, CreateError> {
    let mut logs = shared.logs.write();
    match logs.get(partition) {
        None if !shared.surveyed.load(Ordering::Acquire) => return Err(CreateError::Loading(partition.clone())),
        None => {}
        Some(Slot::Online { log, .. }) if log.topic_id() == topic_id => return Ok(Reserved::Exists(Arc::clone(log))),
        Some(Slot::Online { log, .. }) => {
            let (partition, found) = (partition.clone(), log.topic_id());
            return Err(CreateError::OtherTopic { partition, found, wanted: topic_id });
        }
        Some(Slot::Loading { .. }) => return Err(CreateError::Loading(partition.clone())),
        Some(Slot::Failed { reason, .. }) => {
            return Err(CreateError::Failed { partition: partition.clone(), reason: reason.to_string() });
        }
    }
    let directory = place(&shared.directories, wanted)?;
    directory.partitions.fetch_add(1, Ordering::Relaxed);
    logs.insert(partition.clone(), Slot::Loading { directory: directory.index });
    Ok(Reserved::New(Arc::clone(directory)))
}

fn place(directories: &[Arc<Directory>], wanted: Option<Uuid>) -> Result<&Arc<Directory>, CreateError> {
    let mut online = directories.iter().filter(|directory| directory.context.is_available());
    match wanted {
        Some(id) => online.find(|directory| directory.id == id).ok_or(CreateError::DirectoryNotOnline(id)),
        None => online
            .min_by_key(|directory| directory.partitions.load(Ordering::Relaxed))
            .ok_or(CreateError::NoOnlineDirectory),
    }
}

fn make(
    shared: &Shared,
    directory: &Arc<Directory>,
    partition: &TopicPartition,
    topic_id: TopicId,
    config: Arc<LogConfig>,
) -> Result<Arc<Log>, CreateError> {
    let _change = directory.context.changing();
    let dir = directory.path.join(partition_dir::name(partition));
    let cleared = super::relief::clear_the_name(shared, directory, partition);
    let made = cleared.and_then(|()| set_leftover_aside(shared, &dir, directory, partition));
    made.and_then(|()| make_folder(&dir, topic_id)).map_err(|source| {
        if !is_shortage(&source) {
            directory.context.take_offline("creating a partition", &source);
        }
        CreateError::Io { partition: partition.clone(), source }
    })?;
    let log = Log::create(dir, partition.clone(), topic_id, Arc::clone(&directory.context), config, shared.now_ms());
    log.set_producer_id_expiration_ms(shared.producer_id_expiration_ms.load(Ordering::Relaxed));
    Ok(Arc::new(log))
}

fn make_folder(dir: &Path, topic_id: TopicId) -> io::Result<()> {
    fs::create_dir(dir)?;
    partition_metadata::write(dir, topic_id).inspect_err(|_| {
        // So that the next attempt finds what this one found; if that fails too, it is set aside then.
        let _ = fs::remove_dir_all(dir);
    })
}

/// A folder of the name that is no partition of ours was left by a creation that failed half-way.
fn set_leftover_aside(
    shared: &Shared,
    dir: &Path,
    directory: &Directory,
    partition: &TopicPartition,
) -> io::Result<()> {
    let stray = directory.path.join(partition_dir::stray_name(partition, (shared.config.new_id)()));
    match fs::rename(dir, &stray) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            tracing::warn!(%partition, path = %stray.display(), "a folder that no partition has was in the way: set aside");
            Ok(())
        }
    }
}

/// Room or handles are short: the disk is as good as it was.
fn is_shortage(error: &io::Error) -> bool {
    let out_of_handles = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        || out_of_handles.contains(&error.raw_os_error())
}

pub(super) fn delete(shared: &Shared, partition: &TopicPartition, topic_id: TopicId) -> Result<(), DeleteError> {
    let slot = {
        let mut logs = shared.logs.write();
        let slot = match logs.get(partition) {
            None => return Err(DeleteError::Absent(partition.clone())),
            Some(Slot::Loading { .. }) => return Err(DeleteError::Loading(partition.clone())),
            // The next topic of the name was quicker than this deletion.
            Some(Slot::Online { log, .. }) if log.topic_id() != topic_id => {
                return Err(DeleteError::Absent(partition.clone()));
            }
            Some(slot) => slot.clone(),
        };
        if shared.directories[slot.directory()].context.is_stalled() {
            // The next start finds that it is nobody's.
            let source = io::Error::from(io::ErrorKind::TimedOut);
            return Err(DeleteError::Io { partition: partition.clone(), source });
        }
        // The name stays taken until the folder is out of the way, or a new partition's would be renamed in its stead.
        logs.insert(partition.clone(), Slot::Loading { directory: slot.directory() });
        slot
    };
    super::futures::cancel(shared, partition);
    let directory = &shared.directories[slot.directory()];
    let renamed = rename_deleted(shared, directory, partition, &slot);
    directory.forget(partition);
    shared.logs.write().remove(partition);
    directory.partitions.fetch_sub(1, Ordering::Relaxed);
    let path = match renamed {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            if !directory.context.is_stalled() {
                directory.context.take_offline("deleting a partition", &source);
            }
            return Err(DeleteError::Io { partition: partition.clone(), source });
        }
    };
    let delay_ms = i64::try_from(shared.config.file_delete_delay_ms).unwrap_or(i64::MAX);
    let due_ms = shared.now_ms().saturating_add(delay_ms);
    shared.deletions.lock().push(DueFolder { due_ms, path });
    shared.metrics.partitions_deleted.add(1);
    shared.alarm.ring();
    Ok(())
}

/// Takes a partition's folder out of sight; returns where it is now.
fn rename_deleted(
    shared: &Shared,
    directory: &Directory,
    partition: &TopicPartition,
    slot: &Slot,
) -> io::Result<PathBuf> {
    let renamed = directory.path.join(partition_dir::deleted_name(partition, (shared.config.new_id)()));
    match slot {
        Slot::Online { log, .. } => log.abandon_to(&renamed),
        _ => fs::rename(directory.path.join(partition_dir::name(partition)), &renamed),
    }?;
    Ok(renamed)
}
