//! A fixed rate: record `n` is due `n` intervals after the first, however late the one before was.

use std::thread;
use std::time::{Duration, Instant};

/// Seconds at the beginning of a paced run that are not counted: connections open, pages are touched for the first time.
pub(crate) const WARM_UP_SECONDS: u64 = 1;

/// Waits for each record's turn.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(records_per_second: u64) -> Pace {
        Pace {
            interval: Duration::from_secs(1) / u32::try_from(records_per_second).unwrap_or(u32::MAX),
            next: Instant::now(),
        }
    }

    /// Sleeps until the next record is due; returns at once when it is late.
    pub(crate) fn wait(&mut self) {
        let now = Instant::now();
        if let Some(early) = self.next.checked_duration_since(now) {
            thread::sleep(early);
        }
        self.next += self.interval;
    }
}
