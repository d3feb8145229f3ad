//! Many logs made durable by one sync of their file system.
//!
//! An fsync a file costs a commit of the file system's journal each: ten thousand logs would take minutes. Here every log
//! hands what it has to the operating system, one `syncfs` makes all of it durable, and every log notes it. The price is
//! that whatever else is unwritten on that file system is written too; a busy directory pays it once, for the next round
//! finds little left. `syncfs` reports a write-back that failed since the directory's handle was opened (Linux 5.8), and the
//! handle is as old as the manager: an error takes the directory offline like a failed fsync.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::directory::Directory;
use super::state::Shared;
use crate::log::{Log, PendingFlush, StorageError};

/// From so many logs on one sync of the file system is used. Measured on ext4, 16 KB batches, `flush.messages=1`: with 4
/// logs it is no slower than an fsync each, with 30 six times as fast, with 100 forty times.
pub(super) const BULK_FLUSH_LOGS: usize = 4;

/// Makes what `logs` have appended durable and moves their recovery points.
pub(super) fn flush(shared: &Shared, directory: &Directory, logs: &[Arc<Log>]) -> io::Result<()> {
    let began = Instant::now();
    let outcome = hand_over(logs, Log::begin_flush)
        .and_then(|pending| if pending.is_empty() { Ok(()) } else { finish(directory, pending) });
    shared.metrics.flushes.add(logs.len() as u64);
    shared.metrics.flush_micros.add(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    if outcome.is_err() {
        shared.metrics.flush_errors.add(1);
    }
    outcome
}

/// The first half: every log hands over what it has, by [`Log::begin_flush`] or [`Log::begin_close`]. Stops at an error.
pub(super) fn hand_over<'a>(
    logs: impl IntoIterator<Item = &'a Arc<Log>>,
    begin: fn(&Log) -> Result<Option<PendingFlush>, StorageError>,
) -> io::Result<Vec<(&'a Arc<Log>, PendingFlush)>> {
    let mut pending = Vec::new();
    for log in logs {
        if let Some(flush) = begin(log).map_err(io::Error::other)? {
            pending.push((log, flush));
        }
    }
    Ok(pending)
}

/// The second half: one sync, and every log notes it.
pub(super) fn finish(directory: &Directory, pending: Vec<(&Arc<Log>, PendingFlush)>) -> io::Result<()> {
    directory
        .sync_file_system()
        .inspect_err(|error| directory.context.take_offline("sync of the file system", error))?;
    pending.into_iter().try_for_each(|(log, flush)| log.finish_flush(flush).map_err(io::Error::other))
}
