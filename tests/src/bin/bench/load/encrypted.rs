//! Produce made-up batches as fast as it goes with our own client, over TLS or not: the two differ in nothing else.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;
use weir_protocol::client::{Address, Connection, TlsConfig};
use weir_protocol::compression::Codec;
use weir_protocol::records::BatchBuilder;

use super::{Both, Load, LoadRun, VALUE_BYTES, values};

/// A version that every broker of the comparison answers, with topics by name.
const PRODUCE: i16 = 9;
/// Requests on the way for each partition.
const IN_FLIGHT: u32 = 2;
/// How long the broker may take over one request.
const TIMEOUT_MS: i32 = 30_000;

pub(super) fn run(
    load: &Load,
    topic: &str,
    partitions: u32,
    batch_bytes: u32,
    bytes: u64,
    authority: Option<&Path>,
) -> Result<LoadRun, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(produce(load, topic, partitions, batch_bytes, bytes, authority))
}

async fn produce(
    load: &Load,
    topic: &str,
    partitions: u32,
    batch_bytes: u32,
    bytes: u64,
    authority: Option<&Path>,
) -> Result<LoadRun, Box<dyn Error>> {
    let address = Address::parse_list(&load.bootstrap)?.into_iter().next().ok_or("no address")?;
    let tls = authority.map(fs::read).transpose()?.map(|pem| TlsConfig::with_ca_pem(&pem)).transpose()?;
    let connection = Arc::new(Connection::connect(address, tls).await?);
    connection.negotiate().await?;
    let (batch, values_bytes) = batch(batch_bytes)?;
    let batches = bytes / values_bytes;
    let sent = Arc::new(AtomicU64::new(0));
    let before = Both::now(&load.broker_pids)?;
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for index in 0..partitions * IN_FLIGHT {
        let request = request(topic, i32::try_from(index % partitions)?, &batch);
        let (connection, sent) = (Arc::clone(&connection), Arc::clone(&sent));
        senders.spawn(async move {
            while sent.fetch_add(1, Ordering::Relaxed) < batches {
                let response = connection.call(&request, PRODUCE).await.map_err(|error| error.to_string())?;
                let mut answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
                if let Some(refused) = answers.find(|answer| answer.error_code != 0) {
                    return Err(format!("produce was refused with error {}", refused.error_code));
                }
            }
            Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(before.until_now(&load.broker_pids, started.elapsed().as_secs_f64(), batches * values_bytes)?)
}

/// A batch of about this size, and how many bytes of values it holds.
fn batch(batch_bytes: u32) -> Result<(Bytes, u64), Box<dyn Error>> {
    let mut builder = BatchBuilder::new(Codec::None);
    let records = (batch_bytes as usize / VALUE_BYTES).saturating_sub(1).max(1);
    for value in values().iter().cycle().take(records) {
        builder.append(0, None, Some(value), &[])?;
    }
    Ok((builder.build()?.freeze(), (records * VALUE_BYTES) as u64))
}

fn request(topic: &str, partition: i32, batch: &Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.clone()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(TIMEOUT_MS).with_topic_data(vec![topic])
}
