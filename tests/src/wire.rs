//! A blocking connection that asks one thing at a time, or sends whatever bytes it is given and takes what comes back.
//!
//! It shares no code with the broker or its client, so that neither is measured or tested through the other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, CreateTopicsRequest, FetchRequest, MetadataRequest, MetadataResponse, ProduceRequest,
    RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use uuid::Uuid;

/// Versions that every broker of the comparison answers.
const METADATA: i16 = 9;
const METADATA_WITH_IDS: i16 = 12;
/// The newest that names topics, at which [`Wire::produce`] asks.
pub const PRODUCE: i16 = 12;
/// The newest that names topics, at which [`Wire::fetch`] asks.
pub const FETCH: i16 = 12;
const CREATE_TOPICS: i16 = 5;
const API_VERSIONS: i16 = 0;
/// How long one answer may take: Apache Kafka needs seconds to create a thousand topics.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the metadata is asked for while waiting for it to change.
const POLL: Duration = Duration::from_millis(1);

/// One topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// What is set on it.
    pub configs: &'a [(&'a str, &'a str)],
}

/// A connection to one broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    /// Connects to `bootstrap`, one numeric `host:port`.
    pub fn connect(bootstrap: &str) -> io::Result<Wire> {
        let address: SocketAddr = bootstrap.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, correlation_id: 0 })
    }

    /// The socket, for those who write what no request is.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a request and waits for its answer.
    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let correlation_id = self.send(request, version)?;
        let answer = self.read_answer()?;
        let header_version = R::Response::header_version(version);
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, header_version).map_err(io::Error::other)?;
        if header.correlation_id != correlation_id {
            return Err(io::Error::other("an answer to another request"));
        }
        let response = R::Response::decode(&mut answer, version).map_err(io::Error::other)?;
        if answer.has_remaining() {
            return Err(io::Error::other("bytes after the answer"));
        }
        Ok(response)
    }

    /// Sends a request and returns its correlation id.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> io::Result<i32> {
        self.correlation_id += 1;
        self.stream.write_all(&encode(request, version, self.correlation_id)?)?;
        Ok(self.correlation_id)
    }

    /// The next answer, without its length. `UnexpectedEof` where the broker has closed the connection.
    pub fn read_answer(&mut self) -> io::Result<Vec<u8>> {
        read_frame(&mut self.stream)
    }

    /// What every client asks first.
    pub fn api_versions(&mut self) -> io::Result<()> {
        self.call(&ApiVersionsRequest::default(), API_VERSIONS).map(drop)
    }

    /// Metadata of every topic.
    pub fn metadata(&mut self) -> io::Result<MetadataResponse> {
        self.call(&MetadataRequest::default().with_topics(None), METADATA)
    }

    /// Creates topics and returns when the broker says that it has.
    pub fn create_topics(&mut self, topics: &[NewTopic<'_>]) -> io::Result<()> {
        let topics = topics.iter().map(|topic| {
            let configs = topic.configs.iter().map(|(name, value)| {
                CreatableTopicConfig::default()
                    .with_name(StrBytes::from_string((*name).to_owned()))
                    .with_value(Some(StrBytes::from_string((*value).to_owned())))
            });
            CreatableTopic::default()
                .with_name(topic_name(&topic.name))
                .with_num_partitions(i32::try_from(topic.partitions).unwrap_or(i32::MAX))
                .with_replication_factor(1)
                .with_configs(configs.collect())
        });
        let timeout_ms = i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX);
        let request = CreateTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(timeout_ms);
        let response = self.call(&request, CREATE_TOPICS)?;
        match response.topics.iter().find(|topic| topic.error_code != 0) {
            None => Ok(()),
            Some(topic) => Err(io::Error::other(format!(
                "topic {} was not created: error {} {}",
                topic.name.as_str(),
                topic.error_code,
                topic.error_message.as_ref().map_or("", |message| message.as_str())
            ))),
        }
    }

    /// The id of a topic.
    pub fn topic_id(&mut self, name: &str) -> io::Result<Uuid> {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        let response = self.call(&request, METADATA_WITH_IDS)?;
        let topic = response.topics.first().filter(|topic| topic.error_code == 0);
        topic.map(|topic| topic.topic_id).ok_or_else(|| io::Error::other(format!("there is no topic {name}")))
    }

    /// Asks for `records` to be appended, acknowledged by every replica in sync, and gives the partition's answer.
    pub fn produce(&mut self, topic: &str, partition: i32, records: Bytes) -> io::Result<PartitionProduceResponse> {
        let mut response = self.call(&produce_request(topic, partition, records), PRODUCE)?;
        response.responses.pop().and_then(|mut topic| topic.partition_responses.pop()).ok_or_else(|| no_answer(topic))
    }

    /// Reads from `offset` on, waiting for nothing, and gives the partition's answer.
    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64, max_bytes: i32) -> io::Result<PartitionData> {
        let mut response = self.call(&fetch_request(topic, partition, offset, max_bytes), FETCH)?;
        response.responses.pop().and_then(|mut topic| topic.partitions.pop()).ok_or_else(|| no_answer(topic))
    }

    /// Waits until as many partitions as told, of topics whose names start with `prefix`, have a leader.
    pub fn wait_for_leaders(&mut self, prefix: &str, partitions: u32) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let led = leaders(&self.metadata()?, prefix);
            if led >= partitions as usize {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("only {led} of {partitions} partitions have a leader")));
            }
            thread::sleep(POLL);
        }
    }
}

/// What [`Wire::produce`] asks.
pub fn produce_request(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

/// What [`Wire::fetch`] asks.
pub fn fetch_request(topic: &str, partition: i32, offset: i64, max_bytes: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(max_bytes);
    let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(max_bytes)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn no_answer(topic: &str) -> io::Error {
    io::Error::other(format!("an answer that does not say what became of {topic}"))
}

/// A request as it goes over the socket, its length in front.
pub fn encode<R: Request>(request: &R, version: i16, correlation_id: i32) -> io::Result<BytesMut> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("weir-tests")));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, R::header_version(version)).map_err(io::Error::other)?;
    request.encode(&mut frame, version).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Reads one frame, and gives it without its length.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// How many partitions, of topics whose names start with `prefix`, have a leader.
fn leaders(metadata: &MetadataResponse, prefix: &str) -> usize {
    let named = |name: &TopicName| name.as_str().starts_with(prefix);
    let topics = metadata.topics.iter().filter(|topic| topic.error_code == 0 && topic.name.as_ref().is_some_and(named));
    let partitions = topics.flat_map(|topic| &topic.partitions);
    partitions.filter(|partition| partition.error_code == 0 && partition.leader_id.0 >= 0).count()
}

/// Waits for the first metadata answer that names a broker.
pub fn wait_for_metadata(bootstrap: &str, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match Wire::connect(bootstrap).and_then(|mut wire| wire.metadata()) {
            Ok(metadata) if !metadata.brokers.is_empty() => return Ok(()),
            outcome if Instant::now() > deadline => {
                return Err(io::Error::other(format!("no metadata from {bootstrap}: {outcome:?}")));
            }
            _ => thread::sleep(POLL),
        }
    }
}
