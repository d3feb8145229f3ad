//! The load: producers, a reader that reads along, and consumer groups that commit.
//!
//! Everything goes on through a cut; what fails is tried again by the idempotent producers and forgotten by the others.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::AnyError;
use crate::promises::{Promises, record_of, value_of};

/// The topic whose records are flushed before they are acknowledged, and the one whose are not.
pub(crate) const DURABLE: &str = "durable";
/// See [`DURABLE`].
pub(crate) const LOOSE: &str = "loose";
/// Partitions of either.
pub(crate) const PARTITIONS: i32 = 5;
/// Idempotent producers of [`DURABLE`], all of which write to every partition.
const WRITERS: u64 = 3;
/// The writers of [`LOOSE`] count from here.
const FIRST_LOOSE_WRITER: u64 = 1000;
/// Consumer groups that commit.
pub(crate) const GROUPS: usize = 3;
/// Records sent at once, at most; then the writer breathes.
const BURST_MAX: u32 = 30;
const BREATH_MAX_US: u64 = 4000;

/// A thread that tells how much it has done.
pub(crate) type Worker = JoinHandle<Result<u64, AnyError>>;

/// A client of a broker that comes and goes, and says nothing about it.
pub(crate) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "40");
    config.set("socket.timeout.ms", "3000").set("topic.metadata.refresh.fast.interval.ms", "20");
    config
}

/// The first sequence of a writer: its number stands above the sequence's.
pub(crate) fn first_sequence(writer: u64) -> u64 {
    writer << 48
}

/// Takes acknowledgements to the promises.
pub(crate) struct Acknowledgements {
    promises: Arc<Promises>,
    refused: AtomicU64,
}

impl Acknowledgements {
    pub(crate) fn to(promises: &Arc<Promises>) -> Self {
        Self { promises: Arc::clone(promises), refused: AtomicU64::new(0) }
    }
}

impl ClientContext for Acknowledgements {
    /// Lost connections are what this is about; a producer that can do no more says why.
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            println!("powercut: a producer gave up: {reason}");
        }
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: Box<u64>) {
        match result {
            // An answer to a batch that was there already may leave the offset open.
            Ok(message) if message.offset() < 0 => {}
            Ok(message) => {
                self.promises.acknowledged(message.topic(), (message.partition(), message.offset()), *sequence);
            }
            Err(_) => drop(self.refused.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// A client that says nothing about lost connections.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Quiet {}

/// A producer that gives up at once on what fails. It has one request under way: of several, one that the client had not sent in full when
/// the connection broke would be sent again behind those that followed it.
pub(crate) fn careless_producer(
    bootstrap: &str,
    promises: &Arc<Promises>,
) -> Result<ThreadedProducer<Acknowledgements>, AnyError> {
    let mut config = client(bootstrap);
    config.set("retries", "0").set("message.timeout.ms", "2000").set("linger.ms", "0").set("max.in.flight", "1");
    Ok(config.create_with_context(Acknowledgements::to(promises))?)
}

/// A producer that never gives up.
fn faithful_producer(
    bootstrap: &str,
    promises: &Arc<Promises>,
) -> Result<ThreadedProducer<Acknowledgements>, AnyError> {
    let mut config = client(bootstrap);
    config.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "1");
    config.set("retry.backoff.ms", "10").set("retry.backoff.max.ms", "100").set("queue.buffering.max.messages", "400");
    Ok(config.create_with_context(Acknowledgements::to(promises))?)
}

/// Threads that work until they are told to stop.
pub(crate) struct Load {
    running: Arc<AtomicBool>,
    faithful: Vec<(Arc<ThreadedProducer<Acknowledgements>>, Worker)>,
    others: Vec<Worker>,
}

impl Load {
    /// Starts it.
    pub(crate) fn start(bootstrap: &str, promises: &Arc<Promises>, seed: u64) -> Result<Self, AnyError> {
        let running = Arc::new(AtomicBool::new(true));
        let mut faithful = Vec::new();
        for writer in 0..WRITERS {
            let producer = Arc::new(faithful_producer(bootstrap, promises)?);
            let thread = spawn_writer(Arc::clone(&producer), DURABLE, writer, seed, &running);
            faithful.push((producer, thread));
        }
        let mut others = vec![spawn_reader(bootstrap, promises, &running)?];
        for group in 0..GROUPS {
            others.push(spawn_committer(bootstrap, promises, &running, group)?);
        }
        Ok(Self { running, faithful, others })
    }

    /// Tells a thread of another's when to end.
    pub(crate) fn running(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.running)
    }

    /// Stops, and waits until all that the idempotent producers have sent is acknowledged; how many records that is, and how many were
    /// refused.
    pub(crate) fn finish(self, patience: Duration) -> Result<(u64, u64), AnyError> {
        use rdkafka::producer::Producer;
        self.running.store(false, Ordering::Relaxed);
        let (mut sent, mut refused) = (0, 0);
        for (producer, thread) in self.faithful {
            sent += thread.join().map_err(|_| "a writer died")??;
            producer.flush(patience)?;
            refused += producer.context().refused.load(Ordering::Relaxed);
        }
        for thread in self.others {
            thread.join().map_err(|_| "a thread of the load died")??;
        }
        Ok((sent, refused))
    }
}

/// A writer of [`LOOSE`] that does not outlive its broker: where the topic ends after a cut is to be seen before it grows again.
pub(crate) struct LooseWriter {
    running: Arc<AtomicBool>,
    thread: Worker,
}

impl LooseWriter {
    /// Starts the writer of the life that has this number.
    pub(crate) fn start(bootstrap: &str, promises: &Arc<Promises>, seed: u64, life: u32) -> Result<Self, AnyError> {
        let running = Arc::new(AtomicBool::new(true));
        let producer = Arc::new(careless_producer(bootstrap, promises)?);
        let thread = spawn_writer(producer, LOOSE, FIRST_LOOSE_WRITER + u64::from(life), seed, &running);
        Ok(Self { running, thread })
    }

    /// Stops it; what it has not sent is never sent.
    pub(crate) fn stop(self) -> Result<(), AnyError> {
        self.running.store(false, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the loose writer died")??;
        Ok(())
    }
}

/// Sends in bursts, to every partition in turn; gives how many.
fn spawn_writer(
    producer: Arc<ThreadedProducer<Acknowledgements>>,
    topic: &'static str,
    writer: u64,
    seed: u64,
    running: &Arc<AtomicBool>,
) -> Worker {
    let running = Arc::clone(running);
    thread::spawn(move || {
        let mut random = StdRng::seed_from_u64(seed ^ writer);
        let first = first_sequence(writer);
        let mut sequence = first;
        while running.load(Ordering::Relaxed) {
            for _ in 0..random.random_range(1..=BURST_MAX) {
                let value = value_of(sequence);
                let record = BaseRecord::<(), [u8], Box<u64>>::with_opaque_to(topic, Box::new(sequence));
                let partition = (sequence % u64::from(PARTITIONS.unsigned_abs())) as i32;
                match producer.send(record.partition(partition).payload(&value)) {
                    Ok(()) => sequence += 1,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                    Err((error, _)) => return Err(error.into()),
                }
            }
            // The load's own pace, not a wait for anything.
            thread::sleep(Duration::from_micros(random.random_range(0..BREATH_MAX_US)));
        }
        Ok(sequence - first)
    })
}

/// A consumer of whole topics from their beginning.
pub(crate) fn reader(bootstrap: &str, topics: &[(&str, i32)]) -> Result<BaseConsumer<Quiet>, AnyError> {
    let mut config = client(bootstrap);
    config.set("group.id", "readers").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "50");
    config.set("fetch.error.backoff.ms", "10").set("check.crcs", "true").set("auto.offset.reset", "error");
    let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
    let mut partitions = TopicPartitionList::new();
    for (topic, count) in topics {
        for partition in 0..*count {
            partitions.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// Reads the durable topic along and tells what it sees.
fn spawn_reader(bootstrap: &str, promises: &Arc<Promises>, running: &Arc<AtomicBool>) -> Result<Worker, AnyError> {
    let consumer = reader(bootstrap, &[(DURABLE, PARTITIONS)])?;
    let (promises, running) = (Arc::clone(promises), Arc::clone(running));
    Ok(thread::spawn(move || {
        let mut read = 0;
        while running.load(Ordering::Relaxed) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                let (place, sequence) = record_of(&message)?;
                promises.seen(DURABLE, place, sequence);
                read += 1;
            }
        }
        Ok(read)
    }))
}

/// A consumer that commits for a group.
pub(crate) fn committer(bootstrap: &str, group: usize) -> Result<BaseConsumer<Quiet>, AnyError> {
    let mut config = client(bootstrap);
    config.set("group.id", format!("group-{group}")).set("enable.auto.commit", "false");
    Ok(config.create_with_context(Quiet)?)
}

/// Commits offsets that grow, one after the other.
fn spawn_committer(
    bootstrap: &str,
    promises: &Arc<Promises>,
    running: &Arc<AtomicBool>,
    group: usize,
) -> Result<Worker, AnyError> {
    let consumer = committer(bootstrap, group)?;
    let (promises, running) = (Arc::clone(promises), Arc::clone(running));
    Ok(thread::spawn(move || {
        let mut offset = 0;
        while running.load(Ordering::Relaxed) {
            offset += 1;
            let partition = (offset % i64::from(PARTITIONS)) as i32;
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(DURABLE, partition, Offset::Offset(offset))?;
            if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
                promises.note(|known| {
                    known.committed.insert((group, partition), offset);
                });
            }
        }
        Ok(offset.unsigned_abs())
    }))
}

/// Everything in these topics, up to the ends given, by topic.
pub(crate) fn read_up_to(
    bootstrap: &str,
    topics: &[(&str, i32)],
    mut left: HashSet<(String, i32, i64)>,
    patience: Duration,
    mut take: impl FnMut(&str, crate::Place, u64),
) -> Result<(), AnyError> {
    let consumer = reader(bootstrap, topics)?;
    let deadline = std::time::Instant::now() + patience;
    while !left.is_empty() {
        if std::time::Instant::now() > deadline {
            return Err(format!("the last read stopped short of {left:?}").into());
        }
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message?;
            let (place, sequence) = record_of(&message)?;
            left.remove(&(message.topic().to_owned(), place.0, place.1 + 1));
            take(message.topic(), place, sequence);
        }
    }
    Ok(())
}
