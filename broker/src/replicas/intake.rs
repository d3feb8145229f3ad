//! Taking in what a leader answered: appended straight from the buffer it was received into, cut, or started over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use ahash::AHashMap;
use tokio::sync::oneshot;
use weir_protocol::client::ClientError;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use weir_protocol::messages::fetch_response::PartitionData;
use weir_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use weir_protocol::messages::{BrokerId as WireBrokerId, FetchResponse, ListOffsetsRequest, StrBytes, TopicName};

use super::fetcher::Fetcher;
use super::followed::Followed;
use super::{Lane, Task};
use crate::api::now_ms;
use crate::partition::{FollowError, FollowerLog, Partition, PartitionKey, ReplicaSide};
use crate::replication::{EpochEnd, FetchedPartition, FollowerStep, Restart};

/// The end of the leader's log, and its start, in ListOffsets.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// A version that names the replica and the leader epoch it believes in.
const LIST_OFFSETS_VERSION: i16 = 7;

/// What is still to be done about an answer.
#[derive(Default)]
struct Unfinished {
    /// Logs to be flushed before the next fetch, and how far.
    flushes: Vec<(Arc<Partition>, Offset)>,
    /// Logs that the leader's does not continue.
    out_of_range: Vec<PartitionKey>,
}

impl Fetcher {
    /// Takes in everything that the leader answered.
    pub(super) async fn take_in(&mut self, response: FetchResponse) {
        let mut unfinished = Unfinished::default();
        for topic in response.responses {
            for data in topic.partitions {
                let key = (topic.topic_id, PartitionIndex(data.partition_index));
                self.take_in_partition(key, data, &mut unfinished);
            }
        }
        self.flush(unfinished.flushes).await;
        if !unfinished.out_of_range.is_empty()
            && let Err(error) = self.restart(&unfinished.out_of_range).await
        {
            self.on_aside_failed(&error);
        }
    }

    fn take_in_partition(&mut self, key: PartitionKey, data: PartitionData, unfinished: &mut Unfinished) {
        let now_ms = self.shared.local.now_ms();
        let Some(followed) = self.followed.get_mut(&key) else { return };
        // One that has another leader by now, or the same in another epoch, has not asked yet.
        let Some(asked) = followed.asked else { return };
        let Some(log) = followed.partition.opened_log() else { return };
        let diverging = &data.diverging_epoch;
        let records = data.records.unwrap_or_default();
        let answer = FetchedPartition {
            error: ErrorCode::from_code(data.error_code),
            fetch_offset: asked.fetch_offset,
            high_watermark: Offset(data.high_watermark),
            log_start_offset: Offset(data.log_start_offset),
            diverging: (diverging.epoch >= 0)
                .then_some(EpochEnd { epoch: LeaderEpoch(diverging.epoch), end_offset: Offset(diverging.end_offset) }),
            records_bytes: records.len(),
        };
        let step = followed.state.on_answer(now_ms, &answer, &FollowerLog(&log));
        let outcome = followed.perform(step, &records);
        match outcome {
            Ok(Done::Nothing) => {}
            Ok(Done::Appended { bytes, flush_to }) => {
                self.shared.metrics.fetched_bytes.fetch_add(bytes, Ordering::Relaxed);
                followed.has_caught_up = answer.high_watermark <= log_end_of(&followed.partition);
                if bytes > 0 && followed.partition.is_throttled(ReplicaSide::Follower) {
                    self.shared.local.throttles().of(ReplicaSide::Follower).record(now_ms, bytes);
                }
                followed.look_for_lane(self.lane, &self.shared.tasks);
                unfinished.flushes.extend(flush_to.map(|up_to| (followed.partition.clone(), up_to)));
            }
            Ok(Done::Truncated) => {
                self.shared.metrics.truncations.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Done::AskForRange) => unfinished.out_of_range.push(key),
            // The metadata has told, or is about to.
            Err(FollowError::Over) => drop(followed.state.on_failure(now_ms)),
            Err(error) => {
                tracing::warn!(partition = %followed.partition.topic_partition(), %error, "what the leader sent was not taken in");
                followed.state.on_failure(now_ms);
            }
        }
        self.followed.set_due(&key);
    }

    /// Makes durable what the next fetch promises to be.
    async fn flush(&mut self, flushes: Vec<(Arc<Partition>, Offset)>) {
        let begun: Vec<_> = flushes
            .into_iter()
            .map(|(partition, up_to)| {
                let (done, flushed) = oneshot::channel();
                partition.flush_then(up_to, move |outcome| {
                    // The receiver waits right here, unless the broker stops.
                    let _ = done.send(outcome);
                });
                (partition.key(), flushed)
            })
            .collect();
        for (key, flushed) in begun {
            if !matches!(flushed.await, Ok(Ok(())))
                && let Some(followed) = self.followed.get_mut(&key)
            {
                // Its directory is offline, which has been told.
                followed.state.on_failure(self.shared.local.now_ms());
                self.followed.set_due(&key);
            }
        }
    }

    /// Asks the leader where its logs start and end, and starts those of `keys` over where they can go on.
    async fn restart(&mut self, keys: &[PartitionKey]) -> Result<(), ClientError> {
        let starts = self.list_offsets(keys, EARLIEST).await?;
        let ends = self.list_offsets(keys, LATEST).await?;
        let now_ms = self.shared.local.now_ms();
        for key in keys {
            let range = starts.get(key).zip(ends.get(key));
            let Some(followed) = self.followed.get_mut(key) else { continue };
            let outcome = match range {
                Some((start, end)) => followed.restart(*start, *end),
                None => Ok(false),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => drop(followed.state.on_failure(now_ms)),
                Err(error) => {
                    tracing::warn!(partition = %followed.partition.topic_partition(), %error, "a replica cannot start over");
                    followed.state.on_failure(now_ms);
                }
            }
            self.followed.set_due(key);
        }
        Ok(())
    }

    async fn list_offsets(
        &mut self,
        keys: &[PartitionKey],
        timestamp: i64,
    ) -> Result<AHashMap<PartitionKey, Offset>, ClientError> {
        let mut topics: AHashMap<TopicId, (StrBytes, Vec<ListOffsetsPartition>)> = AHashMap::new();
        for key in keys {
            let Some(followed) = self.followed.get_mut(key) else { continue };
            let name = || StrBytes::from_string(followed.partition.topic().name.to_string());
            let partition = ListOffsetsPartition::default()
                .with_partition_index(key.1.get())
                .with_current_leader_epoch(followed.state.leader_epoch().get())
                .with_timestamp(timestamp);
            topics.entry(key.0).or_insert_with(|| (name(), Vec::new())).1.push(partition);
        }
        let ids: AHashMap<StrBytes, TopicId> = topics.iter().map(|(id, (name, _))| (name.clone(), *id)).collect();
        let topic =
            |(name, partitions)| ListOffsetsTopic::default().with_name(TopicName(name)).with_partitions(partitions);
        let request = ListOffsetsRequest::default()
            .with_replica_id(WireBrokerId(self.shared.local.id().get()))
            .with_topics(topics.into_values().map(topic).collect());
        let within = self.shared.settings.socket_timeout;
        let Some(connection) = self.connection() else { return Ok(AHashMap::new()) };
        let response = connection.call(&request, LIST_OFFSETS_VERSION, within).await?;
        let mut offsets = AHashMap::new();
        for topic in response.topics {
            let Some(id) = ids.get(&topic.name.0) else { continue };
            for partition in topic.partitions.iter().filter(|partition| partition.error_code == 0) {
                offsets.insert((*id, PartitionIndex(partition.partition_index)), Offset(partition.offset));
            }
        }
        Ok(offsets)
    }
}

fn log_end_of(partition: &Partition) -> Offset {
    partition.opened_log().map_or(Offset::NONE, |log| log.log_end_offset())
}

/// What was done about one partition's answer.
enum Done {
    Nothing,
    Appended { bytes: u64, flush_to: Option<Offset> },
    Truncated,
    AskForRange,
}

impl Followed {
    /// Asks for another lane where the last answer has made that the right one.
    fn look_for_lane(&mut self, lane: Lane, tasks: &mpsc::Sender<Task>) {
        let is_in_sync = || self.partition.registration().isr.contains(&self.partition.local().id());
        if !self.is_leaving
            && let Some(lane) = lane.change(self.has_caught_up, is_in_sync)
        {
            self.is_leaving = true;
            // Whoever would change it ends with the broker only.
            let _ = tasks.send(Task::Lane(self.partition.clone(), lane));
        }
    }

    fn perform(&mut self, step: FollowerStep, records: &[u8]) -> Result<Done, FollowError> {
        let epoch = self.state.leader_epoch();
        match step {
            FollowerStep::Append { high_watermark, log_start_offset } => {
                let taken = self.partition.take_in(epoch, records, high_watermark, log_start_offset, now_ms())?;
                Ok(Done::Appended { bytes: taken.bytes, flush_to: taken.flush_to })
            }
            FollowerStep::Truncate(truncation) => {
                self.partition.cut(epoch, truncation.to)?;
                Ok(Done::Truncated)
            }
            FollowerStep::AskForRange => Ok(Done::AskForRange),
            FollowerStep::Wait { .. } | FollowerStep::Stop | FollowerStep::Ignore => Ok(Done::Nothing),
        }
    }

    /// True if it can be fetched again at once.
    fn restart(&mut self, start: Offset, end: Offset) -> Result<bool, FollowError> {
        let epoch = self.state.leader_epoch();
        let Some(log) = self.partition.opened_log() else { return Ok(false) };
        match self.state.restart_at(start, end, &FollowerLog(&log)) {
            Restart::TruncateTo(to) => self.partition.cut(epoch, to).map(|()| true),
            Restart::StartOverAt(at) => self.partition.start_over(epoch, at).map(|()| true),
            Restart::FetchAgain => Ok(false),
        }
    }
}
