//! The chaos suite: one broker killed again and again under the load of an idempotent producer and a reader; what it acknowledged must be
//! there, once, in order, at the offset it said.
//!
//! `chaos [KILLS] [SEED]`: the bounded number of CI unless told. The seed decides when the kills fall.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tempfile::TempDir;

use weir_tests::ledger::{Ledger, Place};
use weir_tests::weir::{Weir, WeirOptions};

const KILLS: u32 = 60;
const TOPIC: &str = "chaos";
const PARTITIONS: i32 = 6;
/// How long a broker lives before it is killed, at most.
const LIFE_MAX_MS: u64 = 400;
/// Small segments, so that kills fall on rolls too.
const SEGMENT_BYTES: &str = "1048576";
const VALUE_BYTES: usize = 500;
/// How long the last flush and the last read may take.
const SETTLE: Duration = Duration::from_secs(120);

type AnyError = Box<dyn Error + Send + Sync>;

/// Takes acknowledgements to the ledger.
struct Acknowledgements {
    ledger: Arc<Mutex<Ledger>>,
    refused: AtomicU64,
}

impl ClientContext for Acknowledgements {
    // A broken connection is what this suite is about.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: Box<u64>) {
        match result {
            Ok(message) => {
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

/// A reader that says nothing about lost connections.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

fn main() -> Result<ExitCode, AnyError> {
    let mut arguments = env::args().skip(1);
    let kills: u32 = arguments.next().map_or(Ok(KILLS), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(rand::rng().random()), |text| text.parse())?;
    println!("chaos: {kills} kills, seed {seed}");
    let dir = TempDir::new()?;
    let mut weir = Weir::start(WeirOptions::new(dir.path())?)?;
    let bootstrap = weir.bootstrap();
    create_topic(&bootstrap)?;

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let producer = Arc::new(producer(&bootstrap, Arc::clone(&ledger))?);
    let running = Arc::new(AtomicBool::new(true));
    let sender = spawn_sender(Arc::clone(&producer), Arc::clone(&running));
    let reader = spawn_reader(&bootstrap, Arc::clone(&ledger), Arc::clone(&running))?;

    let mut random = StdRng::seed_from_u64(seed);
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(random.random_range(0..LIFE_MAX_MS)));
        let options = weir.kill()?;
        weir = Weir::start(options)?;
        slowest = slowest.max(weir.ready_after());
    }
    running.store(false, Ordering::Relaxed);
    let sent = sender.join().map_err(|_| "the sender died")??;
    producer.flush(SETTLE)?;
    reader.join().map_err(|_| "the reader died")??;
    let everything = read_everything(&bootstrap)?;
    let refused = producer.context().refused.load(Ordering::Relaxed);
    drop(producer);

    let ledger = Arc::into_inner(ledger).ok_or("the ledger is still held")?;
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let acknowledged = ledger.acknowledged();
    println!("chaos: {sent} sent, {acknowledged} acknowledged, {} read, slowest start {slowest:?}", everything.len());
    let violations = ledger.settle(everything);
    for violation in violations.iter().take(20) {
        println!("chaos: {violation:?}");
    }
    if !violations.is_empty() {
        println!("chaos: {} rules broken; the broker said last:\n{}", violations.len(), weir.process().log_tail(40));
    }
    // Every record must be acknowledged in the end: the producer never gives up, and the broker is alive.
    let complete = refused == 0 && u64::try_from(acknowledged)? == sent && sent > 0;
    if !complete {
        println!("chaos: {refused} refused, {acknowledged} of {sent} acknowledged");
    }
    let failed = usize::from(!violations.is_empty()) + usize::from(!complete);
    println!("chaos: {} passed, {failed} failed", 2 - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "50");
    config.set("socket.timeout.ms", "5000").set("broker.address.ttl", "100");
    config
}

fn create_topic(bootstrap: &str) -> Result<(), AnyError> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create()?;
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1)).set("segment.bytes", SEGMENT_BYTES);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for created in runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))? {
        created.map_err(|(topic, code)| format!("creating {topic}: {code}"))?;
    }
    Ok(())
}

fn producer(bootstrap: &str, ledger: Arc<Mutex<Ledger>>) -> Result<ThreadedProducer<Acknowledgements>, AnyError> {
    let mut config = client(bootstrap);
    config.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "1");
    config.set("retry.backoff.ms", "10").set("retry.backoff.max.ms", "100").set("queue.buffering.max.messages", "5000");
    let context = Acknowledgements { ledger, refused: AtomicU64::new(0) };
    Ok(config.create_with_context(context)?)
}

/// Sends sequences that grow, round the partitions, as fast as the queue takes them, and gives how many.
fn spawn_sender(
    producer: Arc<ThreadedProducer<Acknowledgements>>,
    running: Arc<AtomicBool>,
) -> thread::JoinHandle<Result<u64, AnyError>> {
    thread::spawn(move || {
        let mut sequence = 0_u64;
        while running.load(Ordering::Relaxed) {
            let partition = i32::try_from(sequence % PARTITIONS.unsigned_abs() as u64)?;
            let mut value = vec![b'.'; VALUE_BYTES];
            value[..8].copy_from_slice(&sequence.to_be_bytes());
            let record = BaseRecord::<(), [u8], Box<u64>>::with_opaque_to(TOPIC, Box::new(sequence));
            match producer.send(record.partition(partition).payload(&value)) {
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

fn consumer(bootstrap: &str) -> Result<BaseConsumer<Quiet>, AnyError> {
    let mut config = client(bootstrap);
    config.set("group.id", "chaos").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "50");
    config.set("fetch.error.backoff.ms", "10");
    let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// Reads along and tells the ledger what it sees.
fn spawn_reader(
    bootstrap: &str,
    ledger: Arc<Mutex<Ledger>>,
    running: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<Result<(), AnyError>>, AnyError> {
    let consumer = consumer(bootstrap)?;
    Ok(thread::spawn(move || {
        while running.load(Ordering::Relaxed) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                let place = (message.partition(), message.offset());
                let sequence = sequence_of(message.payload())?;
                ledger.lock().unwrap_or_else(PoisonError::into_inner).see(place, sequence);
            }
        }
        Ok(())
    }))
}

fn sequence_of(payload: Option<&[u8]>) -> Result<u64, AnyError> {
    let head = payload.and_then(|value| value.first_chunk::<8>()).ok_or("a record that nobody sent")?;
    Ok(u64::from_be_bytes(*head))
}

/// Everything that is in the topic, up to the ends that the broker tells.
fn read_everything(bootstrap: &str) -> Result<Vec<(Place, u64)>, AnyError> {
    let consumer = consumer(bootstrap)?;
    let mut left = HashMap::new();
    for partition in 0..PARTITIONS {
        let (start, end) = consumer.fetch_watermarks(TOPIC, partition, SETTLE)?;
        if end > start {
            left.insert(partition, end);
        }
    }
    let deadline = Instant::now() + SETTLE;
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
