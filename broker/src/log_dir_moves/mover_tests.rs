//! What a copy takes of its original, step by step and without the thread.

use weir_storage::manager::Moving;

use super::super::LogDirMoves;
use super::*;
use crate::partition::tests::world::*;

/// A world in which broker 1 may move its replica, and what it moves with.
fn world() -> (World, LogDirMoves) {
    let mut world = World::without_topic();
    world.create(&[1]);
    let moves = LogDirMoves::new(Arc::clone(&world.broker(1).logs), u64::MAX);
    (world, moves)
}

/// Begins to move the replica to the other directory.
fn begin(world: &World) -> Arc<Log> {
    let (logs, partition) = (&world.broker(1).logs, world.partition(1));
    let lies_in = logs.directory_id(&partition.log().unwrap());
    let other = logs.dirs().iter().map(|dir| dir.id).find(|id| Some(*id) != lies_in).expect("two directories");
    match logs.begin_move(&partition.topic_partition(), other).unwrap() {
        Moving::To(future) => future,
        Moving::Stays => panic!("it lies elsewhere"),
    }
}

fn range(log: &Log) -> (i64, i64) {
    (log.log_start_offset().get(), log.log_end_offset().get())
}

#[test]
fn a_replica_that_starts_within_a_batch_can_be_moved() {
    let (world, moves) = world();
    world.produce(1, 10).unwrap();
    world.partition(1).delete_records(Offset(5)).unwrap();
    let (future, bytes) = (begin(&world), world.bytes(1));
    assert!(copy(&moves.shared, &world.partition(1), &future, &mut Rate::new(Instant::now())).unwrap());
    assert!(Arc::ptr_eq(&world.partition(1).log().unwrap(), &future));
    assert_eq!((range(&future), world.bytes(1)), ((5, 10), bytes));
}

#[test]
fn a_copy_of_which_everything_was_deleted_goes_on_within_a_batch() {
    let (world, moves) = world();
    for records in [3, 2] {
        world.produce(1, records).unwrap();
    }
    let future = begin(&world);
    assert!(matches!(copy_chunk(&world.partition(1), &future, CHUNK_BYTES), Ok(Copied::Bytes(_))));
    assert_eq!(range(&future), (0, 5));
    world.produce(1, 10).unwrap();
    world.partition(1).delete_records(Offset(8)).unwrap();
    assert!(copy(&moves.shared, &world.partition(1), &future, &mut Rate::new(Instant::now())).unwrap());
    assert_eq!(range(&future), (8, 15));
}

#[test]
fn a_cut_that_the_copy_could_not_take_is_not_forgotten() {
    let (world, _) = world();
    world.produce(1, 3).unwrap();
    let (future, partition) = (begin(&world), world.partition(1));
    assert!(matches!(copy_chunk(&partition, &future, CHUNK_BYTES), Ok(Copied::Bytes(_))));
    partition.note_cut(Offset(0));
    future.context().take_offline("a write", &io::Error::from_raw_os_error(5));
    assert!(copy_chunk(&partition, &future, CHUNK_BYTES).is_err());
    assert_eq!(partition.take_cut(), Some(Offset(0)));
}
