//! Leaderships return to their preferred replicas by themselves, some at a time.
//!
//! Owns when the active controller looks, and how many leaderships move together. Which may move is decided by
//! `decide::returnable_leaderships`. Kafka: `auto.leader.rebalance.enable`, `leader.imbalance.check.interval.seconds`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::active::{ActiveController, Submission};
use crate::decide::{ElectLeadersRequest, ElectionType, returnable_leaderships};

/// Leaderships that return in one change, so that clients find a few new leaders at once and not all.
const MAX_LEADERS_A_ROUND: usize = 100;

/// How long after one round the next follows while there is more to return.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// When the active controller looks next.
#[derive(Debug)]
pub(crate) struct LeaderRebalance {
    interval: Option<Duration>,
    due: Option<Instant>,
}

impl LeaderRebalance {
    /// Without an interval leaderships stay where they are.
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self { interval, due: None }
    }

    pub(super) fn on_active(&mut self, now: Instant) {
        self.due = self.interval.map(|interval| now + interval);
    }

    pub(super) fn on_inactive(&mut self) {
        self.due = None;
    }

    fn on_round(&mut self, now: Instant, returned: usize) {
        let more = returned == MAX_LEADERS_A_ROUND;
        self.due = self.interval.map(|interval| now + if more { ROUND_INTERVAL.min(interval) } else { interval });
    }

    /// When the next round is due; never where this node is not active.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// Returns some leaderships.
pub(super) async fn return_leaderships(active: &mut ActiveController) {
    let partitions = returnable_leaderships(&active.publication.image(), MAX_LEADERS_A_ROUND);
    let returned = partitions.len();
    active.rebalance.on_round(Instant::now(), returned);
    if returned == 0 {
        return;
    }
    let (answer, answered) = oneshot::channel();
    let request = ElectLeadersRequest { election_type: ElectionType::Preferred, partitions: Some(partitions) };
    active.serve(VecDeque::from([Submission { request: request.into(), answer }])).await;
    match answered.await {
        Ok(Ok(_)) => tracing::info!(returned, "returned leaderships to their preferred replicas"),
        Ok(Err(error)) => tracing::warn!(%error, "leaderships could not be returned to their preferred replicas"),
        Err(_) => tracing::error!("nobody answered who was to return leaderships"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_round_is_followed_by_another_soon_and_a_last_one_after_the_interval() {
        let (now, interval) = (Instant::now(), Duration::from_secs(300));
        let mut rebalance = LeaderRebalance::new(Some(interval));
        assert_eq!(rebalance.due(), None);
        rebalance.on_active(now);
        assert_eq!(rebalance.due(), Some(now + interval));
        rebalance.on_round(now, MAX_LEADERS_A_ROUND);
        assert_eq!(rebalance.due(), Some(now + ROUND_INTERVAL));
        rebalance.on_round(now, 3);
        assert_eq!(rebalance.due(), Some(now + interval));
        rebalance.on_inactive();
        assert_eq!(rebalance.due(), None);
    }

    #[test]
    fn leaderships_stay_where_they_are_if_that_is_wished() {
        let mut rebalance = LeaderRebalance::new(None);
        rebalance.on_active(Instant::now());
        assert_eq!(rebalance.due(), None);
    }
}
