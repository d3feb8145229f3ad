//! Changes of who belongs to the quorum, on the node that leads.
//!
//! Owns a queue, for openraft changes its membership one step after the other: whatever waits is taken together, and all
//! who join become learners in one change. A learner that is to vote is promoted once it lives and its log is close to the leader's;
//! if it is a known node that came back with an empty directory, the lost directory leaves in the same change. Voters change
//! only if a majority of those of afterwards lives, for a change holds from the moment it is in the log: a quorum that it
//! leaves without a majority could not even take it back. Who is removed stays as a learner, so a broker on the same node goes on
//! (Kafka: an observer). No change of the membership runs beside a proposal (see `active`), so a registration's entry is
//! where its decision put it.
//!
//! It also finishes what nobody else will: a change that a former leader left half made (a joint membership needs a majority of
//! both its halves), and learners that have long been silent, which are forgotten; one that lives after all joins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant, RaftMetrics, ServerState};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::active::{Proposing, RaftNode};
use super::formation::ConfiguredVoters;
use super::learners::SilentLearners;
use super::peer_service::known_leader;
use super::rpc::{Join, JoinAnswer};
use super::timing::QuorumTiming;
use super::types::{ControllerEndpoint, ControllerNode, Membership, RaftNodeId, RaftTypes};

/// Requests that may wait.
const MAX_WAITING_CHANGES: usize = 4_096;

/// Requests that are served together.
const MAX_CHANGES_TOGETHER: usize = 1_024;

/// How many entries a learner may lack when it becomes a voter.
const PROMOTION_LAG_ENTRIES: u64 = 100;

/// How long one change may take before its asker is told that its outcome is unknown.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether a new voter's log is close enough.
const CATCH_UP_INTERVAL: Duration = Duration::from_millis(20);

/// How soon it is tried again to finish a change that was left half made.
const FINISH_INTERVAL: Duration = Duration::from_secs(1);

/// Of the time after which a silent learner is forgotten, how often that is looked at.
const LOOKS_AT_LEARNERS: u32 = 5;

/// A member that acknowledged something within as many heartbeats lives: it may be given a vote, and a voter that lives cannot be
/// replaced by another directory.
const HEARTBEATS_OF_THE_LIVING: u32 = 4;

type Change = ChangeMembers<RaftNodeId, ControllerNode>;

/// Why the voters were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum VoterChangeError {
    /// Another node leads, or none does.
    #[error("this node is not the active controller")]
    NotController {
        /// Who is, as far as is known.
        leader: Option<RaftNodeId>,
    },
    /// It votes already (Kafka: DUPLICATE_VOTER).
    #[error("node {0} is a voter already")]
    DuplicateVoter(RaftNodeId),
    /// It does not vote (Kafka: VOTER_NOT_FOUND).
    #[error("node {0} is no voter")]
    VoterNotFound(RaftNodeId),
    /// The quorum would have nobody left.
    #[error("node {0} is the last voter")]
    LastVoter(RaftNodeId),
    /// The voters of afterwards could not commit anything.
    #[error(
        "of the {voters} voters that there would be {live} answer, which is no majority: nothing could be changed any more"
    )]
    NoMajority {
        /// Voters after the change.
        voters: usize,
        /// Those of them that answer now.
        live: usize,
    },
    /// The change was not carried out in time; it may be later (Kafka: REQUEST_TIMED_OUT).
    #[error("the change was not carried out in time: {0}")]
    TimedOut(String),
    /// The quorum refused it.
    #[error("the quorum refused the change: {0}")]
    Refused(String),
}

enum Request {
    Join(RaftNodeId, Join, oneshot::Sender<JoinAnswer>),
    Add(RaftNodeId, Vec<ControllerEndpoint>, oneshot::Sender<Result<(), VoterChangeError>>),
    Remove(RaftNodeId, oneshot::Sender<Result<(), VoterChangeError>>),
}

/// Where changes are asked for.
#[derive(Clone)]
pub(crate) struct MembershipQueue(mpsc::Sender<Request>);

impl MembershipQueue {
    /// Asks for `node` to be taken in; whoever asks asks again until it is.
    pub(crate) async fn join(&self, node: RaftNodeId, request: Join) -> JoinAnswer {
        let (answer, answered) = oneshot::channel();
        match self.0.try_send(Request::Join(node, request, answer)) {
            Ok(()) => answered.await.unwrap_or(JoinAnswer::Pending),
            Err(_) => JoinAnswer::Pending,
        }
    }

    pub(crate) async fn add(&self, voter: RaftNodeId, at: Vec<ControllerEndpoint>) -> Result<(), VoterChangeError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Add(voter, at, answer), answered).await
    }

    pub(crate) async fn remove(&self, voter: RaftNodeId) -> Result<(), VoterChangeError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Remove(voter, answer), answered).await
    }

    async fn ask(
        &self,
        request: Request,
        answered: oneshot::Receiver<Result<(), VoterChangeError>>,
    ) -> Result<(), VoterChangeError> {
        let stopped = || VoterChangeError::NotController { leader: None };
        self.0.send(request).await.map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// Serves the queue.
pub(crate) struct MembershipChanges {
    raft: RaftNode,
    /// Whom this node's configuration names: they are promoted unasked.
    voters: ConfiguredVoters,
    proposing: Arc<Mutex<Proposing>>,
    requests: mpsc::Receiver<Request>,
    silent: SilentLearners,
    /// How long ago a member that lives acknowledged something at most.
    live_within: Duration,
}

impl MembershipChanges {
    pub(crate) fn new(
        raft: RaftNode,
        voters: ConfiguredVoters,
        timing: &QuorumTiming,
        proposing: Arc<Mutex<Proposing>>,
    ) -> (Self, MembershipQueue) {
        let (queue, requests) = mpsc::channel(MAX_WAITING_CHANGES);
        let silent = SilentLearners::new(timing.learner_patience);
        let live_within = timing.heartbeat_interval * HEARTBEATS_OF_THE_LIVING;
        (Self { raft, voters, proposing, requests, silent, live_within }, MembershipQueue(queue))
    }

    /// Serves until nobody can ask any more or openraft has ended; whoever waits then is told that this node does not lead.
    pub(crate) async fn run(mut self) {
        let mut waiting = Vec::new();
        let mut roles = self.raft.server_metrics();
        loop {
            let pause = self.pause();
            tokio::select! {
                taken = self.requests.recv_many(&mut waiting, MAX_CHANGES_TOGETHER) => match taken {
                    0 => return,
                    _ => self.serve(std::mem::take(&mut waiting)).await,
                },
                changed = roles.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
            }
            self.finish_joint().await;
            self.forget_silent_learners().await;
        }
    }

    async fn serve(&self, requests: Vec<Request>) {
        let mut joins = Vec::new();
        for request in requests {
            match request {
                Request::Join(node, join, answer) => joins.push((node, join, answer)),
                // Who asked may have gone.
                Request::Add(voter, at, answer) => drop(answer.send(self.add(voter, at).await)),
                Request::Remove(voter, answer) => drop(answer.send(self.remove(voter).await)),
            }
        }
        self.join(joins).await;
    }

    /// How long nothing has to be looked at, unless something changes; for ever on a node that does not lead.
    fn pause(&self) -> Option<Duration> {
        let membership = self.membership();
        if !self.leads() {
            None
        } else if is_joint(&membership) {
            Some(FINISH_INTERVAL)
        } else {
            membership.learner_ids().next().map(|_| self.silent.patience() / LOOKS_AT_LEARNERS)
        }
    }

    /// Ends a change between its two steps, whose asker gave up or whose leader died.
    async fn finish_joint(&self) {
        let membership = self.membership();
        if !self.leads() || !is_joint(&membership) {
            return;
        }
        // Nobody is added: the second step alone. Whether who leaves was to stay as a learner is not known any more.
        match self.change(ChangeMembers::AddVoterIds(BTreeSet::new()), true).await {
            Ok(()) => tracing::info!("finished a change of the voters that was left half made"),
            Err(error) => tracing::debug!(%error, "a change of the voters is still half made"),
        }
    }

    async fn forget_silent_learners(&mut self) {
        if !self.leads() {
            return self.silent.reset();
        }
        let learners = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let learners = metrics.membership_config.membership().learner_ids();
            let learners = learners.filter(|learner| *learner != metrics.id);
            learners.map(|learner| (learner, acknowledged_ago(&metrics, &learner))).collect::<Vec<_>>()
        };
        let silent = self.silent.look(std::time::Instant::now(), &learners);
        if silent.is_empty() || is_joint(&self.membership()) {
            return;
        }
        let names = silent.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self.change(ChangeMembers::RemoveNodes(silent), true).await {
            Ok(()) => tracing::info!(nodes = %names, "forgot members without a vote that have long been silent"),
            Err(error) => tracing::warn!(nodes = %names, %error, "could not forget members that have long been silent"),
        }
    }

    async fn join(&self, joins: Vec<(RaftNodeId, Join, oneshot::Sender<JoinAnswer>)>) {
        if joins.is_empty() {
            return;
        }
        if !self.leads() {
            let leader = known_leader(&self.raft);
            joins.into_iter().for_each(|(.., answer)| drop(answer.send(JoinAnswer::NotLeader(leader.clone()))));
            return;
        }
        let membership = self.membership();
        let mut welcome = Vec::new();
        for (node, join, answer) in joins {
            match self.namesake(&membership, node) {
                // Who asked may have gone.
                Some(live) => {
                    tracing::warn!(%node, %live, "refused a node: another one has the same node.id and lives");
                    let reason = format!("voter {live} has the same node.id and lives; two nodes cannot share it");
                    drop(answer.send(JoinAnswer::Denied(reason)));
                }
                None => welcome.push((node, join, answer)),
            }
        }
        let joins = welcome;
        let unknown = joins
            .iter()
            .filter(|(node, join, _)| membership.get_node(node).is_none_or(|known| known.endpoints != join.endpoints));
        let nodes = unknown.map(|(node, join, _)| (*node, ControllerNode { endpoints: join.endpoints.clone() }));
        let nodes = nodes.collect::<BTreeMap<_, _>>();
        if !nodes.is_empty() {
            let names = nodes.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            // A known node that moved keeps its vote: only where it is reached changes.
            match self.change(ChangeMembers::SetNodes(nodes), false).await {
                Ok(()) => tracing::info!(nodes = %names, "took nodes into the metadata quorum"),
                Err(error) => tracing::warn!(nodes = %names, %error, "could not take nodes into the metadata quorum"),
            }
        }
        for (node, join, answer) in joins {
            // Who asked may have gone; it asks again.
            let _ = answer.send(self.settle(node, &join).await);
        }
    }

    /// What a node gets that asked to join, now that it should be a learner at least.
    async fn settle(&self, node: RaftNodeId, join: &Join) -> JoinAnswer {
        let membership = self.membership();
        if membership.get_node(&node).is_none() {
            return JoinAnswer::Pending;
        }
        let is_voter = membership.voter_ids().any(|voter| voter == node);
        if is_voter || !join.to_vote {
            return JoinAnswer::Joined;
        }
        let replaced = membership.voter_ids().filter(|voter| voter.node_id == node.node_id).collect::<BTreeSet<_>>();
        if replaced.is_empty() && !self.voters.names(node.node_id) {
            // It may vote, and somebody has to say that it shall.
            return JoinAnswer::Joined;
        }
        if !self.has_caught_up(node) {
            return JoinAnswer::Pending;
        }
        let change = ChangeMembers::Batch(vec![
            ChangeMembers::AddVoterIds(BTreeSet::from([node])),
            ChangeMembers::RemoveVoters(replaced.clone()),
        ]);
        let others = membership.voter_ids().filter(|voter| !replaced.contains(voter));
        let checked = self.check_majority(others.chain([node]).collect());
        let replaced = replaced.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let changed = match checked {
            // A directory that was replaced is lost for good.
            Ok(()) => self.change(change, false).await,
            Err(error) => Err(error),
        };
        match changed {
            Ok(()) => {
                tracing::info!(%node, %replaced, "a node became a voter of the metadata quorum");
                JoinAnswer::Joined
            }
            Err(error) => {
                tracing::warn!(%node, %error, "a node could not become a voter of the metadata quorum");
                JoinAnswer::Pending
            }
        }
    }

    async fn add(&self, voter: RaftNodeId, at: Vec<ControllerEndpoint>) -> Result<(), VoterChangeError> {
        self.check_leads()?;
        let membership = self.membership();
        if membership.voter_ids().any(|known| known == voter) {
            return Err(VoterChangeError::DuplicateVoter(voter));
        }
        let unknown = membership.get_node(&voter).is_none();
        if unknown {
            let node = BTreeMap::from([(voter, ControllerNode { endpoints: at })]);
            self.change(ChangeMembers::AddNodes(node), false).await?;
        }
        let added = self.promote(voter).await;
        if added.is_err() && unknown && self.leads() {
            // What was asked for did not come about, so nothing of it stays.
            let forgotten = self.change(ChangeMembers::RemoveNodes(BTreeSet::from([voter])), false).await;
            tracing::debug!(node = %voter, ?forgotten, "a node that was to vote is no learner either");
        }
        added
    }

    /// Gives a learner its vote once it lives and has caught up.
    async fn promote(&self, learner: RaftNodeId) -> Result<(), VoterChangeError> {
        let caught_up = async {
            while !self.has_caught_up(learner) {
                self.check_leads()?;
                tokio::time::sleep(CATCH_UP_INTERVAL).await;
            }
            Ok(())
        };
        let behind = |_| VoterChangeError::TimedOut(format!("node {learner} does not answer, or does not catch up"));
        tokio::time::timeout(CHANGE_TIMEOUT, caught_up).await.map_err(behind)??;
        self.check_majority(self.membership().voter_ids().chain([learner]).collect())?;
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([learner])), false).await
    }

    async fn remove(&self, voter: RaftNodeId) -> Result<(), VoterChangeError> {
        self.check_leads()?;
        let voters = self.membership().voter_ids().collect::<BTreeSet<_>>();
        if !voters.contains(&voter) {
            return Err(VoterChangeError::VoterNotFound(voter));
        }
        if voters.len() == 1 {
            return Err(VoterChangeError::LastVoter(voter));
        }
        self.check_majority(voters.into_iter().filter(|other| *other != voter).collect())?;
        // A leader without a vote would go on leading: this node leaves, somebody else leads, and it joins again.
        let stays = voter != self.own_id();
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([voter])), stays).await
    }

    /// Whether `voters` could commit anything, by whom this leader hears.
    fn check_majority(&self, voters: BTreeSet<RaftNodeId>) -> Result<(), VoterChangeError> {
        let live = voters.iter().filter(|voter| self.lives(voter)).count();
        match live * 2 > voters.len() {
            true => Ok(()),
            false => Err(VoterChangeError::NoMajority { voters: voters.len(), live }),
        }
    }

    /// Makes a change; voters that leave stay as learners if they are to be `retained`.
    async fn change(&self, change: Change, retained: bool) -> Result<(), VoterChangeError> {
        let mut proposing = self.proposing.lock().await;
        let changed = self.raft.change_membership(change, retained);
        let Ok(changed) = tokio::time::timeout(CHANGE_TIMEOUT, changed).await else {
            // Its entry may be in the log.
            proposing.unsettled = true;
            return Err(VoterChangeError::TimedOut("a majority of the voters does not answer".into()));
        };
        match changed {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(forward) | ClientWriteError::LogEntryDiscarded(forward),
            )) => Err(VoterChangeError::NotController { leader: forward.leader_id }),
            Err(other) => Err(VoterChangeError::Refused(other.to_string())),
        }
    }

    fn own_id(&self) -> RaftNodeId {
        self.raft.server_metrics().borrow_watched().id
    }

    fn membership(&self) -> Membership {
        self.raft.server_metrics().borrow_watched().membership_config.membership().clone()
    }

    fn leads(&self) -> bool {
        self.raft.server_metrics().borrow_watched().state == ServerState::Leader
    }

    fn check_leads(&self) -> Result<(), VoterChangeError> {
        match self.leads() {
            true => Ok(()),
            false => {
                let leader = self.raft.server_metrics().borrow_watched().current_leader;
                Err(VoterChangeError::NotController { leader })
            }
        }
    }

    /// The voter of the same `node.id` and another directory that lives.
    fn namesake(&self, membership: &Membership, node: RaftNodeId) -> Option<RaftNodeId> {
        let mut others = membership.voter_ids().filter(|voter| voter.node_id == node.node_id && *voter != node);
        others.find(|voter| self.lives(voter))
    }

    fn lives(&self, voter: &RaftNodeId) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.id == *voter || acknowledged_ago(&metrics, voter).is_some_and(|ago| ago < self.live_within)
    }

    /// Whether a learner could vote at once. What one had before it died counts for nothing.
    fn has_caught_up(&self, node: RaftNodeId) -> bool {
        if !self.lives(&node) {
            return false;
        }
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let matched = metrics.replication.as_ref().and_then(|replication| *replication.get(&node)?);
        let last = metrics.last_log_index.unwrap_or(0);
        matched.is_some_and(|matched| last.saturating_sub(matched.index()) <= PROMOTION_LAG_ENTRIES)
    }
}

/// Whether a change of the voters is between its two steps.
fn is_joint(membership: &Membership) -> bool {
    membership.get_joint_config().len() > 1
}

/// How long ago a member acknowledged something to this leader, if it ever did.
pub(crate) fn acknowledged_ago(metrics: &RaftMetrics<RaftTypes>, member: &RaftNodeId) -> Option<Duration> {
    let acknowledged = (*metrics.heartbeat.as_ref()?.get(member)?)?;
    Some(acknowledged.elapsed())
}
