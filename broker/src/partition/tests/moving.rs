//! What happens to a replica while a move to another directory replaces its log.

use std::sync::{Arc, mpsc};

use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use weir_storage::log::Log;

use super::world::*;
use crate::kernel_thread::KernelThread;
use crate::replication::FollowerFetch;

/// The log of the leader as a move copies it, beside it.
fn copy_of(world: &World) -> Arc<Log> {
    let original = world.partition(1).log().unwrap().clone();
    let dir = original.dir().with_file_name("topic-0-copy");
    std::fs::create_dir(&dir).unwrap();
    let (name, id) = (original.topic_partition().clone(), original.topic_id());
    let copy = Log::create(dir, name, id, original.context().clone(), original.config(), 1);
    copy.append_as_follower(&world.bytes(1), LeaderEpoch(i32::MAX), 1).unwrap();
    copy.set_high_watermark(original.high_watermark());
    Arc::new(copy)
}

/// Replaces the leader's log by `copy` while `act` already waits for that to be through.
fn replace_while_waiting<T: Send>(world: &World, copy: &Arc<Log>, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (found, whereabouts) = mpsc::channel();
        let mut acting = None;
        let replaced = world.partition(1).replace_log(PATIENCE, |_| {
            acting = Some(scope.spawn(move || {
                found.send(KernelThread::current()).unwrap();
                act()
            }));
            let thread = whereabouts.recv().unwrap();
            while !thread.is_asleep() {
                std::thread::yield_now();
            }
            Ok::<_, ()>(Some(Arc::clone(copy)))
        });
        assert_eq!(replaced, Some(Ok(true)));
        acting.unwrap().join().unwrap()
    })
}

#[test]
fn a_fetch_that_arrives_while_the_log_is_replaced_commits_in_the_new_one() {
    let world = World::new();
    let appended = world.produce(1, 3).unwrap();
    for follower in [2, 3, 2] {
        world.fetch(follower);
    }
    let copy = copy_of(&world);
    let has_all = FollowerFetch {
        broker: BrokerId(3),
        broker_epoch: BrokerEpoch(13),
        current_leader_epoch: LeaderEpoch(0),
        fetch_offset: Offset(3),
        last_fetched_epoch: LeaderEpoch(0),
        log_start_offset: Offset(0),
    };
    let leader = world.partition(1);
    replace_while_waiting(&world, &copy, || leader.on_follower_fetch(&has_all, &world.image).unwrap());
    assert_eq!(copy.high_watermark(), Offset(3));
    assert!(leader.is_committed(appended.required_offset, appended.leader_epoch).unwrap());
}

#[test]
fn records_deleted_while_the_log_is_replaced_are_deleted_in_the_new_one() {
    let world = World::new();
    world.produce(1, 3).unwrap();
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    let copy = copy_of(&world);
    replace_while_waiting(&world, &copy, || world.partition(1).delete_records(Offset(2)).unwrap());
    assert_eq!(copy.log_start_offset(), Offset(2));
}

#[test]
fn a_high_watermark_that_the_log_was_not_told_is_told_it_again() {
    let world = World::new();
    let appended = world.produce(1, 3).unwrap();
    let copy = copy_of(&world);
    for follower in [2, 3, 2, 3] {
        world.fetch(follower);
    }
    let leader = world.partition(1);
    // As after a moment in which its disk did not answer.
    assert_eq!(leader.replace_log(PATIENCE, |_| Ok::<_, ()>(Some(copy.clone()))), Some(Ok(true)));
    assert!(!leader.is_committed(appended.required_offset, appended.leader_epoch).unwrap());
    world.fetch(2);
    assert_eq!(copy.high_watermark(), Offset(3));
    assert!(leader.is_committed(appended.required_offset, appended.leader_epoch).unwrap());
}
