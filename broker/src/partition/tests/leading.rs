//! What a leader does with appends and with its followers' fetches.

use weir_controller::image::{DIRECTORY_LOST, DIRECTORY_UNASSIGNED};
use weir_controller::record::PartitionChangeRecord;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

use super::world::*;
use crate::partition::{Isolation, Reader};
use crate::replication::{FollowerFetch, ProposalOutcome};

const CONSUMER: Reader = Reader::Consumer { isolation: Isolation::ReadUncommitted, takes_followers: true };

#[test]
fn records_are_committed_once_every_replica_in_sync_has_them() {
    let world = World::new();
    let appended = world.produce(1, 3).unwrap();
    let committed = || world.partition(1).is_committed(appended.required_offset, appended.leader_epoch).unwrap();
    world.fetch(2);
    world.fetch(3);
    assert!(!committed(), "both have been sent the records, and have not said that they have them");
    world.fetch(2);
    assert!(!committed());
    world.fetch(3);
    assert!(committed());
    assert_eq!([world.high_watermark(2), world.high_watermark(3)], [0, 3], "broker 2 hears of it with its next fetch");
    world.fetch(2);
    assert_eq!(world.high_watermark(2), 3);
    assert_eq!(world.bytes(1), world.bytes(2));
    assert_eq!(world.bytes(1), world.bytes(3));
}

#[test]
fn consumers_see_what_is_committed_and_followers_all() {
    let world = World::new();
    world.produce(1, 3).unwrap();
    let leader = world.partition(1);
    let epoch = leader.registration().leader_epoch;
    assert!(leader.read(Offset(0), epoch, CONSUMER, 1000, true).unwrap().slice.is_none());
    assert!(leader.read(Offset(0), epoch, Reader::Follower, 1000, true).unwrap().slice.is_some());
}

#[test]
fn acks_all_is_refused_where_too_few_are_in_sync() {
    let mut world = World::new();
    world.produce(1, 1).unwrap();
    world.set_isr(&[1]);
    assert_eq!(world.produce(1, 1).unwrap_err().code, ErrorCode::NotEnoughReplicas);
    assert!(world.append(1, batch(1, None), false).is_ok(), "one acknowledgement can be had");
}

#[test]
fn a_follower_that_has_everything_is_asked_into_the_isr() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    world.set_isr(&[1, 2]);
    let leader = world.partition(1);
    world.fetch(2);
    world.fetch(2);
    assert_eq!(world.high_watermark(1), 3);
    world.fetch(3);
    assert!(leader.isr_proposal().is_none(), "it lacks what it was just sent");
    world.fetch(3);
    let (epoch, proposal) = leader.isr_proposal().expect("it has everything");
    let members: Vec<_> = proposal.isr.iter().map(|member| (member.broker.get(), member.broker_epoch.get())).collect();
    assert_eq!(members, [(1, 11), (2, 12), (3, 13)]);
    let refused = leader.on_isr_answer(epoch, proposal.partition_epoch, Err(ErrorCode::IneligibleReplica));
    assert_eq!(refused, ProposalOutcome::Dropped);
}

#[test]
fn a_fetch_of_an_earlier_life_asks_for_no_isr() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    world.set_isr(&[1, 2]);
    world.fetch(2);
    world.fetch(2);
    world.fetch(3);
    world.apply(&[register(3, 23)]);
    let late = FollowerFetch {
        broker: BrokerId(3),
        broker_epoch: BrokerEpoch(13),
        current_leader_epoch: LeaderEpoch(0),
        fetch_offset: Offset(3),
        last_fetched_epoch: LeaderEpoch(0),
        log_start_offset: Offset(0),
    };
    let leader = world.partition(1);
    leader.on_follower_fetch(&late, &world.image).unwrap();
    assert!(leader.isr_proposal().is_none(), "it was sent in the life before this one");
}

#[test]
fn where_a_flush_is_asked_for_the_leader_too_counts_what_it_has_flushed() {
    let mut world = World::without_topic();
    world.config.log.flush_messages = 1;
    world.create(&[1, 2, 3]);
    let appended = world.produce(1, 3).unwrap();
    assert!(appended.info.needs_fsync);
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    assert_eq!(world.partition(2).log().unwrap().recovery_point(), Offset(3), "flushed before the next fetch");
    assert_eq!(world.high_watermark(1), 0);
    world.partition(1).flush_then(appended.required_offset, |outcome| outcome.unwrap());
    world.broker(1).logs.flush_waiting();
    assert_eq!(world.high_watermark(1), 3);
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_zone() {
    let world = World::new();
    world.produce(1, 3).unwrap();
    let leader = world.partition(1);
    let preferred = |rack, offset| leader.preferred_replica(rack, Offset(offset), &world.image);
    assert_eq!(preferred("zone-2", 0), None, "it has not fetched yet");
    for follower in [2, 3, 2] {
        world.fetch(follower);
    }
    assert_eq!(preferred("zone-2", 3), Some(BrokerId(2)));
    assert_eq!(preferred("zone-3", 3), None, "it has not got that far, as far as the leader knows");
    assert_eq!(preferred("zone-1", 0), None, "the leader is there itself");
    assert_eq!(preferred("zone-9", 0), None);
}

#[test]
fn records_deleted_on_the_leader_are_deleted_on_its_followers() {
    let world = World::new();
    world.produce(1, 3).unwrap();
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    let leader = world.partition(1);
    leader.log().unwrap().advance_log_start_offset(Offset(2)).unwrap();
    let low_watermark = || leader.low_watermark(|_| true).unwrap().get();
    assert_eq!(low_watermark(), 0);
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    assert_eq!(low_watermark(), 2);
    assert_eq!(world.partition(3).log().unwrap().log_start_offset(), Offset(2));
}

#[test]
fn a_follower_serves_consumers_what_it_knows_to_be_committed() {
    let world = World::new();
    world.produce(1, 3).unwrap();
    let follower = world.partition(2);
    let epoch = follower.registration().leader_epoch;
    for broker in [2, 3, 2, 3] {
        world.fetch(broker);
    }
    assert!(follower.read(Offset(0), epoch, CONSUMER, 1000, true).unwrap().slice.is_none());
    world.fetch(2);
    assert!(follower.read(Offset(0), epoch, CONSUMER, 1000, true).unwrap().slice.is_some());
    let leader_only = Reader::Consumer { isolation: Isolation::ReadUncommitted, takes_followers: false };
    let refused = follower.read(Offset(0), epoch, leader_only, 1000, true).unwrap_err();
    assert_eq!(refused.error.code, ErrorCode::NotLeaderOrFollower);
}

#[test]
fn a_follower_whose_directory_failed_holds_nothing_up() {
    let mut world = World::new();
    world.produce(1, 1).unwrap();
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    world.produce(1, 1).unwrap();
    world.fetch(2);
    world.fetch(2);
    assert_eq!(world.high_watermark(1), 1, "broker 3 had everything a moment ago, and may come back for the rest");
    let lost = PartitionChangeRecord {
        isr: Some(ids(&[1, 2])),
        directories: Some(vec![DIRECTORY_UNASSIGNED, DIRECTORY_UNASSIGNED, DIRECTORY_LOST]),
        ..PartitionChangeRecord::new(TOPIC, INDEX)
    };
    world.apply(&[lost.into()]);
    assert_eq!(world.high_watermark(1), 2);
}
