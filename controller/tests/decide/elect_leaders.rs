//! ElectLeaders and ElectLeaderless.

use weir_controller::decide::{ApiError, ElectLeaderlessRequest, ElectLeadersRequest, ElectionType};
use weir_controller::record::{MetadataRecord, PartitionChangeRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

use crate::cluster::{Cluster, ORDERS, brokers, decided, error};

fn elect(
    cluster: &mut Cluster,
    election_type: ElectionType,
    partitions: Option<&[(&str, i32)]>,
) -> (Vec<MetadataRecord>, Vec<Result<(), ApiError>>) {
    let named = |partitions: &[(&str, i32)]| {
        partitions.iter().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect()
    };
    let request = ElectLeadersRequest { election_type, partitions: partitions.map(named) };
    let (records, response) = decided!(cluster, ElectLeaders(request));
    (records, response.partitions.into_iter().map(|partition| partition.outcome).collect())
}

/// Partition 0 is led by 2 rather than 1; partition 1 is as it should be; partition 2 has nobody in sync but 3.
fn cluster() -> Cluster {
    let mut cluster = Cluster::of(&[1, 2, 3]).with_topic("orders", ORDERS, &[&[1, 2], &[2, 3], &[1, 3]]);
    let change = |index| PartitionChangeRecord::new(ORDERS, PartitionIndex(index));
    cluster.apply(PartitionChangeRecord { leader: Some(BrokerId(2)), ..change(0) });
    cluster.apply(PartitionChangeRecord { leader: Some(BrokerId::NONE), isr: Some(brokers(&[3])), ..change(2) });
    cluster.fence(3)
}

#[test]
fn the_preferred_replica_leads_again() {
    let mut cluster = cluster();
    let (records, outcomes) = elect(&mut cluster, ElectionType::Preferred, Some(&[("orders", 0), ("orders", 0)]));
    assert_eq!((records.len(), outcomes), (1, vec![Ok(())]));
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1, 2], 2, 2));
}

#[test]
fn an_election_that_changes_nothing_is_not_needed() {
    let (records, outcomes) = elect(&mut cluster(), ElectionType::Preferred, Some(&[("orders", 1)]));
    assert_eq!((records, outcomes), (vec![], vec![Err(ErrorCode::ElectionNotNeeded.into())]));
    let (records, outcomes) = elect(&mut cluster(), ElectionType::Unclean, Some(&[("orders", 0)]));
    assert_eq!((records, outcomes), (vec![], vec![Err(ErrorCode::ElectionNotNeeded.into())]));
}

#[test]
fn a_preferred_replica_that_cannot_lead_is_not_available() {
    let (records, outcomes) = elect(&mut cluster().fence(1), ElectionType::Preferred, Some(&[("orders", 0)]));
    assert_eq!((records, outcomes), (vec![], vec![Err(ErrorCode::PreferredLeaderNotAvailable.into())]));
}

#[test]
fn an_unclean_election_takes_a_replica_out_of_sync() {
    let mut cluster = cluster();
    let (_, outcomes) = elect(&mut cluster, ElectionType::Unclean, Some(&[("orders", 2)]));
    assert_eq!(outcomes, [Ok(())]);
    assert_eq!(cluster.leadership(ORDERS, 2), (1, vec![1], 2, 2));
    assert_eq!(cluster.partition(ORDERS, 2).leader_recovery_state.code(), 1);
}

#[test]
fn with_no_replica_alive_nobody_is_elected() {
    let (records, outcomes) = elect(&mut cluster().fence(1), ElectionType::Unclean, Some(&[("orders", 2)]));
    assert_eq!((records, outcomes), (vec![], vec![Err(ErrorCode::EligibleLeadersNotAvailable.into())]));
}

#[test]
fn unknown_partitions_are_named() {
    let (_, outcomes) = elect(&mut cluster(), ElectionType::Preferred, Some(&[("other", 0), ("orders", 9)]));
    let unknown = |message| Err(error(ErrorCode::UnknownTopicOrPartition, message));
    assert_eq!(outcomes, [unknown("No such topic as other"), unknown("No such partition as orders-9")]);
}

#[test]
fn a_request_for_all_answers_for_those_that_needed_it() {
    let (records, outcomes) = elect(&mut cluster(), ElectionType::Preferred, None);
    assert_eq!((records.len(), outcomes), (1, vec![Ok(()), Err(ErrorCode::PreferredLeaderNotAvailable.into())]));
}

#[test]
fn partitions_that_were_left_without_a_leader_get_one_as_many_at_a_time_as_is_asked_for() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1], &[1], &[1], &[2]]).fence(2);
    for index in [0, 1, 2, 3] {
        let change = PartitionChangeRecord::new(ORDERS, PartitionIndex(index));
        cluster.apply(PartitionChangeRecord { leader: Some(BrokerId::NONE), ..change });
    }
    let mut elect = || decided!(cluster, ElectLeaderless(ElectLeaderlessRequest { limit: 2 })).1;
    assert_eq!([elect(), elect(), elect()], [2, 1, 0]);
    let leaders = [0, 1, 2, 3].map(|index| cluster.leadership(ORDERS, index).0);
    assert_eq!(leaders, [1, 1, 1, -1]);
}
