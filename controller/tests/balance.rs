//! Plans: a cluster's load, a wish, and the steps that come of it.

use std::collections::{BTreeMap, BTreeSet};

use weir_controller::balance::{BrokerCapacity, ClusterLoad, PartitionLoad, Plan, Reason, Resource, Wish, plan};
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// Brokers by their ids, each in the zone named.
fn cluster(brokers: &[(i32, &str)]) -> ClusterLoad {
    let broker = |&(id, rack): &(i32, &str)| {
        (BrokerId(id), BrokerCapacity { rack: Some(rack.into()), takes_replicas: true, free_bytes: None })
    };
    ClusterLoad { brokers: brokers.iter().map(broker).collect(), partitions: Vec::new() }
}

fn with(mut load: ClusterLoad, count: i32, replicas: &[i32], size_bytes: u64, write_bytes_per_s: u64) -> ClusterLoad {
    for _ in 0..count {
        let index = PartitionIndex(load.partitions.len() as i32);
        load.partitions.push(PartitionLoad {
            partition: TopicPartition::new("orders", index),
            replicas: ids(replicas),
            size_bytes,
            write_bytes_per_s,
            is_moving: false,
        });
    }
    load
}

fn level() -> Wish {
    Wish { drained: BTreeSet::new(), is_levelled: true }
}

fn drain(broker: i32) -> Wish {
    Wish { drained: BTreeSet::from([BrokerId(broker)]), is_levelled: false }
}

/// The cluster once the plan has been carried out.
fn after(load: &ClusterLoad, plan: &Plan) -> ClusterLoad {
    let mut after = load.clone();
    let assignments: BTreeMap<_, _> = plan.moves().into_iter().map(|it| (it.partition, it.to)).collect();
    for partition in &mut after.partitions {
        if let Some(replicas) = assignments.get(&partition.partition) {
            partition.replicas.clone_from(replicas);
        }
    }
    after
}

fn count(load: &ClusterLoad, broker: i32) -> usize {
    load.partitions.iter().filter(|partition| partition.replicas.contains(&BrokerId(broker))).count()
}

fn led(load: &ClusterLoad, broker: i32) -> usize {
    load.partitions.iter().filter(|partition| partition.replicas.first() == Some(&BrokerId(broker))).count()
}

#[test]
fn a_level_cluster_stays_as_it_is() {
    let load = cluster(&[(1, "a"), (2, "b"), (3, "c")]);
    let load = with(load, 5, &[1, 2, 3], GIB, MIB);
    let load = with(load, 5, &[2, 3, 1], GIB, MIB);
    let load = with(load, 5, &[3, 1, 2], GIB, MIB);
    assert!(plan(&load, &level()).is_empty());
}

#[test]
fn leaderships_move_and_no_data_where_that_is_enough() {
    let load = with(cluster(&[(1, "a"), (2, "b"), (3, "c")]), 9, &[1, 2, 3], GIB, MIB);
    let plan = plan(&load, &level());
    assert_eq!(plan.copied_bytes(), 0);
    let after = after(&load, &plan);
    assert_eq!([led(&after, 1), led(&after, 2), led(&after, 3)], [3, 3, 3]);
}

#[test]
fn a_broker_that_joins_gets_its_share_and_the_plan_after_that_is_empty() {
    let load = cluster(&[(1, "a"), (2, "b"), (3, "a"), (4, "b")]);
    let load = with(load, 20, &[1, 2], GIB, MIB);
    let plan = plan(&load, &level());
    let after = after(&load, &plan);
    for broker in 1..=4 {
        assert!((9..=11).contains(&count(&after, broker)), "broker {broker} has {}", count(&after, broker));
    }
    assert!(weir_controller::balance::plan(&after, &level()).is_empty());
    // From twenty each to nine at least.
    assert!((18 * GIB..=22 * GIB).contains(&plan.copied_bytes()));
}

#[test]
fn no_step_puts_two_replicas_into_a_zone_that_had_one() {
    // Broker 4 could relieve broker 1 alone: the others' zone would have two.
    let load = cluster(&[(1, "a"), (2, "b"), (3, "c"), (4, "a")]);
    let load = with(load, 12, &[1, 2, 3], GIB, MIB);
    let plan = plan(&load, &level());
    let after = after(&load, &plan);
    assert_eq!((count(&after, 2), count(&after, 3)), (12, 12));
    assert_eq!((count(&after, 1), count(&after, 4)), (6, 6));
}

#[test]
fn a_partition_that_stands_in_too_few_zones_is_spread_and_the_step_says_so() {
    let load = cluster(&[(1, "a"), (2, "a"), (3, "b")]);
    let load = with(load, 1, &[1, 2], MIB, 0);
    let plan = plan(&load, &level());
    let step = plan.steps.first().expect("it is spread");
    assert!(step.to.contains(&BrokerId(3)));
    assert_eq!(step.reason, Reason::Crowded { zone: Some("a".into()), other: Some("b".into()) });
    assert_eq!(step.reason.to_string(), "zone a has more replicas than it needs and zone b too few");
}

#[test]
fn bytes_are_spread_where_numbers_are_level_already() {
    let load = cluster(&[(1, "a"), (2, "a")]);
    let load = with(load, 2, &[1], 10 * GIB, 0);
    let load = with(load, 2, &[2], 0, 0);
    let plan = plan(&load, &level());
    let bytes = |resource: Resource| {
        plan.after.iter().map(move |it| it.amounts.iter().find(|(of, _)| *of == resource).map_or(0.0, |(_, a)| *a))
    };
    assert_eq!(bytes(Resource::DiskBytes).collect::<Vec<_>>(), [10.0 * GIB as f64; 2]);
    let reason = plan.steps[0].reason.to_string();
    assert_eq!(reason, "broker 1 has 20.0 GiB on disk, broker 2 has 0 B on disk, the mean is 10.0 GiB on disk");
}

#[test]
fn a_busy_leader_gives_leaderships_away_even_if_all_lead_as_many() {
    let load = cluster(&[(1, "a"), (2, "b")]);
    let load = with(load, 2, &[1, 2], GIB, 20 * MIB);
    let load = with(load, 2, &[2, 1], GIB, 0);
    let plan = plan(&load, &level());
    let after = after(&load, &plan);
    let busy = |broker: i32| after.partitions[..2].iter().filter(|it| it.replicas[0] == BrokerId(broker)).count();
    assert_eq!((busy(1), busy(2)), (1, 1));
    assert_eq!(plan.copied_bytes(), 0);
}

#[test]
fn a_disk_without_room_gets_nothing() {
    let mut load = cluster(&[(1, "a"), (2, "a"), (3, "a")]);
    load.brokers.entry(BrokerId(3)).or_default().free_bytes = Some(GIB);
    let load = with(load, 6, &[1], 2 * GIB, 0);
    let after = after(&load, &plan(&load, &level()));
    assert_eq!([count(&after, 1), count(&after, 2), count(&after, 3)], [3, 3, 0]);
}

#[test]
fn who_takes_no_replicas_keeps_what_it_has_and_gets_nothing() {
    let mut load = cluster(&[(1, "a"), (2, "a"), (3, "a")]);
    load.brokers.entry(BrokerId(2)).or_default().takes_replicas = false;
    let load = with(load, 8, &[1], MIB, 0);
    let load = with(load, 2, &[2], MIB, 0);
    let after = after(&load, &plan(&load, &level()));
    assert_eq!([count(&after, 1), count(&after, 2), count(&after, 3)], [4, 2, 4]);
}

#[test]
fn what_moves_already_is_left_alone() {
    let mut load = with(cluster(&[(1, "a"), (2, "a")]), 4, &[1], GIB, 0);
    load.partitions.iter_mut().for_each(|partition| partition.is_moving = true);
    assert!(plan(&load, &level()).is_empty());
    assert!(plan(&load, &drain(1)).is_empty());
}

#[test]
fn a_drained_broker_has_nothing_left_and_somebody_in_sync_leads_at_once() {
    let load = cluster(&[(1, "a"), (2, "b"), (3, "c"), (4, "a")]);
    let load = with(load, 6, &[1, 2, 3], GIB, MIB);
    let plan = plan(&load, &drain(1));
    let after = after(&load, &plan);
    assert_eq!((count(&after, 1), count(&after, 4), led(&after, 4)), (0, 6, 0));
    assert_eq!((led(&after, 2), led(&after, 3)), (3, 3));
    assert!(plan.stuck.is_empty());
    assert_eq!(plan.steps[0].reason.to_string(), "broker 1 is drained and broker 4 takes its place");
}

#[test]
fn a_drained_brokers_replicas_are_spread_over_those_who_stay() {
    let load = cluster(&[(1, "a"), (2, "a"), (3, "a"), (4, "a")]);
    let load = with(load, 9, &[1], GIB, MIB);
    let after = after(&load, &plan(&load, &drain(1)));
    assert_eq!([count(&after, 2), count(&after, 3), count(&after, 4)], [3, 3, 3]);
}

#[test]
fn a_replica_that_nobody_can_take_is_named() {
    let load = with(cluster(&[(1, "a"), (2, "b")]), 1, &[1, 2], GIB, 0);
    let plan = plan(&load, &drain(1));
    assert!(plan.is_empty());
    assert_eq!(plan.stuck.iter().map(|stuck| stuck.broker).collect::<Vec<_>>(), ids(&[1]));
}

#[test]
fn a_broker_that_is_dead_can_be_drained_too() {
    let mut load = cluster(&[(1, "a"), (2, "b"), (3, "a")]);
    load.brokers.entry(BrokerId(1)).or_default().takes_replicas = false;
    let load = with(load, 3, &[1, 2], GIB, 0);
    let after = after(&load, &plan(&load, &drain(1)));
    assert_eq!((count(&after, 1), count(&after, 3)), (0, 3));
}

#[test]
fn steps_of_one_partition_are_one_move() {
    let mut load = cluster(&[(1, "a"), (2, "a"), (3, "b")]);
    load = with(load, 1, &[1, 2], GIB, MIB);
    load = with(load, 5, &[1, 3], GIB, MIB);
    let plan = plan(&load, &level());
    let named: BTreeSet<_> = plan.moves().into_iter().map(|it| it.partition).collect();
    assert_eq!(named.len(), plan.moves().len());
}

/// A cluster made of a seed.
fn random(seed: u64) -> ClusterLoad {
    let mut state = seed;
    let mut below = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let zones = ["a", "b", "c"];
    let brokers: Vec<_> = (1..=3 + below(6) as i32).map(|id| (id, zones[below(3) as usize])).collect();
    let mut load = cluster(&brokers);
    for broker in load.brokers.values_mut() {
        broker.takes_replicas = below(8) != 0;
        broker.free_bytes = (seed.is_multiple_of(2)).then(|| below(200) * GIB);
    }
    for _ in 0..below(80) {
        let mut replicas: Vec<i32> = brokers.iter().map(|(id, _)| *id).collect();
        for place in (1..replicas.len()).rev() {
            replicas.swap(place, below(place as u64 + 1) as usize);
        }
        replicas.truncate(1 + below(3) as usize);
        load = with(load, 1, &replicas, below(20) * GIB, below(20) * MIB);
    }
    load
}

#[test]
fn every_plan_keeps_the_number_of_replicas_and_their_spread_and_leaves_nothing_to_plan() {
    for seed in 0..300 {
        let load = random(seed);
        let mut wish = level();
        if seed.is_multiple_of(3) {
            wish.drained.insert(BrokerId(1));
        }
        let made = plan(&load, &wish);
        let after = after(&load, &made);
        let zones = |partition: &PartitionLoad| {
            let racks = partition.replicas.iter().map(|id| load.brokers[id].rack.clone());
            racks.collect::<BTreeSet<_>>().len()
        };
        for (was, is) in load.partitions.iter().zip(&after.partitions) {
            assert_eq!(was.replicas.len(), is.replicas.len(), "seed {seed}");
            assert_eq!(is.replicas.iter().collect::<BTreeSet<_>>().len(), is.replicas.len(), "seed {seed}");
            // A drained zone may have no other broker.
            assert!(seed.is_multiple_of(3) || zones(was) <= zones(is), "seed {seed}");
            let added = is.replicas.iter().filter(|id| !was.replicas.contains(id));
            assert!(added.into_iter().all(|id| load.brokers[id].takes_replicas), "seed {seed}");
        }
        // Where room is short, what was copied has used it, and steps that were made twice have given it back.
        if load.brokers.values().all(|broker| broker.free_bytes.is_none()) {
            let again = plan(&after, &wish);
            assert!(again.is_empty(), "seed {seed}: {:?}", again.steps);
        }
    }
}
