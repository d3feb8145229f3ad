//! How much memory an image takes. Alone in its process, for it reads the process's resident memory.

use uuid::Uuid;
use weir_controller::image::MetadataImage;
use weir_controller::record::{LeaderRecoveryState, PartitionRecord, TopicRecord};
use weir_protocol::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells resident memory");
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A topic's name, id and partitions, of three replicas each.
fn add_topic(image: &mut MetadataImage, number: u32, partitions: i32) {
    let topic_id = Uuid::from_u128(0x9e37_79b9_7f4a_7c15_u128.wrapping_mul(u128::from(number) + 1) << 32);
    image.apply(&TopicRecord { name: format!("topic-{number:07}").into(), topic_id }.into()).unwrap();
    let replicas: Vec<_> = [1, 2, 3].map(BrokerId).into();
    for partition in 0..partitions {
        let record = PartitionRecord {
            partition: PartitionIndex(partition),
            topic_id,
            replicas: replicas.clone(),
            isr: replicas.clone(),
            removing_replicas: vec![],
            adding_replicas: vec![],
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            directories: vec![topic_id; 3],
            leader_recovery_state: LeaderRecoveryState::Recovered,
            eligible_leader_replicas: None,
            last_known_elr: None,
        };
        image.apply(&record.into()).unwrap();
    }
}

#[test]
fn a_million_partitions_fit_in_two_gigabytes() {
    const PARTITIONS: usize = 100_000;
    const LIMIT_BYTES: usize = 2_000_000_000 / 1_000_000;
    // The images stay, for memory that one gives back would hide what the next takes.
    let mut images = Vec::new();
    for partitions_per_topic in [1, 100] {
        let mut image = MetadataImage::default();
        let before = resident_bytes();
        for topic in 0..(PARTITIONS / partitions_per_topic) as u32 {
            add_topic(&mut image, topic, partitions_per_topic as i32);
        }
        let bytes = resident_bytes().saturating_sub(before) / PARTITIONS;
        println!("{bytes} bytes a partition in topics of {partitions_per_topic}");
        assert!(bytes <= LIMIT_BYTES, "{bytes} bytes a partition in topics of {partitions_per_topic}");
        assert_eq!(image.topic_count(), PARTITIONS / partitions_per_topic);
        images.push(image);
    }
}
