//! Incremental fetch sessions (KIP-227): what a fetcher has asked for and was told, so that only changes travel.
//!
//! A pure core: time and fresh ids are arguments. The cache has a named number of slots; a fetcher that gets none is
//! served all the same, without a session. A session's partitions are kept in the order in which they are served, and
//! one that was given data goes to the end, so that none starves.

mod cache;
mod session;

pub use cache::{FetchPlan, FetchSessionCache, SessionRequest};
pub use session::{FetchPartition, FetchSession, PartitionAnswer};

/// The epoch of a request that wants a new session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants no session.
pub const FINAL_EPOCH: i32 = -1;
/// The id of no session.
pub const NO_SESSION: i32 = 0;
/// How long a session must have been idle before another may take its slot.
pub const EVICTION_MS: i64 = 120_000;
