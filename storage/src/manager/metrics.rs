//! What the manager counts, for whoever publishes it.
//!
//! Plain counters, read at any time without a lock; never reset.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of a log manager.
#[derive(Debug, Default)]
pub struct LogManagerMetrics {
    /// Rounds of a flusher, each shared by every partition that waited.
    pub flush_rounds: Counter,
    /// Logs flushed.
    pub flushes: Counter,
    /// Flushes that were asked for by an acknowledgement and have been answered.
    pub commits: Counter,
    /// Time spent in flushes, in microseconds.
    pub flush_micros: Counter,
    /// Flushes that failed.
    pub flush_errors: Counter,
    /// Checkpoint files written.
    pub checkpoints: Counter,
    /// Segments deleted by retention.
    pub segments_deleted: Counter,
    /// Partitions created.
    pub partitions_created: Counter,
    /// Partitions deleted.
    pub partitions_deleted: Counter,
    /// Partitions opened at start.
    pub partitions_loaded: Counter,
    /// Partitions that could not be opened at start.
    pub partitions_failed: Counter,
    /// Partitions that took the place of what they are a copy of, in another directory.
    pub partitions_moved: Counter,
    /// Partitions set aside as stray.
    pub partitions_stray: Counter,
    /// Producer ids forgotten for being idle.
    pub producers_expired: Counter,
    /// Times a directory began to refuse produce for lack of room.
    pub disk_full_events: Counter,
}
