//! The partitions that one fetcher fetches, and which of them have something new to ask.
//!
//! A partition's question changes when its log does, when it has waited long enough, or when its leader does: only those are looked at
//! before a request, so that a thousand partitions at rest cost nothing. None is asked for before what that promises is on disk where the
//! topic wants every record flushed.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashMap;
use tokio::sync::oneshot::{self, error::TryRecvError};
use weir_protocol::ids::Offset;
use weir_storage::log::Log;

use super::lane::Lane;
use super::session::Session;
use crate::partition::{FollowerLog, Partition, PartitionKey, ReplicaSide};
use crate::replication::{FollowerState, NextFetch};

/// The most logs that are opened or made before one request: the others wait for the next, and nobody for all of them.
const MAX_OPENED: usize = 32;

/// A partition that is fetched.
pub(super) struct Followed {
    pub(super) partition: Arc<Partition>,
    pub(super) state: FollowerState,
    /// What the leader was asked last, and is asked again by every request of the session.
    pub(super) asked: Option<NextFetch>,
    /// Whether it has everything that was committed when the leader last answered.
    pub(super) has_caught_up: bool,
    /// Whether it has been said that it is to be fetched in another lane.
    pub(super) is_leaving: bool,
    is_due: bool,
    /// Ends once what the next fetch promises is on disk.
    flushing: Option<oneshot::Receiver<()>>,
}

/// All of them.
#[derive(Default)]
pub(super) struct FollowedPartitions {
    partitions: AHashMap<PartitionKey, Followed>,
    /// Those whose question may have changed.
    due: Vec<PartitionKey>,
    /// Those that wait, by when that ends.
    waiting: BTreeSet<(i64, PartitionKey)>,
    /// How many the leader is asked for.
    asked: usize,
}

impl FollowedPartitions {
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// How many the leader is asked for by the next request.
    pub(super) fn asked_count(&self) -> usize {
        self.asked
    }

    /// Whether some are still to be looked at before the next request but one.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// When the first of those that wait may be fetched again.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.waiting.first().map(|(until_ms, _)| *until_ms)
    }

    pub(super) fn get_mut(&mut self, key: &PartitionKey) -> Option<&mut Followed> {
        self.partitions.get_mut(key)
    }

    /// Fetches a partition from now on, or in another leader epoch.
    pub(super) fn insert(&mut self, partition: Arc<Partition>, state: FollowerState, lane: Lane) {
        let key = partition.key();
        let has_caught_up = lane == Lane::InSync;
        let followed = Followed::new(partition, state, has_caught_up);
        if self.partitions.insert(key, followed).is_some_and(|before| before.asked.is_some()) {
            self.asked -= 1;
        }
        self.set_due(&key);
    }

    pub(super) fn remove(&mut self, key: &PartitionKey, session: &mut Session) {
        if self.partitions.remove(key).is_some_and(|before| before.asked.is_some()) {
            self.asked -= 1;
            session.forget(*key);
        }
    }

    /// Its question may have changed.
    pub(super) fn set_due(&mut self, key: &PartitionKey) {
        if let Some(followed) = self.partitions.get_mut(key)
            && !std::mem::replace(&mut followed.is_due, true)
        {
            self.due.push(*key);
        }
    }

    /// The leader knows nothing any more: everything is asked again.
    pub(super) fn ask_all_again(&mut self) {
        self.due.clear();
        for (key, followed) in &mut self.partitions {
            (followed.asked, followed.is_due) = (None, true);
            self.due.push(*key);
        }
        self.asked = 0;
    }

    /// The leader cannot be asked: all wait.
    pub(super) fn fail_all(&mut self, now_ms: i64) {
        for followed in self.partitions.values_mut() {
            followed.state.on_failure(now_ms);
        }
        self.ask_all_again();
    }

    /// What is to be asked that the leader has not been asked before.
    pub(super) fn questions(&mut self, now_ms: i64, session: &mut Session) -> Vec<(PartitionKey, NextFetch)> {
        while let Some((_, key)) = self.waiting.first().copied().filter(|(until_ms, _)| *until_ms <= now_ms) {
            self.waiting.pop_first();
            self.set_due(&key);
        }
        let mut opened = 0;
        let mut questions = Vec::new();
        let mut later = Vec::new();
        for key in std::mem::take(&mut self.due) {
            let Some(followed) = self.partitions.get_mut(&key) else { continue };
            if followed.partition.opened_log().is_none() {
                opened += 1;
                if opened > MAX_OPENED {
                    later.push(key);
                    continue;
                }
            }
            followed.is_due = false;
            let held_back_until = followed.held_back_until(now_ms);
            let next = if held_back_until.is_some() { None } else { followed.next_fetch(now_ms) };
            match (followed.asked, next) {
                (before, Some(next)) if before != Some(next) => {
                    self.asked += usize::from(before.is_none());
                    followed.asked = Some(next);
                    session.remember(&key);
                    questions.push((key, next));
                }
                (_, Some(_)) => {}
                (before, None) => {
                    if before.is_some() {
                        self.asked -= 1;
                        followed.asked = None;
                        session.forget(key);
                    }
                    if let Some(until_ms) = held_back_until.or(followed.state.next_deadline()) {
                        self.waiting.insert((until_ms, key));
                    }
                }
            }
        }
        self.due.extend(later);
        questions
    }
}

impl Followed {
    fn new(partition: Arc<Partition>, state: FollowerState, has_caught_up: bool) -> Self {
        Self { partition, state, asked: None, has_caught_up, is_leaving: false, is_due: false, flushing: None }
    }

    /// When to look again, if the rate of throttled replicas is used up. One that has caught up is not held back, for
    /// acknowledgements may wait for it; what it fetches counts all the same (KIP-73).
    fn held_back_until(&self, now_ms: i64) -> Option<i64> {
        if self.has_caught_up || !self.partition.is_throttled(ReplicaSide::Follower) {
            return None;
        }
        self.partition.local().throttles().of(ReplicaSide::Follower).exceeded_until(now_ms)
    }

    fn next_fetch(&mut self, now_ms: i64) -> Option<NextFetch> {
        if self.state.next_deadline().is_none_or(|until_ms| until_ms > now_ms) {
            return None;
        }
        match self.partition.log() {
            Ok(log) if owes_flush(&log) => {
                self.flush_first(log.log_end_offset());
                self.state.on_failure(now_ms);
                None
            }
            Ok(log) => self.state.next_fetch(now_ms, &FollowerLog(&log)),
            Err(error) => {
                // It is being recovered, mostly; what is worse is told where the log is opened at the start.
                tracing::debug!(partition = %self.partition.topic_partition(), message = ?error.message, "a log to follow into cannot be opened yet");
                self.state.on_failure(now_ms);
                None
            }
        }
    }

    /// Has flushed what another fetcher, or a leader before it was deposed, has appended and not flushed yet.
    fn flush_first(&mut self, up_to: Offset) {
        let under_way = |flushing: &mut oneshot::Receiver<()>| matches!(flushing.try_recv(), Err(TryRecvError::Empty));
        if !self.flushing.as_mut().is_some_and(under_way) {
            let (done, flushing) = oneshot::channel();
            // A failure takes the directory offline, and the log then cannot be had.
            self.partition.flush_then(up_to, move |_| {
                let _ = done.send(());
            });
            self.flushing = Some(flushing);
        }
    }
}

/// Whether a fetch at the end of this log would promise what the topic wants on disk first and is not.
fn owes_flush(log: &Log) -> bool {
    log.recovery_point() < log.log_end_offset() && log.config().flush_messages == 1
}

#[cfg(test)]
mod tests {
    use weir_protocol::ids::LeaderEpoch;
    use weir_storage::config::LogConfig;

    use super::*;
    use crate::config::TopicConfig;
    use crate::partition::tests::world::*;

    #[test]
    fn where_every_record_is_to_be_flushed_a_fetch_waits_until_the_log_is() {
        let mut world = World::without_topic();
        world.config = TopicConfig::of_log(LogConfig { flush_messages: 1, ..LogConfig::default() }, 2);
        world.create(&[1, 2, 3]);
        let partition = world.partition(2);
        partition.log().unwrap();
        // Another fetcher has appended it.
        partition.take_in(LeaderEpoch(0), &batch(3, None), Offset(0), Offset(0), 1).unwrap();
        let state = FollowerState::new(&partition.registration());
        let mut followed = Followed::new(partition, state, true);
        for now_ms in [0, 1_000] {
            assert_eq!(followed.next_fetch(now_ms), None);
        }
        world.broker(2).logs.flush_waiting();
        assert_eq!(followed.next_fetch(2_000).map(|next| next.fetch_offset), Some(Offset(3)));
    }
}
