//! Where committed offsets are found again: by the topic's id, and after the configuration of their own topic has changed.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, RequestHeader, RequestKind,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use tempfile::TempDir;
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::newer;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::{NewTopic, Wire};

const TOPIC: &str = "committed";
/// Of OffsetCommit and of OffsetFetch: the first with topic ids.
const BY_ID: i16 = 10;
/// Groups enough that other numbers of partitions would put some of them elsewhere.
const GROUPS: i64 = 8;
/// How long the coordinator may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(5);

#[test]
fn offsets_are_found_again_whatever_number_of_partitions_is_configured_since() {
    let dir = TempDir::new().expect("a directory");
    let options = WeirOptions::new(dir.path()).expect("free ports");
    let configured = |partitions| options.clone().with_setting(&format!("offsets.topic.num.partitions={partitions}"));
    let weir = Weir::start(configured(3)).expect("the broker starts");
    let (mut wire, topic_id) = connect_with_topic(&weir);
    for group in 0..GROUPS {
        assert_eq!(commit(&mut wire, group, &[(topic_id, 0)]), [(topic_id, vec![(0, ErrorCode::None)])]);
    }
    weir.stop().expect("it stops");
    let weir = Weir::start(configured(7)).expect("the broker starts again");
    let mut wire = Wire::connect(&weir.bootstrap()).expect("connected");
    for group in 0..GROUPS {
        await_coordinator(&mut wire, group);
        assert_eq!(fetch(&mut wire, group, &[topic_id]), [(topic_id, group, ErrorCode::None)]);
    }
}

#[test]
fn an_unknown_topic_id_is_refused_alone() {
    let dir = TempDir::new().expect("a directory");
    let weir = Weir::start(WeirOptions::new(dir.path()).expect("free ports")).expect("the broker starts");
    let (mut wire, topic_id) = connect_with_topic(&weir);
    let unknown = Uuid::from_u128(7);
    let partitions = vec![(9, ErrorCode::UnknownTopicOrPartition), (0, ErrorCode::None)];
    assert_eq!(
        commit(&mut wire, 5, &[(unknown, 0), (topic_id, 0), (topic_id, 9)]),
        [(unknown, vec![(0, ErrorCode::UnknownTopicId)]), (topic_id, partitions)]
    );
    assert_eq!(
        fetch(&mut wire, 5, &[unknown, topic_id]),
        [(topic_id, 5, ErrorCode::None), (unknown, -1, ErrorCode::UnknownTopicId)]
    );
}

fn connect_with_topic(weir: &Weir) -> (Wire, Uuid) {
    let mut wire = Wire::connect(&weir.bootstrap()).expect("connected");
    let topic = NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] };
    wire.create_topics(&[topic]).expect("created");
    let topic_id = wire.topic_id(TOPIC).expect("an id");
    for group in 0..GROUPS {
        await_coordinator(&mut wire, group);
    }
    (wire, topic_id)
}

fn group_id(group: i64) -> StrBytes {
    StrBytes::from_string(format!("group-{group}"))
}

/// Returns once the group's offsets are loaded: until then they are refused.
fn await_coordinator(wire: &mut Wire, group: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = wire.call(&FindCoordinatorRequest::default().with_key(group_id(group)), 3).expect("an answer");
        let loaded = found.error_code == 0 && ask_offsets(wire, group, &[]).groups[0].error_code == 0;
        if loaded {
            return;
        }
        assert!(Instant::now() < deadline, "the coordinator of group {group} is not there");
        thread::sleep(POLL);
    }
}

/// Commits the number of the group as its offset of each partition, and gives each topic's partitions and their codes.
fn commit(wire: &mut Wire, group: i64, partitions: &[(Uuid, i32)]) -> Vec<(Uuid, Vec<(i32, ErrorCode)>)> {
    let mut topics = Vec::<OffsetCommitRequestTopic>::new();
    for (topic_id, index) in partitions {
        let partition =
            OffsetCommitRequestPartition::default().with_partition_index(*index).with_committed_offset(group);
        match topics.iter_mut().find(|topic| topic.topic_id == *topic_id) {
            Some(topic) => topic.partitions.push(partition),
            None => topics
                .push(OffsetCommitRequestTopic::default().with_topic_id(*topic_id).with_partitions(vec![partition])),
        }
    }
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(group_id(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics);
    let mut answer = call(wire, ApiKey::OffsetCommit, &RequestKind::OffsetCommit(request));
    let response = OffsetCommitResponse::decode(&mut answer, BY_ID).expect("an answer that is understood");
    let code = |code| ErrorCode::from_code(code);
    let topics = response.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        (topic.topic_id, partitions.map(|partition| (partition.partition_index, code(partition.error_code))).collect())
    });
    topics.collect()
}

/// What the group has committed of the first partition of each topic.
fn fetch(wire: &mut Wire, group: i64, topics: &[Uuid]) -> Vec<(Uuid, i64, ErrorCode)> {
    let response = ask_offsets(wire, group, topics);
    let found = response.groups[0].topics.iter().map(|topic| {
        let partition = &topic.partitions[0];
        (topic.topic_id, partition.committed_offset, ErrorCode::from_code(partition.error_code))
    });
    found.collect()
}

fn ask_offsets(wire: &mut Wire, group: i64, topics: &[Uuid]) -> OffsetFetchResponse {
    let topic = |id: &Uuid| OffsetFetchRequestTopics::default().with_topic_id(*id).with_partition_indexes(vec![0]);
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(group_id(group)))
        .with_member_epoch(-1)
        .with_topics(Some(topics.iter().map(topic).collect()));
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    let mut answer = call(wire, ApiKey::OffsetFetch, &RequestKind::OffsetFetch(request));
    OffsetFetchResponse::decode(&mut answer, BY_ID).expect("an answer that is understood")
}

/// Asks at the version that the codec crate cannot encode, and gives the body of the answer.
fn call(wire: &mut Wire, key: ApiKey, request: &RequestKind) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(BY_ID)
        .with_client_id(Some(StrBytes::from_static_str("weir-tests")));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, key.request_header_version(BY_ID)).expect("encodes");
    newer::encode_request(request, BY_ID, &mut frame).expect("encodes");
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    wire.stream().write_all(&frame).expect("sent");
    let mut answer = Bytes::from(wire.read_answer().expect("an answer"));
    // The correlation id, and no tagged fields.
    answer.advance(5);
    answer
}
