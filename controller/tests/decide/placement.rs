//! Placement, seen through CreateTopics.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use weir_controller::decide::{CreateTopicsRequest, NewTopic};
use weir_controller::record::{MetadataRecord, PartitionRecord, RegisterBrokerRecord};

use crate::cluster::{Cluster, decided, directory, registration};

/// Brokers by zone, and the zones' fenced ones.
fn zones(brokers: &[(i32, &str, bool)]) -> Cluster {
    let mut cluster = Cluster::of(&[]);
    for (id, zone, fenced) in brokers {
        cluster.apply(registration(*id, Some(zone), *fenced));
    }
    cluster
}

fn place(mut cluster: Cluster, seed: u64, num_partitions: i32, replication_factor: i16) -> Vec<PartitionRecord> {
    cluster.seed = seed;
    let topic = NewTopic { name: "t".into(), num_partitions, replication_factor, assignments: vec![], configs: vec![] };
    let (records, response) =
        decided!(cluster, CreateTopics(CreateTopicsRequest { topics: vec![topic], validate_only: false }));
    response.topics[0].outcome.as_ref().unwrap();
    let partitions = records.into_iter().filter_map(|record| match record {
        MetadataRecord::Partition(partition) => Some(partition),
        _ => None,
    });
    partitions.collect()
}

const THREE_ZONES: &[(i32, &str, bool)] =
    &[(1, "a", false), (2, "a", false), (3, "b", false), (4, "b", false), (5, "c", false), (6, "c", false)];

fn zone(broker: i32) -> i32 {
    (broker - 1) / 2
}

#[test]
fn leaders_are_spread_evenly_over_zones_and_brokers() {
    for seed in 0..20 {
        let mut leads: BTreeMap<i32, usize> = BTreeMap::new();
        for partition in place(zones(THREE_ZONES), seed, 60, 3) {
            *leads.entry(partition.leader.get()).or_default() += 1;
        }
        assert_eq!(leads.len(), 6, "seed {seed}: {leads:?}");
        let least_and_most = (leads.values().min().unwrap(), leads.values().max().unwrap());
        assert!(*least_and_most.0 >= 5 && *least_and_most.1 <= 15, "seed {seed}: {leads:?}");
    }
}

#[test]
fn every_broker_holds_nearly_the_same_number_of_replicas() {
    for seed in 0..20 {
        let mut held: BTreeMap<i32, usize> = BTreeMap::new();
        for partition in place(zones(THREE_ZONES), seed, 600, 3) {
            for replica in partition.replicas {
                *held.entry(replica.get()).or_default() += 1;
            }
        }
        assert!(held.values().all(|count| (270..=330).contains(count)), "seed {seed}: {held:?}");
    }
}

#[test]
fn a_fenced_broker_never_leads_and_stands_in_for_its_zone_alone() {
    let cluster = zones(&[(1, "a", false), (2, "b", true), (3, "c", false), (4, "c", true)]);
    for partition in place(cluster, 3, 30, 3) {
        assert!([1, 3].contains(&partition.leader.get()));
        let replicas: BTreeSet<_> = partition.replicas.iter().map(|replica| replica.get()).collect();
        assert_eq!(replicas, BTreeSet::from([1, 2, 3]));
    }
}

#[test]
fn the_directories_of_a_broker_take_turns() {
    let mut cluster = Cluster::of(&[]);
    let log_dirs = vec![directory(1), directory(2), directory(3)];
    cluster.apply(RegisterBrokerRecord { log_dirs, ..registration(1, None, false) });
    let mut replicas: BTreeMap<_, usize> = BTreeMap::new();
    for partition in place(cluster, 1, 30, 1) {
        *replicas.entry(partition.directories[0]).or_default() += 1;
    }
    assert_eq!(replicas.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn cordoned_directories_and_brokers_take_no_replicas() {
    let mut cluster = Cluster::of(&[]);
    let cordon = |broker: i32, log_dirs: Vec<_>, cordoned| RegisterBrokerRecord {
        log_dirs,
        cordoned_log_dirs: Some(cordoned),
        ..registration(broker, None, false)
    };
    cluster.apply(cordon(1, vec![directory(1), directory(9)], vec![directory(9)]));
    cluster.apply(cordon(2, vec![directory(2)], vec![directory(2)]));
    for partition in place(cluster, 1, 10, 1) {
        assert_eq!((partition.leader.get(), &partition.directories[..]), (1, &[directory(1)][..]));
    }
}

#[test]
fn the_seed_decides_where_it_starts() {
    let leaders: BTreeSet<_> = (0..50).map(|seed| place(zones(THREE_ZONES), seed, 1, 1)[0].leader.get()).collect();
    assert_eq!(leaders.len(), 6);
    assert_eq!(place(zones(THREE_ZONES), 7, 20, 3), place(zones(THREE_ZONES), 7, 20, 3));
}

proptest! {
    #[test]
    fn replicas_are_distinct_and_zones_fill_evenly(seed in any::<u64>(), factor in 1..=6i16, partitions in 1..40i32) {
        for partition in place(zones(THREE_ZONES), seed, partitions, factor) {
            let distinct: BTreeSet<_> = partition.replicas.iter().collect();
            prop_assert_eq!(distinct.len(), factor as usize);
            let mut zones = [0; 3];
            for replica in &partition.replicas {
                zones[zone(replica.get()) as usize] += 1;
            }
            prop_assert!(zones.iter().max().unwrap() - zones.iter().min().unwrap() <= 1, "{:?}", zones);
            prop_assert_eq!(partition.leader, partition.replicas[0]);
            prop_assert_eq!(partition.directories.len(), partition.replicas.len());
        }
    }
}
