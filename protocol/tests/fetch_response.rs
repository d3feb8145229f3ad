//! Our Fetch response against the codec crate's: the same bytes, for random responses at every version.

#![allow(missing_docs)]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;
use weir_protocol::api::ApiKey;
use weir_protocol::fetch_response::{self, Chunk};
use weir_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
    SnapshotId,
};
use weir_protocol::messages::{BrokerId, Decodable, Encodable, FetchResponse, ProducerId, StrBytes, TopicName};
use weir_protocol::request::RequestHeader;
use weir_protocol::response::ResponseError;

const CORRELATION_ID: i32 = 0x0a0b_0c0d;

fn request(api_version: i16) -> RequestHeader {
    RequestHeader { api_key: ApiKey::Fetch, api_version, correlation_id: CORRELATION_ID, client_id: None }
}

/// A partition as the codec crate has it, its records inside.
fn partition() -> impl Strategy<Value = PartitionData> {
    let aborted = proptest::option::of(vec((any::<i64>(), any::<i64>()), 0..3));
    let offsets = (any::<i64>(), any::<i64>(), any::<i64>());
    let leader = proptest::option::of((any::<i32>(), any::<i32>()));
    let tag = proptest::option::of(vec(any::<u8>(), 0..200));
    let records = vec(any::<u8>(), 0..300);
    (
        any::<i32>(),
        any::<i16>(),
        offsets,
        aborted,
        any::<i32>(),
        (epoch_and_offset(), leader, epoch_and_offset(), tag),
        records,
    )
        .prop_map(|(index, error, offsets, aborted, replica, (diverging, leader, snapshot, tag), records)| {
            let mut partition = PartitionData::default()
                .with_partition_index(index)
                .with_error_code(error)
                .with_high_watermark(offsets.0)
                .with_last_stable_offset(offsets.1)
                .with_log_start_offset(offsets.2)
                .with_preferred_read_replica(BrokerId(replica))
                .with_records(Some(Bytes::from(records)))
                .with_aborted_transactions(aborted.map(|aborted| {
                    let transaction = |(id, offset)| {
                        AbortedTransaction::default().with_producer_id(ProducerId(id)).with_first_offset(offset)
                    };
                    aborted.into_iter().map(transaction).collect()
                }));
            if let Some((epoch, end)) = diverging {
                partition.diverging_epoch = EpochEndOffset::default().with_epoch(epoch).with_end_offset(end);
            }
            if let Some((id, epoch)) = leader {
                partition.current_leader =
                    LeaderIdAndEpoch::default().with_leader_id(BrokerId(id)).with_leader_epoch(epoch);
            }
            if let Some((epoch, end)) = snapshot {
                partition.snapshot_id = SnapshotId::default().with_epoch(epoch).with_end_offset(end);
            }
            if let Some(tag) = tag {
                partition = partition.with_unknown_tagged_field(300, Bytes::from(tag));
            }
            partition
        })
}

fn epoch_and_offset() -> impl Strategy<Value = Option<(i32, i64)>> {
    proptest::option::of((any::<i32>(), any::<i64>()))
}

fn response() -> impl Strategy<Value = FetchResponse> {
    let topic = ("[a-z.é]{0,20}", any::<u128>(), vec(partition(), 0..4)).prop_map(|(name, id, partitions)| {
        FetchableTopicResponse::default()
            .with_topic(TopicName(StrBytes::from_string(name)))
            .with_topic_id(Uuid::from_u128(id))
            .with_partitions(partitions)
    });
    let endpoint = (any::<i32>(), "[a-z]{0,12}", any::<i32>(), proptest::option::of("[a-z]{0,5}"));
    let endpoints = vec(endpoint, 0..3);
    (any::<i32>(), any::<i16>(), any::<i32>(), vec(topic, 0..4), endpoints).prop_map(
        |(throttle, error, session, topics, endpoints)| {
            let endpoint = |(id, host, port, rack): (i32, String, i32, Option<String>)| {
                NodeEndpoint::default()
                    .with_node_id(BrokerId(id))
                    .with_host(StrBytes::from_string(host))
                    .with_port(port)
                    .with_rack(rack.map(StrBytes::from_string))
            };
            FetchResponse::default()
                .with_throttle_time_ms(throttle)
                .with_error_code(error)
                .with_session_id(session)
                .with_responses(topics)
                .with_node_endpoints(endpoints.into_iter().map(endpoint).collect())
        },
    )
}

/// Drops what `version` cannot say, which both encoders refuse.
fn fit(mut response: FetchResponse, version: i16) -> FetchResponse {
    if version < 7 {
        response.session_id = 0;
    }
    for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version < 11 {
            partition.preferred_read_replica = BrokerId(-1);
        }
    }
    response
}

/// Takes the records out, as a broker has them: beside the response.
fn take_records(response: &mut FetchResponse) -> Vec<Bytes> {
    let partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
    partitions.map(|partition| partition.records.take().unwrap_or_default()).collect()
}

fn join(chunks: &[Chunk<Bytes>]) -> Vec<u8> {
    let bytes = |chunk: &Chunk<Bytes>| match chunk {
        Chunk::Bytes(bytes) | Chunk::Records(bytes) => bytes.to_vec(),
    };
    chunks.iter().flat_map(bytes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_version_has_the_bytes_of_the_codec_crate(random in response()) {
        for version in 4..=18 {
            let mut response = fit(random.clone(), version);
            let mut expected = BytesMut::new();
            response.encode(&mut expected, version).unwrap();
            let records = take_records(&mut response);
            let chunks = fetch_response::encode(&request(version), &response, records).unwrap();
            let frame = join(&chunks);
            let header = if version >= 12 { 9 } else { 8 };
            prop_assert_eq!(&frame[..4], &(frame.len() as i32 - 4).to_be_bytes()[..]);
            prop_assert_eq!(&frame[4..8], &CORRELATION_ID.to_be_bytes()[..]);
            prop_assert_eq!(&frame[header..], &expected[..], "version {}", version);
            prop_assert!(matches!(chunks[0], Chunk::Bytes(_)), "the frame's length comes first");
        }
    }
}

fn one_partition() -> FetchResponse {
    let topic = FetchableTopicResponse::default().with_partitions(vec![PartitionData::default()]);
    FetchResponse::default().with_responses(vec![topic])
}

#[test]
fn a_partition_without_records_has_zero_bytes_of_them_never_null() {
    for version in 4..=18 {
        let chunks = fetch_response::encode(&request(version), &one_partition(), vec![Bytes::new()]).unwrap();
        assert_eq!(chunks.len(), 1, "nothing to send but fields");
        let mut body = Bytes::from(join(&chunks)).slice(if version >= 12 { 9 } else { 8 }..);
        let decoded = FetchResponse::decode(&mut body, version).unwrap();
        assert_eq!(decoded.responses[0].partitions[0].records, Some(Bytes::new()), "version {version}");
    }
}

#[test]
fn records_are_handed_back_not_copied() {
    let records = Bytes::from(vec![7; 1000]);
    let chunks = fetch_response::encode(&request(12), &one_partition(), vec![Some(records.clone())]).unwrap();
    let Chunk::Records(Some(sent)) = &chunks[1] else { panic!("{chunks:?}") };
    assert_eq!(sent.as_ptr(), records.as_ptr());
    assert_eq!(chunks.iter().map(Chunk::size_bytes).sum::<usize>(), 4 + join_lengths(&chunks));
}

fn join_lengths(chunks: &[Chunk<Option<Bytes>>]) -> usize {
    let Chunk::Bytes(first) = &chunks[0] else { panic!("fields come first") };
    i32::from_be_bytes(first[..4].try_into().unwrap()) as usize
}

#[test]
fn each_partition_needs_its_part_of_records() {
    let refused = fetch_response::encode::<Bytes>(&request(12), &one_partition(), vec![]);
    assert!(matches!(refused, Err(ResponseError::RecordsMismatch { partitions: 1, records: 0 })), "{refused:?}");
}

#[test]
fn records_inside_the_response_are_refused() {
    let mut response = one_partition();
    response.responses[0].partitions[0].records = Some(Bytes::from_static(b"x"));
    let refused = fetch_response::encode(&request(12), &response, vec![Bytes::new()]);
    assert!(matches!(refused, Err(ResponseError::Unencodable { .. })), "{refused:?}");
}

/// Says that it has two gigabytes without having them.
struct Huge;

impl fetch_response::RecordsLength for Huge {
    fn size_bytes(&self) -> usize {
        i32::MAX as usize
    }
}

#[test]
fn a_frame_whose_length_does_not_fit_is_refused() {
    let refused = fetch_response::encode(&request(12), &one_partition(), vec![Huge]);
    assert!(matches!(refused, Err(ResponseError::TooLarge { .. })));
}

#[test]
fn what_a_version_cannot_say_is_refused() {
    let mut response = one_partition();
    response.session_id = 5;
    assert!(fetch_response::encode(&request(6), &response, vec![Bytes::new()]).is_err());
    assert!(fetch_response::encode(&request(7), &response, vec![Bytes::new()]).is_ok());
    response.responses[0].partitions[0].preferred_read_replica = BrokerId(2);
    assert!(fetch_response::encode(&request(10), &response, vec![Bytes::new()]).is_err());
    assert!(fetch_response::encode(&request(11), &response, vec![Bytes::new()]).is_ok());
    for version in [3, 19] {
        assert!(fetch_response::encode(&request(version), &one_partition(), vec![Bytes::new()]).is_err());
    }
}
