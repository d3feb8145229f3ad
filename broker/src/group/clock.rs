//! Time as the coordinator sees it: two clocks read together, always an argument to the core.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks, in milliseconds.
///
/// Timers run on the monotonic clock, so that a stepped wall clock expires no member; records carry the wall clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// Since some fixed moment in this process.
    pub monotonic_ms: i64,
    /// Since the Unix epoch.
    pub wall_ms: i64,
}

/// Where the shell reads time.
pub trait Clock: Send + Sync + 'static {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts at zero.
    pub fn start() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let monotonic_ms = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic_ms, wall_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX) }
    }
}
