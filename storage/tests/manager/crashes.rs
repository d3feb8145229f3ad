//! What a start makes of what crashes, failures and deletions left in a directory.

use std::sync::atomic::AtomicBool;

use weir_storage::manager::DeleteError;

use super::*;

const DAY_MS: i64 = 86_400_000;

impl Node {
    /// The host went down and came up again.
    fn reboot(&mut self) {
        self.config.boot_id = self.config.boot_id.as_ref().map(|id| format!("{id}+"));
    }

    /// Has every checkpoint written that is due within a day.
    fn checkpoint_all(&self, manager: &LogManager) {
        manager.housekeep(self.advance(0));
        manager.housekeep(self.advance(DAY_MS));
        manager.flush_waiting();
    }
}

fn create_error(manager: &LogManager, partition: &TopicPartition) -> CreateError {
    manager.create(partition, TOPIC, Arc::new(LogConfig::default()), None).unwrap_err()
}

#[test]
fn a_new_partition_of_an_old_name_has_nothing_of_its_checkpoints() {
    let node = Node::new(1);
    let manager = node.start();
    let name = partition("t", 0);
    let log = create(&manager, &name);
    append_times(&log, 10, 10);
    log.flush(Offset(10)).unwrap();
    log.set_high_watermark(Offset(10));
    log.advance_log_start_offset(Offset(8)).unwrap();
    node.checkpoint_all(&manager);
    assert_eq!(node.checkpoint(0, "log-start-offset-checkpoint"), ["t 0 8"]);
    assert_eq!(node.checkpoint(0, "recovery-point-offset-checkpoint"), ["t 0 10"]);

    manager.delete(&name, TOPIC).unwrap();
    append_times(&create(&manager, &name), 2, 10);
    drop(manager);
    let manager = node.start();
    let log = manager.get(&name).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(2)));
    assert_eq!(log.recovery_point(), Offset(0), "nothing of the new one was flushed");
}

#[test]
fn a_new_partition_of_a_strays_name_has_nothing_of_its_checkpoints() {
    let node = Node::new(1);
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    append_times(&log, 10, 10);
    log.set_high_watermark(Offset(10));
    log.advance_log_start_offset(Offset(8)).unwrap();
    manager.close(true, BrokerEpoch(1));
    drop((manager, log));

    let manager = node.open();
    manager.load(&|_, _| Assignment::Stray, &|_| {});
    append_times(&create(&manager, &partition("t", 0)), 2, 10);
    drop(manager);
    let log = node.start().get(&partition("t", 0)).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(2)));
}

/// A partition with three flushed records whose first has since been spoilt, on a host that went down.
fn spoilt() -> (Node, TopicPartition, PathBuf) {
    let mut node = Node::new(1);
    let name = partition("spoilt", 0);
    let manager = node.start();
    let log = create(&manager, &name);
    append_times(&log, 3, 10);
    log.flush(Offset(3)).unwrap();
    append(&create(&manager, &partition("good", 0)), 10);
    node.checkpoint_all(&manager);
    drop((manager, log));
    let segment = node.path(0).join("spoilt-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[16] = 77;
    fs::write(&segment, bytes).unwrap();
    node.reboot();
    (node, name, segment)
}

#[test]
fn what_was_flushed_is_never_cut_however_often_the_node_starts() {
    let (node, name, segment) = spoilt();
    let size = fs::metadata(&segment).unwrap().len();
    for clean in [false, true, false] {
        let manager = node.start();
        assert!(matches!(manager.status(&name), LogStatus::Failed(_)));
        node.checkpoint_all(&manager);
        assert_eq!(node.checkpoint(0, "recovery-point-offset-checkpoint")[1], "spoilt 0 3");
        if clean {
            manager.close(true, BrokerEpoch(1));
        }
    }
    assert_eq!(fs::metadata(&segment).unwrap().len(), size);
}

#[test]
fn a_power_cut_is_remembered_until_every_log_was_opened() {
    let (node, name, _) = spoilt();
    let manager = node.start();
    manager.acknowledge_last_stop();
    manager.close(true, BrokerEpoch(1));
    drop(manager);
    let manager = node.start();
    assert_eq!(manager.last_stop(), LastStop::Unclean);
    manager.delete(&name, TOPIC).unwrap();
    manager.acknowledge_last_stop();
    drop(manager);
    assert_eq!(node.open().last_stop(), LastStop::SameBoot);
}

#[test]
fn a_recovery_that_was_not_finished_is_not_acknowledged() {
    let mut node = Node::new(1);
    append(&create(&node.start(), &partition("t", 0)), 10);
    node.reboot();
    let manager = node.open();
    manager.close(true, BrokerEpoch(1));
    load(&manager);
    manager.acknowledge_last_stop();
    drop(manager);
    assert_eq!(node.open().last_stop(), LastStop::Unclean);
}

#[test]
fn no_partition_is_made_before_it_is_known_what_there_is() {
    let node = Node::new(1);
    append(&create(&node.start(), &partition("t", 0)), 10);
    let manager = node.open();
    assert!(matches!(create_error(&manager, &partition("t", 0)), CreateError::Loading(_)));
    assert_eq!(load(&manager), 1);
    assert_eq!(create(&manager, &partition("t", 0)).log_end_offset(), Offset(1));
    assert_eq!(manager.dirs()[0].offline, None);
}

#[test]
fn a_folder_that_a_failed_creation_left_does_not_stand_in_the_way() {
    let node = Node::new(1);
    let manager = node.start();
    fs::create_dir(node.path(0).join("t-0")).unwrap();
    append(&create(&manager, &partition("t", 0)), 10);
    assert_eq!(manager.dirs()[0].offline, None);
    let folders = node.folders(0);
    assert_eq!(folders[0], "t-0");
    assert!(folders[1].ends_with("-stray"), "{folders:?}");
}

#[test]
fn a_deletion_never_takes_the_folder_of_the_next_of_its_name() {
    let node = Node::new(1);
    let manager = node.start();
    let name = partition("t", 0);
    for round in 0..100_u128 {
        let (old, new) = (Uuid::from_u128(2 * round + 1), Uuid::from_u128(2 * round + 2));
        let config = Arc::new(LogConfig::default());
        manager.create(&name, old, Arc::clone(&config), None).unwrap();
        let made = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // As a producer does that tries again.
                while manager.create(&name, new, Arc::clone(&config), None).is_err() {}
                made.store(true, Ordering::SeqCst);
            });
            manager.delete(&name, old).unwrap();
        });
        assert!(made.into_inner());
        append(&manager.get(&name).unwrap(), 10);
        assert!(node.path(0).join("t-0/00000000000000000000.log").exists(), "in round {round}");
        assert_eq!(manager.dirs()[0].offline, None);
        manager.delete(&name, new).unwrap();
    }
}

#[test]
fn a_directory_that_failed_is_not_believed_by_a_start_under_the_same_boot() {
    let node = Node::new(2);
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    append(&log, 10);
    log.context().take_offline("fsync", &std::io::Error::from_raw_os_error(5));
    // Nor does what the controller knows of the stop before bring the trust back.
    manager.acknowledge_last_stop();
    drop((manager, log));
    let manager = node.start();
    assert_eq!(manager.last_stop(), LastStop::Unclean);
    manager.acknowledge_last_stop();
    drop(manager);
    assert_eq!(node.start().last_stop(), LastStop::SameBoot);
}

#[test]
fn what_a_directory_that_failed_meanwhile_still_had_to_load_is_failed() {
    let mut node = Node::new(1);
    node.config.recovery_threads_per_dir = 1;
    let manager = node.start();
    for index in 0..5 {
        append(&create(&manager, &partition("t", index)), 10);
    }
    drop(manager);
    let manager = node.open();
    let config = Arc::new(LogConfig::default());
    let summary = manager.load(&|_, _| Assignment::Ours { topic_id: TOPIC, config: Arc::clone(&config) }, &|log| {
        log.context().take_offline("reading", &std::io::Error::from_raw_os_error(5));
    });
    assert_eq!((summary.online, summary.failed), (1, 4));
}

#[test]
fn where_every_record_is_to_be_flushed_a_start_after_a_kill_flushes_what_is_left() {
    let node = Node::new(1);
    let manager = node.start();
    let config = Arc::new(LogConfig { flush_messages: 1, ..LogConfig::default() });
    for index in 0..6 {
        append(&manager.create(&partition("t", index), TOPIC, Arc::clone(&config), None).unwrap(), 10);
    }
    drop(manager);
    let manager = node.open();
    manager.load(&|_, _| Assignment::Ours { topic_id: TOPIC, config: Arc::clone(&config) }, &|log| {
        assert_eq!(log.recovery_point(), Offset(0));
    });
    assert!(manager.logs().iter().all(|log| log.recovery_point() == Offset(1)));
}

#[test]
fn a_deletion_that_comes_late_spares_the_next_topic_of_the_name() {
    let node = Node::new(1);
    let manager = node.start();
    let name = partition("t", 0);
    let log = create(&manager, &name);
    append(&log, 10);
    let late = manager.delete(&name, Uuid::from_u128(9));
    assert!(matches!(late, Err(DeleteError::Absent(_))));
    assert!(Arc::ptr_eq(&log, &manager.get(&name).unwrap()) && !log.is_closed());
}
