//! Golden bytes, printed by the generated classes of Apache Kafka 4.3.1 (`org.apache.kafka.coordinator.group.generated`
//! and `ConsumerProtocol.serializeSubscription`).

use bytes::Bytes;
use uuid::Uuid;
use weir_protocol::messages::StrBytes;

use super::*;
use crate::group::ids::{InstanceId, MemberId};

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().map(|digit| (digit as char).to_digit(16).expect("a hex digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into()
}

fn offset_value() -> OffsetCommitValue {
    OffsetCommitValue {
        offset: 42,
        leader_epoch: 5,
        metadata: StrBytes::from_static_str("meta"),
        commit_timestamp_ms: 1_700_000_000_000,
        expire_timestamp_ms: None,
        topic_id: Uuid::nil(),
    }
}

fn group_value() -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: Some(StrBytes::from_static_str("consumer")),
        generation: 4,
        protocol: Some(StrBytes::from_static_str("range")),
        leader: Some(MemberId::from("m-1")),
        current_state_timestamp_ms: Some(1_700_000_000_000),
        members: vec![MemberMetadata {
            member_id: MemberId::from("m-1"),
            instance_id: Some(InstanceId::from("inst")),
            client_id: StrBytes::from_static_str("c"),
            client_host: StrBytes::from_static_str("/127.0.0.1"),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: Bytes::from_static(&[0, 1, 2]),
            assignment: Bytes::from_static(&[9]),
        }],
    }
}

const OFFSET_KEY: &str = "000100056772c3bc7000066f726465727300000003";
const GROUP_KEY: &str = "000200056772c3bc70";
const OFFSET_V0: &str = "0000000000000000002a00046d6574610000018bcfe56800";
const OFFSET_V1: &str = "0001000000000000002a00046d6574610000018bcfe568000000018bcfe56be8";
const OFFSET_V2: &str = "0002000000000000002a00046d6574610000018bcfe56800";
const OFFSET_V3: &str = "0003000000000000002a0000000500046d6574610000018bcfe56800";
const OFFSET_V4: &str = "0004000000000000002a00000005056d6574610000018bcfe5680000";
const OFFSET_V4_TOPIC: &str =
    "0004000000000000002a00000005056d6574610000018bcfe568000100100102030405060708090a0b0c0d0e0f10";
const GROUP_EMPTY: &str = "0003000000000000ffffffff0000018bcfe5680000000000";
const GROUP_V0: &str = "00000008636f6e73756d657200000004000572616e676500036d2d310000000100036d2d31000163000a2f3132372e302e302e310000afc8000000030001020000000109";
const GROUP_V1: &str = "00010008636f6e73756d657200000004000572616e676500036d2d310000000100036d2d31000163000a2f3132372e302e302e31000493e00000afc8000000030001020000000109";
const GROUP_V2: &str = "00020008636f6e73756d657200000004000572616e676500036d2d310000018bcfe568000000000100036d2d31000163000a2f3132372e302e302e31000493e00000afc8000000030001020000000109";
const GROUP_V3: &str = "00030008636f6e73756d657200000004000572616e676500036d2d310000018bcfe568000000000100036d2d310004696e7374000163000a2f3132372e302e302e31000493e00000afc8000000030001020000000109";
const GROUP_V4: &str = "000409636f6e73756d6572000000040672616e6765046d2d310000018bcfe5680002046d2d3105696e737402630b2f3132372e302e302e31000493e00000afc80400010202090000";

fn offset_key() -> OffsetCommitKey {
    OffsetCommitKey { group: GroupId::from("grüp"), topic: StrBytes::from_static_str("orders"), partition: 3 }
}

fn decode_offset(value: &str) -> OffsetCommitValue {
    match CoordinatorRecord::decode(Some(bytes(OFFSET_KEY)), Some(bytes(value))) {
        Ok(CoordinatorRecord::OffsetCommit { key, value: Some(value) }) => {
            assert_eq!(key, offset_key());
            value
        }
        other => panic!("not an offset: {other:?}"),
    }
}

fn decode_group(value: &str) -> GroupMetadataValue {
    match CoordinatorRecord::decode(Some(bytes(GROUP_KEY)), Some(bytes(value))) {
        Ok(CoordinatorRecord::GroupMetadata { group, value: Some(value) }) => {
            assert_eq!(group, GroupId::from("grüp"));
            value
        }
        other => panic!("not a group: {other:?}"),
    }
}

#[test]
fn an_offset_is_written_as_version_4() {
    let with_topic =
        OffsetCommitValue { topic_id: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10), ..offset_value() };
    for (value, expected) in [(offset_value(), OFFSET_V4), (with_topic, OFFSET_V4_TOPIC)] {
        let record = CoordinatorRecord::OffsetCommit { key: offset_key(), value: Some(value.clone()) };
        assert_eq!(record.encode_key(), Some(bytes(OFFSET_KEY)));
        assert_eq!(record.encode_value(), Some(bytes(expected)));
        assert_eq!(decode_offset(expected), value);
    }
}

#[test]
fn an_offset_with_its_own_expiry_is_written_as_version_1() {
    let value = OffsetCommitValue { leader_epoch: -1, expire_timestamp_ms: Some(1_700_000_001_000), ..offset_value() };
    let record = CoordinatorRecord::OffsetCommit { key: offset_key(), value: Some(value.clone()) };
    assert_eq!(record.encode_value(), Some(bytes(OFFSET_V1)));
    assert_eq!(decode_offset(OFFSET_V1), value);
}

#[test]
fn every_older_offset_version_is_read() {
    let without_epoch = OffsetCommitValue { leader_epoch: -1, ..offset_value() };
    assert_eq!(decode_offset(OFFSET_V0), without_epoch);
    assert_eq!(decode_offset(OFFSET_V2), without_epoch);
    assert_eq!(decode_offset(OFFSET_V3), offset_value());
}

#[test]
fn a_legacy_offset_key_is_an_offset_key() {
    let record = CoordinatorRecord::decode(
        Some(bytes("000000016700017400000007")),
        Some(bytes("0000000000000000002a00016d00000000000003e8")),
    );
    let Ok(CoordinatorRecord::OffsetCommit { key, value: Some(value) }) = record else { panic!("{record:?}") };
    assert_eq!((key.group.as_str(), key.topic.as_str(), key.partition), ("g", "t", 7));
    assert_eq!((value.offset, value.metadata.as_str(), value.commit_timestamp_ms), (42, "m", 1_000));
}

#[test]
fn a_group_is_written_as_version_3() {
    let record = CoordinatorRecord::GroupMetadata { group: GroupId::from("grüp"), value: Some(group_value()) };
    assert_eq!(record.encode_key(), Some(bytes(GROUP_KEY)));
    assert_eq!(record.encode_value(), Some(bytes(GROUP_V3)));
    assert_eq!(decode_group(GROUP_V3), group_value());
}

#[test]
fn an_empty_group_has_no_protocol_and_no_leader() {
    let value =
        GroupMetadataValue { current_state_timestamp_ms: Some(1_700_000_000_000), ..GroupMetadataValue::default() };
    let record = CoordinatorRecord::GroupMetadata { group: GroupId::from("grüp"), value: Some(value.clone()) };
    assert_eq!(record.encode_value(), Some(bytes(GROUP_EMPTY)));
    assert_eq!(decode_group(GROUP_EMPTY), value);
}

#[test]
fn every_group_version_is_read() {
    let mut expected = group_value();
    assert_eq!(decode_group(GROUP_V4), expected);
    expected.members[0].instance_id = None;
    assert_eq!(decode_group(GROUP_V2), expected);
    expected.current_state_timestamp_ms = None;
    assert_eq!(decode_group(GROUP_V1), expected);
    expected.members[0].rebalance_timeout_ms = expected.members[0].session_timeout_ms;
    assert_eq!(decode_group(GROUP_V0), expected);
}

#[test]
fn a_missing_value_is_a_tombstone() {
    let group = CoordinatorRecord::decode(Some(bytes(GROUP_KEY)), None).expect("a tombstone");
    assert_eq!(group, CoordinatorRecord::GroupMetadata { group: GroupId::from("grüp"), value: None });
    assert_eq!(group.encode_value(), None);
    let offset = CoordinatorRecord::decode(Some(bytes(OFFSET_KEY)), None).expect("a tombstone");
    assert_eq!(offset, CoordinatorRecord::offset_tombstone(&GroupId::from("grüp"), "orders", 3));
}

#[test]
fn a_type_of_another_protocol_is_unknown_and_never_written() {
    let record = CoordinatorRecord::decode(Some(bytes("0003000167")), Some(bytes("0000"))).expect("skipped");
    assert_eq!(record, CoordinatorRecord::Unknown { key_type: 3 });
    assert_eq!((record.encode_key(), record.encode_value()), (None, None));
}

#[test]
fn damaged_records_are_errors_and_never_panic() {
    for golden in [OFFSET_V1, OFFSET_V4_TOPIC, GROUP_V0, GROUP_V3, GROUP_V4] {
        let key = if golden.starts_with("0001000") || golden.starts_with("0004000") { OFFSET_KEY } else { GROUP_KEY };
        let whole = bytes(golden);
        for cut in 0..whole.len() {
            let record = CoordinatorRecord::decode(Some(bytes(key)), Some(whole.slice(..cut)));
            assert!(record.is_err(), "cut at {cut}: {record:?}");
        }
        for position in 0..whole.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.to_vec();
                damaged[position] = value;
                let _ = CoordinatorRecord::decode(Some(bytes(key)), Some(damaged.into()));
            }
        }
    }
    assert_eq!(CoordinatorRecord::decode(None, None), Err(RecordError::NoKey));
    assert_eq!(CoordinatorRecord::decode(Some(bytes("00")), None), Err(RecordError::Truncated));
    assert_eq!(
        CoordinatorRecord::decode(Some(bytes(GROUP_KEY)), Some(bytes("0005"))),
        Err(RecordError::Version { record: "GroupMetadataValue", version: 5 })
    );
}

#[test]
fn subscriptions_of_every_version_name_their_topics() {
    for golden in [
        "000000000002000161000262620000000101",
        "000100000002000161000262620000000101000000010001610000000100000000",
        "00020000000200016100026262000000010100000001000161000000010000000000000003",
        "0003000000020001610002626200000001010000000100016100000001000000000000000300047261636b",
    ] {
        let topics = subscribed_topics(&bytes(golden)).expect("a subscription");
        assert_eq!(topics.iter().map(StrBytes::as_str).collect::<Vec<_>>(), ["a", "bb"]);
    }
}

#[test]
fn bytes_that_are_not_a_subscription_name_no_topics() {
    for hostile in ["", "00", "ffff", "00007fffffff", "0000ffffffff", "000000000001ffff", "000000000000"] {
        assert_eq!(subscribed_topics(&bytes(hostile)), None, "{hostile}");
    }
}
