//! The bytes of every record that Kafka has, as `MetadataRecordSerde` of Kafka 4.3.1 writes them.

use uuid::Uuid;
use weir_controller::record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ClusterIdRecord, ConfigRecord, ConfigResourceType,
    FeatureLevelRecord, FenceBrokerRecord, LeaderRecoveryState, MetadataRecord, NoOpRecord, PartitionChangeRecord,
    PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord, UnfenceBrokerRecord,
    UnregisterBrokerRecord, decode_change, encode_change,
};
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId};

fn id(low: u64) -> Uuid {
    Uuid::from_u64_pair(0x0102_0304_0506_0708, low)
}

fn brokers<const N: usize>(ids: [i32; N]) -> Vec<BrokerId> {
    ids.map(BrokerId).to_vec()
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn reads_as(hex: &str, record: MetadataRecord) {
    assert_eq!(MetadataRecord::decode(&bytes(hex)), Ok(record));
}

fn is(hex: &str, record: MetadataRecord) {
    assert_eq!(record.encode(), Ok(bytes(hex)), "{record:?}");
    reads_as(hex, record);
}

fn registration() -> RegisterBrokerRecord {
    let endpoint = |name: &str, host: &str, port, security_protocol| BrokerEndpoint {
        name: name.into(),
        host: host.into(),
        port,
        security_protocol,
    };
    RegisterBrokerRecord {
        broker: BrokerId(1),
        is_migrating_zk_broker: false,
        incarnation_id: id(1),
        broker_epoch: BrokerEpoch(42),
        endpoints: vec![endpoint("PLAINTEXT", "localhost", 9092, 0), endpoint("SSL", "b1.example.org", 65535, 1)],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_level: 7,
            max_supported_level: 29,
        }],
        rack: Some("zone-a".into()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![id(2), id(3)],
        cordoned_log_dirs: None,
    }
}

fn partition() -> PartitionRecord {
    PartitionRecord {
        partition: PartitionIndex(3),
        topic_id: id(9),
        replicas: brokers([1, 2, 3]),
        isr: brokers([1, 3]),
        removing_replicas: brokers([2]),
        adding_replicas: brokers([4]),
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(300),
        directories: vec![id(2), id(3), id(4)],
        leader_recovery_state: LeaderRecoveryState::Recovered,
        eligible_leader_replicas: None,
        last_known_elr: None,
    }
}

fn broker_change() -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord::new(BrokerId(1), BrokerEpoch(42))
}

#[test]
fn a_registration_with_directories() {
    is(
        "010003000000010001020304050607080000000000000001000000000000002a030a504c41494e544558540a6c6f63616c68\
     6f737423840000000453534c0f62312e6578616d706c652e6f7267ffff00010002116d657461646174612e76657273696f6e\
     0007001d00077a6f6e652d610100010021030102030405060708000000000000000201020304050607080000000000000003",
        RegisterBrokerRecord { ..registration() }.into(),
    );
}

#[test]
fn a_registration_with_cordoned_directories() {
    is(
        "010004000000010001020304050607080000000000000001000000000000002a030a504c41494e544558540a6c6f63616c68\
     6f737423840000000453534c0f62312e6578616d706c652e6f7267ffff00010002116d657461646174612e76657273696f6e\
     0007001d00077a6f6e652d610100020021030102030405060708000000000000000201020304050607080000000000000003\
     01110201020304050607080000000000000003",
        RegisterBrokerRecord { cordoned_log_dirs: Some(vec![id(3)]), ..registration() }.into(),
    );
}

#[test]
fn a_registration_of_kafka_3_3() {
    reads_as(
        "0100010000000101020304050607080000000000000001000000000000002a030a504c41494e544558540a6c6f63616c686f\
     737423840000000453534c0f62312e6578616d706c652e6f7267ffff00010002116d657461646174612e76657273696f6e00\
     07001d0000000100",
        RegisterBrokerRecord {
            rack: None,
            log_dirs: vec![],
            in_controlled_shutdown: true,
            fenced: false,
            ..registration()
        }
        .into(),
    );
}

#[test]
fn a_broker_that_left() {
    is(
        "01010000000001000000000000002a00",
        UnregisterBrokerRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(42) }.into(),
    );
}

#[test]
fn a_topic() {
    is(
        "010200076f72646572730102030405060708000000000000000900",
        TopicRecord { name: "orders".into(), topic_id: id(9) }.into(),
    );
}

#[test]
fn a_partition_of_a_kafka_without_directories() {
    reads_as(
        "0103000000000301020304050607080000000000000009040000000100000002000000030300000001000000030200000002\
     020000000400000001000000050000012c00",
        PartitionRecord { directories: vec![], ..partition() }.into(),
    );
}

#[test]
fn a_partition() {
    is(
        "0103010000000301020304050607080000000000000009040000000100000002000000030300000001000000030200000002\
     020000000400000001000000050000012c040102030405060708000000000000000201020304050607080000000000000003\
     0102030405060708000000000000000400",
        partition().into(),
    );
}

#[test]
fn a_partition_with_eligible_leaders() {
    is(
        "0103020000000301020304050607080000000000000009040000000100000002000000030300000001000000030200000002\
     020000000400000001000000050000012c040102030405060708000000000000000201020304050607080000000000000003\
     01020304050607080000000000000004030001010105020000000202050200000003",
        PartitionRecord {
            leader_recovery_state: LeaderRecoveryState::Recovering,
            eligible_leader_replicas: Some(brokers([2])),
            last_known_elr: Some(brokers([3])),
            ..partition()
        }
        .into(),
    );
}

#[test]
fn a_config_that_was_set() {
    is(
        "01040002076f72646572730d726574656e74696f6e2e6d73053130303000",
        ConfigRecord {
            resource_type: ConfigResourceType::Topic,
            resource_name: "orders".into(),
            name: "retention.ms".into(),
            value: Some("1000".into()),
        }
        .into(),
    );
}

#[test]
fn a_config_that_was_deleted() {
    is(
        "0104000401116c6f672e726574656e74696f6e2e6d730000",
        ConfigRecord {
            resource_type: ConfigResourceType::Broker,
            resource_name: "".into(),
            name: "log.retention.ms".into(),
            value: None,
        }
        .into(),
    );
}

#[test]
fn a_change_of_isr_leader_and_directories() {
    is(
        "0105010000000301020304050607080000000000000009030009030000000100000002010400000002081102010203040506\
     07080000000000000002",
        PartitionChangeRecord {
            isr: Some(brokers([1, 2])),
            leader: Some(BrokerId(2)),
            directories: Some(vec![id(2)]),
            ..PartitionChangeRecord::new(id(9), PartitionIndex(3))
        }
        .into(),
    );
}

#[test]
fn a_partition_that_lost_its_leader() {
    is(
        "0105010000000001020304050607080000000000000009010104ffffffff",
        PartitionChangeRecord { leader: Some(BrokerId::NONE), ..PartitionChangeRecord::new(id(9), PartitionIndex(0)) }
            .into(),
    );
}

#[test]
fn a_change_of_everything() {
    is(
        "0105020000000301020304050607080000000000000009090001010104000000010209030000000100000002030502000000\
     0304050200000004050100060502000000020705020000000308210301020304050607080000000000000002010203040506\
     07080000000000000003",
        PartitionChangeRecord {
            partition: PartitionIndex(3),
            topic_id: id(9),
            isr: Some(vec![]),
            leader: Some(BrokerId(1)),
            replicas: Some(brokers([1, 2])),
            removing_replicas: Some(brokers([3])),
            adding_replicas: Some(brokers([4])),
            leader_recovery_state: Some(LeaderRecoveryState::Recovered),
            eligible_leader_replicas: Some(brokers([2])),
            last_known_elr: Some(brokers([3])),
            directories: Some(vec![id(2), id(3)]),
        }
        .into(),
    );
}

#[test]
fn an_old_kind_of_fencing() {
    is(
        "01070000000001000000000000002a00",
        FenceBrokerRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(42) }.into(),
    );
}

#[test]
fn an_old_kind_of_unfencing() {
    is(
        "01080000000001000000000000002a00",
        UnfenceBrokerRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(42) }.into(),
    );
}

#[test]
fn a_topic_that_was_deleted() {
    is("0109000102030405060708000000000000000900", RemoveTopicRecord { topic_id: id(9) }.into());
}

#[test]
fn a_feature_level() {
    is(
        "010c00116d657461646174612e76657273696f6e001d00",
        FeatureLevelRecord { name: "metadata.version".into(), level: 29 }.into(),
    );
}

#[test]
fn a_block_of_producer_ids() {
    is(
        "010f0000000001000000000000002a0000000000000bb800",
        ProducerIdsRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(42), next_producer_id: ProducerId(3000) }
            .into(),
    );
}

#[test]
fn a_broker_fenced_in_controlled_shutdown() {
    is(
        "01110200000001000000000000002a02000101010101",
        BrokerRegistrationChangeRecord { fenced: Some(true), in_controlled_shutdown: true, ..broker_change() }.into(),
    );
}

#[test]
fn a_broker_unfenced() {
    is(
        "01110200000001000000000000002a010001ff",
        BrokerRegistrationChangeRecord { fenced: Some(false), ..broker_change() }.into(),
    );
}

#[test]
fn a_broker_that_lost_a_directory() {
    is(
        "01110300000001000000000000002a0202110201020304050607080000000000000002031102010203040506070800000000\
     00000002",
        BrokerRegistrationChangeRecord {
            log_dirs: vec![id(2)],
            cordoned_log_dirs: Some(vec![id(2)]),
            ..broker_change()
        }
        .into(),
    );
}

#[test]
fn nothing() {
    is("01140000", NoOpRecord.into());
}

#[test]
fn the_cluster_id_has_a_type_number_of_weirs_own() {
    // Frame 1, type 20000 as a variable-length integer, version 0, a compact string, no tags.
    is("01a09c010003414200", ClusterIdRecord { cluster_id: "AB".into() }.into());
}

#[test]
fn a_change_is_a_count_and_records_with_their_lengths() {
    let change = [MetadataRecord::NoOp(NoOpRecord), RemoveTopicRecord { topic_id: id(9) }.into()];
    let encoded = encode_change(&change).unwrap();
    assert_eq!(encoded, bytes("020401140000140109000102030405060708000000000000000900").as_slice());
    assert_eq!(decode_change(&encoded), Ok(change.to_vec()));
    assert_eq!(decode_change(&encode_change(&[]).unwrap()), Ok(vec![]));
}

/// One record of every kind, for the tests of hostile bytes.
pub(crate) fn every_kind() -> Vec<MetadataRecord> {
    let broker = BrokerId(1);
    let broker_epoch = BrokerEpoch(42);
    vec![
        RegisterBrokerRecord { cordoned_log_dirs: Some(vec![id(3)]), ..registration() }.into(),
        UnregisterBrokerRecord { broker, broker_epoch }.into(),
        TopicRecord { name: "orders".into(), topic_id: id(9) }.into(),
        PartitionRecord { last_known_elr: Some(brokers([3])), ..partition() }.into(),
        ConfigRecord {
            resource_type: ConfigResourceType::Topic,
            resource_name: "orders".into(),
            name: "retention.ms".into(),
            value: Some("1000".into()),
        }
        .into(),
        PartitionChangeRecord {
            isr: Some(brokers([1, 2])),
            leader: Some(BrokerId(2)),
            directories: Some(vec![id(2)]),
            ..PartitionChangeRecord::new(id(9), PartitionIndex(3))
        }
        .into(),
        FenceBrokerRecord { broker, broker_epoch }.into(),
        UnfenceBrokerRecord { broker, broker_epoch }.into(),
        RemoveTopicRecord { topic_id: id(9) }.into(),
        FeatureLevelRecord { name: "metadata.version".into(), level: 29 }.into(),
        ProducerIdsRecord { broker, broker_epoch, next_producer_id: ProducerId(3000) }.into(),
        BrokerRegistrationChangeRecord { fenced: Some(true), log_dirs: vec![id(2)], ..broker_change() }.into(),
        NoOpRecord.into(),
        ClusterIdRecord { cluster_id: "AB".into() }.into(),
    ]
}
