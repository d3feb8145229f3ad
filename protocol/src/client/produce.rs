//! One Produce request to one leader, and what its answer says of each partition.

use super::cluster::topic_name;
use super::producer::{Acks, Delivery, ProducerConfig};
use super::{Client, ClientError, Connection};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex, TopicId, TopicPartition};
use crate::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::messages::produce_response::PartitionProduceResponse;
use crate::messages::{ApiKey, ProduceRequest};
use bytes::Bytes;
use std::time::Duration;

/// The first Produce version that names topics by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

/// One Produce request to `leader`, and what it says of each partition.
pub(super) async fn produce(
    client: &Client,
    config: &ProducerConfig,
    topic: &str,
    leader: BrokerId,
    batches: Vec<(PartitionIndex, Bytes)>,
) -> Vec<(PartitionIndex, Result<Delivery, ClientError>)> {
    let partitions: Vec<_> = batches.iter().map(|(partition, _)| *partition).collect();
    let all = |error: ClientError| partitions.iter().map(|&partition| (partition, Err(error.clone()))).collect();
    let connection = match client.connection(leader).await {
        Ok(connection) => connection,
        Err(error) => return all(error),
    };
    let id = client.metadata().topics.get(topic).and_then(|topic| topic.id);
    let request = produce_request(config, topic, id, batches);
    let within = client.config().request_timeout.max(config.acks_timeout);
    match exchange(&connection, config, &request, id, within).await {
        Err(error) => all(error),
        Ok(None) => partitions.iter().map(|&partition| (partition, Ok(Delivery { partition, offset: None }))).collect(),
        Ok(Some(answers)) => {
            let answer = |&partition: &PartitionIndex| {
                let found = answers.iter().find(|answer| answer.index == partition.get());
                (partition, delivery(&connection, topic, partition, found))
            };
            partitions.iter().map(answer).collect()
        }
    }
}

fn produce_request(
    config: &ProducerConfig,
    topic: &str,
    id: Option<TopicId>,
    batches: Vec<(PartitionIndex, Bytes)>,
) -> ProduceRequest {
    let partition = |(partition, bytes): (PartitionIndex, Bytes)| {
        PartitionProduceData::default().with_index(partition.get()).with_records(Some(bytes))
    };
    let data = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_topic_id(id.unwrap_or_default())
        .with_partition_data(batches.into_iter().map(partition).collect());
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(config.acks as i16)
        .with_timeout_ms(config.acks_timeout.as_millis().min(i32::MAX as u128) as i32)
        .with_topic_data(vec![data])
}

/// The answers of the request's one topic; none if no answer comes.
async fn exchange(
    connection: &Connection,
    config: &ProducerConfig,
    request: &ProduceRequest,
    id: Option<TopicId>,
    within: Duration,
) -> Result<Option<Vec<PartitionProduceResponse>>, ClientError> {
    let cap = if id.is_some() { i16::MAX } else { TOPIC_ID_VERSION - 1 };
    let version = connection.version_up_to::<ProduceRequest>(cap)?;
    let mut request = request.clone();
    for topic in &mut request.topic_data {
        // Name or id: a version carries one of them.
        if version >= TOPIC_ID_VERSION { topic.name = Default::default() } else { topic.topic_id = TopicId::nil() }
    }
    if config.acks == Acks::None {
        connection.send(&request, version).await?;
        return Ok(None);
    }
    let response = connection.call_within(&request, version, within).await?;
    Ok(Some(response.responses.into_iter().flat_map(|topic| topic.partition_responses).collect()))
}

fn delivery(
    connection: &Connection,
    topic: &str,
    partition: PartitionIndex,
    answer: Option<&PartitionProduceResponse>,
) -> Result<Delivery, ClientError> {
    let (address, api) = (connection.address().clone(), ApiKey::Produce);
    let subject = TopicPartition::new(topic, partition).to_string();
    let Some(answer) = answer else {
        return Err(ClientError::Missing { address, api, subject });
    };
    let offset = Some(answer.base_offset).filter(|&offset| offset >= 0);
    match ErrorCode::from_code(answer.error_code) {
        ErrorCode::None => Ok(Delivery { partition, offset }),
        // The leader has it from an attempt whose answer was lost.
        ErrorCode::DuplicateSequenceNumber => Ok(Delivery { partition, offset }),
        code => {
            let message = answer.error_message.as_ref().map(|message| message.to_string());
            Err(ClientError::Refused { address, api, subject, code, message })
        }
    }
}
