//! The active controller's loop: takes what waits, decides, proposes once, answers.
//!
//! Owns the queue of submissions and the order of decisions. One proposal is in flight; everything that arrives meanwhile
//! waits and shares the next, so a thousand requests cost a handful of fsyncs. Each request of a batch is decided against a
//! working image: the applied one and what the batch decided so far. Answers go out after commit, apply and publication,
//! also for requests that changed nothing but saw what the batch changed. It decides nothing itself (see `decide`).
//!
//! A node that does not lead answers everything with who does; and one whose log waits for room on its disk does not lead. One
//! that comes to lead decides nothing before the entry that opens its term is applied, for only then is its image complete; and
//! what it decided in one term is never proposed in another. Kafka: `QuorumController`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal};
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::{Raft, ServerState};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use uuid::Uuid;
use weir_protocol::ids::Offset;
use weir_storage::identity::random_uuid;

use super::broker_watch::BrokerWatch;
use super::failure::{ControllerFailure, SubmitError};
use super::feature_survey;
use super::fencing;
use super::internal_topics::{InternalTopics, raise_internal_topics};
use super::leaderless::{LeaderlessElections, elect_leaderless};
use super::log_reports::LogReports;
use super::publisher::Publication;
use super::rebalance::{LeaderRebalance, return_leaderships};
use super::room::Room;
use super::state_machine::StateMachine;
use super::term::LeadingTerm;
use super::types::{Change, CommittedLeaderId, RaftTypes};
use crate::decide::{
    ConfigCatalog, Context, ControllerRequest, ControllerResponse, Defaults, decide, internal_replication_raises,
    is_on_other_disks,
};
use crate::image::MetadataImage;
use crate::record::{EncodeError, MetadataRecord, encode_change};

/// Submissions that may wait; who submits more waits for room.
pub(crate) const MAX_WAITING_SUBMISSIONS: usize = 4_096;

/// Submissions that share a proposal at most.
const MAX_SUBMISSIONS_PER_PROPOSAL: usize = 4_096;

/// A batch takes no further request once it has this many records. One request may have more.
const MAX_RECORDS_PER_PROPOSAL: usize = 20_000;

/// Of a change that is made in parts, the records of each.
pub(super) const RECORDS_OF_A_PART: usize = 50_000;

pub(crate) type RaftNode = Raft<RaftTypes, StateMachine>;

/// A request, and who waits for the answer.
pub(crate) struct Submission {
    pub(crate) request: ControllerRequest,
    pub(crate) answer: oneshot::Sender<Result<ControllerResponse, SubmitError>>,
}

impl Submission {
    /// Who asked may have gone; that is no error.
    fn answer(self, result: Result<ControllerResponse, SubmitError>) {
        let _ = self.answer.send(result);
    }
}

/// What decisions need besides the image, for the life of the process.
pub(crate) struct DecisionContext {
    pub(crate) catalog: Arc<dyn ConfigCatalog>,
    pub(crate) defaults: Defaults,
}

/// What the loop counts.
#[derive(Debug, Default)]
pub(crate) struct LoopCounters {
    pub(crate) submissions: AtomicU64,
    pub(crate) proposals: AtomicU64,
}

/// What is proposed one after the other: decisions, and changes of the membership.
#[derive(Debug, Default)]
pub(crate) struct Proposing {
    /// A change of the membership was given up while its entry may be in the log; it is settled before anything else is decided.
    pub(crate) unsettled: bool,
}

/// The loop of the active controller.
pub(crate) struct ActiveController {
    pub(crate) raft: RaftNode,
    pub(crate) publication: Arc<Publication>,
    pub(crate) context: DecisionContext,
    pub(crate) submissions: mpsc::Receiver<Submission>,
    pub(crate) counters: Arc<LoopCounters>,
    /// Held from a decision to its commit, and by changes of the membership.
    pub(crate) proposing: Arc<Mutex<Proposing>>,
    /// With peers: how long a majority may be silent before this node no longer says that it leads.
    pub(crate) quorum_loss: Option<Duration>,
    /// On the disk of the log: while it is missing, nothing is decided.
    pub(crate) room: Arc<Room>,
    /// The term in which this node leads, and how far it has begun.
    pub(crate) term: LeadingTerm,
    /// Which brokers live; nobody asks where this node never leads others.
    pub(crate) watch: Option<Arc<BrokerWatch>>,
    /// When leaderships return.
    pub(crate) rebalance: LeaderRebalance,
    /// When partitions without a leader are looked for.
    pub(crate) leaderless: LeaderlessElections,
    /// When internal topics are looked at.
    pub(crate) internal_topics: InternalTopics,
    /// What brokers have said of logs that nobody leads.
    pub(crate) log_reports: LogReports,
}

/// Requests decided together.
struct Batch {
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    registers: bool,
    decided: Vec<(Submission, ControllerResponse)>,
}

impl Batch {
    /// What is proposed: one change. What a broker that departs or arrives means for partitions may be too much for one; it is a list of
    /// partitions that each stand for themselves. The broker's own record is at its end if the broker departs, so that whoever is
    /// interrupted decides on the rest anew; else at its beginning, and `leaderless` looks for the rest.
    fn changes(&self) -> Result<Vec<Bytes>, EncodeError> {
        let whole = encode_change(&self.records);
        match (&whole, self.decided.as_slice()) {
            (Err(EncodeError::ChangeTooLarge { .. }), [(submission, _)]) if is_divisible(&submission.request) => {
                self.records.chunks(RECORDS_OF_A_PART).map(encode_change).collect()
            }
            _ => whole.map(|change| vec![change]),
        }
    }
}

fn is_divisible(request: &ControllerRequest) -> bool {
    matches!(
        request,
        ControllerRequest::FenceBroker(_)
            | ControllerRequest::UnregisterBroker(_)
            | ControllerRequest::BrokerHeartbeat(_)
    )
}

impl ActiveController {
    /// Serves until `stop` is notified or every handle is gone, then answers what still waits. A cluster without an id gets
    /// `named`, or one of its own, from the first who leads.
    pub(crate) async fn run(mut self, stop: &Notify, named: Option<Arc<str>>) {
        let mut waiting = Vec::new();
        let mut roles = self.raft.server_metrics();
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.notified() => break,
                changed = roles.changed(), if self.quorum_loss.is_some() => {
                    if changed.is_err() {
                        // openraft has ended: everything is answered with why, until somebody asks to stop.
                        self.quorum_loss = None;
                        self.end_leading();
                    } else if roles.borrow_watched().state == ServerState::Leader {
                        tokio::select! {
                            () = stop.notified() => break,
                            () = self.begin_to_lead(named.as_ref(), self.quorum_loss) => {}
                        }
                    } else {
                        self.end_leading();
                    }
                    continue;
                }
                () = until(self.term.begin_again()) => {
                    tokio::select! {
                        () = stop.notified() => break,
                        () = self.begin_to_lead(named.as_ref(), Some(Duration::ZERO)) => {}
                    }
                    continue;
                }
                watch = due(self.watch.clone()) => {
                    fencing::look_after_brokers(&mut self, &watch).await;
                    continue;
                }
                () = until(self.rebalance.due()) => {
                    return_leaderships(&mut self).await;
                    continue;
                }
                () = until(self.leaderless.due()) => {
                    elect_leaderless(&mut self).await;
                    continue;
                }
                () = until(self.internal_topics.due()) => {
                    raise_internal_topics(&mut self).await;
                    continue;
                }
                taken = self.submissions.recv_many(&mut waiting, MAX_SUBMISSIONS_PER_PROPOSAL) => taken,
            };
            if taken == 0 {
                break;
            }
            self.counters.submissions.fetch_add(taken as u64, Ordering::Relaxed);
            self.serve(waiting.drain(..).collect()).await;
        }
        self.submissions.close();
        while let Some(submission) = self.submissions.recv().await {
            submission.answer(Err(self.stopped()));
        }
    }

    /// Brokers may have come for whom internal topics wait.
    pub(super) fn look_at_internal_topics(&mut self) {
        let wanted = &self.context.defaults.internal_replication;
        if !internal_replication_raises(&self.publication.image(), wanted, usize::MAX).is_empty() {
            self.internal_topics.on_brokers_came(std::time::Instant::now());
        }
    }

    /// Serves what has been submitted by now.
    pub(crate) async fn serve_waiting(&mut self) {
        let mut waiting = VecDeque::new();
        while waiting.len() < MAX_SUBMISSIONS_PER_PROPOSAL
            && let Ok(submission) = self.submissions.try_recv()
        {
            waiting.push_back(submission);
        }
        self.counters.submissions.fetch_add(waiting.len() as u64, Ordering::Relaxed);
        self.serve(waiting).await;
    }

    /// Decides, proposes and answers until nothing of `waiting` is left.
    pub(crate) async fn serve(&mut self, mut waiting: VecDeque<Submission>) {
        // How many requests have to be proposed one by one, for together they were too large.
        let mut alone = 0usize;
        while !waiting.is_empty() {
            let proposing = Arc::clone(&self.proposing);
            // No change of the members meanwhile.
            let mut proposing = proposing.lock().await;
            if std::mem::take(&mut proposing.unsettled) {
                self.term.settle_anew();
            }
            let term = match self.deciding_term().await {
                Ok(term) => term,
                Err(error) => {
                    waiting.drain(..).for_each(|submission| submission.answer(Err(error.clone())));
                    return;
                }
            };
            let limit = if alone > 0 { 1 } else { usize::MAX };
            let batch = self.decide(&mut waiting, limit);
            alone = alone.saturating_sub(1);
            if let Err(too_large) = self.commit(batch, term).await {
                alone = too_large.len();
                for submission in too_large.into_iter().rev() {
                    waiting.push_front(submission);
                }
            }
        }
    }

    fn decide(&mut self, waiting: &mut VecDeque<Submission>, limit: usize) -> Batch {
        let image = (*self.publication.image()).clone();
        let mut batch = Batch { image, records: Vec::new(), registers: false, decided: Vec::new() };
        let next_offset = Offset(batch.image.applied().map_or(0, |applied| applied.offset.get() + 1));
        while batch.decided.len() < limit && batch.records.len() < MAX_RECORDS_PER_PROPOSAL {
            let Some(mut submission) = waiting.pop_front() else { break };
            // The offset of a registration's entry is the broker's epoch: two registrations need two entries.
            let registers = matches!(submission.request, ControllerRequest::RegisterBroker(_));
            if registers && batch.registers {
                waiting.push_front(submission);
                break;
            }
            batch.registers |= registers;
            if let (ControllerRequest::RegisterBroker(request), Some(watch)) = (&mut submission.request, &self.watch) {
                let on_other_disks = is_on_other_disks(&batch.image, request);
                request.earlier_session_open = watch.is_another_in_the_way(request, on_other_disks);
            }
            if let ControllerRequest::ReportLogs(request) = &mut submission.request {
                self.log_reports.complete(std::time::Instant::now(), &batch.image, request);
            }
            if let ControllerRequest::UpdateFeatures(request) = &mut submission.request {
                let server = self.raft.server_metrics();
                let server = server.borrow_watched();
                feature_survey::settle(request, server.membership_config.membership(), server.id);
            }
            self.decide_one(&mut batch, submission, next_offset);
        }
        batch
    }

    fn decide_one(&self, batch: &mut Batch, submission: Submission, next_offset: Offset) {
        let mut fresh = random_uuid;
        let mut context = Context {
            next_offset,
            seed: Uuid::new_v4().as_u64_pair().0,
            fresh_topic_id: &mut fresh,
            catalog: &*self.context.catalog,
            defaults: &self.context.defaults,
        };
        let decision = decide(&batch.image, &submission.request, &mut context);
        let mut image = batch.image.clone();
        for record in &decision.records {
            if let Err(error) = image.apply(record) {
                let request = submission.request.name();
                tracing::error!(%request, ?record, %error, "the controller decided on a record that it cannot apply");
                return submission.answer(Err(SubmitError::Undecidable(error.to_string())));
            }
        }
        batch.image = image;
        batch.records.extend(decision.records);
        batch.decided.push((submission, decision.response));
    }

    /// Proposes a batch and answers it. What is too large together is given back.
    async fn commit(&mut self, batch: Batch, term: u64) -> Result<(), Vec<Submission>> {
        if batch.records.is_empty() {
            match self.confirm_leadership().await {
                Ok(()) => self.answer(batch),
                Err(error) => answer_all(batch.decided, |_| Err(error.clone())),
            }
            return Ok(());
        }
        let changes = match batch.changes() {
            Ok(changes) => changes,
            Err(_) if batch.decided.len() > 1 => {
                return Err(batch.decided.into_iter().map(|(submission, _)| submission).collect());
            }
            Err(error) => {
                answer_all(batch.decided, |_| Err(SubmitError::TooLarge(error.to_string())));
                return Ok(());
            }
        };
        let in_parts = changes.len() > 1;
        let written = tokio::select! {
            written = self.write_all(changes, term) => written,
            () = self.until_stuck() => Err(SubmitError::NotController { leader: None }),
        };
        match written {
            Ok(()) => {
                if batch.records.iter().any(fencing::is_of_brokers) {
                    self.look_at_internal_topics();
                }
                self.answer(batch);
            }
            Err(error) => {
                // Its entry may be in the log, and is settled before anything else is decided.
                self.term.settle_anew();
                if in_parts {
                    self.leaderless.look_soon(std::time::Instant::now());
                }
                answer_all(batch.decided, |_| Err(error.clone()));
            }
        }
        Ok(())
    }

    /// Answers what holds from here on.
    fn answer(&self, batch: Batch) {
        if let Some(watch) = &self.watch {
            let decided = batch.decided.iter().map(|(submission, response)| (&submission.request, response));
            fencing::note(watch, &self.publication.image(), &batch.records, decided);
        }
        answer_all(batch.decided, Ok);
    }

    /// Has changes committed and applied one after the other.
    async fn write_all(&self, changes: Vec<Bytes>, term: u64) -> Result<(), SubmitError> {
        for change in changes {
            self.counters.proposals.fetch_add(1, Ordering::Relaxed);
            self.write(change, term).await?;
        }
        Ok(())
    }

    /// Has a change committed and applied, in the term it was decided in or not at all.
    async fn write(&self, change: Bytes, term: u64) -> Result<(), SubmitError> {
        let (responder, written) = ProgressResponder::<RaftTypes, ClientWriteResult<RaftTypes>>::complete_only();
        let write = self.raft.write(Change(change)).with_leader(CommittedLeaderId::new(term)).responder(responder);
        if let Err(fatal) = write.await {
            fail(&self.publication, &fatal);
            return Err(self.stopped());
        }
        match written.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ClientWriteError::ForwardToLeader(forward) | ClientWriteError::LogEntryDiscarded(forward))) => {
                Err(SubmitError::NotController { leader: forward.leader_id })
            }
            Ok(Err(other)) => Err(SubmitError::Undecidable(other.to_string())),
            Err(_) => Err(ended(&self.raft, &self.publication)),
        }
    }

    fn stopped(&self) -> SubmitError {
        stopped(&self.publication)
    }
}

/// Returns once there is something to look after; never where nobody watches.
async fn due(watch: Option<Arc<BrokerWatch>>) -> Arc<BrokerWatch> {
    match watch {
        Some(watch) => {
            watch.until_due().await;
            watch
        }
        None => std::future::pending().await,
    }
}

/// Returns then, or never.
async fn until(due: Option<std::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// What a submission gets that cannot be served any more.
pub(crate) fn stopped(publication: &Publication) -> SubmitError {
    match publication.failure() {
        Some(failure) => SubmitError::Failed(Arc::clone(failure)),
        None => SubmitError::ShuttingDown,
    }
}

/// [`stopped`], once openraft is known to have ended.
pub(crate) fn ended(raft: &RaftNode, publication: &Publication) -> SubmitError {
    if let Err(fatal) = &raft.metrics().borrow_watched().running_state {
        fail(publication, fatal);
    }
    stopped(publication)
}

/// Records what ended openraft, unless a better reason is known or it was asked to stop.
pub(crate) fn fail(publication: &Publication, fatal: &Fatal<RaftTypes>) {
    match fatal {
        Fatal::Stopped => {}
        Fatal::StorageError(error) => publication.fail(ControllerFailure::Storage { reason: error.to_string() }),
        Fatal::Panicked => {
            publication.fail(ControllerFailure::Ended { reason: "a task of the quorum panicked".into() })
        }
    }
}

fn answer_all(
    decided: Vec<(Submission, ControllerResponse)>,
    mut result: impl FnMut(ControllerResponse) -> Result<ControllerResponse, SubmitError>,
) {
    for (submission, response) in decided {
        let result = result(response);
        submission.answer(result);
    }
}
