//! Answers leave when the records below them are replicated, not before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::offsets_log::{OffsetsLog, client_error};
use super::reply::Reply;
use crate::group::shard::{Answer, join_error, sync_error};

/// What an answer waits for: everything that its shard had appended when the operation ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barrier {
    pub(super) partition: PartitionIndex,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) end: Offset,
}

/// Where a parked request's answer goes.
pub(super) enum Waiter {
    Join(oneshot::Sender<JoinGroupResponse>),
    Sync(oneshot::Sender<SyncGroupResponse>),
}

impl Waiter {
    /// A client that is gone has dropped its end; its answer goes nowhere.
    pub(super) fn give(self, answer: Answer) {
        match (self, answer) {
            (Waiter::Join(sender), Answer::Join(_, response)) => drop(sender.send(response)),
            (Waiter::Sync(sender), Answer::Sync(_, response)) => drop(sender.send(response)),
            (Waiter::Join(_), Answer::Sync(ticket, _)) | (Waiter::Sync(_), Answer::Join(ticket, _)) => {
                // A broken promise of the core: the client is told by the sender being dropped.
                tracing::error!(?ticket, "an answer of the wrong kind");
            }
        }
    }
}

/// Gives parked answers once `barrier` is passed, or tells their clients to look for another coordinator.
pub(super) fn give_when_replicated(log: &dyn OffsetsLog, barrier: Option<Barrier>, parked: Vec<(Waiter, Answer)>) {
    if parked.is_empty() {
        return;
    }
    let give = move |outcome: Result<(), ErrorCode>| {
        for (waiter, answer) in parked {
            let answer = match outcome {
                Ok(()) => answer,
                Err(code) => refused(answer, client_error(code)),
            };
            waiter.give(answer);
        }
    };
    match barrier {
        None => give(Ok(())),
        Some(barrier) => {
            log.on_replicated(barrier.partition, barrier.leader_epoch, barrier.end, Box::new(give));
        }
    }
}

fn refused(answer: Answer, code: ErrorCode) -> Answer {
    match answer {
        Answer::Join(ticket, response) => Answer::Join(ticket, join_error(response.member_id, code)),
        Answer::Sync(ticket, _) => Answer::Sync(ticket, sync_error(code)),
    }
}

/// `response` once `barrier` is passed; what `refuse` makes of it if it is not passed in time.
pub(super) fn reply_when_replicated<T: Send + 'static>(
    log: &Arc<dyn OffsetsLog>,
    barrier: Option<Barrier>,
    timeout: Duration,
    response: T,
    refuse: impl FnOnce(T, ErrorCode) -> T + Send + 'static,
) -> Reply<T> {
    let Some(barrier) = barrier else { return Reply::Ready(response) };
    let (sender, receiver) = oneshot::channel();
    let callback = Box::new(move |outcome| {
        // Nobody listens any more once the client is gone or the wait was too long.
        let _ = sender.send(outcome);
    });
    log.on_replicated(barrier.partition, barrier.leader_epoch, barrier.end, callback);
    Reply::Later(Box::pin(async move {
        let outcome = match tokio::time::timeout(timeout, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) => Err(ErrorCode::NotLeaderOrFollower),
            Err(_elapsed) => Err(ErrorCode::RequestTimedOut),
        };
        match outcome {
            Ok(()) => response,
            Err(code) => refuse(response, client_error(code)),
        }
    }))
}
