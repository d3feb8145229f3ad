//! A clean stop: everything is flushed, snapshot and written down.
//!
//! Directories are done in parallel, each by as many threads as it is recovered with, for a hundred thousand logs must not
//! take a hundred thousand fsyncs in a row; a log that has nothing unflushed costs no fsync at all. The clean shutdown marker is
//! written last, and only if all of the directory's logs were closed; otherwise the next start recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weir_protocol::ids::BrokerEpoch;

use super::checkpoints;
use super::directory::Directory;
use super::partition_metadata;
use super::state::Shared;
use crate::log::Log;

/// Writes down every directory that can be written.
pub(super) fn write_down(shared: &Shared, broker_epoch: BrokerEpoch) {
    std::thread::scope(|scope| {
        for directory in shared.directories.iter().filter(|directory| !directory.context.is_offline()) {
            scope.spawn(move || write_down_directory(shared, directory, broker_epoch));
        }
    });
}

fn write_down_directory(shared: &Shared, directory: &Arc<Directory>, broker_epoch: BrokerEpoch) {
    let logs = shared.logs_of(directory);
    let failed = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..shared.config.recovery_threads_per_dir.clamp(1, logs.len().max(1)) {
            scope.spawn(|| {
                while let Some(log) = logs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = close_log(log) {
                        tracing::error!(partition = %log.topic_partition(), %error, "cannot close a log cleanly");
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if failed.load(Ordering::Relaxed) || !directory.is_loaded() {
        // What was not loaded is missing from the checkpoints and keeps the ones it has.
        return;
    }
    let written = checkpoints::write_recovery_points(directory, &logs)
        .and_then(|_| checkpoints::write_log_starts(directory, &logs))
        .and_then(|_| checkpoints::write_high_watermarks(directory, &logs))
        .and_then(|_| directory.identity.lock().write_clean_shutdown(broker_epoch));
    if let Err(error) = written {
        directory.context.take_offline("writing down a clean stop", &error);
    }
}

fn close_log(log: &Arc<Log>) -> Result<(), String> {
    partition_metadata::sync_before_first_flush(log).map_err(|error| error.to_string())?;
    log.close().map_err(|error| error.to_string())
}
