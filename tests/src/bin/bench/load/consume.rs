//! Consume from the beginning to the end as fast as it goes, so many times.

use std::error::Error;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::{Both, Load, LoadRun, PATIENCE, client_config};

pub(super) fn run(
    load: &Load,
    topic: &str,
    (partitions, passes): (u32, u32),
    bytes: u64,
) -> Result<LoadRun, Box<dyn Error>> {
    let consumer: BaseConsumer = client_config(&load.bootstrap)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        // A full queue is looked at again soon: the default of a second would measure the client's pauses.
        .set("fetch.queue.backoff.ms", "5")
        .create()?;
    consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, i32::try_from(partition)?, Offset::Beginning)?;
    }
    let before = Both::now(&load.broker_pids)?;
    let started = Instant::now();
    let mut received = 0;
    for pass in 1..=u64::from(passes) {
        // Begins anew.
        consumer.assign(&assignment)?;
        while received < pass * bytes {
            let record = consumer.poll(PATIENCE).ok_or("nothing more to consume")??;
            received += record.payload_len() as u64;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(before.until_now(&load.broker_pids, seconds, received)?)
}
