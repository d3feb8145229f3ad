//! The active controller's loop: takes what waits, decides, proposes once, answers.
//!
//! Owns the queue of submissions and the order of decisions. One proposal is in flight; everything that arrives meanwhile
//! waits and shares the next, so a thousand requests cost a handful of fsyncs. Each request of a batch is decided against a
//! working image: the applied one and what the batch decided so far. Answers go out after commit, apply and publication,
//! also for requests that changed nothing but saw what the batch changed. It decides nothing itself (see `decide`).
//! Kafka: `QuorumController`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::Raft;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;
use weir_protocol::ids::Offset;
use weir_storage::identity::format_uuid;

use super::failure::{ControllerFailure, SubmitError};
use super::publisher::Publication;
use super::state_machine::StateMachine;
use super::types::{Change, RaftTypes};
use crate::decide::{ConfigCatalog, Context, ControllerRequest, ControllerResponse, Defaults, decide};
use crate::image::MetadataImage;
use crate::record::{MetadataRecord, encode_change};

/// Submissions that may wait; who submits more waits for room.
pub(crate) const MAX_WAITING_SUBMISSIONS: usize = 4_096;

/// Submissions that share a proposal at most.
const MAX_SUBMISSIONS_PER_PROPOSAL: usize = 4_096;

/// A batch takes no further request once it has this many records. One request may have more.
const MAX_RECORDS_PER_PROPOSAL: usize = 20_000;

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

/// The loop of the active controller.
pub(crate) struct ActiveController {
    pub(crate) raft: RaftNode,
    pub(crate) publication: Arc<Publication>,
    pub(crate) context: DecisionContext,
    pub(crate) submissions: mpsc::Receiver<Submission>,
    pub(crate) counters: Arc<LoopCounters>,
}

/// Requests decided together.
struct Batch {
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    registers: bool,
    decided: Vec<(Submission, ControllerResponse)>,
}

impl ActiveController {
    /// Serves until `stop` is notified or every handle is gone, then answers what still waits.
    pub(crate) async fn run(mut self, stop: &Notify) {
        let mut waiting = Vec::new();
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.notified() => break,
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

    /// Decides, proposes and answers until nothing of `waiting` is left.
    pub(crate) async fn serve(&mut self, mut waiting: VecDeque<Submission>) {
        // How many requests have to be proposed one by one, for together they were too large.
        let mut alone = 0usize;
        while !waiting.is_empty() {
            let limit = if alone > 0 { 1 } else { usize::MAX };
            let batch = self.decide(&mut waiting, limit);
            alone = alone.saturating_sub(1);
            if let Err(too_large) = self.commit(batch).await {
                alone = too_large.len();
                for submission in too_large.into_iter().rev() {
                    waiting.push_front(submission);
                }
            }
        }
    }

    fn decide(&self, waiting: &mut VecDeque<Submission>, limit: usize) -> Batch {
        let image = (*self.publication.image()).clone();
        let mut batch = Batch { image, records: Vec::new(), registers: false, decided: Vec::new() };
        let next_offset = Offset(batch.image.applied().map_or(0, |applied| applied.offset.get() + 1));
        while batch.decided.len() < limit && batch.records.len() < MAX_RECORDS_PER_PROPOSAL {
            let Some(submission) = waiting.pop_front() else { break };
            // The offset of a registration's entry is the broker's epoch: two registrations need two entries.
            let registers = matches!(submission.request, ControllerRequest::RegisterBroker(_));
            if registers && batch.registers {
                waiting.push_front(submission);
                break;
            }
            batch.registers |= registers;
            self.decide_one(&mut batch, submission, next_offset);
        }
        batch
    }

    fn decide_one(&self, batch: &mut Batch, submission: Submission, next_offset: Offset) {
        let mut fresh = fresh_topic_id;
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
    async fn commit(&self, batch: Batch) -> Result<(), Vec<Submission>> {
        if batch.records.is_empty() {
            answer_all(batch.decided, Ok);
            return Ok(());
        }
        let change = match encode_change(&batch.records) {
            Ok(change) => change,
            Err(_) if batch.decided.len() > 1 => {
                return Err(batch.decided.into_iter().map(|(submission, _)| submission).collect());
            }
            Err(error) => {
                answer_all(batch.decided, |_| Err(SubmitError::TooLarge(error.to_string())));
                return Ok(());
            }
        };
        self.counters.proposals.fetch_add(1, Ordering::Relaxed);
        match self.raft.client_write(Change(change)).await {
            Ok(_) => answer_all(batch.decided, Ok),
            Err(error) => {
                let error = self.refusal(error);
                answer_all(batch.decided, |_| Err(error.clone()));
            }
        }
        Ok(())
    }

    fn refusal(&self, error: RaftError<RaftTypes, ClientWriteError<RaftTypes>>) -> SubmitError {
        match error {
            RaftError::Fatal(fatal) => {
                fail(&self.publication, &fatal);
                self.stopped()
            }
            RaftError::APIError(
                ClientWriteError::ForwardToLeader(forward) | ClientWriteError::LogEntryDiscarded(forward),
            ) => SubmitError::NotController { leader: forward.leader_id },
            RaftError::APIError(other) => SubmitError::Undecidable(other.to_string()),
        }
    }

    fn stopped(&self) -> SubmitError {
        stopped(&self.publication)
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

/// Kafka avoids ids that print with a leading dash, for tools take them for an option.
fn fresh_topic_id() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        if !format_uuid(&id).starts_with('-') {
            return id;
        }
    }
}
