//! Restart after kill -9 with many active, half-full segments: to the first metadata answer, and until every partition serves.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ListOffsetsRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use rand::RngCore;
use weir_protocol::compression::Codec;
use weir_protocol::records::BatchBuilder;

use super::Bench;
use super::idle::ms;
use crate::load::VALUE_BYTES;
use crate::report::{Sheet, Who};
use crate::subject::Subject;
use weir_tests::wire::Wire;

/// Partitions of each topic, so that one request can name a topic's.
const A_TOPIC: u32 = 1000;
/// Bytes of values in one batch.
const BATCH_BYTES: usize = 128 << 10;
/// Partitions filled by one request: together a few megabytes.
const A_REQUEST: u32 = 16;
const PRODUCE: i16 = 9;
const LIST_OFFSETS: i16 = 3;
/// The timestamp that asks for the end of the log.
const LATEST: i64 = -1;
/// How long all partitions may take to serve.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a broker may take over one produce request.
const TIMEOUT_MS: i32 = 60_000;

/// A topic and how many partitions it has.
type Filled = (String, u32);

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let partitions = bench.options.restart_partitions();
    let segment_bytes = bench.options.restart_segment_bytes;
    let subject = Subject::start(who, bench.work_dir, &[])?;
    let batches = (segment_bytes as usize / 2 / BATCH_BYTES).max(1);
    let (batch, records) = batch()?;
    let topics = fill(&subject, partitions, segment_bytes, &batch, batches)?;
    let expected = i64::try_from(records * batches).map_err(io::Error::other)?;

    let mut killed = subject.kill()?;
    for _ in 0..bench.options.repeat() {
        let started = Instant::now();
        let subject = killed.start()?;
        sheet.add("restart.metadata", who, ms(subject.started_in()));
        wait_until_serving(&mut subject.wire()?, &topics, expected)?;
        sheet.add("restart.serving", who, ms(started.elapsed()));
        killed = subject.kill()?;
    }
    let bytes = batch.len() as u64 * batches as u64;
    sheet.note(format!(
        "Restart after kill -9 is with {partitions} partitions of one active segment of {bytes} bytes each (segment.bytes={segment_bytes}), {:.1} GB together.",
        bytes as f64 * f64::from(partitions) / 1e9
    ));
    killed.discard()
}

/// A batch of random values, and how many records it has.
fn batch() -> io::Result<(Bytes, usize)> {
    let records = BATCH_BYTES / VALUE_BYTES;
    let mut builder = BatchBuilder::new(Codec::None);
    let mut value = vec![0; VALUE_BYTES];
    for _ in 0..records {
        rand::rng().fill_bytes(&mut value);
        builder.append(0, None, Some(&value), &[]).map_err(io::Error::other)?;
    }
    Ok((builder.build().map_err(io::Error::other)?.freeze(), records))
}

/// Creates topics and fills every partition with as many batches.
fn fill(
    subject: &Subject,
    partitions: u32,
    segment_bytes: u32,
    batch: &Bytes,
    batches: usize,
) -> io::Result<Vec<Filled>> {
    let segment_bytes = segment_bytes.to_string();
    let mut wire = subject.wire()?;
    let mut topics = Vec::new();
    let mut left = partitions;
    while left > 0 {
        let now = left.min(A_TOPIC);
        let name = format!("killed-{left}-");
        subject.create_topic(&name, now, &[("segment.bytes", &segment_bytes)])?;
        for first in (0..now).step_by(A_REQUEST as usize) {
            let request = produce(&name, first..now.min(first + A_REQUEST), batch);
            for _ in 0..batches {
                let response = wire.call(&request, PRODUCE)?;
                let mut answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
                if let Some(refused) = answers.find(|answer| answer.error_code != 0) {
                    return Err(io::Error::other(format!("produce was refused with error {}", refused.error_code)));
                }
            }
        }
        topics.push((name, now));
        left -= now;
    }
    Ok(topics)
}

fn produce(topic: &str, partitions: std::ops::Range<u32>, batch: &Bytes) -> ProduceRequest {
    let data = |index: u32| PartitionProduceData::default().with_index(index as i32).with_records(Some(batch.clone()));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(partitions.map(data).collect());
    ProduceRequest::default().with_acks(-1).with_timeout_ms(TIMEOUT_MS).with_topic_data(vec![topic])
}

/// Waits until every partition tells the end that was acknowledged. An end that is another is an error at once: records are lost.
fn wait_until_serving(wire: &mut Wire, topics: &[Filled], expected: i64) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for (topic, partitions) in topics {
        let partition =
            |index: u32| ListOffsetsPartition::default().with_partition_index(index as i32).with_timestamp(LATEST);
        let asked = ListOffsetsTopic::default()
            .with_name(name(topic))
            .with_partitions((0..*partitions).map(partition).collect());
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
        loop {
            let response = wire.call(&request, LIST_OFFSETS)?;
            let answers = || response.topics.iter().flat_map(|topic| &topic.partitions);
            if let Some(lost) = answers().find(|answer| answer.error_code == 0 && answer.offset != expected) {
                return Err(io::Error::other(format!(
                    "{topic}{} ends at {} and not at {expected}",
                    lost.partition_index, lost.offset
                )));
            }
            if answers().filter(|answer| answer.error_code == 0).count() == *partitions as usize {
                break;
            }
            if Instant::now() > deadline {
                let error = answers().map(|answer| answer.error_code).find(|code| *code != 0);
                return Err(io::Error::other(format!("{topic} does not serve: error {error:?}")));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
