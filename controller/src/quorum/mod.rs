//! The metadata quorum: Raft (openraft) over a log on disk, and the controller that decides on top of it.
//!
//! | file | owns |
//! |---|---|
//! | `controller` | the handle: start, submit, subscribe, shut down |
//! | `start` | the order of a start, and the controller's thread |
//! | `active` | the active controller's loop: decide, propose once, answer |
//! | `state_machine`, `publisher` | the applied image, and who hears of its changes |
//! | `log_store`, `metadata_log`, `flusher` | the Raft log: a storage log `__cluster_metadata-0`, fsynced before it counts |
//! | `quorum_state` | the vote |
//! | `snapshot_file` | snapshots |
//! | `entry_batch`, `membership_codec` | the bytes of all that |
//! | `network` | the way to other members; a quorum of one has none |
//! | `failure` | what ends a controller |
//!
//! Invariants: nothing is answered before it is durable on a majority, applied here and told to every publisher; a record
//! that cannot be applied stops the node and is never skipped; only this module knows openraft.

mod active;
mod controller;
mod entry_batch;
mod failure;
#[cfg(test)]
mod failure_tests;
mod flusher;
mod log_store;
mod membership_codec;
mod metadata_log;
mod network;
mod publisher;
mod quorum_state;
mod snapshot_file;
mod start;
mod state_machine;
#[cfg(test)]
mod store_suite;
mod tail_check;
mod types;

pub use controller::{Controller, ControllerConfig, ControllerStats};
pub use failure::{ControllerFailure, SubmitError};
pub use metadata_log::{CLUSTER_METADATA_FOLDER, CLUSTER_METADATA_TOPIC, MetadataLogError};
pub use publisher::MetadataPublisher;
pub use quorum_state::QuorumStateError;
pub use snapshot_file::SnapshotError;
pub use start::StartError;
pub use types::{ControllerEndpoint, ControllerNode, RaftNodeId};
