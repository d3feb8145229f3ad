//! What brokers are under while something is done to them: an idempotent producer, a reader that follows it, and the read of everything
//! at the end, all through librdkafka as its users set it up for brokers that come and go.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::gaps::Gaps;
use crate::ledger::{Ledger, Place};

/// What goes wrong in a client, or here.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// The value of a record that nothing else is said of.
const VALUE_BYTES: usize = 500;

/// One topic and who writes to it.
#[derive(Debug, Clone)]
pub struct Load {
    /// `bootstrap.servers`.
    pub bootstrap: String,
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// What is set on the producer beside what every one has.
    pub producer: Vec<(&'static str, String)>,
    /// Between one record and the next; none sends as fast as the queue takes them.
    pub pace: Option<Duration>,
    /// How long the last flush and the last read may take.
    pub settle: Duration,
}

/// Takes acknowledgements to the ledger, and their times to the gaps.
pub struct Acknowledgements {
    ledger: Arc<Mutex<Ledger>>,
    gaps: Arc<Gaps>,
    /// Records that the producer gave up.
    pub refused: AtomicU64,
    /// Records that were acknowledged without their place: repetitions of what was there already.
    pub unplaced: AtomicU64,
    /// How often the client sent a batch while it knew that the one before it was not taken.
    pub skips: AtomicU64,
}

impl ClientContext for Acknowledgements {
    // A broken connection is what this is about.
    fn error(&self, _error: KafkaError, _reason: &str) {}

    /// Where a partition moves while the old leader refuses a batch, librdkafka (2.12) may send the new one what comes after that
    /// batch. It is refused for the gap, takes a new producer epoch, and sends all again that was under way, some of it written
    /// already: repetitions that no broker can know for what they are.
    fn log(&self, _level: RDKafkaLogLevel, kind: &str, message: &str) {
        if kind == "ERRSEQ" && message.contains("skipped sequence numbers") {
            self.skips.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: Box<u64>) {
        match result {
            Ok(message) => {
                self.gaps.acknowledged(message.partition());
                if message.offset() < 0 {
                    self.unplaced.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
                ledger.acknowledge((message.partition(), message.offset()), *sequence);
            }
            Err((error, _)) => {
                eprintln!("sequence {sequence} was refused: {error}");
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A client that says nothing about lost connections.
pub struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

/// What every client is told: brokers come back soon.
pub fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "50");
    config.set("socket.timeout.ms", "5000").set("broker.address.ttl", "100");
    config
}

impl Load {
    /// Creates the topic with as many replicas, and with what is set on it.
    pub fn create_topic(&self, replicas: i32, configs: &[(&str, &str)]) -> Result<(), AnyError> {
        let admin: AdminClient<DefaultClientContext> = client(&self.bootstrap).create()?;
        let topic = NewTopic::new(&self.topic, self.partitions, TopicReplication::Fixed(replicas));
        let topic = configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for created in runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))? {
            created.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
        }
        Ok(())
    }

    /// An idempotent producer that never gives up.
    pub fn producer(
        &self,
        ledger: Arc<Mutex<Ledger>>,
        gaps: Arc<Gaps>,
    ) -> Result<Arc<ThreadedProducer<Acknowledgements>>, AnyError> {
        let mut config = client(&self.bootstrap);
        config.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "1");
        config.set("retry.backoff.ms", "10").set("retry.backoff.max.ms", "100");
        config.set("queue.buffering.max.messages", "5000");
        // What tells of skipped batches.
        config.set("debug", "eos").set_log_level(RDKafkaLogLevel::Debug);
        for (key, value) in &self.producer {
            config.set(*key, value);
        }
        let (refused, unplaced, skips) = Default::default();
        Ok(Arc::new(config.create_with_context(Acknowledgements { ledger, gaps, refused, unplaced, skips })?))
    }

    /// Sends sequences that grow, round the partitions, until told to stop, and gives how many.
    pub fn spawn_sender(
        &self,
        producer: Arc<ThreadedProducer<Acknowledgements>>,
        running: Arc<AtomicBool>,
    ) -> thread::JoinHandle<Result<u64, AnyError>> {
        let load = self.clone();
        thread::spawn(move || {
            let (mut sequence, started) = (0_u64, Instant::now());
            while running.load(Ordering::Relaxed) {
                if let Some(pace) = load.pace {
                    let due = pace * u32::try_from(sequence)?;
                    thread::sleep(due.saturating_sub(started.elapsed()));
                }
                let partition = i32::try_from(sequence % load.partitions.unsigned_abs() as u64)?;
                let mut value = vec![b'.'; VALUE_BYTES];
                value[..8].copy_from_slice(&sequence.to_be_bytes());
                // No two records have one key, so that compaction takes none away.
                let key = sequence.to_be_bytes();
                let record = BaseRecord::<[u8], [u8], Box<u64>>::with_opaque_to(&load.topic, Box::new(sequence));
                match producer.send(record.partition(partition).key(&key).payload(&value)) {
                    Ok(()) => sequence += 1,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        thread::sleep(Duration::from_millis(1));
                    }
                    Err((error, _)) => return Err(error.into()),
                }
            }
            Ok(sequence)
        })
    }

    fn consumer(&self) -> Result<BaseConsumer<Quiet>, AnyError> {
        let mut config = client(&self.bootstrap);
        config.set("group.id", &self.topic).set("enable.auto.commit", "false").set("fetch.wait.max.ms", "50");
        config.set("fetch.error.backoff.ms", "10");
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.partitions {
            partitions.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&partitions)?;
        Ok(consumer)
    }

    /// Reads along until told to stop, and tells the ledger what it sees.
    pub fn spawn_reader(
        &self,
        ledger: Arc<Mutex<Ledger>>,
        running: Arc<AtomicBool>,
    ) -> Result<thread::JoinHandle<Result<(), AnyError>>, AnyError> {
        let consumer = self.consumer()?;
        Ok(thread::spawn(move || {
            while running.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                    let place = (message.partition(), message.offset());
                    let sequence = sequence_of(message.payload())?;
                    ledger.lock().unwrap_or_else(PoisonError::into_inner).poll(place, sequence);
                }
            }
            Ok(())
        }))
    }

    /// Everything that is in the topic, up to the ends that the brokers tell.
    pub fn read_everything(&self) -> Result<Vec<(Place, u64)>, AnyError> {
        let consumer = self.consumer()?;
        let mut left = HashMap::new();
        for partition in 0..self.partitions {
            let (start, end) = consumer.fetch_watermarks(&self.topic, partition, self.settle)?;
            if end > start {
                left.insert(partition, end);
            }
        }
        let deadline = Instant::now() + self.settle;
        let mut everything = Vec::new();
        while !left.is_empty() {
            if Instant::now() > deadline {
                return Err(format!("the last read stopped short of {left:?}").into());
            }
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let message = message?;
                everything.push(((message.partition(), message.offset()), sequence_of(message.payload())?));
                if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                    left.remove(&message.partition());
                }
            }
        }
        Ok(everything)
    }
}

fn sequence_of(payload: Option<&[u8]>) -> Result<u64, AnyError> {
    let head = payload.and_then(|value| value.first_chunk::<8>()).ok_or("a record that nobody sent")?;
    Ok(u64::from_be_bytes(*head))
}
