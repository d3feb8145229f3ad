//! A node that comes back to much that it has missed, while the others are written to: what its return costs those who write.
//!
//! The load is paced well below what three nodes on one machine can do: beyond that they and the client fight for the machine's cores,
//! and every replica in sync costs the others throughput whether it catches up or not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::Bench;
use super::cluster;
use crate::load::{self, Load, PARTITIONS, VALUE_BYTES, Work};
use crate::report::{Sheet, Who};
use weir_tests::cluster::Cluster;

/// What the node misses, and what is written to all along.
const MISSED: &str = "missed";
const LIVE: &str = "live";
const BATCH_BYTES: u32 = 64 << 10;
/// What is written meanwhile: records of [`VALUE_BYTES`] a second, so many at once.
const RECORDS_PER_SECOND: u64 = 20_000;
const AT_ONCE: u64 = 20;
/// How long the live load is watched before the node comes back, after it has settled.
const SETTLE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(5);
/// How long the node may take to catch up, and a producer to get rid of what it has.
const PATIENCE: Duration = Duration::from_secs(600);

/// Counts acknowledged records.
#[derive(Default)]
struct Counter {
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl ClientContext for Counter {
    // The node that is away is what this is about.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Counter {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("catch-up-").tempdir_in(bench.work_dir)?;
    let mut cluster = cluster::start(dir.path(), who)?;
    let partitions = i32::try_from(PARTITIONS).map_err(io::Error::other)?;
    cluster::create(&cluster, MISSED, partitions)?;
    cluster::create(&cluster, LIVE, partitions)?;
    cluster.node(0).stop()?;
    load::run(&Load {
        bootstrap: cluster.bootstrap(),
        broker_pids: cluster.pids(),
        work: Work::Produce {
            topic: MISSED.to_owned(),
            partitions: PARTITIONS,
            batch_bytes: BATCH_BYTES,
            bytes: bench.options.catch_up_bytes(),
        },
    })?;

    let producer = Arc::new(producer(&cluster).map_err(io::Error::other)?);
    let goes_on = Arc::new(AtomicBool::new(true));
    let sender = spawn_sender(Arc::clone(&producer), Arc::clone(&goes_on));
    let rate = |during: &mut dyn FnMut() -> io::Result<()>| {
        let acknowledged = || producer.context().acknowledged.load(Ordering::Relaxed);
        let (before, since) = (acknowledged(), Instant::now());
        during()?;
        let seconds = since.elapsed().as_secs_f64();
        io::Result::Ok(((acknowledged() - before) as f64 / seconds / 1e3, seconds))
    };
    thread::sleep(SETTLE);
    let (before, _) = rate(&mut || {
        thread::sleep(WATCH);
        Ok(())
    })?;
    let (during, seconds) = rate(&mut || {
        cluster.node(0).start(PATIENCE)?;
        let watch = cluster.watch();
        watch.wait_until_whole(MISSED, PATIENCE)?;
        watch.wait_until_whole(LIVE, PATIENCE)
    })?;
    goes_on.store(false, Ordering::Relaxed);
    sender.join().map_err(|_| io::Error::other("the sender died"))?.map_err(io::Error::other)?;
    producer.flush(PATIENCE).map_err(io::Error::other)?;
    let refused = producer.context().refused.load(Ordering::Relaxed);
    if refused > 0 {
        return Err(io::Error::other(format!("{refused} records were refused")));
    }
    sheet.add("catchup.before", who, before);
    sheet.add("catchup.during", who, during);
    sheet.add("catchup.loss", who, (1.0 - during / before).max(0.0));
    sheet.add("catchup.seconds", who, seconds);
    Ok(())
}

fn producer(cluster: &Cluster) -> Result<ThreadedProducer<Counter>, KafkaError> {
    let mut config = weir_tests::load::client(&cluster.bootstrap());
    config.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "5");
    config.set("batch.size", BATCH_BYTES.to_string());
    config.create_with_context(Counter::default())
}

/// Sends round the partitions at its pace until told to stop; what could not be sent in time is made up for.
fn spawn_sender(
    producer: Arc<ThreadedProducer<Counter>>,
    goes_on: Arc<AtomicBool>,
) -> thread::JoinHandle<Result<(), KafkaError>> {
    thread::spawn(move || {
        let value = vec![b'.'; VALUE_BYTES];
        let started = Instant::now();
        for sent in 0.. {
            if sent % AT_ONCE == 0 {
                if !goes_on.load(Ordering::Relaxed) {
                    break;
                }
                let due = Duration::from_micros(sent * 1_000_000 / RECORDS_PER_SECOND);
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
            let partition = (sent % u64::from(PARTITIONS)) as i32;
            let mut record = BaseRecord::<(), [u8]>::to(LIVE).partition(partition).payload(&value);
            while let Err((error, refused)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error);
                }
                record = refused;
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    })
}
