//! AlterPartition.

use weir_controller::decide::{
    AlterPartitionRequest, AlteredPartition, IsrMember, PartitionIsrChange, TopicIsrChanges,
};
use weir_controller::record::{LeaderRecoveryState, MetadataRecord, PartitionChangeRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, brokers, decided};

/// A partition of 1, 2 and 3, of which 1 and 2 are in sync; leader epoch 0, partition epoch 1.
fn cluster() -> Cluster {
    let mut cluster = Cluster::of(&[1, 2, 3]).with_topic("orders", ORDERS, &[&[1, 2, 3]]);
    cluster.apply(PartitionChangeRecord {
        isr: Some(brokers(&[1, 2])),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    cluster
}

fn change(isr: &[i32]) -> PartitionIsrChange {
    let member = |id: &i32| IsrMember { broker: BrokerId(*id), broker_epoch: BrokerEpoch(10 * i64::from(*id)) };
    PartitionIsrChange {
        partition: PartitionIndex(0),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(1),
        new_isr: isr.iter().map(member).collect(),
        leader_recovery_state: LeaderRecoveryState::Recovered,
    }
}

fn alter(
    cluster: &mut Cluster,
    broker: i32,
    change: PartitionIsrChange,
) -> (Vec<MetadataRecord>, Result<AlteredPartition, ErrorCode>) {
    let request = AlterPartitionRequest {
        broker: BrokerId(broker),
        broker_epoch: BrokerEpoch(10 * i64::from(broker)),
        topics: vec![TopicIsrChanges { topic_id: ORDERS, partitions: vec![change] }],
    };
    let (records, response) = decided!(cluster, AlterPartition(request));
    (records, response.unwrap()[0].partitions[0].outcome.clone())
}

fn refuses(cluster: &Cluster, broker: i32, change: PartitionIsrChange, expected: ErrorCode) {
    assert_eq!(alter(&mut cluster.clone(), broker, change), (vec![], Err(expected)));
}

#[test]
fn a_leader_grows_and_shrinks_its_isr() {
    let mut cluster = cluster();
    let (records, outcome) = alter(&mut cluster, 1, change(&[1, 2, 3]));
    let expected = PartitionChangeRecord {
        isr: Some(brokers(&[1, 2, 3])),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    };
    assert_eq!(records, [expected.into()]);
    let altered = outcome.unwrap();
    assert_eq!((altered.leader, altered.isr), (BrokerId(1), brokers(&[1, 2, 3])));
    assert_eq!((altered.leader_epoch, altered.partition_epoch), (LeaderEpoch(0), PartitionEpoch(2)));
    let shrink = PartitionIsrChange { partition_epoch: PartitionEpoch(2), ..change(&[1]) };
    alter(&mut cluster, 1, shrink).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1], 0, 3));
}

#[test]
fn an_isr_that_is_so_already_writes_nothing() {
    let (records, outcome) = alter(&mut cluster(), 1, change(&[1, 2]));
    assert_eq!((records, outcome.unwrap().partition_epoch), (vec![], PartitionEpoch(1)));
}

#[test]
fn epochs_are_checked_in_kafkas_order() {
    let with = |leader_epoch, partition_epoch| PartitionIsrChange {
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
        ..change(&[1])
    };
    let mut cluster = cluster();
    refuses(&cluster, 1, with(1, 1), ErrorCode::NotController);
    refuses(&cluster, 1, with(0, 2), ErrorCode::NotController);
    refuses(&cluster, 1, with(0, 0), ErrorCode::InvalidUpdateVersion);
    refuses(&cluster, 2, with(0, 1), ErrorCode::InvalidRequest);
    cluster.apply(PartitionChangeRecord {
        leader: Some(BrokerId(1)),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    refuses(&cluster, 1, with(0, 2), ErrorCode::FencedLeaderEpoch);
}

#[test]
fn an_isr_that_cannot_be_is_refused() {
    let cluster = cluster();
    refuses(&cluster, 1, change(&[1, 9]), ErrorCode::InvalidRequest);
    refuses(&cluster, 1, change(&[1, 1]), ErrorCode::InvalidRequest);
    refuses(&cluster, 1, change(&[2, 3]), ErrorCode::InvalidRequest);
    let recovering = |isr| PartitionIsrChange { leader_recovery_state: LeaderRecoveryState::Recovering, ..change(isr) };
    refuses(&cluster, 1, recovering(&[1, 2]), ErrorCode::InvalidRequest);
    refuses(&cluster, 1, recovering(&[1]), ErrorCode::InvalidRequest);
}

#[test]
fn members_must_serve_in_the_life_in_which_they_fetched() {
    refuses(&cluster().fence(3), 1, change(&[1, 2, 3]), ErrorCode::IneligibleReplica);
    let mut restarted = change(&[1, 2, 3]);
    restarted.new_isr[2].broker_epoch = BrokerEpoch(29);
    refuses(&cluster(), 1, restarted.clone(), ErrorCode::IneligibleReplica);
    restarted.new_isr[2].broker_epoch = BrokerEpoch::NONE;
    assert!(alter(&mut cluster(), 1, restarted).1.is_ok());
}

#[test]
fn unknown_topics_partitions_and_brokers_are_refused() {
    let missing = PartitionIsrChange { partition: PartitionIndex(7), ..change(&[1]) };
    refuses(&cluster(), 1, missing, ErrorCode::UnknownTopicOrPartition);
    let mut request = AlterPartitionRequest {
        broker: BrokerId(1),
        broker_epoch: BrokerEpoch(10),
        topics: vec![TopicIsrChanges { topic_id: uuid::Uuid::from_u128(5), partitions: vec![change(&[1])] }],
    };
    let (_, response) = decided!(cluster(), AlterPartition(request.clone()));
    assert_eq!(response.unwrap()[0].partitions[0].outcome, Err(ErrorCode::UnknownTopicId));
    request.broker_epoch = BrokerEpoch(9);
    let (_, response) = decided!(cluster(), AlterPartition(request));
    assert_eq!(response.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
}
