//! Roles come from the metadata, as far as it is about this life of the broker.

use std::sync::Arc;
use std::time::Duration;

use weir_controller::decide::ReplicaDirectory;
use weir_controller::record::PartitionChangeRecord;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::world::*;
use crate::partition::{Reader, RoleChange};

#[test]
fn a_broker_does_not_act_on_what_the_metadata_says_of_an_earlier_life() {
    let mut world = World::new();
    world.brokers[0].table.set_broker_epoch(BrokerEpoch(31));
    assert_eq!(world.brokers[0].retake(&world.image), [RoleChange::Idles]);
    assert_eq!(world.produce(1, 1).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    world.apply(&[register(1, 31)]);
    assert!(world.produce(1, 1).is_ok());
}

#[test]
fn roles_are_taken_when_the_answer_to_the_registration_comes_after_the_metadata() {
    let world = World::new();
    let broker = world.broker(2);
    broker.table.set_broker_epoch(BrokerEpoch::NONE);
    assert_eq!(broker.retake(&world.image), [RoleChange::Idles]);
    broker.table.set_broker_epoch(BrokerEpoch(12));
    assert_eq!(broker.retake(&world.image), [RoleChange::Follows]);
}

#[test]
fn older_metadata_do_not_bring_an_earlier_role_back() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    let leader = world.partition(1);
    let older = leader.registration();
    world.elect(2, &[2, 3]);
    assert_eq!(leader.take_role(older, &world.image, PATIENCE), Some(RoleChange::None));
    assert_eq!(world.append(1, batch(1, None), false).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
}

#[test]
fn older_metadata_tell_whether_they_are_of_this_life_and_nothing_else() {
    let mut world = World::new();
    let older = world.partition(1).registration();
    world.elect(2, &[2, 3]);
    let take = |world: &World, epoch| {
        world.broker(1).table.set_broker_epoch(BrokerEpoch(epoch));
        world.partition(1).take_role(older.clone(), &world.image, PATIENCE)
    };
    assert_eq!(take(&world, 31), Some(RoleChange::Idles));
    assert_eq!(take(&world, 11), Some(RoleChange::Follows));
    assert_eq!(world.partition(1).registration().leader, BrokerId(2));
}

#[test]
fn a_change_of_the_isr_is_no_change_of_the_role() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    world.fetch(2);
    world.fetch(2);
    assert_eq!(world.high_watermark(1), 0);
    world.set_isr(&[1, 2]);
    assert_eq!(world.high_watermark(1), 3, "what is known of broker 2 is still known");
}

#[test]
fn a_replica_that_is_reassigned_away_loses_its_log_and_cannot_make_it_again() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    world.fetch(3);
    let held = world.partition(3);
    let folder = held.log().unwrap().dir();
    world.set_replicas(&[1, 2], &[1, 2]);
    let gone = world.brokers[2].deleted.pop().expect("it is no longer here");
    gone.delete().unwrap();
    assert!(!folder.exists());
    assert_eq!(world.broker(3).table.get(TOPIC, INDEX).map(|_| ()), None);
    // A request that was under way still holds the partition.
    assert!(held.take_role(world.partition(1).registration(), &world.image, PATIENCE) == Some(RoleChange::None));
    assert!(world.broker(3).logs.logs().is_empty());
}

#[test]
fn a_partition_that_nobody_opened_before_it_went_makes_no_log() {
    let mut world = World::new();
    let held = world.partition(3);
    world.set_replicas(&[1, 2], &[1, 2]);
    assert_eq!(held.log().unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    assert!(world.broker(3).logs.logs().is_empty());
}

#[test]
fn a_replica_that_comes_back_before_it_was_deleted_starts_empty_and_stays() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    world.fetch(3);
    world.set_replicas(&[1, 2], &[1, 2]);
    world.set_replicas(&[1, 2, 3], &[1, 2]);
    assert_eq!(world.log_end(3), 0, "the log before it has been deleted");
    world.fetch(3);
    // Only now the earlier replica's turn comes.
    let gone = world.brokers[2].deleted.pop().expect("it was no longer here");
    gone.delete().unwrap();
    assert_eq!(world.log_end(3), 3);
    world.fetch(2);
    world.produce(1, 1).unwrap();
    world.fetch(3);
    assert_eq!(world.log_end(3), 4);
}

#[test]
fn a_role_waits_for_an_append_that_does_not_end_only_as_long_as_it_may() {
    let world = World::new();
    let leader = world.partition(1);
    let append = leader.tenure.read();
    let elected = PartitionChangeRecord { leader: Some(BrokerId(2)), ..PartitionChangeRecord::new(TOPIC, INDEX) };
    let registration = Arc::new(append.registration.after(&elected));
    let take = |patience| leader.take_role(registration.clone(), &world.image, patience);
    assert_eq!(take(Duration::from_millis(1)), None);
    assert!(!leader.leave(Duration::from_millis(1)));
    drop(append);
    assert_eq!(take(Duration::ZERO), Some(RoleChange::Follows));
}

#[test]
fn a_log_in_a_directory_that_failed_is_not_served() {
    let world = World::new();
    let leader = world.partition(1);
    let log = leader.log().unwrap().clone();
    assert!(!leader.is_unavailable());
    log.context().take_offline("a test", &std::io::Error::other("it is one"));
    assert!(leader.is_unavailable());
    assert_eq!(leader.log().unwrap_err().code, ErrorCode::KafkaStorageError);
    assert_eq!(leader.readable_end(Reader::Follower).unwrap_err().code, ErrorCode::KafkaStorageError);
}

#[test]
fn where_a_log_lies_is_told_unless_the_metadata_know() {
    let world = World::new();
    let leader = world.partition(1);
    let mut told = leader.local().take_placed().expect("nobody has taken it");
    let log = leader.log().unwrap();
    let directory = world.broker(1).logs.directory_id(&log).unwrap();
    assert_eq!(told.try_recv().ok(), Some(ReplicaDirectory { topic_id: TOPIC, partition: INDEX, directory }));
    assert!(told.try_recv().is_err());
}
