//! Counters the network keeps and others read. Plain atomics: each is written by one thread, or rarely.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One listener's connections.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// The listener's name.
    pub name: Arc<str>,
    /// Open connections.
    pub connections: AtomicU64,
    /// Connections accepted since the start.
    pub accepted: AtomicU64,
    /// Connections refused by a limit since the start.
    pub refused: AtomicU64,
    /// Failed TLS handshakes since the start.
    pub handshake_failures: AtomicU64,
}

impl ListenerMetrics {
    pub(super) fn new(name: Arc<str>) -> ListenerMetrics {
        ListenerMetrics {
            name,
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            handshake_failures: AtomicU64::new(0),
        }
    }
}

/// One network thread's traffic. Written by that thread alone, so a plain add does.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct NetworkThreadMetrics {
    /// Open connections (written by acceptors too).
    pub connections: AtomicU64,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// Requests received.
    pub requests: AtomicU64,
    /// Requests received and not yet answered.
    pub requests_in_flight: AtomicU64,
    /// Nanoseconds the thread was not asleep.
    pub busy_ns: AtomicU64,
}

/// Adds to a counter that only the calling thread writes: no locked instruction. Wraps, so that it can take away too.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

/// All of the network's counters.
#[derive(Debug)]
pub struct NetworkMetrics {
    /// In the order of `listeners`.
    pub listeners: Vec<Arc<ListenerMetrics>>,
    /// In the order of the threads.
    pub threads: Vec<Arc<NetworkThreadMetrics>>,
}

impl NetworkMetrics {
    /// A sum over the threads.
    pub fn total(&self, counter: impl Fn(&NetworkThreadMetrics) -> &AtomicU64) -> u64 {
        self.threads.iter().map(|thread| counter(thread).load(Ordering::Relaxed)).sum()
    }
}
