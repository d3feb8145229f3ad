//! The death of the active controller, noticed by the voters that follow it long before it has been silent for an election timeout.
//!
//! Owns the rule, the one by which brokers are dead: a connection to its controller listener broke *and* two dials to it
//! within [`DEATH_WINDOW`](crate::liveness::DEATH_WINDOW) were refused. Whoever is that certain stands for election at once
//! and without regard for the lease of the dead, as if it had handed its leadership over; the voters take turns, so that
//! they do not split the vote. Raft's safety never rests on this: a voter that is wrong costs a change of leader, and whom
//! nobody can reach, or who is frozen, is left to the election timeout.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::TransferLeaderRequest;

use super::active::RaftNode;
use super::peer::{PeerAddress, PeerTransport};
use super::peer_client::PeerIdentity;
use super::types::{RaftNodeId, StoredMembership, Vote};
use crate::liveness::{DialOutcome, Probe};

/// How long a dial may take; no answer within it says nothing.
const DIAL_TIMEOUT: Duration = Duration::from_millis(500);

/// How long whose turn it is has to be elected before the next one stands.
const TURN: Duration = Duration::from_millis(100);

/// How long after a dial that was not refused the connection is tried again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long after an attempt the same leader's listener is looked at again.
const NEXT_ATTEMPT: Duration = Duration::from_secs(1);

/// Follows whoever leads.
pub(super) struct LeaderWatch {
    pub(super) raft: RaftNode,
    pub(super) identity: Arc<PeerIdentity>,
    pub(super) transport: Arc<dyn PeerTransport>,
}

/// Another node that leads.
struct Followed {
    leader: RaftNodeId,
    address: PeerAddress,
    vote: Vote,
    /// How many voters stand before this node.
    turn: u32,
}

impl LeaderWatch {
    /// Watches until openraft ends.
    pub(super) async fn run(self) {
        let mut server = self.raft.server_metrics();
        loop {
            let followed = {
                let now = server.borrow_watched();
                now.current_leader.and_then(|leader| self.followed(leader, now.vote, &now.membership_config))
            };
            let changed = tokio::select! {
                changed = server.changed() => changed,
                () = self.outlive(followed) => server.changed().await,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// The leader, if it is another node that can be dialled and this node may take over from it.
    fn followed(&self, leader: RaftNodeId, vote: Vote, membership: &StoredMembership) -> Option<Followed> {
        let membership = membership.membership();
        let turn = turn_after(leader, self.identity.id, membership.voter_ids())?;
        let address = membership.get_node(&leader)?.address(leader);
        Some(Followed { leader, address, vote, turn })
    }

    /// Returns once this node stood for election because `followed` is dead, and that came to nothing.
    async fn outlive(&self, followed: Option<Followed>) {
        let Some(Followed { leader, address, vote, turn }) = followed else { return std::future::pending().await };
        loop {
            self.until_dead(&address).await;
            tokio::time::sleep(TURN * turn).await;
            if !self.identity.may_stand() {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            tracing::warn!(%leader, "the active controller is dead: its connection closed and its listener refuses connections");
            // Refused if another leads or stands by now; why it failed, if it did, the next attempt finds out.
            let taken =
                self.raft.handle_transfer_leader(TransferLeaderRequest::new(vote, self.identity.id, None)).await;
            if let Err(fatal) = taken {
                tracing::debug!(%fatal, "the quorum ends");
            }
            tokio::time::sleep(NEXT_ATTEMPT).await;
        }
    }

    async fn until_dead(&self, leader: &PeerAddress) {
        loop {
            self.transport.until_broken(leader.clone()).await;
            let mut probe = Probe::begin(Instant::now());
            for number in 0.. {
                if let Some(due) = probe.deadline(Instant::now()) {
                    tokio::time::sleep_until(due.into()).await;
                }
                probe.take_due(Instant::now(), number);
                let dialled = tokio::time::timeout(DIAL_TIMEOUT, self.transport.dial(leader.clone())).await;
                let outcome = dialled.unwrap_or_else(|_| DialOutcome::Unknown("no answer in time".into()));
                tracing::debug!(%leader, ?outcome, "dialled the active controller, whose connection closed");
                probe.on_dialled(Instant::now(), number, &outcome);
                if probe == Probe::Dead {
                    return;
                }
                if outcome != DialOutcome::Refused {
                    break;
                }
            }
            // Somebody is there, or there is no telling.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// How many of `voters` stand before `own` once `dead` is: those between the two, round a ring in the order of ids.
/// Nothing for one that is no voter, and for `dead` itself.
fn turn_after(dead: RaftNodeId, own: RaftNodeId, voters: impl Iterator<Item = RaftNodeId>) -> Option<u32> {
    let mut voters = voters.filter(|voter| *voter != dead).collect::<Vec<_>>();
    voters.sort_unstable();
    let first = voters.partition_point(|voter| *voter < dead);
    let place = voters.iter().position(|voter| *voter == own)?;
    u32::try_from((place + voters.len() - first) % voters.len()).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_protocol::ids::BrokerId;

    use super::*;

    fn id(node: i32) -> RaftNodeId {
        RaftNodeId { node_id: BrokerId(node), directory_id: Uuid::from_u128(u128::from(node.unsigned_abs())) }
    }

    #[test]
    fn the_voters_take_turns_beginning_behind_the_dead_one() {
        let turns = |dead: i32| (1..=4).map(|own| turn_after(id(dead), id(own), (1..=3).map(id))).collect::<Vec<_>>();
        assert_eq!(turns(1), [None, Some(0), Some(1), None]);
        assert_eq!(turns(2), [Some(1), None, Some(0), None]);
        assert_eq!(turns(3), [Some(0), Some(1), None, None]);
    }

    #[test]
    fn a_leader_that_votes_no_longer_is_outlived_as_well() {
        assert_eq!(turn_after(id(9), id(1), (1..=3).map(id)), Some(0));
        assert_eq!(turn_after(id(9), id(3), (1..=3).map(id)), Some(2));
        assert_eq!(turn_after(id(1), id(1), std::iter::once(id(1))), None);
    }
}
