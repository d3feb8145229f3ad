//! Internal topics get more replicas once more brokers serve, some partitions at a time.
//!
//! Owns when the active controller looks. Which partitions move, and where to, is decided by `decide::internal_replication_raises`;
//! the move is a reassignment like any other, to be seen and called off with the same tools.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::active::{ActiveController, Submission};
use crate::decide::{AlterPartitionReassignmentsRequest, internal_replication_raises};

/// Partitions of internal topics that move at a time.
const MAX_IN_PROGRESS: usize = 20;

/// How long after brokers came the active controller looks: others may be about to come, and one move is less work than two.
const SETTLE: Duration = Duration::from_secs(1);

/// How long after one round the next follows, until there is nothing left to raise.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// When the active controller looks next.
#[derive(Debug, Default)]
pub(crate) struct InternalTopics {
    due: Option<Instant>,
}

impl InternalTopics {
    /// There are brokers for more replicas.
    pub(super) fn on_brokers_came(&mut self, now: Instant) {
        self.due.get_or_insert(now + SETTLE);
    }

    pub(super) fn on_inactive(&mut self) {
        self.due = None;
    }

    fn on_round(&mut self, now: Instant, is_done: bool) {
        self.due = (!is_done).then(|| now + ROUND_INTERVAL);
    }

    /// When to look; never while no broker comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// Starts some moves.
pub(super) async fn raise_internal_topics(active: &mut ActiveController) {
    let image = active.publication.image();
    let wanted = &active.context.defaults.internal_replication;
    let is_done = internal_replication_raises(&image, wanted, usize::MAX).is_empty();
    let partitions = internal_replication_raises(&image, wanted, MAX_IN_PROGRESS);
    active.internal_topics.on_round(Instant::now(), is_done);
    if partitions.is_empty() {
        return;
    }
    let count = partitions.len();
    let brokers = image.broker_count();
    let (answer, answered) = oneshot::channel();
    let request = AlterPartitionReassignmentsRequest { partitions, allow_replication_factor_change: true };
    active.serve(VecDeque::from([Submission { request: request.into(), answer }])).await;
    match answered.await {
        Ok(Ok(_)) => {
            tracing::info!(partitions = count, brokers, "internal topics get more replicas: more brokers serve")
        }
        Ok(Err(error)) => tracing::warn!(%error, "internal topics could not be given more replicas"),
        Err(_) => tracing::error!("nobody answered who was to give internal topics more replicas"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_come_together_are_looked_at_once() {
        let now = Instant::now();
        let mut topics = InternalTopics::default();
        assert_eq!(topics.due(), None);
        topics.on_brokers_came(now);
        topics.on_brokers_came(now + SETTLE / 2);
        assert_eq!(topics.due(), Some(now + SETTLE));
    }

    #[test]
    fn rounds_follow_each_other_until_nothing_is_left() {
        let now = Instant::now();
        let mut topics = InternalTopics::default();
        topics.on_round(now, false);
        assert_eq!(topics.due(), Some(now + ROUND_INTERVAL));
        topics.on_round(now, true);
        assert_eq!(topics.due(), None);
    }
}
