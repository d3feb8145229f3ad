//! Which levels of features the other controllers can run, asked when an operator wants to finalize one.
//!
//! Brokers say so when they register. Controllers do not register here: what they hold of each other is the membership, so the active
//! controller asks them at the moment it matters, and keeps nothing. Kafka: `ControllerRegistration` (KIP-919), whose records tell the same
//! of a controller that is away; here such a voter is unknown, and holds a finalization back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use super::active::RaftNode;
use super::peer::PeerAddress;
use super::peer_client::{CallError, PeerClient};
use super::rpc::Features;
use super::types::{ControllerNode, Membership, RaftNodeId};
use crate::decide::{ControllerFeatures, SupportedFeatures, UpdateFeaturesRequest};

/// How long a controller has to answer. One that has just started again is taken for its former self for half of that (`incarnations`).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after a try without an answer the next follows.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Asks the other controllers.
#[derive(Clone)]
pub(super) struct FeatureSurvey {
    pub(super) raft: RaftNode,
    pub(super) client: PeerClient,
}

impl FeatureSurvey {
    /// What each of them answers, all asked at once; nothing where this node does not lead.
    pub(super) async fn run(self) -> Vec<ControllerFeatures> {
        let others = {
            let server = self.raft.server_metrics();
            let server = server.borrow_watched();
            match server.state {
                ServerState::Leader => others(server.membership_config.membership(), server.id),
                _ => Vec::new(),
            }
        };
        let answers = others.into_iter().map(async |(id, node)| {
            let supported = match self.ask(&node.address(id)).await {
                Ok(supported) => Some(supported),
                Err(error) => {
                    tracing::warn!(controller = %id, %error, "a controller does not say which features it supports");
                    None
                }
            };
            ControllerFeatures { controller: id.node_id, directory_id: id.directory_id, supported }
        });
        join_all(answers).await
    }

    async fn ask(&self, peer: &PeerAddress) -> Result<SupportedFeatures, CallError> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.call(peer.clone(), &Features, left).await {
                Ok((_, supported)) => return Ok(supported),
                Err(error) if Instant::now() + RETRY_INTERVAL >= deadline => return Err(error),
                Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
            }
        }
    }
}

/// Who may be a controller: whoever votes, and whoever can be dialled as one.
fn others(membership: &Membership, own: RaftNodeId) -> Vec<(RaftNodeId, ControllerNode)> {
    let votes = |id| membership.voter_ids().any(|voter| voter == id);
    let nodes = membership.nodes().filter(|(id, node)| **id != own && (votes(**id) || !node.endpoints.is_empty()));
    nodes.map(|(id, node)| (*id, node.clone())).collect()
}

/// Leaves in `request` what counts when it is decided on: of each other voter what it answered, or that it did not, and of each other
/// controller what it answered. One without a vote that is away keeps nobody from anything, and does not start before it can read the level.
pub(super) fn settle(request: &mut UpdateFeaturesRequest, membership: &Membership, own: RaftNodeId) {
    let mut answered = std::mem::take(&mut request.controllers);
    for (id, _) in others(membership, own) {
        let of_it =
            |known: &ControllerFeatures| (known.controller, known.directory_id) == (id.node_id, id.directory_id);
        let supported = answered.iter().position(of_it).and_then(|at| answered.swap_remove(at).supported);
        if supported.is_some() || membership.voter_ids().any(|voter| voter == id) {
            let directory_id = id.directory_id;
            request.controllers.push(ControllerFeatures { controller: id.node_id, directory_id, supported });
        }
    }
}
