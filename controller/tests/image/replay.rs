//! Replay: what each record does, and which it refuses.

use proptest::prelude::*;
use weir_controller::image::{ConfigResource, MetadataImage, ReplayError};
use weir_controller::record::{
    BrokerRegistrationChangeRecord, ClusterIdRecord, ConfigResourceType, FeatureLevelRecord, MetadataRecord,
    PartitionChangeRecord, ProducerIdsRecord, UnregisterBrokerRecord,
};
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId};

use crate::generate::{any_record, brokers, change, config, id, partition, register, remove, replay, topic};

fn refuses(image: &MetadataImage, record: MetadataRecord, expected: ReplayError) {
    let mut changed = image.clone();
    assert_eq!(changed.apply(&record), Err(expected));
    assert_eq!(changed, *image);
}

#[test]
fn a_topic_is_found_by_name_and_by_id_until_it_is_removed() {
    let mut image = replay(&[topic("orders", 1), partition(1, 0, &[1]), partition(1, 1, &[2])]);
    assert_eq!(image.topic_id("orders"), Some(id(1)));
    assert_eq!(image.topic_by_name("orders"), image.topic(id(1)));
    assert_eq!(image.topic(id(1)).unwrap().partition_count(), 2);
    assert_eq!(image.partition_by_name("orders", PartitionIndex(1)).unwrap().leader, BrokerId(2));
    assert!(image.partition(id(1), PartitionIndex(2)).is_none());
    assert!(image.partition(id(1), PartitionIndex(-1)).is_none());
    image.apply(&remove(1)).unwrap();
    assert_eq!(image, MetadataImage::default());
}

#[test]
fn topics_come_in_the_order_of_their_names() {
    let image = replay(&[topic("b", 1), topic("a", 2), topic("c", 3)]);
    assert_eq!(image.topics().map(|topic| &*topic.name).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(image.topics_from("b").map(|topic| &*topic.name).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(image.topic_count(), 3);
}

#[test]
fn names_that_metrics_confuse_are_found() {
    let mut image = replay(&[topic("a.b_c", 1), topic("plain", 2)]);
    assert_eq!(image.colliding_topic("a_b.c").map(|name| &**name), Some("a.b_c"));
    assert_eq!(image.colliding_topic("a-b-c"), None);
    assert_eq!(image.colliding_topic("plain"), None);
    image.apply(&remove(1)).unwrap();
    assert_eq!(image.colliding_topic("a_b.c"), None);
}

#[test]
fn every_change_moves_the_partition_epoch_and_a_named_leader_the_leader_epoch() {
    let mut image = replay(&[topic("orders", 1), partition(1, 0, &[1, 2, 3])]);
    image.apply(&PartitionChangeRecord { isr: Some(brokers(&[1, 2])), ..change(1, 0) }.into()).unwrap();
    let now = image.partition(id(1), PartitionIndex(0)).unwrap();
    assert_eq!((now.leader_epoch, now.partition_epoch), (LeaderEpoch(0), PartitionEpoch(1)));
    assert_eq!(*now.isr, brokers(&[1, 2]));
    assert_eq!(*now.replicas, brokers(&[1, 2, 3]));
    // Even the leader there was.
    image.apply(&PartitionChangeRecord { leader: Some(BrokerId(1)), ..change(1, 0) }.into()).unwrap();
    let now = image.partition(id(1), PartitionIndex(0)).unwrap();
    assert_eq!((now.leader_epoch, now.partition_epoch), (LeaderEpoch(1), PartitionEpoch(2)));
}

#[test]
fn a_clone_does_not_see_later_changes() {
    let before = replay(&[topic("orders", 1), partition(1, 0, &[1, 2])]);
    let mut after = before.clone();
    after.apply(&PartitionChangeRecord { leader: Some(BrokerId(2)), ..change(1, 0) }.into()).unwrap();
    after.apply(&topic("other", 2)).unwrap();
    assert_eq!(before, replay(&[topic("orders", 1), partition(1, 0, &[1, 2])]));
    assert_eq!(after.partition(id(1), PartitionIndex(0)).unwrap().leader, BrokerId(2));
}

#[test]
fn configs_are_set_overwritten_and_deleted_and_die_with_their_topic() {
    use ConfigResourceType::{Broker, Topic};
    let mut image = replay(&[
        topic("orders", 1),
        config(Topic, "orders", "retention.ms", Some("1")),
        config(Topic, "orders", "retention.ms", Some("2")),
        config(Topic, "orders", "segment.ms", Some("3")),
        config(Broker, "", "log.retention.ms", Some("4")),
    ]);
    image.apply(&config(Topic, "orders", "segment.ms", None)).unwrap();
    let configs = image.topic_configs("orders").unwrap();
    assert_eq!(configs.iter().map(|(key, value)| (&**key, &**value)).collect::<Vec<_>>(), [("retention.ms", "2")]);
    assert!(image.configs(&ConfigResource::default_broker()).unwrap().contains_key("log.retention.ms"));
    image.apply(&remove(1)).unwrap();
    assert_eq!(image.topic_configs("orders"), None);
    assert_eq!(image.configured(Broker).count(), 1);
}

#[test]
fn a_registration_replaces_the_one_before_it() {
    let mut image = replay(&[register(1, 5)]);
    let unfence = BrokerRegistrationChangeRecord {
        fenced: Some(false),
        ..BrokerRegistrationChangeRecord::new(BrokerId(1), BrokerEpoch(5))
    };
    image.apply(&unfence.clone().into()).unwrap();
    assert!(image.is_active(BrokerId(1)));
    image.apply(&register(1, 9)).unwrap();
    assert!(!image.is_active(BrokerId(1)));
    let stale = ReplayError::StaleBrokerEpoch {
        record: "BrokerRegistrationChangeRecord",
        broker: BrokerId(1),
        expected: BrokerEpoch(9),
        found: BrokerEpoch(5),
    };
    refuses(&image, unfence.into(), stale);
    image.apply(&UnregisterBrokerRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(9) }.into()).unwrap();
    assert_eq!(image.broker_count(), 0);
}

#[test]
fn a_level_of_nought_turns_a_feature_off() {
    let level = |level| MetadataRecord::from(FeatureLevelRecord { name: "group.version".into(), level });
    let mut image = replay(&[level(1)]);
    assert_eq!(image.feature_level("group.version"), 1);
    image.apply(&level(0)).unwrap();
    assert_eq!(image, MetadataImage::default());
}

#[test]
fn records_that_contradict_the_image_are_refused_by_name() {
    let image = replay(&[
        ClusterIdRecord { cluster_id: "A".into() }.into(),
        topic("orders", 1),
        partition(1, 0, &[1]),
        ProducerIdsRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(1), next_producer_id: ProducerId(2000) }
            .into(),
    ]);
    let topic_id = id(1);
    refuses(
        &image,
        ClusterIdRecord { cluster_id: "B".into() }.into(),
        ReplayError::OtherCluster { expected: "A".into(), found: "B".into() },
    );
    refuses(
        &image,
        topic("orders", 2),
        ReplayError::DuplicateTopicName { name: "orders".into(), topic_id: id(2), existing: topic_id },
    );
    refuses(
        &image,
        topic("other", 1),
        ReplayError::DuplicateTopicId { name: "other".into(), topic_id, existing: "orders".into() },
    );
    refuses(
        &image,
        partition(1, 2, &[1]),
        ReplayError::PartitionGap { topic_id, partition: PartitionIndex(2), count: 1 },
    );
    refuses(&image, partition(7, 0, &[1]), ReplayError::UnknownTopic { record: "PartitionRecord", topic_id: id(7) });
    refuses(&image, change(1, 1).into(), ReplayError::UnknownPartition { topic_id, partition: PartitionIndex(1) });
    refuses(&image, remove(7), ReplayError::UnknownTopic { record: "RemoveTopicRecord", topic_id: id(7) });
    refuses(
        &image,
        PartitionChangeRecord { directories: Some(vec![id(1), id(2)]), ..change(1, 0) }.into(),
        ReplayError::DirectoryCount {
            record: "PartitionChangeRecord",
            topic_id,
            partition: PartitionIndex(0),
            directories: 2,
            replicas: 1,
        },
    );
    refuses(
        &image,
        BrokerRegistrationChangeRecord::new(BrokerId(3), BrokerEpoch(1)).into(),
        ReplayError::UnknownBroker { record: "BrokerRegistrationChangeRecord", broker: BrokerId(3) },
    );
    refuses(
        &image,
        ProducerIdsRecord { broker: BrokerId(1), broker_epoch: BrokerEpoch(1), next_producer_id: ProducerId(1000) }
            .into(),
        ReplayError::ProducerIdsRegressed { expected: ProducerId(2000), found: ProducerId(1000) },
    );
    refuses(
        &image,
        config(ConfigResourceType::BrokerLogger, "1", "kafka", Some("DEBUG")),
        ReplayError::UnstoredConfig { resource_type: 8 },
    );
}

proptest! {
    #[test]
    fn a_record_applies_whole_or_not_at_all(records in prop::collection::vec(any_record(), 0..150)) {
        let mut image = MetadataImage::default();
        for record in &records {
            let before = image.clone();
            if image.apply(record).is_err() {
                prop_assert_eq!(&image, &before);
            }
        }
    }
}
