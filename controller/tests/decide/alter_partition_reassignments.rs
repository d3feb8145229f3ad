//! AlterPartitionReassignments, and the AlterPartition that ends one.

use weir_controller::decide::{
    AlterPartitionReassignmentsRequest, AlterPartitionRequest, ApiError, IsrMember, PartitionIsrChange,
    PartitionReassignment, TopicIsrChanges,
};
use weir_controller::image::{ConfigResource, DIRECTORY_LOST};
use weir_controller::record::{LeaderRecoveryState, PartitionChangeRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionIndex, TopicPartition};

use crate::cluster::{Cluster, ORDERS, brokers, decided, directory, error};

fn cluster() -> Cluster {
    Cluster::of(&[1, 2, 3, 4, 5]).with_topic("orders", ORDERS, &[&[1, 2, 3]])
}

/// Asks for these replicas of the first partition, or for the end of its reassignment.
fn reassign(cluster: &mut Cluster, replicas: Option<&[i32]>) -> Result<(), ApiError> {
    reassign_with(cluster, "orders", 0, replicas, true)
}

fn reassign_with(
    cluster: &mut Cluster,
    topic: &str,
    index: i32,
    replicas: Option<&[i32]>,
    allow_replication_factor_change: bool,
) -> Result<(), ApiError> {
    let partition = TopicPartition::new(topic, index);
    let asked = PartitionReassignment { partition, replicas: replicas.map(brokers) };
    let request = AlterPartitionReassignmentsRequest { partitions: vec![asked], allow_replication_factor_change };
    decided!(cluster, AlterPartitionReassignments(request)).1.partitions.remove(0).outcome
}

/// The leader of the first partition asks for an ISR.
fn alter_isr(cluster: &mut Cluster, isr: &[i32]) -> Result<(), ErrorCode> {
    let partition = cluster.partition(ORDERS, 0).clone();
    let member = |id: &i32| IsrMember { broker: BrokerId(*id), broker_epoch: BrokerEpoch(10 * i64::from(*id)) };
    let change = PartitionIsrChange {
        partition: PartitionIndex(0),
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        new_isr: isr.iter().map(member).collect(),
        leader_recovery_state: LeaderRecoveryState::Recovered,
    };
    let topics = vec![TopicIsrChanges { topic_id: ORDERS, partitions: vec![change] }];
    let broker = partition.leader;
    let request = AlterPartitionRequest { broker, broker_epoch: BrokerEpoch(10 * i64::from(broker.get())), topics };
    let mut topics = decided!(cluster, AlterPartition(request)).1.unwrap();
    topics.remove(0).partitions.remove(0).outcome.map(drop)
}

/// Replicas, adding, removing.
fn assignment(cluster: &Cluster) -> [Vec<i32>; 3] {
    let partition = cluster.partition(ORDERS, 0);
    let numbers = |ids: &[BrokerId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    [numbers(&partition.replicas), numbers(partition.adding_replicas()), numbers(partition.removing_replicas())]
}

#[test]
fn a_move_keeps_the_old_replicas_until_the_new_are_in_sync() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[1, 2, 4])).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2, 4, 3], vec![4], vec![3]]);
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1, 2, 3], 0, 1));
    assert_eq!(*cluster.partition(ORDERS, 0).directories, [1, 2, 4, 3].map(directory));
    alter_isr(&mut cluster, &[1, 2, 3, 4]).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2, 4], vec![], vec![]]);
    // The one who left must not go on in the epoch in which it was a replica.
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1, 2, 4], 1, 2));
    assert_eq!(*cluster.partition(ORDERS, 0).directories, [1, 2, 4].map(directory));
}

#[test]
fn a_leader_that_its_own_request_takes_away_is_told_of_the_new_one() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[2, 3, 4])).unwrap();
    assert_eq!(assignment(&cluster), [vec![2, 3, 4, 1], vec![4], vec![1]]);
    assert_eq!(alter_isr(&mut cluster, &[1, 2, 3, 4]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(assignment(&cluster), [vec![2, 3, 4], vec![], vec![]]);
    assert_eq!(cluster.leadership(ORDERS, 0), (2, vec![2, 3, 4], 1, 2));
}

#[test]
fn another_order_of_the_same_replicas_is_done_at_once_and_moves_no_leader() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[3, 1, 2])).unwrap();
    assert_eq!(assignment(&cluster), [vec![3, 1, 2], vec![], vec![]]);
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1, 2, 3], 0, 1));
    assert_eq!(*cluster.partition(ORDERS, 0).directories, [3, 1, 2].map(directory));
}

#[test]
fn replicas_are_taken_away_at_once_if_whoever_stays_is_in_sync_and_not_before() {
    let mut shrunk = cluster();
    reassign(&mut shrunk, Some(&[1, 2])).unwrap();
    assert_eq!(assignment(&shrunk), [vec![1, 2], vec![], vec![]]);
    assert_eq!(shrunk.leadership(ORDERS, 0), (1, vec![1, 2], 1, 1));
    let mut cluster = cluster();
    alter_isr(&mut cluster, &[1, 3]).unwrap();
    reassign(&mut cluster, Some(&[1, 2])).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2, 3], vec![], vec![3]]);
    alter_isr(&mut cluster, &[1, 2, 3]).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2], vec![], vec![]]);
}

#[test]
fn a_move_that_is_called_off_leaves_what_was_there_before() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[4, 5])).unwrap();
    alter_isr(&mut cluster, &[1, 2, 3, 4]).unwrap();
    assert_eq!(assignment(&cluster), [vec![4, 5, 1, 2, 3], vec![4, 5], vec![1, 2, 3]]);
    reassign(&mut cluster, None).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2, 3], vec![], vec![]]);
    let (leader, isr, leader_epoch, _) = cluster.leadership(ORDERS, 0);
    assert_eq!((leader, isr, leader_epoch), (1, vec![1, 2, 3], 1));
    let again = reassign(&mut cluster, None).unwrap_err();
    assert_eq!(again, error(ErrorCode::NoReassignmentInProgress, "No partition reassignment is in progress."));
}

#[test]
fn a_move_whose_old_replicas_have_all_lagged_is_called_off_only_where_that_may_lose_records() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[4])).unwrap();
    cluster.apply(PartitionChangeRecord {
        isr: Some(brokers(&[4])),
        leader: Some(BrokerId(4)),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    let mut unclean =
        cluster.clone().with_config(ConfigResource::topic("orders"), "unclean.leader.election.enable", "true");
    assert_eq!(reassign(&mut cluster, None).unwrap_err().code, ErrorCode::InvalidReplicaAssignment);
    reassign(&mut unclean, None).unwrap();
    assert_eq!(assignment(&unclean), [vec![1, 2, 3], vec![], vec![]]);
    assert_eq!(unclean.leadership(ORDERS, 0).1, [1]);
}

#[test]
fn a_move_that_replaces_another_waits_for_those_whom_both_add() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[1, 2, 4])).unwrap();
    reassign(&mut cluster, Some(&[1, 4, 5])).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 4, 5, 2, 3], vec![4, 5], vec![2, 3]]);
    alter_isr(&mut cluster, &[1, 2, 3, 5]).unwrap();
    assert_eq!(assignment(&cluster)[1], [4, 5]);
    alter_isr(&mut cluster, &[1, 2, 3, 4, 5]).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 4, 5], vec![], vec![]]);
}

#[test]
fn asking_for_what_was_there_before_a_move_ends_it() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[1, 2, 4])).unwrap();
    reassign(&mut cluster, Some(&[1, 2, 3])).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2, 3], vec![], vec![]]);
}

#[test]
fn a_fenced_broker_is_waited_for() {
    let mut cluster = cluster().fence(4);
    reassign(&mut cluster, Some(&[4, 1, 2])).unwrap();
    assert_eq!(assignment(&cluster), [vec![4, 1, 2, 3], vec![4], vec![3]]);
    assert_eq!(alter_isr(&mut cluster, &[1, 2, 3, 4]), Err(ErrorCode::IneligibleReplica));
}

#[test]
fn the_number_of_replicas_changes_only_where_that_is_allowed() {
    let mut cluster = cluster();
    let refused = reassign_with(&mut cluster, "orders", 0, Some(&[1, 2]), false).unwrap_err();
    let message = "The replication factor is changed from 3 to 2";
    assert_eq!(refused, error(ErrorCode::InvalidReplicationFactor, message));
    reassign_with(&mut cluster, "orders", 0, Some(&[1, 2, 4]), false).unwrap();
    // While a move goes on, what it leads to counts.
    reassign_with(&mut cluster, "orders", 0, Some(&[3, 4, 5]), false).unwrap();
}

#[test]
fn what_cannot_be_is_refused_in_kafkas_words() {
    let mut cluster = cluster();
    let mut refused =
        |topic, index, replicas: &[i32]| reassign_with(&mut cluster, topic, index, Some(replicas), true).unwrap_err();
    let unknown = |message| error(ErrorCode::UnknownTopicOrPartition, message);
    assert_eq!(refused("nothing", 0, &[1]), unknown("Unable to find a topic named nothing."));
    assert_eq!(refused("orders", 7, &[1]), unknown("Unable to find partition orders:7."));
    let invalid = |message| error(ErrorCode::InvalidReplicaAssignment, message);
    let empty = invalid("The manual partition assignment includes an empty replica list.");
    assert_eq!(refused("orders", 0, &[]), empty);
    let twice = invalid("The manual partition assignment includes the broker 2 more than once.");
    assert_eq!(refused("orders", 0, &[2, 2]), twice);
    let absent = "The manual partition assignment includes broker 9, but no such broker is registered.";
    assert_eq!(refused("orders", 0, &[9, 1]), invalid(absent));
}

#[test]
fn a_move_goes_on_when_its_leader_dies() {
    let mut cluster = cluster();
    reassign(&mut cluster, Some(&[1, 2, 4])).unwrap();
    let fence = weir_controller::decide::FenceBrokerRequest { broker: BrokerId(1), broker_epoch: BrokerEpoch(10) };
    decided!(cluster, FenceBroker(fence)).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0).0, 2);
    assert_eq!(assignment(&cluster), [vec![1, 2, 4, 3], vec![4], vec![3]]);
    assert!(!cluster.partition(ORDERS, 0).directories.contains(&DIRECTORY_LOST));
    alter_isr(&mut cluster, &[2, 3, 4]).unwrap();
    assert_eq!(assignment(&cluster), [vec![1, 2, 4], vec![], vec![]]);
}
