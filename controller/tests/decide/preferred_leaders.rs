//! Which leaderships return.

use weir_controller::decide::returnable_leaderships;
use weir_controller::record::PartitionChangeRecord;
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

use crate::cluster::{Cluster, ORDERS, brokers};

/// Three partitions that prefer broker 1 and are led by 2; all are in sync.
fn led_by_another() -> Cluster {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2], &[1, 2], &[1, 2]]);
    for index in 0..3 {
        cluster.apply(PartitionChangeRecord {
            leader: Some(BrokerId(2)),
            ..PartitionChangeRecord::new(ORDERS, PartitionIndex(index))
        });
    }
    cluster
}

fn indexes(cluster: &Cluster, limit: usize) -> Vec<i32> {
    let returnable = returnable_leaderships(&cluster.image, limit);
    assert!(returnable.iter().all(|partition: &TopicPartition| &*partition.topic == "orders"));
    returnable.iter().map(|partition| partition.partition.get()).collect()
}

#[test]
fn leaderships_return_some_at_a_time() {
    let cluster = led_by_another();
    assert_eq!((indexes(&cluster, 2), indexes(&cluster, 10)), (vec![0, 1], vec![0, 1, 2]));
}

#[test]
fn a_leadership_returns_only_to_a_replica_that_is_in_sync_and_serves() {
    let mut cluster = led_by_another();
    cluster.apply(PartitionChangeRecord {
        isr: Some(brokers(&[2])),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(1))
    });
    assert_eq!(indexes(&cluster, 10), [0, 2]);
    assert!(indexes(&cluster.fence(1), 10).is_empty());
}

#[test]
fn what_is_led_by_the_preferred_replica_or_by_nobody_stays_so() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2], &[1, 2]]);
    cluster.apply(PartitionChangeRecord {
        leader: Some(BrokerId::NONE),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(1))
    });
    assert!(indexes(&cluster, 10).is_empty());
}
