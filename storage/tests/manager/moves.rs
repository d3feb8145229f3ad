//! Partitions that move between directories, and what crashes leave of that.

use std::os::unix::fs::FileExt;

use weir_storage::log::ReadUpperBound;
use weir_storage::manager::{MoveError, Moving};

use super::*;

fn directory(manager: &LogManager, index: usize) -> Uuid {
    manager.dirs()[index].id
}

/// Begins to move a partition of the first directory to the second.
fn begin(manager: &LogManager, name: &TopicPartition) -> Arc<Log> {
    match manager.begin_move(name, directory(manager, 1)).unwrap() {
        Moving::To(log) => log,
        Moving::Stays => panic!("it lies in the first"),
    }
}

/// Copies everything that the copy lacks.
fn copy(from: &Log, to: &Log) {
    while to.log_end_offset() < from.log_end_offset() {
        let slice = from.read(to.log_end_offset(), 1 << 20, ReadUpperBound::LOG_END, true).unwrap().slice.unwrap();
        let mut batches = vec![0; slice.length as usize];
        slice.file.read_exact_at(&mut batches, slice.position).unwrap();
        to.append_as_follower(&batches, LeaderEpoch(i32::MAX), NOW_MS).unwrap();
    }
    to.flush(Offset(i64::MAX)).unwrap();
}

/// A partition of ten records in the first of two directories.
fn node() -> (Node, LogManager, TopicPartition) {
    let node = Node::new(2);
    let (manager, name) = (node.start(), partition("orders", 0));
    let log = manager.create(&name, TOPIC, Arc::new(LogConfig::default()), Some(directory(&manager, 0))).unwrap();
    append_times(&log, 10, 100);
    (node, manager, name)
}

fn end_in(manager: &LogManager, name: &TopicPartition) -> (Option<Uuid>, Offset) {
    let log = manager.get(name).expect("in service");
    (manager.directory_id(&log), log.log_end_offset())
}

#[test]
fn a_partition_that_has_moved_lies_there_and_nowhere_else() {
    let (node, manager, name) = node();
    let future = begin(&manager, &name);
    copy(&manager.get(&name).unwrap(), &future);
    manager.prepare_move(&name, &future).unwrap();
    append(&manager.get(&name).unwrap(), 5);
    copy(&manager.get(&name).unwrap(), &future);
    manager.finish_move(&name, &future).unwrap();
    let second = Some(directory(&manager, 1));
    assert_eq!(end_in(&manager, &name), (second, Offset(11)));
    assert_eq!(append(&manager.get(&name).unwrap(), 5), Offset(11));
    assert!(manager.moves().is_empty());
    manager.housekeep(node.advance(61_000));
    assert_eq!((node.folders(0), node.folders(1)), (vec![], vec!["orders-0".to_owned()]));
    assert!(!node.path(1).join("orders-0/moved-from").exists());
    drop((manager, future));
    assert_eq!(end_in(&node.start(), &name), (second, Offset(12)));
}

#[test]
fn a_move_begins_anew_after_a_kill() {
    let (node, manager, name) = node();
    let future = begin(&manager, &name);
    copy(&manager.get(&name).unwrap(), &future);
    append(&manager.get(&name).unwrap(), 5);
    drop((manager, future));
    let manager = node.start();
    assert_eq!(manager.moves(), [(name.clone(), directory(&manager, 1))]);
    let future = manager.moving(&name).unwrap().expect("it moves");
    assert_eq!(future.log_end_offset(), Offset(0));
    copy(&manager.get(&name).unwrap(), &future);
    manager.prepare_move(&name, &future).unwrap();
    manager.finish_move(&name, &future).unwrap();
    assert_eq!(end_in(&manager, &name), (Some(directory(&manager, 1)), Offset(11)));
    manager.housekeep(node.advance(61_000));
    assert_eq!((node.folders(0), node.folders(1)), (vec![], vec!["orders-0".to_owned()]));
}

#[test]
fn a_copy_that_missed_a_cut_of_its_original_before_a_kill_is_not_believed() {
    let (node, manager, name) = node();
    let original = manager.get(&name).unwrap();
    let future = begin(&manager, &name);
    copy(&original, &future);
    manager.truncate(&original, Offset(5)).unwrap();
    drop((manager, original, future));
    let manager = node.start();
    let original = manager.get(&name).unwrap();
    // What comes now is as long as what was cut, and other records.
    for _ in 5..12 {
        let mut records = batch(200);
        original.append_as_leader(&mut records, LeaderEpoch(4), AppendOrigin::Client, NOW_MS).unwrap();
    }
    let future = manager.moving(&name).unwrap().expect("it moves");
    copy(&original, &future);
    assert_eq!(future.end_offset_for_epoch(LeaderEpoch(0)), (LeaderEpoch(0), Offset(5)));
    assert_eq!(future.size_bytes(), original.size_bytes());
}

#[test]
fn a_second_copy_that_a_kill_left_is_removed() {
    let (node, manager, name) = node();
    let future = begin(&manager, &name);
    let dir = future.dir();
    drop((manager, future));
    let second = node.path(1).join("orders-0.00000000000000000000000000000009-future");
    fs::create_dir(&second).unwrap();
    fs::copy(dir.join("partition.metadata"), second.join("partition.metadata")).unwrap();
    let manager = node.start();
    assert!(manager.moving(&name).unwrap().is_some());
    manager.housekeep(node.advance(61_000));
    assert!(matches!(&node.folders(1)[..], [only] if only.ends_with("-future")), "{:?}", node.folders(1));
}

#[test]
fn of_two_folders_the_one_that_was_moved_to_is_believed() {
    let (node, manager, name) = node();
    let future = begin(&manager, &name);
    copy(&manager.get(&name).unwrap(), &future);
    manager.prepare_move(&name, &future).unwrap();
    let copied = future.dir();
    drop((manager, future));
    // The process ended between the two renames.
    fs::rename(copied, node.path(1).join("orders-0")).unwrap();
    let manager = node.start();
    assert_eq!(end_in(&manager, &name), (Some(directory(&manager, 1)), Offset(10)));
    manager.housekeep(node.advance(0));
    assert_eq!(node.folders(0), Vec::<String>::new());
    assert!(!node.path(1).join("orders-0/moved-from").exists(), "a later move must not meet it");
}

#[test]
fn of_two_folders_of_which_none_was_moved_to_neither_is_believed() {
    let (node, manager, name) = node();
    drop(manager);
    let (from, to) = (node.path(0).join("orders-0"), node.path(1).join("orders-0"));
    fs::create_dir(&to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    assert!(matches!(node.start().status(&name), LogStatus::Failed(_)));
}

#[test]
fn a_move_back_calls_the_move_off() {
    let (node, manager, name) = node();
    let future = begin(&manager, &name);
    let first = directory(&manager, 0);
    assert!(matches!(manager.begin_move(&name, first).unwrap(), Moving::Stays));
    assert!(manager.moves().is_empty() && manager.moving(&name).unwrap().is_none());
    assert!(matches!(manager.finish_move(&name, &future), Err(MoveError::Absent(_))));
    manager.housekeep(node.advance(61_000));
    assert_eq!(node.folders(1), Vec::<String>::new());
    assert_eq!(end_in(&manager, &name), (Some(first), Offset(10)));
}

#[test]
fn a_copy_goes_with_its_original() {
    let (node, manager, name) = node();
    begin(&manager, &name);
    manager.delete(&name, TOPIC).unwrap();
    manager.housekeep(node.advance(61_000));
    assert_eq!((node.folders(0), node.folders(1)), (vec![], vec![]));
}

#[test]
fn a_copy_whose_original_is_gone_is_set_aside_and_never_served() {
    let (node, manager, name) = node();
    begin(&manager, &name);
    drop(manager);
    fs::remove_dir_all(node.path(0).join("orders-0")).unwrap();
    let manager = node.start();
    assert!(matches!(manager.status(&name), LogStatus::Absent));
    assert!(matches!(&node.folders(1)[..], [only] if only.ends_with("-stray")), "{:?}", node.folders(1));
}

#[test]
fn what_is_still_to_be_copied_is_told() {
    let (_node, manager, name) = node();
    let future = begin(&manager, &name);
    let told = || (manager.dirs()[1].copies[0].lag, manager.dirs()[1].copies[0].size_bytes);
    assert_eq!(told(), (10, 0));
    copy(&manager.get(&name).unwrap(), &future);
    assert_eq!(told().0, 0);
    assert!(manager.dirs()[1].logs.is_empty());
}
