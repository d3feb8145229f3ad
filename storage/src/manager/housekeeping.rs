//! What must be done from time to time: retention, expiry of producers, removal of files, `flush.ms`, and telling the
//! flushers that checkpoints are due.
//!
//! Owns the schedule, which is a function of the time it is given: [`Schedule::run`] does what is due and returns when it
//! wants to be called next. A node at rest has no deadline but the retention check's: the checkpoints are scheduled by
//! the first change after a rest. Never fsyncs; that is the flushers'.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use weir_protocol::ids::TopicPartition;

use super::config::{DISK_FULL_CHECK_MS, PRODUCER_EXPIRATION_CHECK_MS};
use super::flusher::Waiting;
use super::state::Shared;
use crate::log::Log;

/// When each task is due, in the clock's milliseconds; `None` until something changes.
#[derive(Debug)]
pub(super) struct Schedule {
    retention: i64,
    producers: i64,
    checkpoint: Option<i64>,
    high_watermarks: Option<i64>,
    flush: Option<i64>,
    disk: Option<i64>,
    /// When the unflushed records of a log with a `flush.ms` must be flushed.
    flush_due: HashMap<TopicPartition, i64>,
}

impl Schedule {
    pub(super) fn new(shared: &Shared, now_ms: i64) -> Self {
        Self {
            retention: now_ms.saturating_add(shared.config.initial_task_delay_ms),
            producers: now_ms + PRODUCER_EXPIRATION_CHECK_MS,
            checkpoint: None,
            high_watermarks: None,
            flush: None,
            disk: None,
            flush_due: HashMap::new(),
        }
    }

    /// Does what is due at `now_ms`; returns when the next task is.
    pub(super) fn run(&mut self, shared: &Shared, now_ms: i64) -> i64 {
        if now_ms >= self.retention {
            apply_retention(shared, now_ms);
            self.retention = now_ms.saturating_add(shared.config.retention_check_interval_ms);
        }
        if now_ms >= self.producers {
            expire_producers(shared, now_ms);
            self.producers = now_ms + PRODUCER_EXPIRATION_CHECK_MS;
        }
        self.watch_changes(shared, now_ms);
        if due(&mut self.flush, now_ms) {
            self.flush_aged(shared, now_ms);
        }
        if due(&mut self.checkpoint, now_ms) {
            shared.directories.iter().for_each(|directory| directory.flushes.ask(|round| round.checkpoint = true));
        }
        if due(&mut self.high_watermarks, now_ms) {
            for directory in shared.directories.iter().filter(|directory| directory.context.take_activity()) {
                directory.flushes.ask(|round| round.high_watermarks = true);
            }
        }
        if due(&mut self.disk, now_ms) {
            for directory in shared.directories.iter().filter(|directory| directory.context.is_full()) {
                directory.flushes.ask(|round| round.relieve = true);
            }
        }
        if shared.directories.iter().any(|directory| directory.context.is_full()) {
            self.disk.get_or_insert(now_ms + DISK_FULL_CHECK_MS);
        }
        let deletion = remove_due(shared, now_ms);
        let optional = [self.checkpoint, self.high_watermarks, self.flush, self.disk, deletion];
        optional.into_iter().flatten().chain([self.retention, self.producers]).min().unwrap_or(i64::MAX)
    }

    /// The first change after a rest makes the checkpoints due one interval later.
    fn watch_changes(&mut self, shared: &Shared, now_ms: i64) {
        if !shared.directories.iter().any(|directory| directory.context.is_active()) {
            return;
        }
        let config = &shared.config;
        self.checkpoint.get_or_insert(now_ms.saturating_add(config.checkpoint_interval_ms));
        self.high_watermarks.get_or_insert(now_ms.saturating_add(config.high_watermark_checkpoint_interval_ms));
        let flush_ms = shared.flush_ms.load(Ordering::Relaxed);
        if flush_ms != i64::MAX {
            self.flush.get_or_insert(now_ms.saturating_add(flush_ms));
        }
    }

    /// Flushes the logs whose unflushed records have reached their `flush.ms`.
    fn flush_aged(&mut self, shared: &Shared, now_ms: i64) {
        let mut next = i64::MAX;
        for log in shared.online() {
            let flush_ms = log.config().flush_ms;
            if flush_ms == i64::MAX {
                continue;
            }
            let partition = log.topic_partition();
            if log.unflushed_bytes() == 0 {
                self.flush_due.remove(partition);
                continue;
            }
            // First seen one scan after it was written at the latest, hence due now unless its interval is longer than
            // that of the scan.
            let scan_ms = shared.flush_ms.load(Ordering::Relaxed);
            let due = *self.flush_due.entry(partition.clone()).or_insert(now_ms.saturating_add(flush_ms - scan_ms));
            if due <= now_ms {
                self.flush_due.remove(partition);
                ask_flush(shared, log);
            } else {
                next = next.min(due);
            }
        }
        self.flush = (next != i64::MAX).then_some(next);
    }
}

/// Whether the task is due; if so it is no longer scheduled.
fn due(task: &mut Option<i64>, now_ms: i64) -> bool {
    task.take_if(|at| *at <= now_ms).is_some()
}

fn ask_flush(shared: &Shared, log: Arc<Log>) {
    let Some(directory) = shared.directory_of(&log) else { return };
    let up_to = log.log_end_offset();
    // A full queue has work for long enough that the next scan is early enough.
    let _ = directory.flushes.push(Waiting { log, up_to, waker: None });
}

fn apply_retention(shared: &Shared, now_ms: i64) {
    for log in shared.online() {
        if !log.context().is_available() || shared.is_closed() {
            continue;
        }
        match log.delete_expired_segments(now_ms) {
            Ok(segments) => shared.metrics.segments_deleted.add(segments as u64),
            Err(error) => tracing::warn!(partition = %log.topic_partition(), %error, "retention failed"),
        }
    }
}

fn expire_producers(shared: &Shared, now_ms: i64) {
    for log in shared.online() {
        shared.metrics.producers_expired.add(log.remove_expired_producers(now_ms) as u64);
    }
}

/// Removes the files and folders that are due; returns when the next are.
fn remove_due(shared: &Shared, now_ms: i64) -> Option<i64> {
    let mut next: Option<i64> = None;
    for directory in shared.directories.iter().filter(|directory| directory.context.is_available()) {
        for file in directory.context.take_due_deletions(now_ms).into_iter().flat_map(|deletion| deletion.files) {
            report_removal(&file, fs::remove_file(&file));
        }
        next = next.into_iter().chain(directory.context.next_deletion_ms()).min();
    }
    let due: Vec<_> = shared.deletions.lock().extract_if(.., |folder| folder.due_ms <= now_ms).collect();
    for folder in due {
        report_removal(&folder.path, fs::remove_dir_all(&folder.path));
    }
    let folders = shared.deletions.lock().iter().map(|folder| folder.due_ms).min();
    next.into_iter().chain(folders).min()
}

/// What cannot be removed now is met again at the next start.
fn report_removal(path: &std::path::Path, outcome: io::Result<()>) {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove what was deleted; it stays until the next start");
        }
        _ => {}
    }
}
