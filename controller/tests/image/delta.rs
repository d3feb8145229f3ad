//! Deltas: what changed, noted during replay or found between two images.

use proptest::prelude::*;
use weir_controller::image::{ConfigResource, MetadataDelta, MetadataImage, TopicChange};
use weir_controller::record::{ConfigResourceType, MetadataRecord, PartitionChangeRecord};
use weir_protocol::ids::{BrokerId, PartitionIndex};

use crate::generate::{change, config, history, id, partition, register, remove, replay, topic};

fn delta(before: &MetadataImage, records: &[MetadataRecord]) -> (MetadataDelta, MetadataImage) {
    let mut image = before.clone();
    let mut delta = MetadataDelta::default();
    for record in records {
        delta.apply(&mut image, record).unwrap();
    }
    (delta, image)
}

#[test]
fn a_new_topic_is_created_with_its_partitions() {
    let (delta, _) = delta(&MetadataImage::default(), &[topic("a", 1), partition(1, 0, &[1]), partition(1, 1, &[1])]);
    let created = &delta.topics[&id(1)];
    assert_eq!((&*created.name, &created.change), ("a", &TopicChange::Created));
    assert_eq!(created.partitions.len(), 2);
    assert!(delta.changed_partitions().all(|(_, _, _, before)| before.is_none()));
}

#[test]
fn a_changed_partition_remembers_what_it_was_before_the_first_change() {
    let before = replay(&[topic("a", 1), partition(1, 0, &[1, 2]), partition(1, 1, &[1, 2])]);
    let leader = |leader| PartitionChangeRecord { leader: Some(BrokerId(leader)), ..change(1, 1) }.into();
    let (delta, after) = delta(&before, &[leader(2), leader(1)]);
    assert_eq!(delta.topics[&id(1)].change, TopicChange::Changed);
    let changed: Vec<_> = delta.changed_partitions().collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].2, PartitionIndex(1));
    assert_eq!(changed[0].3, before.partition(id(1), PartitionIndex(1)));
    assert_eq!(after.partition(id(1), PartitionIndex(1)).unwrap().leader_epoch.get(), 2);
}

#[test]
fn a_deleted_topic_is_what_it_was_before_the_delta() {
    let records = [topic("a", 1), partition(1, 0, &[1])];
    let before = replay(&records);
    let leaderless = PartitionChangeRecord { leader: Some(BrokerId::NONE), ..change(1, 0) };
    let set = config(ConfigResourceType::Topic, "a", "x", Some("1"));
    let (delta, _) = delta(&before, &[set, leaderless.into(), partition(1, 1, &[1]), remove(1)]);
    assert_eq!(delta.deleted_topics().collect::<Vec<_>>(), [before.topic(id(1)).unwrap()]);
    assert_eq!(delta.configs.iter().collect::<Vec<_>>(), [&ConfigResource::topic("a")]);
}

#[test]
fn a_topic_that_came_and_went_is_not_in_the_delta() {
    let records = [topic("a", 1), partition(1, 0, &[1]), remove(1)];
    assert!(delta(&MetadataImage::default(), &records).0.is_empty());
}

#[test]
fn a_topic_that_is_created_again_is_two_entries() {
    let before = replay(&[topic("a", 1)]);
    let (delta, _) = delta(&before, &[remove(1), topic("a", 2)]);
    assert_eq!(delta.topics[&id(2)].change, TopicChange::Created);
    assert_eq!(delta.deleted_topics().count(), 1);
}

#[test]
fn configs_and_brokers_are_named() {
    let (delta, _) =
        delta(&MetadataImage::default(), &[register(3, 1), config(ConfigResourceType::Broker, "3", "x", Some("1"))]);
    assert_eq!(delta.brokers.iter().collect::<Vec<_>>(), [&BrokerId(3)]);
    assert_eq!(delta.configs.iter().collect::<Vec<_>>(), [&ConfigResource::broker(BrokerId(3))]);
}

proptest! {
    #[test]
    fn what_differs_between_two_images_was_noted(history in history(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(history.len() + 1);
        let before = replay(&history[..cut]);
        let (noted, after) = delta(&before, &history[cut..]);
        prop_assert_eq!(&after, &replay(&history));
        let found = MetadataDelta::between(&before, &after);
        prop_assert_eq!(found.is_empty(), before == after);
        for (id, topic) in &found.topics {
            let noted = &noted.topics[id];
            prop_assert_eq!(&noted.change, &topic.change);
            for (index, partition) in &topic.partitions {
                prop_assert_eq!(&noted.partitions[index], partition);
            }
        }
        prop_assert!(noted.deleted_topics().eq(found.deleted_topics()));
        prop_assert!(found.brokers.is_subset(&noted.brokers));
        prop_assert!(!found.features_changed || noted.features_changed);
        prop_assert!(!found.producer_ids_changed || noted.producer_ids_changed);
        prop_assert!(found.configs.is_subset(&noted.configs));
    }
}
