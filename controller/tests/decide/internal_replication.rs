//! Which partitions of internal topics get more replicas.

use std::collections::BTreeMap;

use weir_controller::decide::{PartitionReassignment, internal_replication_raises};
use weir_controller::record::{BrokerRegistrationChangeRecord, PartitionChangeRecord};
use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, brokers, directory, registration};

const OFFSETS: &str = "__consumer_offsets";
const NO_LIMIT: usize = 100;

fn raises(cluster: &Cluster, replication: i16, in_progress: usize) -> Vec<PartitionReassignment> {
    internal_replication_raises(&cluster.image, &BTreeMap::from([(OFFSETS.into(), replication)]), in_progress)
}

fn replicas(raises: &[PartitionReassignment]) -> Vec<Vec<i32>> {
    let ids = |raise: &PartitionReassignment| raise.replicas.iter().flatten().map(|id| id.get()).collect();
    raises.iter().map(ids).collect()
}

/// Three partitions on the first node of a cluster, which others have joined.
fn made_by_one(ids: &[i32]) -> Cluster {
    Cluster::of(ids).with_topic(OFFSETS, ORDERS, &[&[1], &[1], &[1]])
}

#[test]
fn one_node_keeps_what_it_has() {
    assert!(raises(&made_by_one(&[1]), 3, NO_LIMIT).is_empty());
}

#[test]
fn a_topic_gets_as_many_replicas_as_there_are_brokers_until_it_has_what_is_wanted() {
    assert!(replicas(&raises(&made_by_one(&[1, 2]), 3, NO_LIMIT)).iter().all(|replicas| replicas.len() == 2));
    assert!(replicas(&raises(&made_by_one(&[1, 2, 3, 4]), 3, NO_LIMIT)).iter().all(|replicas| replicas.len() == 3));
    assert!(raises(&made_by_one(&[1, 2, 3]), 1, NO_LIMIT).is_empty());
}

#[test]
fn replicas_are_only_added_and_the_preferred_leaders_are_spread() {
    let raised = replicas(&raises(&made_by_one(&[1, 2, 3]), 3, NO_LIMIT));
    assert!(raised.iter().all(|replicas| replicas.contains(&1)));
    let mut leaders: Vec<i32> = raised.iter().map(|replicas| replicas[0]).collect();
    leaders.sort_unstable();
    assert_eq!(leaders, [1, 2, 3]);
}

#[test]
fn a_zone_without_a_replica_comes_first() {
    let mut cluster = Cluster::of(&[]);
    for (id, rack) in [(1, "a"), (2, "a"), (3, "b")] {
        cluster.apply(registration(id, Some(rack), false));
    }
    let cluster = cluster.with_topic(OFFSETS, ORDERS, &[&[1]]);
    let mut raised = replicas(&raises(&cluster, 2, NO_LIMIT));
    raised[0].sort_unstable();
    assert_eq!(raised, [[1, 3]]);
}

#[test]
fn a_broker_that_does_not_serve_or_is_cordoned_gets_nothing() {
    assert!(raises(&made_by_one(&[1, 2]).fence(2), 3, NO_LIMIT).is_empty());
    let mut cordoned = made_by_one(&[1, 2]);
    cordoned.apply(BrokerRegistrationChangeRecord {
        cordoned_log_dirs: Some(vec![directory(2)]),
        ..BrokerRegistrationChangeRecord::new(BrokerId(2), BrokerEpoch(20))
    });
    assert!(raises(&cordoned, 3, NO_LIMIT).is_empty());
}

#[test]
fn few_partitions_move_at_a_time_and_none_twice() {
    let mut cluster = made_by_one(&[1, 2]);
    assert_eq!(raises(&cluster, 2, 2).len(), 2);
    cluster.apply(PartitionChangeRecord {
        replicas: Some(brokers(&[1, 2])),
        adding_replicas: Some(brokers(&[2])),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    let raised = raises(&cluster, 2, 2);
    assert_eq!(raised.iter().map(|raise| raise.partition.partition).collect::<Vec<_>>(), [PartitionIndex(1)]);
}

#[test]
fn a_partition_without_a_leader_has_nobody_to_copy_from() {
    let mut cluster = made_by_one(&[1, 2]);
    for index in 0..3 {
        let change = PartitionChangeRecord::new(ORDERS, PartitionIndex(index));
        cluster.apply(PartitionChangeRecord { leader: Some(BrokerId::NONE), ..change });
    }
    assert!(raises(&cluster, 2, NO_LIMIT).is_empty());
}

#[test]
fn topics_of_users_are_left_alone() {
    let cluster = Cluster::of(&[1, 2, 3]).with_topic("orders", ORDERS, &[&[1]]);
    assert!(raises(&cluster, 3, NO_LIMIT).is_empty());
}
