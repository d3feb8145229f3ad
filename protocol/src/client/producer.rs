//! Sends records: partitioned, batched by partition, retried without duplicates (KIP-98) unless told otherwise.
//!
//! No lingering and no buffer in the background: [`Producer::send`] takes the records it is given, makes batches of them,
//! has one request per leader on its way, and returns when every record is written or has failed. One batch per partition
//! is on its way at a time, so order holds through retries.

use super::metadata::TopicMetadata;
use super::partitioner::{Sticky, partition_for_key};
use super::produce::produce;
use super::{Client, ClientError, retry};
use crate::compression::Codec;
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex, TopicPartition};
use crate::messages::{ApiKey, InitProducerIdRequest};
use crate::records::{BatchBuilder, Header, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Whom an acknowledgement stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: records are sent and forgotten.
    None = 0,
    /// The leader.
    Leader = 1,
    /// Every replica in sync.
    #[default]
    All = -1,
}

/// How a producer sends.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// `acks`.
    pub acks: Acks,
    /// `compression.type`.
    pub codec: Codec,
    /// `enable.idempotence`; needs [`Acks::All`].
    pub idempotent: bool,
    /// `batch.size`: a batch is closed once its records, uncompressed, are larger.
    pub batch_bytes: usize,
    /// `max.request.size`: batches for one leader go into one request up to this.
    pub max_request_bytes: usize,
    /// How long the leader may wait for the replicas.
    pub acks_timeout: Duration,
    /// Whether a missing topic may be created by the broker (`auto.create.topics.enable` there).
    pub create_topics: bool,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            codec: Codec::None,
            idempotent: true,
            batch_bytes: 256 << 10,
            max_request_bytes: 1 << 20,
            acks_timeout: Duration::from_secs(30),
            create_topics: true,
        }
    }
}

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to, instead of by key.
    pub partition: Option<PartitionIndex>,
    /// Milliseconds since 1970; now without.
    pub timestamp: Option<i64>,
    /// The key, unless null.
    pub key: Option<Bytes>,
    /// The value, unless null.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its partition.
    pub partition: PartitionIndex,
    /// Its offset; unknown with [`Acks::None`], or when the leader had it from an earlier attempt and no longer says where.
    pub offset: Option<i64>,
}

/// What became of one record.
type Outcome = Result<Delivery, Arc<ClientError>>;

/// A batch on its way.
#[derive(Debug)]
struct Batch {
    bytes: Bytes,
    /// Which of the given records, in order.
    records: Vec<usize>,
    failed_attempts: u32,
}

/// The batches of each partition, in order.
type Queues = BTreeMap<PartitionIndex, VecDeque<Batch>>;

/// Sends records to a cluster.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    config: ProducerConfig,
    sticky: Sticky,
    identity: Option<Identity>,
}

/// The producer id and the next sequence of each partition.
#[derive(Debug)]
struct Identity {
    producer_id: i64,
    producer_epoch: i16,
    sequences: HashMap<TopicPartition, i32>,
}

impl Producer {
    /// A producer on `client`'s connections. Asks nothing yet.
    pub fn new(client: Client, config: ProducerConfig) -> Self {
        let start = RandomState::new().hash_one(0) as u32;
        Self { client, config, sticky: Sticky::starting_at(start), identity: None }
    }

    /// Writes `records` to `topic` and tells of each, in order, where it went or why it did not.
    pub async fn send(&mut self, topic: &str, records: &[NewRecord]) -> Vec<Outcome> {
        let prepared = match self.prepare(topic, records).await {
            Ok(queues) => queues,
            Err(error) => return vec![Err(Arc::new(error)); records.len()],
        };
        let mut outcomes = Outcomes { by_record: vec![None; records.len()] };
        let mut queues = prepared;
        while !queues.is_empty() {
            let worst = self.round(topic, &mut queues, &mut outcomes).await;
            queues.retain(|_, queue| !queue.is_empty());
            if worst > 0 {
                tokio::time::sleep(retry::pause(self.client.config(), worst)).await;
            }
        }
        if outcomes.any_failed() {
            // A failed batch leaves a gap in its partition's sequences: begin again under a new id.
            self.identity = None;
        }
        outcomes.finish()
    }

    async fn prepare(&mut self, topic: &str, records: &[NewRecord]) -> Result<Queues, ClientError> {
        if self.config.idempotent && self.config.acks == Acks::All && self.identity.is_none() {
            self.identity = Some(self.init_producer_id().await?);
        }
        let client = self.client.clone();
        let create = self.config.create_topics;
        let metadata = client
            .retry(|_| async {
                match client.metadata_of(topic).await {
                    Err(ClientError::UnknownTopicOrPartition { .. }) if create => {
                        client.refresh(Some(&[topic]), true).await?;
                        client.metadata_of(topic).await
                    }
                    known => known,
                }
            })
            .await?;
        let unknown = || ClientError::UnknownTopicOrPartition { subject: topic.to_owned() };
        let found = metadata.topics.get(topic).filter(|it| !it.partitions.is_empty()).ok_or_else(unknown)?;
        self.batch(topic, found, records)
    }

    async fn init_producer_id(&self) -> Result<Identity, ClientError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id(NO_PRODUCER_ID.into())
            .with_producer_epoch(NO_PRODUCER_EPOCH);
        let client = &self.client;
        let request = &request;
        client
            .retry(|_| async move {
                let response = client.ask_any(request).await?;
                match ErrorCode::from_code(response.error_code) {
                    ErrorCode::None => Ok(Identity {
                        producer_id: response.producer_id.0,
                        producer_epoch: response.producer_epoch,
                        sequences: HashMap::new(),
                    }),
                    code => Err(ClientError::Refused {
                        address: client.bootstrap_address(),
                        api: ApiKey::InitProducerId,
                        subject: "an idempotent producer".to_owned(),
                        code,
                        message: None,
                    }),
                }
            })
            .await
    }

    /// Partitions the records and builds their batches.
    fn batch(&mut self, topic: &str, metadata: &TopicMetadata, records: &[NewRecord]) -> Result<Queues, ClientError> {
        let partitions = metadata.partitions.len() as u32;
        let mut chosen: BTreeMap<PartitionIndex, Vec<usize>> = BTreeMap::new();
        let mut sticky_bytes = 0;
        for (index, record) in records.iter().enumerate() {
            let partition = match (record.partition, &record.key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partition_for_key(key, partitions),
                (None, None) => {
                    let size = record.value.as_ref().map_or(0, Bytes::len);
                    if sticky_bytes > 0 && sticky_bytes + size > self.config.batch_bytes {
                        self.sticky.advance();
                        sticky_bytes = 0;
                    }
                    sticky_bytes += size.max(1);
                    self.sticky.current(partitions)
                }
            };
            if !metadata.partitions.contains_key(&partition) {
                let subject = TopicPartition::new(topic, partition).to_string();
                return Err(ClientError::UnknownTopicOrPartition { subject });
            }
            chosen.entry(partition).or_default().push(index);
        }
        if sticky_bytes > 0 {
            self.sticky.advance();
        }
        let mut queues = Queues::new();
        for (partition, indexes) in chosen {
            let queue = self.build(TopicPartition::new(topic, partition), records, &indexes)?;
            queues.insert(partition, queue);
        }
        Ok(queues)
    }

    fn build(
        &mut self,
        partition: TopicPartition,
        records: &[NewRecord],
        indexes: &[usize],
    ) -> Result<VecDeque<Batch>, ClientError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let mut queue = VecDeque::new();
        let mut rest = indexes;
        while !rest.is_empty() {
            let mut builder = BatchBuilder::new(self.config.codec);
            if let Some(identity) = &self.identity {
                let sequence = identity.sequences.get(&partition).copied().unwrap_or(0);
                builder = builder.producer(identity.producer_id, identity.producer_epoch, sequence);
            }
            let mut taken = 0;
            while taken < rest.len() && (taken == 0 || builder.uncompressed_size_bytes() < self.config.batch_bytes) {
                let record = &records[rest[taken]];
                let timestamp = record.timestamp.unwrap_or(now);
                builder
                    .append(timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers)
                    .map_err(|source| ClientError::Build { partition: partition.clone(), source })?;
                taken += 1;
            }
            let (batch_indexes, left) = rest.split_at(taken);
            rest = left;
            let built =
                builder.build().map_err(|source| ClientError::Build { partition: partition.clone(), source })?;
            queue.push_back(Batch { bytes: built.freeze(), records: batch_indexes.to_vec(), failed_attempts: 0 });
            if let Some(identity) = &mut self.identity {
                let sequence = identity.sequences.entry(partition.clone()).or_insert(0);
                // Sequences wrap to 0 after the greatest.
                *sequence = ((i64::from(*sequence) + taken as i64) & i64::from(i32::MAX)) as i32;
            }
        }
        Ok(queue)
    }

    /// Sends the first batch of every partition once; the most failed attempts of those that must be sent again.
    async fn round(&self, topic: &str, queues: &mut Queues, outcomes: &mut Outcomes) -> u32 {
        let mut by_leader: HashMap<BrokerId, Vec<(PartitionIndex, Bytes)>> = HashMap::new();
        let mut answers: Vec<(PartitionIndex, Result<Delivery, ClientError>)> = Vec::new();
        for (&partition, queue) in queues.iter() {
            match (self.client.leader(&TopicPartition::new(topic, partition)).await, queue.front()) {
                (Ok((leader, _)), Some(batch)) => {
                    let requests = by_leader.entry(leader).or_default();
                    let size: usize = requests.iter().map(|(_, bytes)| bytes.len()).sum();
                    // What does not fit goes in a later round.
                    if requests.is_empty() || size + batch.bytes.len() <= self.config.max_request_bytes {
                        requests.push((partition, batch.bytes.clone()));
                    }
                }
                (Err(error), _) => answers.push((partition, Err(error))),
                (Ok(_), None) => {}
            }
        }
        let mut requests = JoinSet::new();
        for (leader, batches) in by_leader {
            let (client, config, topic) = (self.client.clone(), self.config.clone(), topic.to_owned());
            requests.spawn(async move { produce(&client, &config, &topic, leader, batches).await });
        }
        answers.extend(requests.join_all().await.into_iter().flatten());
        let mut worst = 0;
        for (partition, answer) in answers {
            let Some(queue) = queues.get_mut(&partition) else { continue };
            match answer {
                Ok(delivery) => {
                    if let Some(batch) = queue.pop_front() {
                        outcomes.delivered(&batch, delivery);
                    }
                }
                Err(error) => {
                    self.client.invalidate(topic);
                    worst = worst.max(fail(queue, error, self.client.config().max_attempts, outcomes));
                }
            }
        }
        worst
    }
}

/// Counts a failed attempt of the queue's first batch; how many it has now, or 0 if it and all behind it have failed.
fn fail(queue: &mut VecDeque<Batch>, error: ClientError, max_attempts: u32, outcomes: &mut Outcomes) -> u32 {
    let Some(first) = queue.front_mut() else { return 0 };
    first.failed_attempts += 1;
    let attempts = first.failed_attempts;
    if error.is_retriable() && attempts < max_attempts {
        return attempts;
    }
    let error = if error.is_retriable() {
        Arc::new(ClientError::RetriesExhausted { attempts, last: Arc::new(error) })
    } else {
        Arc::new(error)
    };
    // Later batches of the partition must not overtake this one.
    for batch in queue.drain(..) {
        outcomes.failed(&batch, &error);
    }
    0
}

/// What became of the records so far.
#[derive(Debug)]
struct Outcomes {
    by_record: Vec<Option<Outcome>>,
}

impl Outcomes {
    fn delivered(&mut self, batch: &Batch, first: Delivery) {
        for (delta, &index) in batch.records.iter().enumerate() {
            let offset = first.offset.map(|offset| offset + delta as i64);
            self.by_record[index] = Some(Ok(Delivery { partition: first.partition, offset }));
        }
    }

    fn failed(&mut self, batch: &Batch, error: &Arc<ClientError>) {
        for &index in &batch.records {
            self.by_record[index] = Some(Err(error.clone()));
        }
    }

    fn any_failed(&self) -> bool {
        self.by_record.iter().any(|outcome| matches!(outcome, Some(Err(_))))
    }

    fn finish(self) -> Vec<Outcome> {
        // Every record is in one batch, and a batch leaves its queue delivered or failed.
        self.by_record.into_iter().map(|outcome| outcome.expect("each record was delivered or has failed")).collect()
    }
}
