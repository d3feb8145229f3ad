//! How busy a network thread is: the share of the last second or so that it was not asleep.
//!
//! Written by the thread as it parks and unparks (one clock reading each), read by the acceptors.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::metrics::{self, NetworkThreadMetrics};

/// The time the average looks back.
const WINDOW_NS: u64 = 500_000_000;
/// A load of 100 % as it is averaged: fine enough for turns of microseconds to count.
const FULL: u64 = 1 << 30;

/// One thread's load.
#[derive(Debug)]
pub(super) struct ThreadLoad {
    start: Instant,
    parked: AtomicBool,
    /// When it last parked or unparked.
    turned_ns: AtomicU64,
    /// Average as of the last time it parked or unparked.
    load: AtomicU64,
}

impl ThreadLoad {
    pub(super) fn new() -> ThreadLoad {
        ThreadLoad {
            start: Instant::now(),
            parked: AtomicBool::new(false),
            turned_ns: AtomicU64::new(0),
            load: AtomicU64::new(0),
        }
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// The thread goes to sleep.
    pub(super) fn parks(&self, metrics: &NetworkThreadMetrics) {
        metrics::add(&metrics.busy_ns, self.turn(true));
    }

    /// The thread wakes up.
    pub(super) fn unparks(&self) {
        self.turn(false);
    }

    fn turn(&self, parked: bool) -> u64 {
        let now = self.now_ns();
        let elapsed = now.saturating_sub(self.turned_ns.load(Ordering::Relaxed));
        self.load.store(self.averaged(elapsed), Ordering::Relaxed);
        self.turned_ns.store(now, Ordering::Relaxed);
        self.parked.store(parked, Ordering::Relaxed);
        elapsed
    }

    fn averaged(&self, elapsed_ns: u64) -> u64 {
        let sample = if self.parked.load(Ordering::Relaxed) { 0 } else { FULL };
        average(self.load.load(Ordering::Relaxed), sample, elapsed_ns)
    }

    /// The average as of now, in thousandths.
    pub(super) fn permille(&self) -> u64 {
        let elapsed = self.now_ns().saturating_sub(self.turned_ns.load(Ordering::Relaxed));
        self.averaged(elapsed) * 1000 / FULL
    }
}

/// For how long a thread has been at the same request.
#[derive(Debug, Default)]
pub(super) struct HeldWatch {
    /// The requests it had received, when that was first seen and it was not asleep.
    at_request: Option<(u64, Instant)>,
}

impl HeldWatch {
    pub(super) fn look(&mut self, now: Instant, load: &ThreadLoad, metrics: &NetworkThreadMetrics) {
        let requests = metrics.requests.load(Ordering::Relaxed);
        self.note(now, load.parked.load(Ordering::Relaxed), requests);
    }

    fn note(&mut self, now: Instant, is_asleep: bool, requests: u64) {
        match self.at_request {
            _ if is_asleep => self.at_request = None,
            Some((seen, _)) if seen == requests => {}
            _ => self.at_request = Some((requests, now)),
        }
    }

    /// Whether it has been for `patience`, as far as was seen.
    pub(super) fn is_held(&self, now: Instant, patience: Duration) -> bool {
        self.at_request.is_some_and(|(_, since)| now.saturating_duration_since(since) >= patience)
    }
}

/// Moves `before` towards `sample` by the share of the window that has passed.
fn average(before: u64, sample: u64, elapsed_ns: u64) -> u64 {
    let elapsed_ns = elapsed_ns.min(WINDOW_NS);
    (before * (WINDOW_NS - elapsed_ns) + sample * elapsed_ns) / WINDOW_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_held_that_neither_sleeps_nor_receives_for_long() {
        let (mut watch, start, patience) = (HeldWatch::default(), Instant::now(), Duration::from_secs(1));
        let at = |seconds| start + Duration::from_secs(seconds);
        for (second, is_asleep, requests, held) in
            [(0, false, 5, false), (1, false, 6, false), (2, true, 6, false), (3, false, 6, false), (4, false, 6, true)]
        {
            watch.note(at(second), is_asleep, requests);
            assert_eq!(watch.is_held(at(second), patience), held, "second {second}");
        }
    }

    #[test]
    fn a_full_window_replaces_the_average_and_half_a_window_half_of_it() {
        assert_eq!(average(FULL / 3, FULL, WINDOW_NS), FULL);
        assert_eq!(average(FULL, 0, WINDOW_NS / 2), FULL / 2);
        assert_eq!(average(0, FULL, 10 * WINDOW_NS), FULL);
    }
}
