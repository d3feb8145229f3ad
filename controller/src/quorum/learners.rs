//! Which members without a vote have been silent for so long that they are forgotten.
//!
//! Pure. A learner is whoever follows the metadata: brokers, and controllers that were removed. Each costs an attempt to reach it,
//! again and again, and a place in every entry that changes the membership, so one that was taken out of service for good must not stay.
//! A leader counts from when it first looked for those of whom it has heard nothing itself. Kafka: an observer is gone from
//! DescribeQuorum five minutes after its last fetch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::types::RaftNodeId;

/// What a leader knows of the silence of learners.
#[derive(Debug)]
pub(super) struct SilentLearners {
    patience: Duration,
    /// When this leader first saw a learner among the members.
    seen: BTreeMap<RaftNodeId, Instant>,
}

impl SilentLearners {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, seen: BTreeMap::new() }
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// This node does not lead: it hears of nobody.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
    }

    /// Those to forget, of all `learners` and how long ago each acknowledged something to this leader, if it ever did.
    pub(super) fn look(&mut self, now: Instant, learners: &[(RaftNodeId, Option<Duration>)]) -> BTreeSet<RaftNodeId> {
        self.seen.retain(|seen, _| learners.iter().any(|(learner, _)| learner == seen));
        let silent = learners.iter().filter(|(learner, acknowledged_ago)| {
            let seen = *self.seen.entry(*learner).or_insert(now);
            acknowledged_ago.unwrap_or(now.saturating_duration_since(seen)) >= self.patience
        });
        silent.map(|(learner, _)| *learner).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_protocol::ids::BrokerId;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(300);

    fn node(id: i32) -> RaftNodeId {
        RaftNodeId { node_id: BrokerId(id), directory_id: Uuid::from_u128(7) }
    }

    #[test]
    fn one_that_was_heard_within_the_patience_stays_however_long_it_has_been_a_member() {
        let mut silent = SilentLearners::new(PATIENCE);
        let start = Instant::now();
        let heard = [(node(1), Some(Duration::from_secs(299)))];
        assert!(silent.look(start, &heard).is_empty());
        assert!(silent.look(start + 10 * PATIENCE, &heard).is_empty());
    }

    #[test]
    fn one_that_was_heard_and_fell_silent_is_forgotten() {
        let mut silent = SilentLearners::new(PATIENCE);
        let learners = [(node(1), Some(PATIENCE)), (node(2), Some(Duration::ZERO))];
        assert_eq!(silent.look(Instant::now(), &learners), BTreeSet::from([node(1)]));
    }

    #[test]
    fn a_new_leader_gives_one_that_it_never_heard_the_whole_patience() {
        let mut silent = SilentLearners::new(PATIENCE);
        let start = Instant::now();
        assert!(silent.look(start, &[(node(1), None)]).is_empty());
        assert!(silent.look(start + PATIENCE / 2, &[(node(1), None)]).is_empty());
        silent.reset();
        assert!(silent.look(start + PATIENCE, &[(node(1), None)]).is_empty());
        assert_eq!(silent.look(start + 2 * PATIENCE, &[(node(1), None)]), BTreeSet::from([node(1)]));
    }

    #[test]
    fn one_that_left_and_came_back_is_seen_anew() {
        let mut silent = SilentLearners::new(PATIENCE);
        let start = Instant::now();
        assert!(silent.look(start, &[(node(1), None)]).is_empty());
        assert!(silent.look(start + PATIENCE, &[]).is_empty());
        assert!(silent.look(start + PATIENCE, &[(node(1), None)]).is_empty());
    }
}
