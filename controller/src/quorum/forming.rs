//! A quorum of one, and the first records of any cluster.
//!
//! Owns how a node without peers comes to lead at once, and how a cluster gets its id from whoever leads it first.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::{RaftMetrics, ServerState};
use tokio::sync::oneshot;
use weir_storage::identity::{format_uuid, random_uuid};

use super::active::{ActiveController, RaftNode, Submission, ended};
use super::controller::ControllerConfig;
use super::failure::SubmitError;
use super::publisher::Publication;
use super::start_error::StartError;
use super::types::{ControllerNode, RaftNodeId, RaftTypes};
use crate::decide::FormClusterRequest;

/// How long a start waits to lead; it covers reading a log that has never been snapshotted.
const LEADING_TIMEOUT: Duration = Duration::from_secs(300);

/// Makes this node the leader, the image complete, and the cluster known by its id.
pub(super) async fn lead_alone(
    config: &ControllerConfig,
    raft: &RaftNode,
    blank: bool,
    node_id: RaftNodeId,
    directory: PathBuf,
    publication: &Publication,
) -> Result<(), StartError> {
    let quorum = |reason: String| StartError::Quorum { reason };
    if blank {
        let node = ControllerNode { endpoints: config.endpoints.clone() };
        raft.initialize(BTreeMap::from([(node_id, node)])).await.map_err(|error| quorum(error.to_string()))?;
    } else {
        let voters = raft.with_raft_state(|state| state.membership_state.effective().voter_ids().collect::<Vec<_>>());
        let voters = voters.await.map_err(|error| quorum(error.to_string()))?;
        if !voters.contains(&node_id) {
            return Err(StartError::ForeignNode { directory, node: node_id, voters: names(&voters) });
        }
        if voters.len() > 1 {
            return Err(StartError::NoPeersConfigured { directory, voters: names(&voters) });
        }
    }
    raft.trigger().elect(false).await.map_err(|error| quorum(error.to_string()))?;
    // The entry that opens its term is applied, so everything before is: only now may it decide.
    let leading = |metrics: &RaftMetrics<RaftTypes>| {
        let opened =
            metrics.last_applied.is_some_and(|applied| applied.committed_leader_id().term == metrics.current_term);
        metrics.state == ServerState::Leader && opened
    };
    if let Err(error) = raft.wait(Some(LEADING_TIMEOUT)).metrics(leading, "this node leads").await {
        return Err(match ended(raft, publication) {
            SubmitError::Failed(failure) => StartError::Failed(failure),
            _ => quorum(error.to_string()),
        });
    }
    match (publication.image().cluster_id(), &config.cluster_id) {
        (Some(found), Some(expected)) if found != expected => {
            Err(StartError::ForeignCluster { directory, expected: Arc::clone(expected), found: Arc::clone(found) })
        }
        _ => Ok(()),
    }
}

fn names(voters: &[RaftNodeId]) -> String {
    voters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Gives a cluster that has no id its first records: the id, and each feature at the highest level that is built.
pub(super) async fn form_cluster(
    active: &mut ActiveController,
    named: Option<Arc<str>>,
) -> Result<Arc<str>, StartError> {
    if let Some(cluster_id) = active.publication.image().cluster_id() {
        return Ok(Arc::clone(cluster_id));
    }
    let cluster_id = named.unwrap_or_else(|| format_uuid(&random_uuid()).into());
    let (answer, answered) = oneshot::channel();
    let supported = active.context.defaults.supported_features.iter();
    let features = supported.map(|(name, (_, highest))| (Arc::clone(name), *highest)).collect();
    let request = FormClusterRequest { cluster_id: Arc::clone(&cluster_id), features }.into();
    active.serve(VecDeque::from([Submission { request, answer }])).await;
    let quorum = |reason: String| StartError::Quorum { reason };
    match answered.await {
        Ok(Ok(_)) if active.publication.image().cluster_id() == Some(&cluster_id) => Ok(cluster_id),
        Ok(Ok(response)) => Err(quorum(format!("the cluster could not be formed: {response:?}"))),
        Ok(Err(error)) => Err(quorum(format!("the cluster could not be formed: {error}"))),
        Err(_) => Err(quorum("nobody answered who was to form the cluster".into())),
    }
}
