//! Produce as fast as it goes.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::{Both, Load, LoadRun, PATIENCE, VALUE_BYTES, client_config, values};

/// How long the client gathers a batch: long enough that batches are full.
const LINGER_MS: &str = "20";
/// How many records are handed over between two looks at the answers.
const POLL_EVERY: u64 = 256;

/// Counts what was and was not acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    done: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.done } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn run(
    load: &Load,
    topic: &str,
    partitions: u32,
    batch_bytes: u32,
    bytes: u64,
) -> Result<LoadRun, Box<dyn Error>> {
    let producer: BaseProducer<Acknowledged> = client_config(&load.bootstrap)
        .set("acks", "all")
        .set("batch.size", batch_bytes.to_string())
        .set("linger.ms", LINGER_MS)
        .set("queue.buffering.max.kbytes", "131072")
        .create_with_context(Acknowledged::default())?;
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let values = values();
    let records = bytes / VALUE_BYTES as u64;
    let before = Both::now(&load.broker_pids)?;
    let started = Instant::now();
    for index in 0..records {
        let partition = i32::try_from(index % u64::from(partitions))?;
        let value = &values[(index / 7) as usize % values.len()];
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value);
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(10));
            record = again;
        }
        if index % POLL_EVERY == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE)?;
    let seconds = started.elapsed().as_secs_f64();
    let run = before.until_now(&load.broker_pids, seconds, records * VALUE_BYTES as u64)?;
    let outcome = producer.context();
    let (done, failed) = (outcome.done.load(Ordering::Relaxed), outcome.failed.load(Ordering::Relaxed));
    if done != records || failed != 0 {
        return Err(format!("{done} of {records} records were acknowledged, {failed} refused").into());
    }
    Ok(run)
}
