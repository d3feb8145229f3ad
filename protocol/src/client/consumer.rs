//! Reads partitions that it is told to read: no group, no commits, no fetch session.
//!
//! ```text
//! poll ── one fetch on its way to each leader ──► first answer ──► records, next offsets
//! ```
//!
//! A fetch stays on its way between polls, so an idle leader holds up no other. An answer to a fetch at an offset that is
//! no longer the position (after a seek) is dropped. Positions only ever follow whole, checked batches.

use super::cluster::topic_name;
use super::offsets::{Isolation, OffsetSpec};
use super::visible::visible;
use super::{Client, ClientError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, TopicId, TopicPartition};
use crate::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::messages::fetch_response::{FetchResponse, PartitionData};
use crate::messages::{ApiKey, FetchRequest};
use crate::records::Record;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// The first Fetch version that names topics by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

/// How a consumer fetches.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `isolation.level`.
    pub isolation: Isolation,
    /// `fetch.min.bytes`.
    pub min_bytes: i32,
    /// `fetch.max.bytes`.
    pub max_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub max_partition_bytes: i32,
    /// `fetch.max.wait.ms`: how long a leader may wait for `min_bytes`.
    pub max_wait: Duration,
    /// `auto.offset.reset`: where to go on when the position is gone; an error without.
    pub reset: Option<OffsetSpec>,
    /// The most that one batch may decompress to.
    pub max_decompressed_bytes: usize,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            isolation: Isolation::ReadUncommitted,
            min_bytes: 1,
            max_bytes: 50 << 20,
            max_partition_bytes: 1 << 20,
            max_wait: Duration::from_millis(500),
            reset: None,
            max_decompressed_bytes: 1 << 30,
        }
    }
}

/// Records of one partition, as one fetch gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledRecords {
    /// Whose.
    pub partition: TopicPartition,
    /// In order; may be empty when a fetch gave only markers or aborted records.
    pub records: Vec<Record>,
    /// The position after them.
    pub next_offset: i64,
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// The partition's log start offset.
    pub log_start_offset: i64,
}

/// What a fetch asked of its partitions, and what came.
type Fetched = (BrokerId, HashMap<TopicPartition, i64>, Result<FetchAnswer, ClientError>);

#[derive(Debug)]
struct FetchAnswer {
    response: FetchResponse,
    /// The names behind the ids of the request.
    names: HashMap<TopicId, Arc<str>>,
}

/// Reads partitions of a cluster.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    config: ConsumerConfig,
    positions: BTreeMap<TopicPartition, i64>,
    fetching: HashSet<BrokerId>,
    fetches: JoinSet<Fetched>,
    failed_attempts: u32,
}

impl Consumer {
    /// A consumer with connections of its own to `client`'s cluster.
    pub fn new(client: &Client, config: ConsumerConfig) -> Self {
        let client = client.dedicated();
        let (positions, fetching) = (BTreeMap::new(), HashSet::new());
        Self { client, config, positions, fetching, fetches: JoinSet::new(), failed_attempts: 0 }
    }

    /// Reads `partitions`, and no longer any others, from `spec` on. A time after the last record means its end.
    pub async fn assign(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<(), ClientError> {
        let positions = self.resolve(partitions, spec).await?;
        self.positions = positions;
        Ok(())
    }

    /// Reads these partitions, and no longer any others, from these offsets on.
    pub fn assign_offsets(&mut self, positions: impl IntoIterator<Item = (TopicPartition, i64)>) {
        self.positions = positions.into_iter().collect();
    }

    /// Moves one partition.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(position) = self.positions.get_mut(partition) {
            *position = offset;
        }
    }

    /// Where each partition is read next.
    pub fn positions(&self) -> &BTreeMap<TopicPartition, i64> {
        &self.positions
    }

    async fn resolve(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let isolation = self.config.isolation;
        let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
        let listed = self.client.list_offsets(&wanted, isolation).await?;
        let (found, too_young): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(_, listed)| listed.offset.is_some());
        let too_young: Vec<_> = too_young.into_iter().map(|(partition, _)| (partition, OffsetSpec::Latest)).collect();
        let ends = self.client.list_offsets(&too_young, isolation).await?;
        Ok(found.into_iter().chain(ends).map(|(partition, listed)| (partition, listed.offset.unwrap_or(0))).collect())
    }

    /// Waits up to `wait` for the answer of one leader: what it gave, which may be nothing.
    ///
    /// Retriable errors are retried, at another leader if there is one, and returned once `max_attempts` in a row failed.
    pub async fn poll(&mut self, wait: Duration) -> Result<Vec<PolledRecords>, ClientError> {
        let deadline = Instant::now() + wait;
        loop {
            let step = match self.start_fetches().await {
                Err(error) => Err(error),
                Ok(()) => match timeout_at(deadline, self.fetches.join_next()).await {
                    Err(_) | Ok(None) => return Ok(Vec::new()),
                    // A task of ours neither panics nor is aborted while its set lives.
                    Ok(Some(Err(_))) => Ok(Vec::new()),
                    Ok(Some(Ok(fetched))) => self.finish(fetched).await,
                },
            };
            match step {
                Ok(polled) => {
                    self.failed_attempts = 0;
                    if !polled.is_empty() || Instant::now() >= deadline {
                        return Ok(polled);
                    }
                }
                Err(error) if !error.is_retriable() => return Err(error),
                Err(error) => {
                    self.failed_attempts += 1;
                    let attempts = self.failed_attempts;
                    if attempts >= self.client.config().max_attempts {
                        self.failed_attempts = 0;
                        return Err(ClientError::RetriesExhausted { attempts, last: Arc::new(error) });
                    }
                    let pause = super::retry::pause(self.client.config(), attempts);
                    if timeout_at(deadline, tokio::time::sleep(pause)).await.is_err() {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    /// Has a fetch on its way to every leader of an assigned partition.
    async fn start_fetches(&mut self) -> Result<(), ClientError> {
        let mut by_leader: HashMap<BrokerId, Vec<(TopicPartition, i64, LeaderEpoch)>> = HashMap::new();
        for (partition, &offset) in &self.positions {
            let (leader, metadata) = self.client.leader(partition).await?;
            by_leader.entry(leader).or_default().push((partition.clone(), offset, metadata.leader_epoch));
        }
        for (leader, partitions) in by_leader {
            if self.fetching.insert(leader) {
                let (client, config) = (self.client.clone(), self.config.clone());
                self.fetches.spawn(async move {
                    let answer = fetch(&client, &config, leader, &partitions).await;
                    let asked = partitions.into_iter().map(|(partition, offset, _)| (partition, offset)).collect();
                    (leader, asked, answer)
                });
            }
        }
        Ok(())
    }

    /// Takes an answer in: positions move, and what there is to see is returned.
    async fn finish(&mut self, (leader, asked, answer): Fetched) -> Result<Vec<PolledRecords>, ClientError> {
        self.fetching.remove(&leader);
        let answer = answer.inspect_err(|_| asked.keys().for_each(|it| self.client.invalidate(&it.topic)))?;
        let address = self.client.address_of(leader);
        let code = ErrorCode::from_code(answer.response.error_code);
        if !code.is_none() {
            asked.keys().for_each(|partition| self.client.invalidate(&partition.topic));
            let subject = "a fetch".to_owned();
            return Err(ClientError::Refused { address, api: ApiKey::Fetch, subject, code, message: None });
        }
        let mut polled = Vec::new();
        let mut failure = None;
        for topic in answer.response.responses {
            let name = match answer.names.get(&topic.topic_id) {
                Some(name) => name.clone(),
                None => Arc::from(&**topic.topic),
            };
            for data in topic.partitions {
                let partition = TopicPartition::new(name.clone(), data.partition_index);
                let Some(&offset) = asked.get(&partition) else { continue };
                if self.positions.get(&partition) != Some(&offset) {
                    continue;
                }
                // What other partitions gave is kept; the failure comes again with the next fetch.
                match self.take(leader, &partition, offset, data).await {
                    Ok(Some(records)) => polled.push(records),
                    Ok(None) => {}
                    Err(error) => failure = Some(error),
                }
            }
        }
        match failure {
            Some(error) if polled.is_empty() => Err(error),
            _ => Ok(polled),
        }
    }

    async fn take(
        &mut self,
        leader: BrokerId,
        partition: &TopicPartition,
        offset: i64,
        data: PartitionData,
    ) -> Result<Option<PolledRecords>, ClientError> {
        match (ErrorCode::from_code(data.error_code), self.config.reset) {
            (ErrorCode::None, _) => {}
            (ErrorCode::OffsetOutOfRange, Some(spec)) => {
                let position = self.resolve(std::slice::from_ref(partition), spec).await?;
                self.positions.extend(position);
                return Ok(None);
            }
            (code, _) => {
                self.client.invalidate(&partition.topic);
                let address = self.client.address_of(leader);
                let subject = format!("{partition} at offset {offset}");
                return Err(ClientError::Refused { address, api: ApiKey::Fetch, subject, code, message: None });
            }
        }
        let bytes = data.records.unwrap_or_default();
        let aborted = match self.config.isolation {
            Isolation::ReadUncommitted => None,
            Isolation::ReadCommitted => Some(data.aborted_transactions.as_deref().unwrap_or_default()),
        };
        let found = visible(&bytes, offset, aborted, self.config.max_decompressed_bytes)
            .map_err(|source| ClientError::CorruptRecords { partition: partition.clone(), offset, source })?;
        if found.next_offset == offset {
            return Ok(None);
        }
        self.positions.insert(partition.clone(), found.next_offset);
        Ok(Some(PolledRecords {
            partition: partition.clone(),
            records: found.records,
            next_offset: found.next_offset,
            high_watermark: data.high_watermark,
            log_start_offset: data.log_start_offset,
        }))
    }
}

async fn fetch(
    client: &Client,
    config: &ConsumerConfig,
    leader: BrokerId,
    partitions: &[(TopicPartition, i64, LeaderEpoch)],
) -> Result<FetchAnswer, ClientError> {
    let connection = client.connection(leader).await?;
    let metadata = client.metadata();
    let id_of = |name: &str| metadata.topics.get(name).and_then(|topic| topic.id);
    let all_ids = partitions.iter().all(|(partition, ..)| id_of(&partition.topic).is_some());
    let cap = if all_ids { i16::MAX } else { TOPIC_ID_VERSION - 1 };
    let version = connection.version_up_to::<FetchRequest>(cap)?;
    let by_id = version >= TOPIC_ID_VERSION;
    let mut topics: BTreeMap<Arc<str>, Vec<FetchPartition>> = BTreeMap::new();
    for (partition, offset, leader_epoch) in partitions {
        let asked = FetchPartition::default()
            .with_partition(partition.partition.get())
            .with_current_leader_epoch(if version >= 9 { leader_epoch.get() } else { -1 })
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(config.max_partition_bytes);
        topics.entry(partition.topic.clone()).or_default().push(asked);
    }
    let names: HashMap<_, _> = match by_id {
        true => topics.keys().filter_map(|name| Some((id_of(name)?, name.clone()))).collect(),
        false => HashMap::new(),
    };
    let topics = topics.into_iter().map(|(name, partitions)| {
        let topic = FetchTopic::default().with_partitions(partitions);
        if by_id { topic.with_topic_id(id_of(&name).unwrap_or_default()) } else { topic.with_topic(topic_name(&name)) }
    });
    let request = FetchRequest::default()
        .with_max_wait_ms(config.max_wait.as_millis().min(i32::MAX as u128) as i32)
        .with_min_bytes(config.min_bytes)
        .with_max_bytes(config.max_bytes)
        .with_isolation_level(config.isolation as i8)
        .with_topics(topics.collect());
    let within = client.config().request_timeout + config.max_wait;
    let response = connection.call_within(&request, version, within).await?;
    Ok(FetchAnswer { response, names })
}
