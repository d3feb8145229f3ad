//! One session: its partitions, in the order of service, and what was last said of each.

use std::collections::HashMap;
use std::sync::Arc;

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::INITIAL_EPOCH;

/// What a fetcher asks of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The topic's name; empty where the request gave an id that is not known.
    pub topic: Arc<str>,
    /// The topic's id, nil in requests that name topics.
    pub topic_id: TopicId,
    /// Which partition.
    pub partition: PartitionIndex,
    /// The leader epoch the fetcher believes in, or none.
    pub current_leader_epoch: LeaderEpoch,
    /// Where to read from.
    pub fetch_offset: Offset,
    /// The epoch of the fetcher's last record, or none.
    pub last_fetched_epoch: LeaderEpoch,
    /// The fetcher's own log start offset, -1 for consumers.
    pub log_start_offset: Offset,
    /// The most to return of this partition, in bytes.
    pub max_bytes: i32,
}

/// What a response is about to say of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionAnswer {
    /// Its error, if any.
    pub error: ErrorCode,
    /// The bytes of records.
    pub records_bytes: usize,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The log start offset.
    pub log_start_offset: Offset,
    /// Whether there is more that must be said, such as another replica to read from.
    pub has_news: bool,
}

/// What identifies a partition within a session.
type Key = (TopicId, Arc<str>, PartitionIndex);

#[derive(Debug)]
struct Cached {
    asked: FetchPartition,
    high_watermark: Offset,
    log_start_offset: Offset,
    /// Its place in the order of service.
    turn: u64,
}

/// The state of one session.
#[derive(Debug)]
pub struct FetchSession {
    pub(super) uses_topic_ids: bool,
    pub(super) epoch: i32,
    pub(super) last_used_ms: i64,
    partitions: HashMap<Key, Cached>,
    next_turn: u64,
}

impl FetchSession {
    pub(super) fn new(uses_topic_ids: bool, partitions: Vec<FetchPartition>, now_ms: i64) -> Self {
        let mut session = Self {
            uses_topic_ids,
            epoch: next_epoch(INITIAL_EPOCH),
            last_used_ms: now_ms,
            partitions: HashMap::new(),
            next_turn: 0,
        };
        session.update(partitions);
        session
    }

    /// Takes in what an incremental request adds or changes.
    pub(super) fn update(&mut self, partitions: Vec<FetchPartition>) {
        for asked in partitions {
            match self.partitions.get_mut(&key(&asked)) {
                Some(cached) => cached.asked = asked,
                None => {
                    let turn = self.take_turn();
                    let cached = Cached { high_watermark: Offset::NONE, log_start_offset: Offset::NONE, turn, asked };
                    self.partitions.insert(key(&cached.asked), cached);
                }
            }
        }
    }

    /// Drops partitions that the fetcher no longer wants.
    pub(super) fn forget(&mut self, topic: &Arc<str>, topic_id: TopicId, partition: PartitionIndex) {
        self.partitions.remove(&(topic_id, topic.clone(), partition));
    }

    /// Everything the session fetches, in the order of service.
    pub(super) fn wanted(&self) -> Vec<FetchPartition> {
        let mut cached: Vec<&Cached> = self.partitions.values().collect();
        cached.sort_unstable_by_key(|cached| cached.turn);
        cached.into_iter().map(|cached| cached.asked.clone()).collect()
    }

    /// How many partitions the session holds.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whether the session holds no partition.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Whether `answer` says something of this partition that the fetcher has not been told.
    pub fn is_news(&self, asked: &FetchPartition, answer: PartitionAnswer) -> bool {
        let Some(cached) = self.partitions.get(&key(asked)) else { return true };
        cached.high_watermark != answer.high_watermark || cached.log_start_offset != answer.log_start_offset
    }

    /// Whether an incremental response must speak of this partition; notes what it will have said.
    pub fn must_answer(&mut self, asked: &FetchPartition, answer: PartitionAnswer) -> bool {
        let turn = self.take_turn();
        let Some(cached) = self.partitions.get_mut(&key(asked)) else { return true };
        let moved =
            cached.high_watermark != answer.high_watermark || cached.log_start_offset != answer.log_start_offset;
        cached.high_watermark = answer.high_watermark;
        cached.log_start_offset = answer.log_start_offset;
        if answer.records_bytes > 0 {
            cached.turn = turn;
        }
        if answer.error != ErrorCode::None {
            // Whatever comes after an error is news.
            cached.high_watermark = Offset::NONE;
        }
        moved || answer.records_bytes > 0 || answer.has_news || answer.error != ErrorCode::None
    }

    fn take_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }
}

fn key(asked: &FetchPartition) -> Key {
    (asked.topic_id, asked.topic.clone(), asked.partition)
}

/// Epochs wrap to 1, for 0 asks for a new session.
pub(super) fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}
