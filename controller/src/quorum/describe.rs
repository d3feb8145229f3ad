//! What the quorum looks like from this node (Kafka: DescribeQuorum).
//!
//! Owns the picture and decides nothing. Only the leader knows how far the others are; elsewhere their numbers are missing.
//! Times are how long ago something was, by this node's clock alone. `lag_entries` is the metadata lag of this node.

use std::time::Duration;

use openraft::RaftMetrics;
use serde::{Deserialize, Serialize};

use super::membership::acknowledged_ago;
use super::types::{ControllerEndpoint, RaftNodeId, RaftTypes};

/// One member of the quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaState {
    /// Who it is.
    pub id: RaftNodeId,
    /// Its controller listeners.
    pub endpoints: Vec<ControllerEndpoint>,
    /// Whether it votes; Kafka calls one that does not an observer.
    pub voter: bool,
    /// The offset behind the last entry it is known to have.
    pub log_end_offset: Option<u64>,
    /// How long ago it acknowledged something.
    pub acknowledged_ago: Option<Duration>,
}

/// The quorum as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumDescription {
    /// Who leads, if that is known.
    pub leader: Option<RaftNodeId>,
    /// The term.
    pub leader_epoch: u64,
    /// The offset behind the last committed entry, as far as this node was told.
    pub high_watermark: u64,
    /// How many committed entries this node has not applied yet.
    pub lag_entries: u64,
    /// The members by id.
    pub replicas: Vec<ReplicaState>,
}

impl QuorumDescription {
    pub(crate) fn of(metrics: &RaftMetrics<RaftTypes>) -> Self {
        let membership = metrics.membership_config.membership();
        let voters = membership.voter_ids().collect::<Vec<_>>();
        let replicas = membership.nodes().map(|(id, node)| {
            let own = *id == metrics.id;
            let matched = metrics.replication.as_ref().and_then(|replication| *replication.get(id)?);
            let last = if own { metrics.last_log_index } else { matched.map(|matched| matched.index()) };
            ReplicaState {
                id: *id,
                endpoints: node.endpoints.clone(),
                voter: voters.contains(id),
                log_end_offset: last.map(|last| last + 1),
                acknowledged_ago: if own { Some(Duration::ZERO) } else { acknowledged_ago(metrics, id) },
            }
        });
        let high_watermark = metrics.cluster_committed.map_or(0, |committed| committed.index() + 1);
        let applied = metrics.last_applied.map_or(0, |applied| applied.index() + 1);
        Self {
            leader: metrics.current_leader,
            leader_epoch: metrics.current_term,
            high_watermark,
            lag_entries: high_watermark.saturating_sub(applied),
            replicas: replicas.collect(),
        }
    }
}
