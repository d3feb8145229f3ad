//! Every session of a broker, within a named number of slots.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{PartitionIndex, TopicId};

use super::session::{FetchPartition, FetchSession, next_epoch};
use super::{EVICTION_MS, FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION};

/// The part of a Fetch request that concerns its session.
#[derive(Debug)]
pub struct SessionRequest {
    /// The session named, or [`NO_SESSION`].
    pub session_id: i32,
    /// The epoch of the request within its session.
    pub epoch: i32,
    /// Whether topics are named by id (version 13 and later).
    pub uses_topic_ids: bool,
    /// The partitions asked for: all of them, or in a session those that changed.
    pub partitions: Vec<FetchPartition>,
    /// The partitions no longer wanted.
    pub forgotten: Vec<(Arc<str>, TopicId, PartitionIndex)>,
}

/// What to fetch, and how to answer.
#[derive(Debug)]
pub struct FetchPlan {
    /// The session to name in the response.
    pub session_id: i32,
    /// The session whose memory thins the response out; none where everything is answered.
    pub incremental: Option<Arc<Mutex<FetchSession>>>,
    /// The session that begins with this response.
    pub started: Option<Arc<Mutex<FetchSession>>>,
    /// Everything to fetch, in order.
    pub partitions: Vec<FetchPartition>,
}

/// The sessions of one broker.
#[derive(Debug)]
pub struct FetchSessionCache {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<FetchSession>>>>,
}

impl FetchSessionCache {
    /// A cache of at most `slots` sessions.
    pub fn new(slots: usize) -> Self {
        Self { slots, sessions: Mutex::new(HashMap::new()) }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.lock().is_empty()
    }

    /// Finds, makes or ends the session of a request. `fresh_id` yields random numbers for a new one.
    pub fn begin(
        &self,
        request: SessionRequest,
        now_ms: i64,
        fresh_id: impl FnMut() -> i32,
    ) -> Result<FetchPlan, ErrorCode> {
        let mut sessions = self.sessions.lock();
        match request.epoch {
            FINAL_EPOCH | INITIAL_EPOCH => {
                if request.session_id != NO_SESSION {
                    sessions.remove(&request.session_id);
                }
                let wants_session = request.epoch == INITIAL_EPOCH;
                let started = wants_session.then(|| self.start(&mut sessions, &request, now_ms, fresh_id)).flatten();
                let session_id = started.as_ref().map_or(NO_SESSION, |(id, _)| *id);
                let started = started.map(|(_, session)| session);
                Ok(FetchPlan { session_id, incremental: None, started, partitions: request.partitions })
            }
            _ => Self::resume(&sessions, request, now_ms),
        }
    }

    fn start(
        &self,
        sessions: &mut HashMap<i32, Arc<Mutex<FetchSession>>>,
        request: &SessionRequest,
        now_ms: i64,
        mut fresh_id: impl FnMut() -> i32,
    ) -> Option<(i32, Arc<Mutex<FetchSession>>)> {
        if request.partitions.is_empty() || self.slots == 0 {
            return None;
        }
        if sessions.len() >= self.slots {
            let (id, used_ms) =
                sessions.iter().map(|(id, s)| (*id, s.lock().last_used_ms)).min_by_key(|&(_, ms)| ms)?;
            if now_ms - used_ms < EVICTION_MS {
                return None;
            }
            sessions.remove(&id);
        }
        let id = std::iter::repeat_with(|| fresh_id() & i32::MAX)
            .find(|id| *id != NO_SESSION && !sessions.contains_key(id))
            .expect("ids do not run out before slots");
        let session = FetchSession::new(request.uses_topic_ids, request.partitions.clone(), now_ms);
        let session = Arc::new(Mutex::new(session));
        sessions.insert(id, session.clone());
        Some((id, session))
    }

    fn resume(
        sessions: &HashMap<i32, Arc<Mutex<FetchSession>>>,
        request: SessionRequest,
        now_ms: i64,
    ) -> Result<FetchPlan, ErrorCode> {
        let session = sessions.get(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?.clone();
        let partitions = {
            let mut held = session.lock();
            if held.epoch != request.epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            if held.uses_topic_ids != request.uses_topic_ids {
                return Err(ErrorCode::FetchSessionTopicIdError);
            }
            held.epoch = next_epoch(held.epoch);
            held.last_used_ms = now_ms;
            held.update(request.partitions);
            for (topic, topic_id, partition) in &request.forgotten {
                held.forget(topic, *topic_id, *partition);
            }
            held.wanted()
        };
        Ok(FetchPlan { session_id: request.session_id, incremental: Some(session), started: None, partitions })
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::ids::{LeaderEpoch, Offset};

    use super::super::PartitionAnswer;
    use super::*;

    fn partition(index: i32, offset: i64) -> FetchPartition {
        FetchPartition {
            topic: "t".into(),
            topic_id: TopicId::nil(),
            partition: PartitionIndex(index),
            current_leader_epoch: LeaderEpoch::NONE,
            fetch_offset: Offset(offset),
            last_fetched_epoch: LeaderEpoch::NONE,
            log_start_offset: Offset::NONE,
            max_bytes: 1,
        }
    }

    fn request(session_id: i32, epoch: i32, partitions: Vec<FetchPartition>) -> SessionRequest {
        SessionRequest { session_id, epoch, uses_topic_ids: false, partitions, forgotten: vec![] }
    }

    fn answer(high_watermark: i64, records_bytes: usize) -> PartitionAnswer {
        PartitionAnswer {
            error: ErrorCode::None,
            records_bytes,
            high_watermark: Offset(high_watermark),
            log_start_offset: Offset(0),
            has_news: false,
        }
    }

    fn started(slots: usize) -> FetchSessionCache {
        let cache = FetchSessionCache::new(slots);
        let plan = cache.begin(request(0, 0, vec![partition(0, 0), partition(1, 0)]), 0, || 7).unwrap();
        assert_eq!((plan.session_id, plan.partitions.len()), (7, 2));
        cache
    }

    fn indexes(plan: &FetchPlan) -> Vec<i32> {
        plan.partitions.iter().map(|p| p.partition.get()).collect()
    }

    #[test]
    fn a_session_remembers_what_is_not_repeated() {
        let cache = started(1);
        let plan = cache.begin(request(7, 1, vec![partition(1, 5)]), 0, || 0).unwrap();
        assert_eq!(plan.partitions, [partition(0, 0), partition(1, 5)]);
    }

    #[test]
    fn an_epoch_is_used_once() {
        let cache = started(1);
        cache.begin(request(7, 1, vec![]), 0, || 0).unwrap();
        let again = cache.begin(request(7, 1, vec![]), 0, || 0);
        assert_eq!(again.unwrap_err(), ErrorCode::InvalidFetchSessionEpoch);
    }

    #[test]
    fn a_session_that_is_gone_is_named_so() {
        let unknown = FetchSessionCache::new(1).begin(request(9, 1, vec![]), 0, || 0);
        assert_eq!(unknown.unwrap_err(), ErrorCode::FetchSessionIdNotFound);
    }

    #[test]
    fn a_session_does_not_change_from_names_to_ids() {
        let changed = SessionRequest { uses_topic_ids: true, ..request(7, 1, vec![]) };
        assert_eq!(started(1).begin(changed, 0, || 0).unwrap_err(), ErrorCode::FetchSessionTopicIdError);
    }

    #[test]
    fn forgotten_partitions_are_not_fetched() {
        let forget = SessionRequest {
            forgotten: vec![("t".into(), TopicId::nil(), PartitionIndex(0))],
            ..request(7, 1, vec![])
        };
        assert_eq!(indexes(&started(1).begin(forget, 0, || 0).unwrap()), [1]);
    }

    #[test]
    fn a_final_epoch_ends_the_session_and_is_served() {
        let cache = started(1);
        let plan = cache.begin(request(7, FINAL_EPOCH, vec![partition(0, 0)]), 0, || 0).unwrap();
        assert_eq!((plan.session_id, plan.partitions.len(), cache.len()), (NO_SESSION, 1, 0));
    }

    #[test]
    fn a_full_cache_gives_up_only_idle_sessions() {
        let cache = started(1);
        let busy = cache.begin(request(0, 0, vec![partition(0, 0)]), EVICTION_MS - 1, || 8).unwrap();
        assert_eq!(busy.session_id, NO_SESSION);
        let idle = cache.begin(request(0, 0, vec![partition(0, 0)]), EVICTION_MS, || 8).unwrap();
        assert_eq!((idle.session_id, cache.len()), (8, 1));
    }

    #[test]
    fn only_news_is_answered() {
        let cache = started(1);
        let plan = cache.begin(request(7, 1, vec![]), 0, || 0).unwrap();
        let session = plan.incremental.unwrap();
        let mut session = session.lock();
        assert!(session.must_answer(&partition(0, 0), answer(3, 0)), "a first high watermark is news");
        assert!(!session.must_answer(&partition(0, 0), answer(3, 0)));
        assert!(session.must_answer(&partition(0, 0), answer(3, 9)));
        let failed = PartitionAnswer { error: ErrorCode::NotLeaderOrFollower, ..answer(3, 0) };
        assert!(session.must_answer(&partition(0, 0), failed));
        assert!(session.must_answer(&partition(0, 0), answer(3, 0)), "recovery from an error is news");
    }

    #[test]
    fn a_partition_that_was_given_data_waits_for_the_others() {
        let cache = started(1);
        let plan = cache.begin(request(7, 1, vec![]), 0, || 0).unwrap();
        plan.incremental.unwrap().lock().must_answer(&partition(0, 0), answer(3, 9));
        assert_eq!(indexes(&cache.begin(request(7, 2, vec![]), 0, || 0).unwrap()), [1, 0]);
    }
}
