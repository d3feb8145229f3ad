//! Replication's decisions: what a leader concludes from its followers' fetches, and what it asks of the controller.
//!
//! Pure: no file, socket, clock or lock. Time is an argument in milliseconds of one machine's monotonic clock, never
//! compared with another's. A leader never changes its ISR alone: it proposes, and until the controller has answered it counts with
//! the larger of what is committed and what it asked for (KIP-497), so the high watermark is safe whichever way the answer falls.
//! Kafka's `Partition`, `Replica` and `PartitionState`.

mod follower;
mod follower_progress;
mod in_sync;
mod leader;
mod throttle;
mod truncation;

pub use follower::{DEFAULT_BACKOFF_MS, FetchedPartition, FollowerState, FollowerStep, LocalLog, NextFetch, Restart};
pub use follower_progress::{FollowerFetch, FollowerProgress, StaleFetch};
pub use in_sync::{InSyncReplicas, IsrProposal, ProposalOutcome};
pub use leader::{Candidate, FetchEffects, FetchRefusal, LeaderState, LogAtElection, Terms};
pub use throttle::Throttle;
pub use truncation::{EpochEnd, NoCommonEpoch, Truncation, divergence, truncation};
