//! The metadata quorum: Raft (openraft) over a log on disk, and the controller that decides on top of it.
//!
//! | file | owns |
//! |---|---|
//! | `controller` | the handle: start, submit, subscribe, shut down |
//! | `start`, `start_error` | the order of a start, and the controller's thread |
//! | `forming`, `formation`, `admission` | a cluster's beginning; how a node forms or joins one |
//! | `active` | the active controller's loop: decide, propose once, answer |
//! | `term` | when the active controller may decide, what it begins its term with, whether it still leads |
//! | `broker_watch`, `fencing` | which brokers live, with a clock and dials; what becomes of those that do not |
//! | `rebalance`, `leaderless` | leaderships that return to their preferred replicas; partitions that were left without a leader |
//! | `state_machine`, `publisher` | the applied image, and who hears of its changes |
//! | `log_store`, `metadata_log`, `flusher` | the Raft log: a storage log `__cluster_metadata-0`, fsynced before it counts |
//! | `quorum_state`, `member` | the vote, and which member of the quorum gives it |
//! | `room` | a full disk under all that |
//! | `snapshot_file` | snapshots |
//! | `entry_batch`, `membership_codec` | the bytes of all that |
//! | `peer`, `rpc` | the seam to whoever carries calls between members; what they say, and its bytes |
//! | `network`, `peer_client`, `incarnations`, `snapshot_receiver`, `peer_service` | calls out, and calls answered |
//! | `membership` | who belongs to the quorum, and who votes |
//! | `describe`, `quorum_request` | how far each member is; what the active controller is asked of the quorum |
//! | `timing`, `clocks` | heartbeats and elections, off for a quorum of one; ticks only while they could find something |
//! | `leader_watch` | the death of the active controller, without waiting for an election timeout |
//! | `failure` | what ends a controller |
//!
//! Invariants: nothing is answered before it is durable on a majority, applied here and told to every publisher; a record
//! that cannot be applied stops the node and is never skipped; only this module knows openraft.

mod active;
mod admission;
mod broker_watch;
mod clocks;
mod controller;
mod describe;
mod entry_batch;
mod failure;
#[cfg(test)]
mod failure_tests;
mod feature_survey;
mod fencing;
mod flusher;
mod formation;
mod forming;
mod incarnations;
mod internal_topics;
mod leader_watch;
mod leaderless;
mod learners;
mod log_reports;
mod log_store;
mod member;
mod membership;
mod membership_codec;
mod metadata_log;
mod network;
#[cfg(test)]
mod newer_build_tests;
mod peer;
mod peer_client;
mod peer_service;
mod publisher;
mod quorum_request;
mod quorum_state;
mod readable;
mod rebalance;
#[cfg(test)]
mod recovery_tests;
mod room;
mod rpc;
mod snapshot_file;
mod snapshot_receiver;
mod start;
mod start_error;
mod state_machine;
#[cfg(test)]
mod store_suite;
mod tail_check;
mod term;
mod timing;
mod types;

pub use broker_watch::{BrokerDialer, LivenessConfig};
pub use controller::{Controller, ControllerConfig, ControllerStats, PeerConfig, StartAbort, StartingController};
pub use describe::{QuorumDescription, ReplicaState};
pub use failure::{ControllerFailure, SubmitError};
pub use formation::ConfiguredVoters;
pub use member::MemberRecord;
pub use membership::VoterChangeError;
pub use metadata_log::{CLUSTER_METADATA_FOLDER, CLUSTER_METADATA_TOPIC, MetadataLogError};
pub use peer::{PeerAddress, PeerError, PeerFuture, PeerRpcKind, PeerTransport};
pub use peer_service::PeerService;
pub use publisher::MetadataPublisher;
pub use quorum_request::{QuorumRequest, QuorumResponse};
pub use quorum_state::QuorumStateError;
pub use readable::OfNewerBuild;
pub use rpc::MAX_PEER_RPC_BYTES;
pub use snapshot_file::SnapshotError;
pub use start_error::StartError;
pub use timing::QuorumTiming;
pub use types::{ControllerEndpoint, ControllerNode, RaftNodeId};
