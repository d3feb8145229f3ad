//! Keeping a directory's bounds: unflushed bytes, free space, and how far its checkpoints lag.
//!
//! Called on the flusher's thread when the directory's budget of appended bytes is spent (then, and with the checkpoint
//! interval). Flushes the logs with the most unflushed bytes until half the bound is left (a flush also takes the producer
//! snapshots that bound a recovery), writes the recovery points, sets or clears the reserve mark of the disk, and hands out
//! the next budget. Invariants: a recovery point is written only for what was fsynced; what lies beyond the written ones is
//! bounded, so a start after a crash reads no more than that.

use std::io;
use std::sync::Arc;

use weir_protocol::ids::TopicPartition;

use super::bulk_flush::{self, BULK_FLUSH_LOGS};
use super::checkpoints;
use super::directory::Directory;
use super::disk_space::{DiskSpace, Reserve};
use super::flusher;
use super::state::Shared;
use crate::log::Log;

/// The least that is handed out, so that a nearly full disk is looked at often but not at each append.
const MIN_BUDGET_BYTES: u64 = 1 << 20;

/// Brings the directory back within its bounds and hands out a new budget. What is unflushed at start is looked at once all
/// is loaded.
pub(super) fn relieve(shared: &Shared, directory: &Directory) {
    let room = look_at_disk(shared, directory);
    directory.context.set_budget(budget(shared, room));
    if directory.is_loaded() {
        flush_heaviest(shared, directory);
        checkpoint(shared, directory);
    }
}

/// Flushes the logs with the most unflushed bytes until half of what is allowed is left. A failure takes the directory
/// offline and leaves nothing more to do.
fn flush_heaviest(shared: &Shared, directory: &Directory) {
    let kept = shared.config.max_unflushed_bytes / 2;
    let mut logs: Vec<(u64, Arc<Log>)> =
        shared.logs_of(directory).into_iter().map(|log| (log.unflushed_bytes(), log)).collect();
    let mut unflushed: u64 = logs.iter().map(|(bytes, _)| bytes).sum();
    logs.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let heavy = logs.iter().take_while(|(bytes, _)| {
        let take = unflushed > kept && *bytes > 0;
        unflushed = unflushed.saturating_sub(*bytes);
        take
    });
    let heavy: Vec<_> = heavy.map(|(_, log)| Arc::clone(log)).collect();
    flush_all(shared, directory, &heavy);
}

/// Flushes what logs whose every record is to be flushed before it is seen have left over from a process that was killed.
pub(super) fn flush_promised(shared: &Shared, directory: &Directory) {
    let unflushed = |log: &Arc<Log>| log.config().flush_messages == 1 && log.recovery_point() < log.log_end_offset();
    let logs: Vec<_> = shared.logs_of(directory).into_iter().filter(unflushed).collect();
    flush_all(shared, directory, &logs);
}

/// Flushes logs, many of them together.
fn flush_all(shared: &Shared, directory: &Directory, logs: &[Arc<Log>]) {
    let outcome = if logs.len() >= BULK_FLUSH_LOGS {
        bulk_flush::flush(shared, directory, logs)
    } else {
        logs.iter().try_for_each(|log| flusher::flush(shared, directory, log, log.log_end_offset()))
    };
    if let Err(error) = outcome {
        tracing::warn!(dir = %directory.path.display(), %error, "flushing in the background failed");
    }
}

/// Writes the directory's recovery points and log start offsets. Nothing is written before the directory is loaded, for
/// what is not loaded yet would be missing.
pub(super) fn checkpoint(shared: &Shared, directory: &Directory) {
    if !directory.is_loaded() || !directory.context.is_available() {
        return;
    }
    let written = {
        let _checkpointing = directory.checkpointing.lock();
        // Before the look at the logs: what is retired after it stays for the next time.
        let retired = std::mem::take(&mut *directory.retired.lock());
        let logs = shared.logs_of(directory);
        if retired.is_empty() {
            checkpoints::write_recovery_points(directory, &logs)
                .and_then(|recovery| Ok(recovery + checkpoints::write_log_starts(directory, &logs)?))
        } else {
            checkpoints::write_all(directory, &logs)
        }
    };
    match written {
        Ok(files) => shared.metrics.checkpoints.add(files),
        Err(error) => directory.context.take_offline("writing checkpoints", &error),
    }
}

/// Sees to it that no checkpoint on disk speaks of an earlier partition of this name. Costs nothing unless there was one
/// since the last checkpoint.
pub(super) fn clear_the_name(shared: &Shared, directory: &Directory, partition: &TopicPartition) -> io::Result<()> {
    if !directory.retired.lock().contains(partition) {
        return Ok(());
    }
    let _checkpointing = directory.checkpointing.lock();
    let retired = std::mem::take(&mut *directory.retired.lock());
    if retired.is_empty() {
        return Ok(());
    }
    checkpoints::write_all(directory, &shared.logs_of(directory)).map(|files| shared.metrics.checkpoints.add(files))
}

/// Writes the directory's high watermarks.
pub(super) fn checkpoint_high_watermarks(shared: &Shared, directory: &Directory) {
    if !directory.is_loaded() || !directory.context.is_available() {
        return;
    }
    let _checkpointing = directory.checkpointing.lock();
    match checkpoints::write_high_watermarks(directory, &shared.logs_of(directory)) {
        Ok(files) => shared.metrics.checkpoints.add(files),
        Err(error) => directory.context.take_offline("writing high watermarks", &error),
    }
}

/// Sets or clears the reserve mark; returns the bytes that may still be appended before it.
pub(super) fn look_at_disk(shared: &Shared, directory: &Directory) -> u64 {
    let reserve = Reserve::of(&shared.config);
    match DiskSpace::of(&directory.path) {
        Ok(space) => {
            let was_full = directory.context.is_full();
            let is_full = space.is_full(reserve, was_full);
            if is_full != was_full {
                directory.context.set_full(is_full);
                report_disk(shared, directory, is_full, &space);
            }
            space.headroom(reserve)
        }
        Err(error) => {
            directory.context.take_offline("asking for the free space", &error);
            0
        }
    }
}

fn report_disk(shared: &Shared, directory: &Directory, is_full: bool, space: &DiskSpace) {
    let dir = directory.path.display();
    if is_full {
        shared.metrics.disk_full_events.add(1);
        tracing::warn!(%dir, usable_bytes = space.usable, "the disk is at its reserve mark: produce is refused until there is room");
    } else {
        tracing::info!(%dir, usable_bytes = space.usable, "the disk has room again: produce is accepted");
    }
}

/// The first budget of a directory that was just opened.
pub(super) fn start(shared: &Shared, directory: &Directory) {
    let room = look_at_disk(shared, directory);
    directory.context.set_budget(budget(shared, room));
}

/// What may be appended until the directory is looked at again.
fn budget(shared: &Shared, room: u64) -> u64 {
    (shared.config.max_unflushed_bytes / 2).min(room / 2).max(MIN_BUDGET_BYTES)
}
