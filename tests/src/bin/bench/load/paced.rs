//! One record at a time at a fixed rate: a producer without lingering and a consumer that waits for each.

use std::error::Error;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::{Both, Load, LoadRun, PATIENCE, VALUE_BYTES, client_config, values};
use crate::latencies::Latencies;
use crate::pace::{Pace, WARM_UP_SECONDS};

/// Where a record says when it was sent.
const STAMP: usize = 8;

/// Takes the acknowledgements.
struct Acknowledgements {
    epoch: Instant,
    latencies: Mutex<Latencies>,
    failed: AtomicU64,
}

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    /// When it was sent, in nanoseconds since the epoch; zero for those that are not counted.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sent_ns: usize) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        } else if sent_ns > 0
            && let Ok(mut latencies) = self.latencies.lock()
        {
            latencies.record(self.epoch.elapsed().saturating_sub(Duration::from_nanos(sent_ns as u64)));
        }
    }
}

pub(super) fn run(
    load: &Load,
    topic: &str,
    partitions: u32,
    rate: u64,
    seconds: u64,
    consumed: bool,
) -> Result<LoadRun, Box<dyn Error>> {
    let epoch = Instant::now();
    let warm_up = WARM_UP_SECONDS * rate;
    let records = warm_up + seconds * rate;
    let context = Acknowledgements { epoch, latencies: Mutex::new(Latencies::new()?), failed: AtomicU64::new(0) };
    let producer: ThreadedProducer<Acknowledgements> =
        client_config(&load.bootstrap).set("acks", "all").set("linger.ms", "0").create_with_context(context)?;
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let consumer = if consumed { Some(consumer(load, topic, partitions)?) } else { None };
    let consuming = consumer.map(|consumer| thread::spawn(move || consume(&consumer, epoch, warm_up, records)));

    let values = values();
    let mut value = vec![0; VALUE_BYTES];
    let mut pace = Pace::new(rate);
    let mut before = (Both::now(&load.broker_pids)?, Instant::now());
    for index in 0..records {
        pace.wait();
        if index == warm_up {
            before = (Both::now(&load.broker_pids)?, Instant::now());
        }
        value.copy_from_slice(&values[index as usize % values.len()]);
        let sent_ns = u64::try_from(epoch.elapsed().as_nanos())?;
        value[..STAMP].copy_from_slice(&sent_ns.to_be_bytes());
        let opaque = if index < warm_up { 0 } else { usize::try_from(sent_ns)? };
        let partition = i32::try_from(index % u64::from(partitions))?;
        let record = BaseRecord::<(), [u8], usize>::with_opaque_to(topic, opaque).partition(partition).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    let mut run =
        before.0.until_now(&load.broker_pids, before.1.elapsed().as_secs_f64(), seconds * rate * VALUE_BYTES as u64)?;
    producer.flush(PATIENCE)?;
    let acknowledgements = producer.context();
    let failed = acknowledgements.failed.load(Ordering::Relaxed);
    let latencies = acknowledgements.latencies.lock().map_err(|_| "a delivery panicked")?;
    if failed > 0 || latencies.count() != seconds * rate {
        return Err(format!("{} of {} records were acknowledged", latencies.count(), seconds * rate).into());
    }
    run.acknowledgement = Some(latencies.percentiles());
    if let Some(consuming) = consuming {
        run.end_to_end = Some(consuming.join().map_err(|_| "the consumer panicked")??.percentiles());
    }
    Ok(run)
}

fn consumer(load: &Load, topic: &str, partitions: u32) -> Result<BaseConsumer, Box<dyn Error>> {
    let consumer: BaseConsumer =
        client_config(&load.bootstrap).set("group.id", "bench").set("enable.auto.commit", "false").create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, i32::try_from(partition)?, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

fn consume(consumer: &BaseConsumer, epoch: Instant, warm_up: u64, records: u64) -> io::Result<Latencies> {
    let mut latencies = Latencies::new()?;
    for index in 0..records {
        let record = consumer.poll(PATIENCE).ok_or_else(|| io::Error::other("records are missing"))?;
        let record = record.map_err(io::Error::other)?;
        let stamp = record.payload().and_then(|value| value.first_chunk::<STAMP>());
        let sent_ns =
            stamp.copied().map(u64::from_be_bytes).ok_or_else(|| io::Error::other("a record has no stamp"))?;
        if index >= warm_up {
            latencies.record(epoch.elapsed().saturating_sub(Duration::from_nanos(sent_ns)));
        }
    }
    Ok(latencies)
}
