//! A clean stop: everything is flushed, snapshot and written down.
//!
//! Directories are done in parallel, each by as many threads as it is recovered with; many logs share one sync of the file
//! system, and a log that has nothing unflushed costs no sync at all. The clean shutdown marker is written last, and only if
//! all of the directory's logs were opened and closed; otherwise the next start recovers.

use std::io;
use std::sync::Arc;

use weir_protocol::ids::BrokerEpoch;

use super::bulk_flush::{self, BULK_FLUSH_LOGS};
use super::checkpoints;
use super::directory::Directory;
use super::partition_metadata;
use super::state::Shared;
use crate::log::Log;

/// From so many logs on even what a log without unflushed records may have to write down (a producer snapshot) is too much
/// for an fsync each.
const MANY_LOGS: usize = 256;

/// Writes down every directory that can be written.
pub(super) fn write_down(shared: &Shared, broker_epoch: BrokerEpoch) {
    std::thread::scope(|scope| {
        for directory in shared.directories.iter().filter(|directory| directory.context.is_available()) {
            scope.spawn(move || write_down_directory(shared, directory, broker_epoch));
        }
    });
}

fn write_down_directory(shared: &Shared, directory: &Arc<Directory>, broker_epoch: BrokerEpoch) {
    let logs = shared.logs_of(directory);
    let unflushed = logs.iter().filter(|log| log.recovery_point() < log.log_end_offset()).count();
    let closed = if unflushed >= BULK_FLUSH_LOGS || logs.len() >= MANY_LOGS {
        close_together(shared, directory, &logs)
    } else {
        in_parallel(shared, &logs, |part| part.iter().try_for_each(close_log)).map(drop)
    };
    if let Err(error) = closed {
        tracing::error!(dir = %directory.path.display(), %error, "cannot close the logs cleanly: the next start recovers them");
        return;
    }
    if !directory.is_loaded() {
        // What was not loaded is missing from the checkpoints and keeps the ones it has.
        return;
    }
    let _checkpointing = directory.checkpointing.lock();
    let written = checkpoints::write_all(directory, &logs).and_then(|_| match directory.is_whole() {
        true => directory.identity.lock().write_clean_shutdown(broker_epoch),
        // A partition that could not be opened was not closed either.
        false => Ok(()),
    });
    if let Err(error) = written {
        directory.context.take_offline("writing down a clean stop", &error);
    }
}

/// Closes every log with one sync of the file system, which also covers the snapshots of those that had nothing to flush.
fn close_together(shared: &Shared, directory: &Directory, logs: &[Arc<Log>]) -> io::Result<()> {
    let pending = in_parallel(shared, logs, |part| bulk_flush::hand_over(part, Log::begin_close))?;
    bulk_flush::finish(directory, pending.into_iter().flatten().collect())
}

fn close_log(log: &Arc<Log>) -> io::Result<()> {
    if log.recovery_point() < log.log_end_offset() {
        partition_metadata::sync_before_first_flush(log)?;
    }
    log.close().map_err(io::Error::other)
}

/// Does `work` on equal parts of `logs`, one a thread.
fn in_parallel<'a, T: Send>(
    shared: &Shared,
    logs: &'a [Arc<Log>],
    work: impl Fn(&'a [Arc<Log>]) -> io::Result<T> + Sync,
) -> io::Result<Vec<T>> {
    let part = logs.len().div_ceil(shared.config.recovery_threads_per_dir.max(1)).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = logs.chunks(part).map(|part| scope.spawn(|| work(part))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, io::Result<T>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread that closes logs has panicked")))
        };
        threads.into_iter().map(join).collect()
    })
}
