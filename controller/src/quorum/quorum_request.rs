//! What the active controller alone can tell of the quorum, or change of it.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::controller::Controller;
use super::describe::QuorumDescription;
use super::failure::SubmitError;
use super::membership::VoterChangeError;
use super::peer::PeerFuture;
use super::types::{ControllerEndpoint, RaftNodeId};

/// A question or a change that concerns the quorum itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuorumRequest {
    /// Who belongs to it, and how far each member is (Kafka: DescribeQuorum).
    Describe,
    /// Make a voter of a node (Kafka: AddRaftVoter, KIP-853).
    AddVoter {
        /// The node.
        voter: RaftNodeId,
        /// Its controller listeners.
        endpoints: Vec<ControllerEndpoint>,
    },
    /// Take a node out (Kafka: RemoveRaftVoter, KIP-853).
    RemoveVoter {
        /// The node.
        voter: RaftNodeId,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuorumResponse {
    /// The quorum as its leader sees it.
    Described(QuorumDescription),
    /// What became of the change of voters.
    VotersChanged(Result<(), VoterChangeError>),
}

impl Controller {
    /// Asks this node, as the active controller, something of the quorum.
    pub fn ask(
        &self,
        request: QuorumRequest,
    ) -> impl Future<Output = Result<QuorumResponse, SubmitError>> + Send + 'static + use<> {
        let described = self.describe_quorum();
        let own = self.node_id();
        let change: Option<PeerFuture<Result<(), VoterChangeError>>> = match request {
            QuorumRequest::Describe => None,
            QuorumRequest::AddVoter { voter, endpoints } => Some(Box::pin(self.add_voter(voter, endpoints))),
            QuorumRequest::RemoveVoter { voter } => Some(Box::pin(self.remove_voter(voter))),
        };
        async move {
            if described.leader != Some(own) {
                return Err(SubmitError::NotController { leader: described.leader });
            }
            match change {
                None => Ok(QuorumResponse::Described(described)),
                Some(change) => match change.await {
                    Err(VoterChangeError::NotController { leader }) => Err(SubmitError::NotController { leader }),
                    outcome => Ok(QuorumResponse::VotersChanged(outcome)),
                },
            }
        }
    }
}
