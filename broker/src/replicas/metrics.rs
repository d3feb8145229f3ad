//! What replication counts.

use std::sync::atomic::AtomicU64;

/// Counters, added to where things happen.
#[derive(Debug, Default)]
pub(crate) struct ReplicaMetrics {
    /// ISRs that a leader here had replicas taken out of.
    pub(crate) isr_shrinks: AtomicU64,
    /// ISRs that a leader here had a replica put into.
    pub(crate) isr_expands: AtomicU64,
    /// Proposals of an ISR that the controller refused.
    pub(crate) isr_refusals: AtomicU64,
    /// Bytes of records fetched from leaders.
    pub(crate) fetched_bytes: AtomicU64,
    /// Fetches sent to leaders.
    pub(crate) fetches: AtomicU64,
    /// Fetches that failed as a whole.
    pub(crate) fetch_failures: AtomicU64,
    /// Logs cut because they parted from their leader's.
    pub(crate) truncations: AtomicU64,
}
