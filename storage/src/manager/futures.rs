//! Replicas that move to another log directory of this node: from the making of the `-future` folder to its taking the place of the
//! folder there was (KIP-113).
//!
//! Owns the folders and what a crash leaves of them; what is copied, and when the copy is complete, is the caller's. The place is taken
//! by one rename, before which the folder is durable and carries [`MOVED_FROM_FILE`], the id of the directory that it replaces: of two
//! folders of one partition a start believes the one that says so. A move that had not come so far begins anew: whether the original was
//! cut, or lost its end with the power, and has grown again since, cannot be seen from what the copy holds. One replica at a time is
//! copied into a directory, so that is all that is copied twice.
//!
//! ```text
//! current     orders-0                      orders-0                      orders-0.{id}-delete
//! future      orders-0.{id}-future   -->    orders-0 with moved-from  --> orders-0
//!             is copied to                  the rename is the move
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;
use weir_protocol::ids::{Offset, TopicPartition};

use super::directory::Directory;
use super::error::MoveError;
use super::state::{DueFolder, Shared, Slot};
use super::{partition_dir, partition_metadata};
use crate::checkpoint::sync_dir;
use crate::identity::{format_uuid, parse_uuid};
use crate::log::Log;

/// The file in a folder that took the place of another: the id of that one's directory.
pub(super) const MOVED_FROM_FILE: &str = "moved-from";

/// A copy of a partition that is to take its place.
pub(super) struct FutureReplica {
    pub(super) directory: usize,
    pub(super) copy: Copy,
}

/// What there is of a copy.
pub(super) enum Copy {
    /// The folder that a start found: it tells that the partition moves, and what is in it is not looked at.
    Found(PathBuf),
    /// The log.
    Open(Arc<Log>),
}

/// What became of a wish to move.
#[derive(Clone, Debug)]
pub enum Moving {
    /// The partition lies there already; a move elsewhere is called off.
    Stays,
    /// This log is to become what the partition's is, and then to take its place.
    To(Arc<Log>),
}

/// Begins to move a partition to a directory, or goes on with it. A move elsewhere is called off.
pub(super) fn begin(shared: &Shared, partition: &TopicPartition, to: Uuid) -> Result<Moving, MoveError> {
    let directory = shared.directories.iter().find(|directory| directory.id == to);
    let directory = directory.filter(|directory| directory.context.is_available());
    let directory = directory.ok_or(MoveError::DirectoryNotOnline(to))?;
    let (lies_in, log) = current(shared, partition)?;
    let is_elsewhere = shared.futures.lock().get(partition).is_some_and(|future| future.directory != directory.index);
    if is_elsewhere || lies_in == directory.index {
        cancel(shared, partition);
    }
    if lies_in == directory.index {
        return Ok(Moving::Stays);
    }
    if let Some(future) = open(shared, partition)? {
        return Ok(Moving::To(future));
    }
    let future = make(shared, partition, directory, &log)?;
    let copy = FutureReplica { directory: directory.index, copy: Copy::Open(Arc::clone(&future)) };
    shared.futures.lock().insert(partition.clone(), copy);
    directory.partitions.fetch_add(1, Ordering::Relaxed);
    Ok(Moving::To(future))
}

/// Makes a copy that has nothing yet, in a folder of its own.
fn make(
    shared: &Shared,
    partition: &TopicPartition,
    directory: &Directory,
    original: &Log,
) -> Result<Arc<Log>, MoveError> {
    let dir = directory.path.join(partition_dir::future_name(partition, (shared.config.new_id)()));
    let made = {
        let _change = directory.context.changing();
        // What an earlier move left there could speak against this one.
        clear_moved_from(&original.dir()).and_then(|()| make_folder(&dir, original))
    };
    made.map_err(|source| MoveError::Io { partition: partition.clone(), source })?;
    let future = Log::create(
        dir,
        partition.clone(),
        original.topic_id(),
        Arc::clone(&directory.context),
        original.config(),
        shared.now_ms(),
    );
    future.set_producer_id_expiration_ms(shared.producer_id_expiration_ms.load(Ordering::Relaxed));
    // A copy begins where its original does.
    let start = original.log_start_offset();
    if start > Offset(0) {
        future.truncate_fully_and_start_at(start, shared.now_ms())?;
    }
    Ok(Arc::new(future))
}

fn current(shared: &Shared, partition: &TopicPartition) -> Result<(usize, Arc<Log>), MoveError> {
    match shared.logs.read().get(partition) {
        Some(Slot::Online { directory, log }) if log.context().is_available() => Ok((*directory, Arc::clone(log))),
        Some(Slot::Loading { .. }) => Err(MoveError::Loading(partition.clone())),
        _ => Err(MoveError::Absent(partition.clone())),
    }
}

fn make_folder(dir: &Path, of: &Log) -> io::Result<()> {
    fs::create_dir(dir)?;
    partition_metadata::write(dir, of.topic_id()).inspect_err(|_| {
        // The next start removes what is left.
        let _ = fs::remove_dir_all(dir);
    })
}

/// The log of a partition's move, made now if a start has found that it moves; none if it does not.
pub(super) fn open(shared: &Shared, partition: &TopicPartition) -> Result<Option<Arc<Log>>, MoveError> {
    let directory = match shared.futures.lock().get(partition) {
        None => return Ok(None),
        Some(FutureReplica { copy: Copy::Open(log), .. }) => return Ok(Some(Arc::clone(log))),
        Some(FutureReplica { directory, copy: Copy::Found(_) }) => &shared.directories[*directory],
    };
    let (_, original) = current(shared, partition)?;
    let made = make(shared, partition, directory, &original)?;
    let mut futures = shared.futures.lock();
    let (log, unused) = match futures.get_mut(partition).map(|future| &mut future.copy) {
        Some(copy @ Copy::Found(_)) => {
            let found = std::mem::replace(copy, Copy::Open(Arc::clone(&made)));
            (Some(made), found)
        }
        // Called off meanwhile, or made by somebody else.
        Some(Copy::Open(other)) => (Some(Arc::clone(other)), Copy::Open(made)),
        None => (None, Copy::Open(made)),
    };
    drop(futures);
    discard(shared, directory, partition, &unused);
    Ok(log)
}

/// Makes a complete copy ready to take the place of the original, which may still grow: from here on a start would know which of the
/// two to believe.
pub(super) fn prepare(shared: &Shared, partition: &TopicPartition, future: &Log) -> Result<(), MoveError> {
    let (lies_in, _) = current(shared, partition)?;
    let failed = |source| MoveError::Io { partition: partition.clone(), source };
    let _change = future.context().changing();
    let dir = future.dir();
    let known = File::open(dir.join(partition_metadata::PARTITION_METADATA_FILE)).and_then(|file| file.sync_data());
    known.and_then(|()| write_moved_from(&dir, shared.directories[lies_in].id)).map_err(failed)
}

/// Puts a complete and durable copy in the place of the original. Nobody appends to that meanwhile, or ever after.
pub(super) fn finish(shared: &Shared, partition: &TopicPartition, future: &Arc<Log>) -> Result<(), MoveError> {
    let (lies_in, original) = current(shared, partition)?;
    let absent = || MoveError::Absent(partition.clone());
    let to = shared.directory_of(future).ok_or_else(absent)?;
    let is_under_way = |copy: &mut FutureReplica| matches!(&copy.copy, Copy::Open(log) if Arc::ptr_eq(log, future));
    if !shared.futures.lock().get_mut(partition).is_some_and(is_under_way) {
        return Err(absent());
    }
    let from = &shared.directories[lies_in];
    let failed = |source| MoveError::Io { partition: partition.clone(), source };
    super::relief::clear_the_name(shared, to, partition).map_err(failed)?;
    future.rename_to(&to.path.join(partition_dir::name(partition))).map_err(failed)?;
    let durable = sync_dir(&to.path);
    {
        let mut logs = shared.logs.write();
        logs.insert(partition.clone(), Slot::Online { directory: to.index, log: Arc::clone(future) });
        shared.futures.lock().remove(partition);
    }
    if let Err(error) = durable {
        to.context.take_offline("making the move of a partition durable", &error);
    }
    give_up(shared, from, partition, &original);
    from.partitions.fetch_sub(1, Ordering::Relaxed);
    for directory in [from, to] {
        directory.flushes.ask(|round| round.checkpoint = true);
    }
    shared.metrics.partitions_moved.add(1);
    Ok(())
}

/// Takes the original out of sight. What a failure leaves is known for what it is by the next start.
fn give_up(shared: &Shared, from: &Directory, partition: &TopicPartition, original: &Log) {
    let renamed = from.path.join(partition_dir::deleted_name(partition, (shared.config.new_id)()));
    from.forget(partition);
    match original.abandon_to(&renamed) {
        Ok(()) => remove_later(shared, renamed),
        Err(error) => tracing::warn!(%partition, %error, "a partition has moved, and its old folder is still there"),
    }
    let _ = sync_dir(&from.path).and_then(|()| match shared.logs.read().get(partition) {
        Some(Slot::Online { log, .. }) => clear_moved_from(&log.dir()),
        _ => Ok(()),
    });
}

/// Calls a move off; nothing happens if there is none.
pub(super) fn cancel(shared: &Shared, partition: &TopicPartition) {
    let Some(future) = shared.futures.lock().remove(partition) else { return };
    let directory = &shared.directories[future.directory];
    directory.partitions.fetch_sub(1, Ordering::Relaxed);
    if !directory.context.is_available() {
        return;
    }
    discard(shared, directory, partition, &future.copy);
}

/// Removes a copy that no move goes on with.
fn discard(shared: &Shared, directory: &Directory, partition: &TopicPartition, copy: &Copy) {
    let renamed = directory.path.join(partition_dir::deleted_name(partition, (shared.config.new_id)()));
    let outcome = match copy {
        Copy::Found(dir) => fs::rename(dir, &renamed),
        Copy::Open(log) => log.abandon_to(&renamed),
    };
    match outcome {
        Ok(()) => remove_later(shared, renamed),
        Err(error) => tracing::warn!(%partition, %error, "a copy that is of no use any more is still there"),
    }
}

fn remove_later(shared: &Shared, path: PathBuf) {
    let delay_ms = i64::try_from(shared.config.file_delete_delay_ms).unwrap_or(i64::MAX);
    shared.deletions.lock().push(DueFolder { due_ms: shared.now_ms().saturating_add(delay_ms), path });
    shared.alarm.ring();
}

/// What a start found of moves: those whose originals are in service begin anew, the others are set aside.
pub(super) fn settle_found(shared: &Shared, found: Vec<(Arc<Directory>, TopicPartition, PathBuf)>) {
    for (directory, partition, dir) in found {
        let original = match shared.logs.read().get(&partition) {
            Some(Slot::Online { directory, log }) => Some((*directory, log.topic_id())),
            _ => None,
        };
        let copy_of = partition_metadata::read(&dir).ok().flatten();
        let mut futures = shared.futures.lock();
        match original {
            Some((lies_in, topic_id))
                if lies_in != directory.index && copy_of == Some(topic_id) && !futures.contains_key(&partition) =>
            {
                tracing::info!(%partition, to = %directory.path.display(), "a move between log directories begins anew");
                directory.partitions.fetch_add(1, Ordering::Relaxed);
                futures.insert(partition, FutureReplica { directory: directory.index, copy: Copy::Found(dir) });
            }
            // The process ended between the making of a new copy and the removal of the one that it had found.
            Some((_, topic_id))
                if copy_of == Some(topic_id)
                    && futures.get(&partition).is_some_and(|future| future.directory == directory.index) =>
            {
                drop(futures);
                discard(shared, &directory, &partition, &Copy::Found(dir));
            }
            // The original may be in a directory that does not work at the moment.
            None if shared.directories.iter().any(|directory| !directory.context.is_available()) => {
                tracing::warn!(path = %dir.display(), "a copy of a partition that is not in service is left alone");
            }
            _ => {
                drop(futures);
                let stray = directory.path.join(partition_dir::stray_name(&partition, (shared.config.new_id)()));
                match fs::rename(&dir, &stray) {
                    Ok(()) => {
                        tracing::warn!(%partition, path = %stray.display(), "a copy without its original: set aside; remove it if its data is not needed");
                    }
                    Err(error) => tracing::warn!(%partition, %error, "a copy without its original cannot be set aside"),
                }
            }
        }
    }
}

/// The directory that a folder took its partition from, if it says so.
pub(super) fn moved_from(dir: &Path) -> Option<Uuid> {
    fs::read_to_string(dir.join(MOVED_FROM_FILE)).ok().and_then(|text| parse_uuid(text.trim()))
}

fn write_moved_from(dir: &Path, from: Uuid) -> io::Result<()> {
    let mut file = File::create(dir.join(MOVED_FROM_FILE))?;
    file.write_all(format_uuid(&from).as_bytes())?;
    file.sync_all()?;
    sync_dir(dir)
}

/// The move is over, and nothing is left of what was moved.
pub(super) fn clear_moved_from(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(MOVED_FROM_FILE)) {
        Ok(()) => sync_dir(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
