//! From the request that creates topics until every one of their partitions has acknowledged a record.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::{Both, Load, LoadRun, PATIENCE, client_config};
use weir_tests::wire::{NewTopic, Wire};

#[derive(Debug, Default)]
struct Acknowledged(AtomicU64);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn run(load: &Load, prefix: &str, topics: u32, partitions: u32) -> Result<LoadRun, Box<dyn Error>> {
    let mut wire = Wire::connect(&load.bootstrap)?;
    let producer: ThreadedProducer<Acknowledged> =
        client_config(&load.bootstrap).set("acks", "all").create_with_context(Acknowledged::default())?;
    // The client is connected before, as an application's is.
    producer.client().fetch_metadata(None, PATIENCE)?;
    let names: Vec<String> = (0..topics).map(|topic| format!("{prefix}{topic}")).collect();
    let new = |name: &String| NewTopic { name: name.clone(), partitions, configs: &[] };
    let new: Vec<NewTopic<'_>> = names.iter().map(new).collect();
    let before = Both::now(&load.broker_pids)?;
    let started = Instant::now();
    wire.create_topics(&new)?;
    for name in &names {
        for partition in 0..partitions {
            let record = BaseRecord::<(), [u8]>::to(name).partition(i32::try_from(partition)?).payload(b"first");
            producer.send(record).map_err(|(error, _)| error)?;
        }
    }
    producer.flush(PATIENCE)?;
    let run = before.until_now(&load.broker_pids, started.elapsed().as_secs_f64(), 0)?;
    let (done, wanted) = (producer.context().0.load(Ordering::Relaxed), u64::from(topics * partitions));
    if done != wanted {
        return Err(format!("{done} of {wanted} partitions acknowledged a record").into());
    }
    Ok(run)
}
