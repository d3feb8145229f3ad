//! A blocking connection that asks one thing at a time: what the benchmark needs to create topics and see that they serve.
//!
//! It shares no code with the broker or its client, so that neither is measured through the other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader,
    TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// Versions that every broker of the comparison answers.
const METADATA: i16 = 9;
const CREATE_TOPICS: i16 = 5;
const API_VERSIONS: i16 = 0;
/// How long one answer may take: Apache Kafka needs seconds to create a thousand topics.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the metadata is asked for while waiting for it to change.
const POLL: Duration = Duration::from_millis(1);

/// One topic to create.
#[derive(Debug, Clone)]
pub(crate) struct NewTopic<'a> {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) configs: &'a [(&'a str, &'a str)],
}

/// A connection to one broker.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    pub(crate) fn connect(bootstrap: &str) -> io::Result<Wire> {
        let address: SocketAddr = bootstrap.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, correlation_id: 0 })
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("bench")));
        let mut frame = BytesMut::zeroed(4);
        header.encode(&mut frame, R::header_version(version)).map_err(io::Error::other)?;
        request.encode(&mut frame, version).map_err(io::Error::other)?;
        let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame)?;

        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        let mut answer = bytes::Bytes::from(answer);
        let header =
            ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(io::Error::other)?;
        if header.correlation_id != self.correlation_id {
            return Err(io::Error::other("an answer to another request"));
        }
        let response = R::Response::decode(&mut answer, version).map_err(io::Error::other)?;
        if answer.has_remaining() {
            return Err(io::Error::other("bytes after the answer"));
        }
        Ok(response)
    }

    /// What every client asks first.
    pub(crate) fn api_versions(&mut self) -> io::Result<()> {
        self.call(&ApiVersionsRequest::default(), API_VERSIONS).map(drop)
    }

    /// Metadata of every topic.
    pub(crate) fn metadata(&mut self) -> io::Result<MetadataResponse> {
        self.call(&MetadataRequest::default().with_topics(None), METADATA)
    }

    /// Creates topics and returns when the broker says that it has.
    pub(crate) fn create_topics(&mut self, topics: &[NewTopic<'_>]) -> io::Result<()> {
        let topics = topics.iter().map(|topic| {
            let configs = topic.configs.iter().map(|(name, value)| {
                CreatableTopicConfig::default()
                    .with_name(StrBytes::from_string((*name).to_owned()))
                    .with_value(Some(StrBytes::from_string((*value).to_owned())))
            });
            CreatableTopic::default()
                .with_name(TopicName(StrBytes::from_string(topic.name.clone())))
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

    /// Waits until as many partitions as told, of topics whose names start with `prefix`, have a leader.
    pub(crate) fn wait_for_leaders(&mut self, prefix: &str, partitions: u32) -> io::Result<()> {
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

/// How many partitions, of topics whose names start with `prefix`, have a leader.
fn leaders(metadata: &MetadataResponse, prefix: &str) -> usize {
    let named = |name: &TopicName| name.as_str().starts_with(prefix);
    let topics = metadata.topics.iter().filter(|topic| topic.error_code == 0 && topic.name.as_ref().is_some_and(named));
    let partitions = topics.flat_map(|topic| &topic.partitions);
    partitions.filter(|partition| partition.error_code == 0 && partition.leader_id.0 >= 0).count()
}

/// Waits for the first metadata answer that names a broker.
pub(crate) fn wait_for_metadata(bootstrap: &str, patience: Duration) -> io::Result<()> {
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
