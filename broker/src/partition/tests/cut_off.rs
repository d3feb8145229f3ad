//! What a leader does that the controller may not hear any more.

use std::sync::Arc;

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset};

use super::world::*;
use crate::lifecycle::Presence;
use crate::partition::{Isolation, Reader};

const CONSUMER: Reader = Reader::Consumer { isolation: Isolation::ReadUncommitted, takes_followers: true };
/// In which every fetch there was is long ago, and in which each has just been made.
const NEVER_MS: i64 = -3_600_000;
const ALWAYS_MS: i64 = 3_600_000;

/// Broker 1 is not heard by the controller, and its followers may be silent for so long.
fn unheard(world: &World, followers_ms: i64) {
    world.broker(1).table.local().set_presence(Arc::new(Presence::unheard(followers_ms)));
}

#[test]
fn a_leader_that_neither_the_controller_nor_a_follower_hears_refuses_clients_and_no_followers() {
    let world = World::new();
    world.produce(1, 3).unwrap();
    unheard(&world, NEVER_MS);
    let leader = world.partition(1);
    let epoch = leader.registration().leader_epoch;
    let code = |reader| leader.read(Offset(0), epoch, reader, 1_000, true).err().map(|failure| failure.error.code);
    assert_eq!((code(CONSUMER), code(Reader::Follower)), (Some(ErrorCode::NotLeaderOrFollower), None));
    for acks_all in [true, false] {
        let refused = world.append(1, batch(1, None), acks_all).unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotLeaderOrFollower);
    }
    assert_eq!(leader.delete_records(Offset(1)).unwrap_err().code, ErrorCode::NotLeaderOrFollower);
    let end_of_epoch =
        |is_follower| leader.end_of_epoch(LeaderEpoch::NONE, epoch, is_follower).map_err(|error| error.code);
    assert_eq!(end_of_epoch(false), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(end_of_epoch(true), Ok((epoch, Offset(3))), "a follower that is back is to find where it diverges");
    assert_eq!(world.log_end(1), 3, "what is refused is not written");
}

#[test]
fn a_leader_whose_followers_fetch_goes_on_without_a_controller() {
    let world = World::new();
    unheard(&world, ALWAYS_MS);
    let appended = world.produce(1, 3).unwrap();
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    let leader = world.partition(1);
    assert!(leader.is_committed(appended.required_offset, appended.leader_epoch).unwrap());
    assert!(leader.read(Offset(0), LeaderEpoch::NONE, CONSUMER, 1_000, true).unwrap().slice.is_some());
}

#[test]
fn who_has_the_only_replica_or_is_alone_in_sync_is_never_cut_off() {
    let mut world = World::new();
    world.produce(1, 1).unwrap();
    unheard(&world, NEVER_MS);
    assert!(world.partition(1).is_cut_off());
    world.set_isr(&[1]);
    assert!(!world.partition(1).is_cut_off(), "nobody else may lead");
    world.set_replicas(&[1], &[1]);
    assert!(!world.partition(1).is_cut_off());
    assert!(world.produce(1, 1).is_ok());
}

#[test]
fn a_follower_is_not_cut_off_from_what_it_does_not_lead() {
    let world = World::new();
    world.broker(2).table.local().set_presence(Arc::new(Presence::unheard(NEVER_MS)));
    assert!(!world.partition(2).is_cut_off());
}
