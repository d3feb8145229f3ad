//! What a follower makes of a log that parts from its leader's.

use weir_protocol::ids::{LeaderEpoch, Offset};

use super::world::*;
use crate::partition::FollowError;
use crate::replication::FollowerStep;

/// Fetches until there is nothing more to do, which must not take long.
fn catch_up(world: &World, follower: i32) {
    let leader = world.partition(follower).registration().leader.get();
    for _ in 0..10 {
        world.fetch(follower);
        if world.log_end(follower) == world.log_end(leader) && world.bytes(follower) == world.bytes(leader) {
            return;
        }
    }
    panic!("broker {follower} ends at {}, its leader at {}", world.log_end(follower), world.log_end(leader));
}

#[test]
fn what_a_deposed_leader_alone_had_is_cut_and_replaced() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    catch_up(&world, 2);
    world.produce(1, 5).unwrap();
    world.elect(2, &[2, 3]);
    world.produce(2, 4).unwrap();
    assert!(matches!(world.fetch(1), FollowerStep::Truncate(_)));
    assert_eq!(world.log_end(1), 3);
    catch_up(&world, 1);
    assert_eq!(world.log_end(1), 7);
}

#[test]
fn a_leader_deposed_before_its_first_record_follows_at_once() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    catch_up(&world, 2);
    world.elect(2, &[1, 2, 3]);
    world.partition(2).open().unwrap();
    world.elect(1, &[1, 2, 3]);
    world.produce(1, 1).unwrap();
    // Broker 2 has noted an epoch of which nobody has a record.
    world.fetch(2);
    catch_up(&world, 2);
    assert_eq!(world.log_end(2), 4);
}

#[test]
fn a_follower_that_missed_what_was_deleted_meanwhile_starts_over() {
    let mut world = World::new();
    world.set_isr(&[1, 2]);
    for _ in 0..3 {
        world.produce(1, 3).unwrap();
        catch_up(&world, 2);
        world.fetch(2);
    }
    let leader = world.partition(1);
    leader.log().unwrap().advance_log_start_offset(Offset(6)).unwrap();
    assert_eq!(world.fetch(3), FollowerStep::AskForRange);
    assert_eq!(world.partition(3).log().unwrap().log_start_offset(), Offset(6));
    catch_up(&world, 3);
}

#[test]
fn a_new_replica_takes_a_log_whose_start_lies_within_a_batch() {
    let mut world = World::new();
    world.set_isr(&[1, 2]);
    world.produce(1, 10).unwrap();
    catch_up(&world, 2);
    world.fetch(2);
    world.partition(1).delete_records(Offset(5)).unwrap();
    assert_eq!(world.fetch(3), FollowerStep::AskForRange);
    world.fetch(3);
    let log = world.partition(3).log().unwrap().clone();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(5), Offset(10)));
    catch_up(&world, 3);
}

#[test]
fn a_replica_that_lags_behind_a_start_within_a_batch_starts_over_there() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    catch_up(&world, 2);
    catch_up(&world, 3);
    world.elect(2, &[1, 2]);
    world.produce(2, 10).unwrap();
    catch_up(&world, 1);
    world.fetch(1);
    world.partition(2).delete_records(Offset(8)).unwrap();
    assert_eq!(world.fetch(3), FollowerStep::AskForRange);
    world.fetch(3);
    let log = world.partition(3).log().unwrap().clone();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(8), Offset(13)));
    world.produce(2, 1).unwrap();
    catch_up(&world, 3);
}

#[test]
fn a_follower_with_more_than_an_uncleanly_elected_leader_is_cut_to_it() {
    let mut world = World::new();
    world.produce(1, 3).unwrap();
    catch_up(&world, 2);
    // Broker 3 has nothing and leads all the same.
    world.elect(3, &[3]);
    world.append(3, batch(1, None), false).unwrap();
    world.fetch(2);
    catch_up(&world, 2);
    assert_eq!(world.log_end(2), 1);
}

#[test]
fn nothing_is_taken_in_for_an_epoch_that_is_over() {
    let mut world = World::new();
    let follower = world.partition(2);
    world.elect(3, &[1, 2, 3]);
    let late = follower.take_in(LeaderEpoch(0), &batch(1, None), Offset(1), Offset(0), 1);
    assert!(matches!(late, Err(FollowError::Over)), "{late:?}");
    assert!(matches!(follower.cut(LeaderEpoch(0), Offset(0)), Err(FollowError::Over)));
}
