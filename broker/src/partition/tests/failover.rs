//! What clients may rely on when a leader is followed by another.

use weir_protocol::error_code::ErrorCode;

use super::world::*;
use crate::partition::{Isolation, Reader};

const CONSUMER: Reader = Reader::Consumer { isolation: Isolation::ReadUncommitted, takes_followers: true };

#[test]
fn whoever_waits_for_replicas_is_told_when_the_leadership_ends() {
    let mut world = World::new();
    let appended = world.produce(1, 3).unwrap();
    world.elect(2, &[2, 3]);
    let waited = world.partition(1).is_committed(appended.required_offset, appended.leader_epoch);
    assert_eq!(waited.unwrap_err().code, ErrorCode::NotLeaderOrFollower);
}

#[test]
fn other_records_at_the_same_offsets_acknowledge_nothing() {
    let mut world = World::new();
    let lost = world.produce(1, 3).unwrap();
    world.elect(2, &[1, 2, 3]);
    world.produce(2, 3).unwrap();
    for follower in [1, 3, 1, 3, 1, 3, 1, 3] {
        world.fetch(follower);
    }
    world.elect(1, &[1, 2, 3]);
    world.produce(1, 1).unwrap();
    for follower in [2, 3, 2, 3, 2, 3] {
        world.fetch(follower);
    }
    assert!(world.high_watermark(1) >= lost.required_offset.get());
    let waited = world.partition(1).is_committed(lost.required_offset, lost.leader_epoch);
    assert_eq!(waited.unwrap_err().code, ErrorCode::NotLeaderOrFollower);
}

#[test]
fn a_batch_that_is_repeated_to_the_next_leader_is_known_there() {
    let mut world = World::new();
    for sequence in 0..3 {
        world.append(1, batch(1, Some(sequence)), true).unwrap();
    }
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    world.elect(2, &[2, 3]);
    let again = world.append(2, batch(1, Some(2)), true).unwrap();
    assert!(again.info.duplicate);
    assert_eq!(again.info.first_offset.get(), 2);
    assert!(!world.append(2, batch(1, Some(3)), true).unwrap().info.duplicate);
}

#[test]
fn a_batch_that_overtakes_one_that_was_refused_is_asked_for_again_and_not_called_out_of_order() {
    let mut world = World::new();
    world.append(1, batch(1, Some(0)), true).unwrap();
    assert_eq!(world.append(1, batch(1, Some(2)), true).unwrap_err().code, ErrorCode::OutOfOrderSequenceNumber);
    world.set_isr(&[1]);
    assert_eq!(world.append(1, batch(1, Some(1)), true).unwrap_err().code, ErrorCode::NotEnoughReplicas);
    world.set_isr(&[1, 2]);
    assert_eq!(world.append(1, batch(1, Some(2)), true).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    world.append(1, batch(1, Some(1)), true).unwrap();
    world.append(1, batch(1, Some(2)), true).unwrap();
}

#[test]
fn a_producer_whose_first_batch_was_refused_is_not_taken_from_its_second() {
    let mut world = World::new();
    world.set_isr(&[1]);
    let produce = |world: &World, sequence| {
        let appended = world.append(1, batch(1, Some(sequence)), true);
        appended.map(|appended| appended.info.first_offset.get()).map_err(|error| error.code)
    };
    assert_eq!(produce(&world, 0), Err(ErrorCode::NotEnoughReplicas));
    world.set_isr(&[1, 2, 3]);
    assert_eq!(produce(&world, 1), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!([0, 1].map(|sequence| produce(&world, sequence)), [Ok(0), Ok(1)]);
}

#[test]
fn a_producer_of_which_nothing_is_known_begins_anywhere_where_nothing_was_refused() {
    let world = World::new();
    assert!(world.append(1, batch(1, Some(7)), true).is_ok());
}

#[test]
fn a_batch_that_was_cut_is_not_taken_for_a_repetition() {
    let mut world = World::new();
    world.append(1, batch(1, Some(0)), true).unwrap();
    world.fetch(2);
    world.append(1, batch(1, Some(1)), true).unwrap();
    world.elect(2, &[1, 2, 3]);
    world.partition(2).open().unwrap();
    world.fetch(1);
    world.elect(1, &[1, 2, 3]);
    let again = world.append(1, batch(1, Some(1)), true).unwrap();
    assert!(!again.info.duplicate);
    assert_eq!(again.info.first_offset.get(), 1);
}

#[test]
fn a_new_leader_tells_no_end_before_it_knows_what_was_committed() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    world.elect(2, &[2, 3]);
    let end = || world.partition(2).readable_end(CONSUMER);
    assert_eq!(end().unwrap_err().code, ErrorCode::OffsetNotAvailable);
    assert_eq!(world.partition(2).readable_end(Reader::Follower).unwrap().get(), 3);
    world.fetch(3);
    assert_eq!(end().unwrap().get(), 3);
}

#[test]
fn a_sole_leader_that_gets_followers_keeps_what_is_committed() {
    let mut world = World::without_topic();
    world.create(&[1]);
    world.produce(1, 5).unwrap();
    assert_eq!(world.high_watermark(1), 5);
    world.set_replicas(&[1, 2], &[1]);
    world.append(1, batch(1, None), false).unwrap();
    world.fetch(2);
    world.fetch(2);
    let (_, proposal) = world.partition(1).isr_proposal().expect("broker 2 has everything");
    assert_eq!(proposal.isr.len(), 2);
    assert_eq!(world.high_watermark(1), 5, "two must be in sync, and one is");
    world.set_isr(&[1, 2]);
    assert_eq!(world.high_watermark(1), 6);
    world.set_replicas(&[1], &[1]);
    world.produce(1, 1).unwrap();
    assert_eq!(world.high_watermark(1), 7);
}
