//! A broker of one process and no disk: one topic list, logs in memory, and failures on demand.
//!
//! Speaks through the crate's own decoder and encoder, so a test of the client is a test of both ends.

use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;
use weir_protocol::api;
use weir_protocol::client::{Address, ClientConfig};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::api_versions_response::ApiVersion;
use weir_protocol::messages::create_topics_response::CreatableTopicResult;
use weir_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use weir_protocol::messages::find_coordinator_response::Coordinator;
use weir_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use weir_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use weir_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use weir_protocol::messages::*;
use weir_protocol::records::{BatchHeader, batches, patch};
use weir_protocol::request::{self, RequestHeader};
use weir_protocol::response;

/// What one broker keeps.
#[derive(Default)]
pub(crate) struct State {
    /// Topics by name: the id and the log of each partition.
    pub topics: BTreeMap<String, (Uuid, Vec<Vec<u8>>)>,
    /// Errors that the next Produce answers give, in order.
    pub produce_errors: VecDeque<ErrorCode>,
    /// Errors that the next Fetch answers give, in order.
    pub fetch_errors: VecDeque<ErrorCode>,
    /// Errors that the next FindCoordinator answers give, in order.
    pub coordinator_errors: VecDeque<ErrorCode>,
    /// Close the connection instead of answering the next Produce, after it is done.
    pub lose_produce_answers: u32,
    /// Greatest version to advertise, where it is not the crate's own.
    pub max_versions: HashMap<ApiKey, i16>,
    /// Base sequences and producer ids of the batches that Produce brought, in order.
    pub produced: Vec<(i64, i32)>,
    /// How often each API was asked for.
    pub asked: HashMap<ApiKey, u32>,
    /// Producer ids given out.
    pub producer_ids: i64,
}

/// The broker; it serves until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct FakeBroker {
    pub address: Address,
    state: Arc<Mutex<State>>,
}

impl FakeBroker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::from(listener.local_addr().unwrap());
        let broker = Self { address, state: Arc::default() };
        let serving = broker.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(socket));
            }
        });
        broker
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn create(&self, topic: &str, partitions: usize) {
        self.state().topics.insert(topic.to_owned(), (Uuid::new_v4(), vec![Vec::new(); partitions]));
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(vec![self.address.clone()]);
        config.retry_backoff = std::time::Duration::from_millis(1);
        config
    }

    /// Serves one connection until its peer goes or the broker breaks it.
    pub(crate) async fn serve(self, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        loop {
            let Ok(length) = socket.read_i32().await else { return };
            let mut frame = BytesMut::zeroed(length as usize);
            if socket.read_exact(&mut frame).await.is_err() {
                return;
            }
            let mut frame = frame.freeze();
            let header = request::decode_header(&mut frame).unwrap();
            let body = request::decode_body(&header, &mut frame).unwrap();
            *self.state().asked.entry(header.api_key).or_default() += 1;
            let no_answer = matches!(&body, RequestKind::Produce(produce) if produce.acks == 0);
            let Some(answer) = self.answer(&header, body) else { return };
            if !no_answer && socket.write_all(&response::encode(&header, &answer).unwrap()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, header: &RequestHeader, request: RequestKind) -> Option<ResponseKind> {
        let version = header.api_version;
        Some(match request {
            RequestKind::ApiVersions(_) => ResponseKind::ApiVersions(self.api_versions()),
            RequestKind::Metadata(request) => ResponseKind::Metadata(self.metadata(request, version)),
            RequestKind::InitProducerId(_) => {
                let mut state = self.state();
                state.producer_ids += 1;
                let id = (state.producer_ids + 999).into();
                ResponseKind::InitProducerId(InitProducerIdResponse::default().with_producer_id(id))
            }
            RequestKind::Produce(request) => ResponseKind::Produce(self.produce(request)?),
            RequestKind::Fetch(request) => ResponseKind::Fetch(self.fetch(request)),
            RequestKind::ListOffsets(request) => ResponseKind::ListOffsets(self.list_offsets(request)),
            RequestKind::FindCoordinator(request) => ResponseKind::FindCoordinator(self.find_coordinator(request)),
            RequestKind::CreateTopics(request) => ResponseKind::CreateTopics(self.create_topics(request)),
            other => panic!("the fake broker does not speak {other:?}"),
        })
    }

    fn api_versions(&self) -> ApiVersionsResponse {
        let state = self.state();
        let version = |api: api::ApiVersions| {
            let max = state.max_versions.get(&api.key).copied().unwrap_or(api.max);
            ApiVersion::default().with_api_key(api.key as i16).with_min_version(api.min).with_max_version(max)
        };
        ApiVersionsResponse::default().with_api_keys(api::all().map(version).collect())
    }

    fn metadata(&self, request: MetadataRequest, version: i16) -> MetadataResponse {
        let state = self.state();
        let names: Vec<String> = match request.topics {
            None => state.topics.keys().cloned().collect(),
            Some(topics) => topics.into_iter().filter_map(|topic| topic.name.map(|name| name.to_string())).collect(),
        };
        let topic = |name: String| {
            let answer = MetadataResponseTopic::default().with_name(Some(topic_name(&name)));
            let Some((id, logs)) = state.topics.get(&name) else {
                return answer.with_error_code(ErrorCode::UnknownTopicOrPartition.code());
            };
            let partition = |index| {
                let partition = MetadataResponsePartition::default().with_partition_index(index);
                partition.with_leader_id(1.into()).with_replica_nodes(vec![1.into()]).with_isr_nodes(vec![1.into()])
            };
            let partitions = (0..logs.len() as i32).map(partition).collect();
            answer.with_topic_id(if version >= 10 { *id } else { Uuid::nil() }).with_partitions(partitions)
        };
        let broker = MetadataResponseBroker::default()
            .with_node_id(1.into())
            .with_host(StrBytes::from_string(self.address.host.clone()))
            .with_port(self.address.port.into());
        let response = MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_controller_id(1.into())
            .with_topics(names.into_iter().map(topic).collect());
        if version >= 2 { response.with_cluster_id(Some(StrBytes::from_static_str("fake"))) } else { response }
    }

    fn produce(&self, request: ProduceRequest) -> Option<ProduceResponse> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut response = ProduceResponse::default();
        for topic in request.topic_data {
            let (name, id) = (topic.name.to_string(), topic.topic_id);
            let found = state.topics.iter_mut().find(|(known, (known_id, _))| **known == name || *known_id == id);
            let (_, (_, logs)) = found.expect("produce to a known topic");
            let mut answers = Vec::new();
            for partition in topic.partition_data {
                let answer = PartitionProduceResponse::default().with_index(partition.index);
                if let Some(code) = state.produce_errors.pop_front() {
                    answers.push(answer.with_error_code(code.code()).with_base_offset(-1));
                    continue;
                }
                let log = &mut logs[partition.index as usize];
                let base_offset = end_offset(log);
                let mut batch = partition.records.unwrap().to_vec();
                let header = BatchHeader::parse(&batch).unwrap();
                assert_eq!(header.size_bytes(), batch.len(), "one batch a partition");
                let sequence = (header.producer_id, header.base_sequence);
                let known = header.has_producer_id()
                    && batches(log).flatten().any(|(it, _)| (it.producer_id, it.base_sequence) == sequence);
                if known {
                    answers
                        .push(answer.with_error_code(ErrorCode::DuplicateSequenceNumber.code()).with_base_offset(-1));
                    continue;
                }
                state.produced.push(sequence);
                patch::set_base_offset(&mut batch, base_offset);
                log.extend_from_slice(&batch);
                answers.push(answer.with_base_offset(base_offset));
            }
            let topic = TopicProduceResponse::default().with_name(topic.name).with_topic_id(id);
            response.responses.push(topic.with_partition_responses(answers));
        }
        if state.lose_produce_answers > 0 {
            state.lose_produce_answers -= 1;
            return None;
        }
        Some(response)
    }

    fn fetch(&self, request: FetchRequest) -> FetchResponse {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut response = FetchResponse::default();
        for topic in request.topics {
            let name = topic.topic.to_string();
            let found = state.topics.iter().find(|(known, (id, _))| **known == name || *id == topic.topic_id);
            let (_, (_, logs)) = found.expect("fetch of a known topic");
            let mut answers = Vec::new();
            for asked in topic.partitions {
                let log = &logs[asked.partition as usize];
                let end = end_offset(log);
                let answer = PartitionData::default().with_partition_index(asked.partition).with_high_watermark(end);
                let error = match state.fetch_errors.pop_front() {
                    None if asked.fetch_offset > end => Some(ErrorCode::OffsetOutOfRange),
                    scripted => scripted,
                };
                if let Some(code) = error {
                    answers.push(answer.with_error_code(code.code()).with_records(Some(Bytes::new())));
                    continue;
                }
                let from = batches(log).flatten().find(|(header, _)| header.next_offset() > asked.fetch_offset);
                let at = from.map_or(log.len(), |(_, batch)| batch.as_ptr() as usize - log.as_ptr() as usize);
                let upto = log.len().min(at + asked.partition_max_bytes as usize);
                answers.push(answer.with_records(Some(Bytes::copy_from_slice(&log[at..upto]))));
            }
            let topic = FetchableTopicResponse::default().with_topic(topic.topic).with_topic_id(topic.topic_id);
            response.responses.push(topic.with_partitions(answers));
        }
        response
    }

    fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let state = self.state();
        let topic = |topic: list_offsets_request::ListOffsetsTopic| {
            let (_, logs) = &state.topics[&topic.name.to_string()];
            let partition = |asked: list_offsets_request::ListOffsetsPartition| {
                let log = &logs[asked.partition_index as usize];
                let offset = match asked.timestamp {
                    -1 => end_offset(log),
                    -2 => 0,
                    time => {
                        let young = batches(log).flatten().find(|(header, _)| header.max_timestamp >= time);
                        young.map_or(-1, |(header, _)| header.base_offset)
                    }
                };
                ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(offset)
            };
            let partitions = topic.partitions.into_iter().map(partition).collect();
            ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
        };
        ListOffsetsResponse::default().with_topics(request.topics.into_iter().map(topic).collect())
    }

    fn find_coordinator(&self, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let code = self.state().coordinator_errors.pop_front().unwrap_or(ErrorCode::None).code();
        match request.coordinator_keys.into_iter().next() {
            Some(key) => {
                let found = Coordinator::default().with_key(key).with_node_id(1.into()).with_error_code(code);
                FindCoordinatorResponse::default().with_coordinators(vec![found])
            }
            None => FindCoordinatorResponse::default().with_node_id(1.into()).with_error_code(code),
        }
    }

    fn create_topics(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let topic = |topic: create_topics_request::CreatableTopic| {
            let name = topic.name.to_string();
            let exists = self.state().topics.contains_key(&name);
            let answer = CreatableTopicResult::default().with_name(topic.name).with_configs(None);
            if exists {
                let words = StrBytes::from_string(format!("Topic '{name}' already exists."));
                return answer.with_error_code(ErrorCode::TopicAlreadyExists.code()).with_error_message(Some(words));
            }
            self.create(&name, topic.num_partitions.max(1) as usize);
            answer
        };
        CreateTopicsResponse::default().with_topics(request.topics.into_iter().map(topic).collect())
    }
}

fn end_offset(log: &[u8]) -> i64 {
    batches(log).flatten().last().map_or(0, |(header, _)| header.next_offset())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
