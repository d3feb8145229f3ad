//! The term in which this node leads: when it may decide, what has to be begun before, and whether it still leads at all.
//!
//! Owns how far the term is. Nothing is decided in a term that has not begun, for what is soft in a controller (who is heard, whose session is
//! open) would be another's, or nobody's. A majority may be slow to take the entry that opens a term, or to take the records that form
//! a cluster: it is tried again for as long as this node leads. Kafka: `QuorumController.claim` and `renounce`.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::ReadPolicy;
use openraft::{Instant, ServerState};

use super::active::{ActiveController, ended};
use super::failure::SubmitError;
use super::forming::form_cluster;

/// How often it is looked whether a majority still answers, while a proposal waits for it.
const QUORUM_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How soon it is tried again to begin a term.
const BEGIN_AGAIN_INTERVAL: Duration = Duration::from_millis(100);

/// How far the term is in which this node leads.
#[derive(Debug, Default)]
pub(crate) struct LeadingTerm {
    /// The term in which this node may decide.
    opened: Option<u64>,
    /// The last term that this node began as the active controller.
    begun: Option<u64>,
    /// When it is tried again, where not all could be done that begins a term.
    begin_again: Option<std::time::Instant>,
}

impl LeadingTerm {
    /// An entry whose fate is unknown may be in the log, and is settled before anything else is decided.
    pub(super) fn settle_anew(&mut self) {
        self.opened = None;
    }

    pub(super) fn begin_again(&self) -> Option<std::time::Instant> {
        self.begin_again
    }
}

impl ActiveController {
    /// Makes the image complete, within `patience`, and gives a cluster that has no id its first records.
    pub(super) async fn begin_to_lead(&mut self, named: Option<&Arc<str>>, patience: Option<Duration>) {
        let opened = self.deciding_term_within(patience).await.is_ok();
        let begun = opened && self.has_formed(named).await;
        self.term.begin_again = (!begun).then(|| std::time::Instant::now() + BEGIN_AGAIN_INTERVAL);
    }

    async fn has_formed(&mut self, named: Option<&Arc<str>>) -> bool {
        let formed = form_cluster(self, named.cloned()).await;
        formed.inspect_err(|error| tracing::warn!(%error, "the cluster has no id yet")).is_ok()
    }

    /// The image is complete, and this node decides from here on.
    fn begin_term(&mut self, term: u64) {
        self.term.opened = Some(term);
        // Who is alone leads for good, and looks after nobody.
        if self.quorum_loss.is_none() || self.term.begun.replace(term) == Some(term) {
            return;
        }
        tracing::info!(term, "this node is the active controller");
        if let Some(watch) = &self.watch {
            watch.on_active(&self.publication.image());
        }
        self.rebalance.on_active(std::time::Instant::now());
        self.leaderless.look_soon(std::time::Instant::now());
        self.look_at_internal_topics();
        self.log_reports.clear();
    }

    /// Another node leads, or none does.
    pub(super) fn end_leading(&mut self) {
        self.term.begin_again = None;
        self.rebalance.on_inactive();
        self.leaderless.on_inactive();
        self.internal_topics.on_inactive();
        self.log_reports.clear();
        if let Some(watch) = &self.watch {
            watch.on_inactive();
        }
    }

    /// The term in which this node may decide, once the entry that opens it is applied; or who leads instead.
    pub(super) async fn deciding_term(&mut self) -> Result<u64, SubmitError> {
        self.deciding_term_within(self.quorum_loss).await
    }

    /// The same, and no longer than `patience` if there is a limit to it.
    async fn deciding_term_within(&mut self, patience: Option<Duration>) -> Result<u64, SubmitError> {
        {
            let server = self.raft.server_metrics();
            let server = server.borrow_watched();
            let term = server.vote.leader_id.term;
            let stuck = self.lost_quorum() || self.room.is_missing();
            if server.state == ServerState::Leader && self.term.opened == Some(term) && !stuck {
                return Ok(term);
            }
        }
        self.term.opened = None;
        if self.room.is_missing() {
            return Err(SubmitError::NotController { leader: None });
        }
        let mut metrics = self.raft.metrics();
        let given_up = tokio::time::sleep(patience.unwrap_or(Duration::MAX));
        tokio::pin!(given_up);
        let term = loop {
            {
                let now = metrics.borrow_watched();
                if now.running_state.is_err() {
                    return Err(ended(&self.raft, &self.publication));
                }
                if now.state != ServerState::Leader || self.lost_quorum() {
                    let leader = now.current_leader.filter(|leader| *leader != now.id);
                    return Err(SubmitError::NotController { leader });
                }
                let applied = now.last_applied;
                let opened = applied.is_some_and(|applied| applied.committed_leader_id().term == now.current_term);
                // Also an entry whose proposer gave up waiting for it must be applied before anything else is decided.
                if opened && applied.map(|applied| applied.index()) == now.last_log_index {
                    break now.current_term;
                }
            }
            tokio::select! {
                changed = metrics.changed() => changed.map_err(|_| ended(&self.raft, &self.publication))?,
                // Elected, and then no majority took the entry that opens the term.
                () = &mut given_up => return Err(SubmitError::NotController { leader: None }),
                () = self.room.until_missing() => return Err(SubmitError::NotController { leader: None }),
            }
        };
        self.begin_term(term);
        Ok(term)
    }

    /// Whether no majority answers any more, so that somebody else may lead by now.
    pub(crate) fn lost_quorum(&self) -> bool {
        let Some(patience) = self.quorum_loss else { return false };
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let alone = metrics.membership_config.membership().voter_ids().count() <= 1;
        !alone && metrics.last_quorum_acked.is_some_and(|acked| acked.elapsed() > patience)
    }

    /// Returns once nothing can be committed: no majority answers, or this node's disk has no room.
    pub(super) async fn until_stuck(&self) {
        let quorum_is_lost = async {
            if self.quorum_loss.is_none() {
                return std::future::pending().await;
            }
            while !self.lost_quorum() {
                tokio::time::sleep(QUORUM_CHECK_INTERVAL).await;
            }
        };
        tokio::select! {
            () = quorum_is_lost => {}
            () = self.room.until_missing() => {}
        }
    }

    /// Makes sure that nobody else leads, for what changes nothing is answered from this node's image alone.
    pub(super) async fn confirm_leadership(&self) -> Result<(), SubmitError> {
        if self.quorum_loss.is_none() {
            return Ok(());
        }
        let confirmed = async {
            self.raft.ensure_linearizable(ReadPolicy::LeaseRead).await.is_ok()
                || self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await.is_ok()
        };
        let confirmed = tokio::select! {
            confirmed = confirmed => confirmed,
            () = self.until_stuck() => false,
        };
        confirmed.then_some(()).ok_or(SubmitError::NotController { leader: None })
    }
}
