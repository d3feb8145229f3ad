//! Records to replay: literal ones for the rules, random ones for the properties.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;
use weir_controller::image::MetadataImage;
use weir_controller::record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ClusterIdRecord, ConfigRecord, ConfigResourceType,
    FeatureLevelRecord, FenceBrokerRecord, LeaderRecoveryState, MetadataRecord, NoOpRecord, PartitionChangeRecord,
    PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId};

pub(crate) fn id(low: u64) -> Uuid {
    Uuid::from_u64_pair(0xfeed, low)
}

pub(crate) fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

pub(crate) fn register(broker: i32, epoch: i64) -> MetadataRecord {
    RegisterBrokerRecord {
        broker: BrokerId(broker),
        is_migrating_zk_broker: false,
        incarnation_id: id(epoch as u64),
        broker_epoch: BrokerEpoch(epoch),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_level: 1,
            max_supported_level: 29,
        }],
        rack: (broker % 2 == 0).then(|| "zone".into()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![id(100 + broker as u64)],
        cordoned_log_dirs: None,
    }
    .into()
}

pub(crate) fn topic(name: &str, topic: u64) -> MetadataRecord {
    TopicRecord { name: name.into(), topic_id: id(topic) }.into()
}

pub(crate) fn partition(topic: u64, partition: i32, replicas: &[i32]) -> MetadataRecord {
    PartitionRecord {
        partition: PartitionIndex(partition),
        topic_id: id(topic),
        replicas: brokers(replicas),
        isr: brokers(replicas),
        removing_replicas: vec![],
        adding_replicas: vec![],
        leader: BrokerId(replicas[0]),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories: replicas.iter().map(|replica| id(100 + *replica as u64)).collect(),
        leader_recovery_state: LeaderRecoveryState::Recovered,
        eligible_leader_replicas: None,
        last_known_elr: None,
    }
    .into()
}

pub(crate) fn change(topic: u64, partition: i32) -> PartitionChangeRecord {
    PartitionChangeRecord::new(id(topic), PartitionIndex(partition))
}

pub(crate) fn config(
    resource_type: ConfigResourceType,
    resource: &str,
    name: &str,
    value: Option<&str>,
) -> MetadataRecord {
    ConfigRecord { resource_type, resource_name: resource.into(), name: name.into(), value: value.map(Into::into) }
        .into()
}

pub(crate) fn remove(topic: u64) -> MetadataRecord {
    RemoveTopicRecord { topic_id: id(topic) }.into()
}

pub(crate) fn replay(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::default();
    for record in records {
        image.apply(record).unwrap_or_else(|error| panic!("{error}: {record:?}"));
    }
    image
}

const NAMES: [&str; 6] = ["a", "b.c", "b_c", "b-c", "__d", "e_f.g"];

/// Any record over few names and ids, so that many of them meet; not all apply.
pub(crate) fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let topic_id = 0..12u64;
    let ids = || prop::collection::vec((0..4i32).prop_map(BrokerId), 0..4);
    let changed_ids = move || prop::option::of(ids());
    prop_oneof![
        1 => (0..4i32, 1..4i64).prop_map(|(broker, epoch)| register(broker, epoch)),
        1 => (0..4i32, 1..4i64, prop::option::of(any::<bool>()), any::<bool>()).prop_map(|(broker, epoch, fenced, stop)| {
            BrokerRegistrationChangeRecord {
                fenced,
                in_controlled_shutdown: stop,
                cordoned_log_dirs: stop.then(|| vec![id(3)]),
                ..BrokerRegistrationChangeRecord::new(BrokerId(broker), BrokerEpoch(epoch))
            }
            .into()
        }),
        1 => (0..4i32, 1..4i64).prop_map(|(broker, epoch)| {
            FenceBrokerRecord { broker: BrokerId(broker), broker_epoch: BrokerEpoch(epoch) }.into()
        }),
        1 => (0..4i32, 1..4i64).prop_map(|(broker, epoch)| {
            UnregisterBrokerRecord { broker: BrokerId(broker), broker_epoch: BrokerEpoch(epoch) }.into()
        }),
        4 => (prop::sample::select(&NAMES[..]), topic_id.clone()).prop_map(|(name, topic_id)| topic(name, topic_id)),
        4 => (topic_id.clone(), 0..3i32, prop::sample::subsequence(vec![0, 1, 2, 3], 1..4), changed_ids(), any::<bool>())
            .prop_map(|(topic_id, index, replicas, elr, recovering)| {
                let MetadataRecord::Partition(mut record) = partition(topic_id, index, &replicas) else { unreachable!() };
                record.eligible_leader_replicas = elr.filter(|elr| !elr.is_empty());
                if recovering {
                    record.leader_recovery_state = LeaderRecoveryState::Recovering;
                    record.adding_replicas = brokers(&[9]);
                }
                record.into()
            }),
        4 => (topic_id.clone(), 0..3i32, changed_ids(), prop::option::of(-1..4i32), changed_ids(), changed_ids())
            .prop_map(|(topic_id, index, isr, leader, replicas, lost)| {
                let leader = leader.map(BrokerId);
                PartitionChangeRecord { isr, leader, replicas, last_known_elr: lost, ..change(topic_id, index) }.into()
            }),
        1 => topic_id.prop_map(remove),
        3 => (
            prop::sample::select(vec![
                ConfigResourceType::Topic,
                ConfigResourceType::Broker,
                ConfigResourceType::Group,
                ConfigResourceType::ClientMetrics,
                ConfigResourceType::BrokerLogger,
            ]),
            prop::sample::select(&NAMES[..]),
            prop::sample::select(vec!["x", "y"]),
            prop::option::of(prop::sample::select(vec!["", "1", "2"])),
        )
            .prop_map(|(kind, resource, name, value)| config(kind, resource, name, value)),
        1 => (prop::sample::select(vec!["metadata.version", "group.version"]), 0..3i16)
            .prop_map(|(name, level)| FeatureLevelRecord { name: name.into(), level }.into()),
        1 => (0..5i64).prop_map(|block| {
            let next_producer_id = ProducerId(block * 1000);
            ProducerIdsRecord { broker: BrokerId(0), broker_epoch: BrokerEpoch(1), next_producer_id }.into()
        }),
        1 => prop::sample::select(vec!["A", "B"]).prop_map(|cluster_id| ClusterIdRecord { cluster_id: cluster_id.into() }.into()),
        1 => Just(NoOpRecord.into()),
    ]
}

/// Records that apply one after the other: the random ones without those that do not, and without topics whose ids were
/// used before, which no decision gives.
pub(crate) fn history() -> impl Strategy<Value = Vec<MetadataRecord>> {
    prop::collection::vec(any_record(), 0..150).prop_map(|records| {
        let mut image = MetadataImage::default();
        let mut used = BTreeSet::new();
        let mut applies = |record: &MetadataRecord| match record {
            MetadataRecord::Topic(topic) if used.contains(&topic.topic_id) => false,
            MetadataRecord::Topic(topic) => image.apply(record).is_ok() && used.insert(topic.topic_id),
            _ => image.apply(record).is_ok(),
        };
        records.into_iter().filter(|record| applies(record)).collect()
    })
}
