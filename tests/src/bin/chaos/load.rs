//! What is under load while the broker is killed: an idempotent producer, a reader that follows it, and the read of everything at the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use weir_tests::ledger::{Ledger, Place};

use super::plan::Plan;
use super::{AnyError, PARTITIONS, SETTLE, TOPIC};

const VALUE_BYTES: usize = 500;

/// Takes acknowledgements to the ledger.
pub(crate) struct Acknowledgements {
    ledger: Arc<Mutex<Ledger>>,
    pub(crate) refused: AtomicU64,
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

/// A client that says nothing about lost connections.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

/// What every client of the suite is told.
pub(crate) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "50");
    config.set("socket.timeout.ms", "5000").set("broker.address.ttl", "100");
    config
}

pub(crate) fn producer(
    bootstrap: &str,
    plan: &Plan,
    ledger: Arc<Mutex<Ledger>>,
) -> Result<ThreadedProducer<Acknowledgements>, AnyError> {
    let mut config = client(bootstrap);
    config.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "1");
    config.set("retry.backoff.ms", "10").set("retry.backoff.max.ms", "100").set("queue.buffering.max.messages", "5000");
    config.set("compression.codec", plan.codec);
    let context = Acknowledgements { ledger, refused: AtomicU64::new(0) };
    Ok(config.create_with_context(context)?)
}

/// Sends sequences that grow, round the partitions, as fast as the queue takes them, and gives how many.
pub(crate) fn spawn_sender(
    producer: Arc<ThreadedProducer<Acknowledgements>>,
    running: Arc<AtomicBool>,
) -> thread::JoinHandle<Result<u64, AnyError>> {
    thread::spawn(move || {
        let mut sequence = 0_u64;
        while running.load(Ordering::Relaxed) {
            let partition = i32::try_from(sequence % PARTITIONS.unsigned_abs() as u64)?;
            let mut value = vec![b'.'; VALUE_BYTES];
            value[..8].copy_from_slice(&sequence.to_be_bytes());
            // No two records have one key, so that compaction takes none away.
            let key = sequence.to_be_bytes();
            let record = BaseRecord::<[u8], [u8], Box<u64>>::with_opaque_to(TOPIC, Box::new(sequence));
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
pub(crate) fn spawn_reader(
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
pub(crate) fn read_everything(bootstrap: &str) -> Result<Vec<(Place, u64)>, AnyError> {
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
