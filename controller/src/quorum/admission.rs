//! A node with peers becomes part of their quorum.
//!
//! Owns the rounds of asking: it probes whom the configuration names, does what `formation` decides, and asks the leader to be taken in
//! until it is a member as configured. From then on it asks only while no leader is heard for long: the node may have been removed or
//! forgotten meanwhile, and whoever leads does not call a node that is no member. It joins without a vote then, for its vote may be what
//! was taken from it. The start is ready when the image has caught up to what was committed when the leader was first heard. Asking is also
//! how a node learns that it should not start: its peers are another cluster's, or another process has its ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{RaftMetrics, ServerState};

use super::active::{RaftNode, ended};
use super::controller::PeerConfig;
use super::failure::SubmitError;
use super::formation::{Found, Myself, Step, grace_is_over, majority_ready, next_step};
use super::peer::PeerAddress;
use super::peer_client::{CallError, PeerClient};
use super::publisher::Publication;
use super::rpc::{Join, JoinAnswer, PeerRefusal, Probe};
use super::start_error::StartError;
use super::types::{ControllerEndpoint, RaftTypes};

/// How long a peer has to say who it is.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the leader has to take this node in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(12);

/// How long after a round the next begins.
const ROUND_INTERVAL: Duration = Duration::from_millis(100);

/// The same for a node that was a member.
const LOST_ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked whether a start is ready, when nothing else tells.
const READY_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// How often the log says what is being waited for.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// A node on its way in.
pub(super) struct Admission {
    pub(super) raft: RaftNode,
    pub(super) publication: Arc<Publication>,
    pub(super) client: PeerClient,
    pub(super) peers: PeerConfig,
    pub(super) endpoints: Vec<ControllerEndpoint>,
    /// Whether nobody of those asked last said that this node should not start.
    pub(super) accepted: AtomicBool,
}

/// What has to be remembered from round to round.
#[derive(Default)]
struct Rounds {
    /// The leader took this node in as far as it will.
    joined: bool,
    /// Since when only the last few voters are missing to form a cluster.
    majority_since: Option<Instant>,
    /// Why this node should not start, by the last round.
    refusal: Option<StartError>,
    /// Since when every round says so.
    refused_since: Option<Instant>,
    reported: Option<Instant>,
    /// It was a member as configured once, and what it is now somebody may have wanted.
    was_settled: bool,
}

/// What a round of asking found.
#[derive(Default)]
struct Probed {
    found: Vec<Found>,
    refusals: Vec<PeerRefusal>,
    /// Who gave no answer that counts, and why.
    unanswered: Vec<String>,
}

impl Admission {
    /// Says through `ready` how the start went, and goes on until this node is a member as configured.
    pub(super) async fn run(self, ready: impl FnOnce(Result<Arc<str>, StartError>)) {
        let mut rounds = Rounds::default();
        let outcome = tokio::select! {
            biased;
            outcome = self.until_ready() => outcome,
            error = self.until_refused(&mut rounds) => Err(error),
        };
        let started = outcome.is_ok();
        ready(outcome);
        if !started {
            return;
        }
        while !self.settled(&rounds) {
            self.round(&mut rounds).await;
            tokio::time::sleep(ROUND_INTERVAL).await;
        }
        rounds.was_settled = true;
        loop {
            tokio::time::sleep(self.peers.timing.lost_sight / 2).await;
            while self.has_lost_sight() {
                self.round(&mut rounds).await;
                tokio::time::sleep(LOST_ROUND_INTERVAL).await;
            }
        }
    }

    /// Whether nobody has led this node for long. Whoever has nobody to lead it votes or waits; asking costs little.
    fn has_lost_sight(&self) -> bool {
        let leads = self.raft.server_metrics().borrow_watched().state == ServerState::Leader;
        let heard = self.client.identity.leader_heard_at();
        !leads && heard.is_none_or(|heard| heard.elapsed() >= self.peers.timing.lost_sight)
    }

    /// Waits until this node leads or follows, and its image has caught up.
    async fn until_ready(&self) -> Result<Arc<str>, StartError> {
        let mut metrics = self.raft.metrics();
        let mut wanted = None;
        loop {
            {
                let now = metrics.borrow_watched();
                if now.running_state.is_err() {
                    return Err(match ended(&self.raft, &self.publication) {
                        SubmitError::Failed(failure) => StartError::Failed(failure),
                        other => StartError::Quorum { reason: other.to_string() },
                    });
                }
                let follows = now.current_leader.is_some() && self.client.identity.heard_leader();
                let led = follows || now.state == ServerState::Leader;
                let of_this_term =
                    now.cluster_committed.filter(|committed| committed.committed_leader_id().term == now.current_term);
                if let (true, None, Some(committed)) = (led, &wanted, of_this_term) {
                    wanted = Some(committed.index());
                }
                let applied = now.last_applied.map(|applied| applied.index());
                if led
                    && (voters_other_than_self(&now) || self.accepted.load(Ordering::Relaxed))
                    && wanted.is_some()
                    && applied >= wanted
                    && let Some(cluster_id) = self.publication.image().cluster_id()
                {
                    return Ok(Arc::clone(cluster_id));
                }
            }
            // A heartbeat that brings nothing new changes no metrics.
            let changed = tokio::time::timeout(READY_CHECK_INTERVAL, metrics.changed()).await;
            if matches!(changed, Ok(Err(_))) {
                return Err(StartError::Stopped);
            }
        }
    }

    /// Asks round after round until the peers have said long enough that this node should not start.
    async fn until_refused(&self, rounds: &mut Rounds) -> StartError {
        loop {
            if !self.settled(rounds) || !self.accepted.load(Ordering::Relaxed) {
                self.round(rounds).await;
            }
            match rounds.refusal.take() {
                Some(error) => {
                    let since = *rounds.refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.peers.timing.refusal_patience {
                        return error;
                    }
                }
                None => rounds.refused_since = None,
            }
            tokio::time::sleep(ROUND_INTERVAL).await;
        }
    }

    /// Whether this node is a member as its configuration says, and knows a leader.
    fn settled(&self, rounds: &Rounds) -> bool {
        let server = self.raft.server_metrics();
        let server = server.borrow_watched();
        let id = self.client.identity.id;
        let membership = server.membership_config.membership();
        let known = membership.get_node(&id).is_some_and(|node| node.endpoints == self.endpoints);
        let as_configured = !self.peers.may_vote || membership.voter_ids().any(|voter| voter == id);
        let member = known && (as_configured || rounds.joined);
        member && (server.state == ServerState::Leader || self.client.identity.heard_leader())
    }

    async fn round(&self, rounds: &mut Rounds) {
        let Ok(initialised) = self.raft.is_initialized().await else { return };
        let Probed { found, refusals, unanswered } = self.probe().await;
        let is_refused = refusals.iter().any(|refusal| matches!(refusal, PeerRefusal::SecondIncarnation(_)));
        let refused_for = is_refused.then_some(self.peers.timing.refusal_patience);
        self.client.identity.on_peers_asked(Instant::now(), refused_for);
        let me = Myself {
            id: self.client.identity.id,
            blank: !initialised,
            may_vote: self.peers.may_vote && !self.client.identity.lost_log,
            cluster_id: self.client.identity.cluster_id(),
            endpoints: self.endpoints.clone(),
        };
        if majority_ready(&me, &self.peers.voters, &found) {
            rounds.majority_since.get_or_insert_with(Instant::now);
        } else {
            rounds.majority_since = None;
        }
        let ready_for = rounds.majority_since.map(|since| since.elapsed());
        let waited_enough = grace_is_over(ready_for, self.peers.timing.formation_grace);
        let step = next_step(&me, &self.peers.voters, &found, waited_enough);
        rounds.refusal = self.refusal(&me, &step, &refusals);
        self.accepted.store(rounds.refusal.is_none(), Ordering::Relaxed);
        if self.peers.may_vote && rounds.refusal.is_none() {
            self.elect_if_alone().await;
        }
        match step {
            Step::Wait | Step::Foreign(_) => self.report(rounds, &found, &unanswered),
            Step::Initialise(members) => {
                let names = members.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                tracing::info!(voters = %names, "forming a cluster");
                match self.raft.initialize(members).await {
                    // Nobody leads yet, so nobody is deposed.
                    Ok(()) => drop(self.raft.trigger().elect(false).await),
                    Err(error) => tracing::warn!(%error, "the cluster could not be formed"),
                }
            }
            Step::Join(leader) => self.join(rounds, leader).await,
        }
    }

    /// A node that is its cluster's only voter needs nobody to lead, unless those whom it should join say that it is not theirs.
    async fn elect_if_alone(&self) {
        let alone = {
            let server = self.raft.server_metrics();
            let server = server.borrow_watched();
            let voters = server.membership_config.membership().voter_ids().collect::<Vec<_>>();
            voters == [server.id] && server.current_leader.is_none() && server.state == ServerState::Follower
        };
        if alone {
            // Failing is told by the metrics.
            drop(self.raft.trigger().elect(false).await);
        }
    }

    /// Asks everybody at once who they are.
    async fn probe(&self) -> Probed {
        let own = self.client.identity.id.node_id;
        let home = self.peers.voters.own_address(own);
        let addresses = self.peers.voters.addresses(own).into_iter().chain(home.clone());
        let probes = addresses.map(|address| async move {
            let answered = self.client.call(address.clone(), &Probe, PROBE_TIMEOUT).await;
            (address, answered)
        });
        let mut probed = Probed::default();
        for (address, answered) in join_all(probes).await {
            match answered {
                // Only whether another process is where this one should be.
                Err(CallError::Refused(refusal @ PeerRefusal::SecondIncarnation(_)))
                    if home.as_ref() == Some(&address) =>
                {
                    probed.refusals.push(refusal);
                }
                _ if home.as_ref() == Some(&address) => {}
                Ok((responder, answer)) => probed.found.push(Found { address, responder: responder.id, answer }),
                Err(error) => {
                    probed.unanswered.push(format!("{address}: {error}"));
                    if let CallError::Refused(refusal) = error {
                        probed.refusals.push(refusal);
                    }
                }
            }
        }
        probed
    }

    /// Why this node should not start, if its peers say so.
    fn refusal(&self, me: &Myself, step: &Step, refusals: &[PeerRefusal]) -> Option<StartError> {
        let foreign = |found: &str| {
            let expected = me.cluster_id.clone().unwrap_or_else(|| "(none)".into());
            StartError::ForeignPeers { expected, found: found.into() }
        };
        let told = refusals.iter().find_map(|refusal| match refusal {
            PeerRefusal::SecondIncarnation(reason) => {
                Some(StartError::SecondProcess { node: me.id, reason: reason.clone() })
            }
            // One stray controller does not matter while another is of this cluster.
            PeerRefusal::ForeignCluster(found) if !matches!(step, Step::Join(_)) => Some(foreign(found)),
            _ => None,
        });
        told.or_else(|| match step {
            Step::Foreign(found) => Some(foreign(found)),
            _ => None,
        })
    }

    async fn join(&self, rounds: &mut Rounds, leader: Option<PeerAddress>) {
        let Some(leader) = leader.filter(|leader| leader.id != Some(self.client.identity.id)) else { return };
        let to_vote = self.peers.may_vote && !rounds.was_settled;
        let request = Join { endpoints: self.endpoints.clone(), to_vote };
        match self.client.call(leader, &request, JOIN_TIMEOUT).await {
            Ok((_, JoinAnswer::Joined)) => rounds.joined = true,
            Ok((_, JoinAnswer::Pending | JoinAnswer::NotLeader(_))) => {}
            Ok((_, JoinAnswer::Denied(reason))) => rounds.refusal = Some(StartError::Denied { reason }),
            Err(error) => tracing::debug!(%error, "the active controller did not answer"),
        }
    }

    fn report(&self, rounds: &mut Rounds, found: &[Found], unanswered: &[String]) {
        if rounds.reported.get_or_insert_with(Instant::now).elapsed() < REPORT_INTERVAL {
            return;
        }
        rounds.reported = Some(Instant::now());
        let answered = found.iter().map(|found| found.address.to_string()).collect::<Vec<_>>().join(", ");
        let unanswered = unanswered.join("; ");
        tracing::info!(voters = %self.peers.voters.text(), %answered, %unanswered, "waiting for the metadata quorum");
    }
}

/// Whether anybody else votes: a node that is its cluster's only voter leads without having heard from anybody.
fn voters_other_than_self(metrics: &RaftMetrics<RaftTypes>) -> bool {
    metrics.membership_config.membership().voter_ids().any(|voter| voter != metrics.id)
}
