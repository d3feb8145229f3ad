//! The log manager over real directories: start, stop, crash, stray, deletion, bounds. No test waits on a clock: the time is
//! an argument, and the background work is done by hand where it matters when.

mod crashes;
mod moves;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use uuid::Uuid;
use weir_protocol::compression::Codec;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use weir_protocol::records::BatchBuilder;
use weir_storage::config::LogConfig;
use weir_storage::identity::LastStop;
use weir_storage::log::{AppendOrigin, Log};
use weir_storage::manager::{Assignment, CreateError, LogManager, LogManagerConfig, LogStatus, OpenError};

const TOPIC: TopicId = Uuid::from_u128(0x7001);
const NOW_MS: i64 = 1_700_000_000_000;

/// Directories, a clock, and a manager over them that can be killed and opened again.
struct Node {
    dirs: Vec<tempfile::TempDir>,
    clock: Arc<AtomicI64>,
    config: LogManagerConfig,
}

impl Node {
    fn new(dirs: usize) -> Self {
        let dirs: Vec<_> = (0..dirs).map(|_| tempfile::tempdir().unwrap()).collect();
        let clock = Arc::new(AtomicI64::new(NOW_MS));
        let paths = dirs.iter().map(|dir| dir.path().join("data")).collect();
        let mut config = LogManagerConfig::new(paths, BrokerId(1));
        let time = Arc::clone(&clock);
        config.clock = Arc::new(move || time.load(Ordering::SeqCst));
        config.background = false;
        config.boot_id = Some("boot".to_owned());
        config.disk_reserve_per_mille = 0;
        Self { dirs, clock, config }
    }

    fn path(&self, dir: usize) -> PathBuf {
        self.dirs[dir].path().join("data")
    }

    fn open(&self) -> LogManager {
        LogManager::open(self.config.clone()).unwrap()
    }

    /// Opens and loads; every partition is ours.
    fn start(&self) -> LogManager {
        let manager = self.open();
        load(&manager);
        manager
    }

    fn advance(&self, ms: i64) -> i64 {
        self.clock.fetch_add(ms, Ordering::SeqCst) + ms
    }

    fn folders(&self, dir: usize) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(dir))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn checkpoint(&self, dir: usize, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(dir).join(file)).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().skip(2).map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

fn load(manager: &LogManager) -> usize {
    let config = Arc::new(LogConfig::default());
    manager.load(&|_, _| Assignment::Ours { topic_id: TOPIC, config: Arc::clone(&config) }, &|_| {}).online
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition: PartitionIndex(index) }
}

fn create(manager: &LogManager, partition: &TopicPartition) -> Arc<Log> {
    manager.create(partition, TOPIC, Arc::new(LogConfig::default()), None).unwrap()
}

fn batch(value_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(NOW_MS, Some(b"key"), Some(&vec![b'v'; value_bytes]), &[]).unwrap();
    builder.build().unwrap().to_vec()
}

fn append(log: &Log, value_bytes: usize) -> Offset {
    let mut records = batch(value_bytes);
    log.append_as_leader(&mut records, LeaderEpoch(0), AppendOrigin::Client, NOW_MS).unwrap().last_offset
}

fn append_times(log: &Log, times: i32, value_bytes: usize) {
    for _ in 0..times {
        append(log, value_bytes);
    }
}

/// An idempotent producer's batch.
fn append_sequence(log: &Log, sequence: i32) -> Offset {
    let mut builder = BatchBuilder::new(Codec::None).producer(77, 0, sequence);
    builder.append(NOW_MS, None, Some(b"value"), &[]).unwrap();
    let mut records = builder.build().unwrap().to_vec();
    log.append_as_leader(&mut records, LeaderEpoch(0), AppendOrigin::Client, NOW_MS).unwrap().last_offset
}

fn open_error(config: &LogManagerConfig) -> String {
    LogManager::open(config.clone()).unwrap_err().to_string()
}

#[test]
fn what_was_appended_is_there_after_a_kill() {
    let node = Node::new(2);
    let manager = node.start();
    for index in 0..20 {
        let log = create(&manager, &partition("orders", index));
        append_times(&log, index + 1, 100);
    }
    drop(manager);

    let manager = node.open();
    assert_eq!(manager.last_stop(), LastStop::SameBoot);
    assert!(matches!(manager.status(&partition("orders", 3)), LogStatus::Absent), "nothing is read by open");
    assert_eq!(load(&manager), 20);
    for index in 0..20 {
        let log = manager.get(&partition("orders", index)).unwrap();
        assert_eq!(log.log_end_offset(), Offset(i64::from(index) + 1));
        assert_eq!(log.topic_id(), TOPIC);
    }
}

#[test]
fn a_clean_stop_is_known_by_the_next_start_and_only_by_that() {
    let node = Node::new(1);
    let manager = node.start();
    let log = create(&manager, &partition("orders", 0));
    append(&log, 10);
    log.set_high_watermark(Offset(1));
    manager.close(true, BrokerEpoch(42));
    let marker = node.path(0).join(".kafka_cleanshutdown");
    assert_eq!(fs::read_to_string(&marker).unwrap(), "{\"version\":0,\"brokerEpoch\":42}");
    assert_eq!(node.checkpoint(0, "recovery-point-offset-checkpoint"), ["orders 0 1"]);
    assert_eq!(node.checkpoint(0, "replication-offset-checkpoint"), ["orders 0 1"]);
    drop((manager, log));

    let manager = node.open();
    assert_eq!(manager.last_stop(), LastStop::Clean(Some(BrokerEpoch(42))));
    assert!(marker.exists(), "as long as nothing is loaded the directory is as it was left");
    load(&manager);
    assert!(!marker.exists());
    let log = manager.get(&partition("orders", 0)).unwrap();
    assert_eq!((log.log_end_offset(), log.high_watermark()), (Offset(1), Offset(1)));
    drop((manager, log));
    assert_eq!(node.open().last_stop(), LastStop::SameBoot);
}

#[test]
fn a_clean_stop_of_many_logs_writes_down_all_of_them() {
    let node = Node::new(2);
    let manager = node.start();
    for index in 0..40 {
        append_sequence(&create(&manager, &partition("t", index)), 0);
    }
    manager.close(true, BrokerEpoch(1));
    let points = |dir| node.checkpoint(dir, "recovery-point-offset-checkpoint");
    let all = [points(0), points(1)].concat();
    assert_eq!(all.len(), 40);
    assert!(all.iter().all(|line| line.ends_with(" 1")), "{all:?}");
    drop(manager);
    let manager = node.start();
    for index in 0..40 {
        let log = manager.get(&partition("t", index)).unwrap();
        assert_eq!((log.recovery_point(), log.unflushed_bytes()), (Offset(1), 0));
        assert_eq!(append_sequence(&log, 0), Offset(0), "the producer's batch is known as a duplicate");
    }
}

#[test]
fn a_stop_before_the_load_leaves_checkpoints_and_marker_alone() {
    let node = Node::new(1);
    let manager = node.start();
    append(&create(&manager, &partition("orders", 0)), 10);
    manager.close(true, BrokerEpoch(1));
    drop(manager);
    node.open().close(true, BrokerEpoch(2));
    assert_eq!(node.checkpoint(0, "recovery-point-offset-checkpoint"), ["orders 0 1"]);
    assert_eq!(node.open().last_stop(), LastStop::Clean(Some(BrokerEpoch(1))));
}

#[test]
fn an_unclean_stop_is_remembered_until_it_is_acknowledged() {
    let mut node = Node::new(1);
    drop(node.start());
    node.config.boot_id = Some("another boot".to_owned());
    drop(node.start());
    let manager = node.start();
    assert_eq!(manager.last_stop(), LastStop::Unclean);
    manager.acknowledge_last_stop();
    drop(manager);
    assert_eq!(node.open().last_stop(), LastStop::SameBoot);
}

#[test]
fn directories_that_cannot_be_ours_stop_the_start_in_one_sentence() {
    let node = Node::new(2);
    let manager = node.open();
    let path = node.path(0);
    let locked = open_error(&node.config);
    assert!(locked.starts_with(&format!("the log directory {} is in use by process ", path.display())), "{locked}");
    manager.record_cluster_id("cluster-a").unwrap();
    drop(manager);

    let other = LogManagerConfig { cluster_id: Some("cluster-b".to_owned()), ..node.config.clone() };
    assert_eq!(
        open_error(&other),
        format!(
            "the log directory {} belongs to cluster cluster-a, and this node to cluster cluster-b; \
             choose another directory in log.dirs",
            path.display()
        )
    );
    let repeated = LogManagerConfig { dirs: vec![path.clone(), path.clone()], ..node.config.clone() };
    assert_eq!(open_error(&repeated), format!("log.dirs names {} twice; name each directory once", path.display()));
    let none = LogManagerConfig { dirs: Vec::new(), ..node.config.clone() };
    assert_eq!(open_error(&none), "log.dirs is empty; name at least one directory");
}

#[test]
fn directories_of_two_clusters_or_copies_are_refused() {
    let node = Node::new(2);
    let one = |dir: usize| LogManagerConfig { dirs: vec![node.path(dir)], ..node.config.clone() };
    LogManager::open(one(0)).unwrap().record_cluster_id("a").unwrap();
    LogManager::open(one(1)).unwrap().record_cluster_id("b").unwrap();
    assert!(matches!(LogManager::open(node.config.clone()), Err(OpenError::MixedClusters { .. })));
    fs::copy(node.path(0).join("meta.properties"), node.path(1).join("meta.properties")).unwrap();
    assert!(matches!(LogManager::open(node.config.clone()), Err(OpenError::SameDirectoryId { .. })));
}

#[test]
fn a_directory_that_is_added_joins_the_cluster_of_the_others() {
    let node = Node::new(2);
    let one = LogManagerConfig { dirs: vec![node.path(0)], ..node.config.clone() };
    LogManager::open(one).unwrap().record_cluster_id("a").unwrap();
    drop(node.open());
    let added = LogManagerConfig { dirs: vec![node.path(1)], ..node.config.clone() };
    assert_eq!(LogManager::open(added).unwrap().cluster_id().as_deref(), Some("a"));
}

#[test]
fn before_the_directories_have_been_looked_through_no_partition_is_made() {
    let node = Node::new(2);
    let partition = partition("orders", 0);
    {
        let manager = node.start();
        append_times(&create(&manager, &partition), 3, 10);
    }
    // A client may ask before the load has begun. Made now, the partition would be there twice, or in the way of itself.
    let manager = node.open();
    let early = manager.create(&partition, TOPIC, Arc::new(LogConfig::default()), None);
    assert!(matches!(early, Err(CreateError::Loading(_))), "{early:?}");
    assert!(manager.dirs().iter().all(|dir| dir.offline.is_none()));
    assert_eq!(load(&manager), 1);
    assert_eq!(create(&manager, &partition).log_end_offset(), Offset(3));
}

#[test]
fn a_partition_of_another_topic_is_set_aside_and_its_name_is_free() {
    let node = Node::new(1);
    let manager = node.start();
    append(&create(&manager, &partition("orders", 0)), 10);
    create(&manager, &partition("kept", 0));
    drop(manager);

    let manager = node.open();
    let config = Arc::new(LogConfig::default());
    let ready = AtomicUsize::new(0);
    let summary = manager.load(
        &|partition, topic_id| {
            assert_eq!(topic_id, Some(TOPIC));
            let topic_id = if &*partition.topic == "orders" { Uuid::from_u128(2) } else { TOPIC };
            Assignment::Ours { topic_id, config: Arc::clone(&config) }
        },
        &|log| {
            assert_eq!(&*log.topic_partition().topic, "kept");
            ready.fetch_add(1, Ordering::SeqCst);
        },
    );
    assert_eq!((summary.online, summary.stray, summary.failed, ready.into_inner()), (1, 1, 0, 1));
    let folders = node.folders(0);
    assert_eq!(folders[0], "kept-0");
    assert!(folders[1].starts_with("orders-0.") && folders[1].ends_with("-stray"), "{folders:?}");
    assert_eq!(create(&manager, &partition("orders", 0)).log_end_offset(), Offset(0));
    drop(manager);
    assert_eq!(load(&node.open()), 2, "what is stray stays stray");
}

#[test]
fn a_folder_without_a_topic_id_is_set_aside() {
    let node = Node::new(1);
    let manager = node.start();
    create(&manager, &partition("orders", 0));
    drop(manager);
    fs::write(node.path(0).join("orders-0/partition.metadata"), "").unwrap();
    let manager = node.start();
    assert!(matches!(manager.status(&partition("orders", 0)), LogStatus::Absent));
    assert_eq!(node.folders(0).len(), 1);
}

#[test]
fn deleted_files_go_after_the_delay() {
    let node = Node::new(1);
    let manager = node.start();
    let log = create(&manager, &partition("orders", 0));
    append(&log, 10);
    manager.delete(&partition("orders", 0), TOPIC).unwrap();
    assert!(manager.get(&partition("orders", 0)).is_none());
    assert!(manager.delete(&partition("orders", 0), TOPIC).is_err());
    let folders = node.folders(0);
    assert!(folders[0].starts_with("orders-0.") && folders[0].ends_with("-delete"), "{folders:?}");
    assert!(log.append_as_leader(&mut batch(1), LeaderEpoch(0), AppendOrigin::Client, NOW_MS).is_err());

    assert_eq!(create(&manager, &partition("orders", 0)).log_end_offset(), Offset(0), "a new one can be made at once");
    manager.housekeep(node.advance(59_999));
    assert_eq!(node.folders(0).len(), 2);
    manager.housekeep(node.advance(1));
    assert_eq!(node.folders(0), ["orders-0"]);
}

#[test]
fn leftovers_of_a_deletion_go_at_the_next_start() {
    let node = Node::new(1);
    drop(node.open());
    let id = "0123456789abcdef0123456789abcdef";
    for name in [&format!("a-0.{id}-delete"), "__cluster_metadata-0", "not a partition"] {
        fs::create_dir(node.path(0).join(name)).unwrap();
        fs::write(node.path(0).join(name).join("file"), "x").unwrap();
    }
    let manager = node.start();
    manager.housekeep(NOW_MS);
    assert_eq!(node.folders(0), ["__cluster_metadata-0", "not a partition"]);
}

#[test]
fn partitions_go_where_the_fewest_are_unless_a_directory_is_named() {
    let node = Node::new(2);
    let manager = node.start();
    let ids: Vec<_> = manager.dirs().iter().map(|dir| dir.id).collect();
    let make = |index, dir| {
        let log = manager.create(&partition("t", index), TOPIC, Arc::new(LogConfig::default()), dir).unwrap();
        manager.directory_id(&log).unwrap()
    };
    assert_eq!(make(0, Some(ids[1])), ids[1]);
    assert_eq!(make(1, Some(ids[1])), ids[1]);
    assert_eq!(make(2, None), ids[0]);
    assert_eq!(make(3, None), ids[0]);
    assert_eq!(make(4, Some(ids[0])), ids[0]);
    assert_eq!(make(5, None), ids[1]);
    let unknown = manager.create(&partition("t", 9), TOPIC, Arc::new(LogConfig::default()), Some(Uuid::from_u128(5)));
    assert!(matches!(unknown, Err(CreateError::DirectoryNotOnline(_))));
    manager.delete(&partition("t", 5), TOPIC).unwrap();
    assert_eq!(make(5, None), ids[1], "a deleted one no longer counts");
}

#[test]
fn creating_what_exists_returns_it_and_another_topic_is_refused() {
    let node = Node::new(1);
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    assert!(Arc::ptr_eq(&log, &create(&manager, &partition("t", 0))));
    let other = manager.create(&partition("t", 0), Uuid::from_u128(9), Arc::new(LogConfig::default()), None);
    assert!(matches!(other, Err(CreateError::OtherTopic { .. })));
}

#[test]
fn all_that_wait_on_a_disk_share_a_round() {
    let node = Node::new(1);
    let manager = node.start();
    let answers = Arc::new(AtomicUsize::new(0));
    let logs: Vec<_> = (0..10).map(|index| create(&manager, &partition("t", index))).collect();
    for log in &logs {
        for _ in 0..3 {
            let end = Offset(append(log, 10).0 + 1);
            let answers = Arc::clone(&answers);
            manager.commit_flush(log, end, move |outcome| {
                outcome.unwrap();
                answers.fetch_add(1, Ordering::SeqCst);
            });
        }
    }
    assert_eq!(answers.load(Ordering::SeqCst), 0, "no answer before the fsync");
    manager.flush_waiting();
    assert_eq!(answers.load(Ordering::SeqCst), 30);
    assert!(logs.iter().all(|log| log.recovery_point() == Offset(3)));
    let metrics = manager.metrics();
    assert_eq!((metrics.flush_rounds.get(), metrics.flushes.get(), metrics.commits.get()), (1, 10, 30));

    let answers = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answers);
    manager.commit_flush(&logs[0], Offset(3), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(answers.load(Ordering::SeqCst), 1, "what is durable already is answered at once");
}

#[test]
fn the_flusher_thread_answers() {
    let mut node = Node::new(1);
    node.config.background = true;
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    let (done, answer) = mpsc::channel();
    for _ in 0..100 {
        let end = Offset(append(&log, 10).0 + 1);
        let done = done.clone();
        manager.commit_flush(&log, end, move |outcome| done.send((end, outcome.is_ok())).unwrap());
    }
    drop(done);
    let mut answered: Vec<_> = answer.iter().collect();
    answered.sort();
    assert_eq!(answered, (1..=100).map(|end| (Offset(end), true)).collect::<Vec<_>>());
    manager.close(true, BrokerEpoch(0));
}

#[test]
fn unflushed_bytes_stay_within_the_bound_and_recovery_points_follow() {
    let mut node = Node::new(1);
    node.config.max_unflushed_bytes = 8 << 20;
    let manager = node.start();
    let (large, small) = (create(&manager, &partition("large", 0)), create(&manager, &partition("small", 0)));
    for _ in 0..20 {
        append(&large, 500_000);
        append(&small, 10);
        manager.flush_waiting();
        let unflushed = large.unflushed_bytes() + small.unflushed_bytes();
        assert!(unflushed <= 8 << 20, "{unflushed}");
    }
    let points = node.checkpoint(0, "recovery-point-offset-checkpoint");
    let point: i64 = points[0].strip_prefix("large 0 ").unwrap().parse().unwrap();
    assert!((8..=20).contains(&point), "{points:?}");
    assert_eq!(points[1], "small 0 0", "what weighs little is left to the operating system");
}

#[test]
fn producers_survive_a_kill_after_their_recovery_point_moved() {
    let mut node = Node::new(1);
    node.config.max_unflushed_bytes = 2 << 20;
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    for sequence in 0..10 {
        append_sequence(&log, sequence);
    }
    append(&log, 900_000);
    append(&log, 900_000);
    manager.flush_waiting();
    assert!(log.recovery_point() > Offset(0));
    append_sequence(&log, 10);
    drop((manager, log));

    let manager = node.start();
    let log = manager.get(&partition("t", 0)).unwrap();
    let end = log.log_end_offset();
    assert_eq!(append_sequence(&log, 10), Offset(end.0 - 1), "the last batch is known as a duplicate");
    assert_eq!(append_sequence(&log, 11), end);
}

#[test]
fn a_disk_at_its_reserve_mark_refuses_produce_and_resumes_by_itself() {
    let mut node = Node::new(1);
    node.config.disk_reserve_bytes = u64::MAX;
    node.config.disk_reserve_per_mille = 1_001;
    let manager = node.start();
    assert!(manager.dirs()[0].full);
    let log = create(&manager, &partition("t", 0));
    let refused = log.append_as_leader(&mut batch(10), LeaderEpoch(0), AppendOrigin::Client, NOW_MS);
    assert!(refused.unwrap_err().to_string().starts_with("no space left in log directory "));
    assert_eq!(manager.housekeep(NOW_MS), NOW_MS + 1_000, "it looks again by itself");
    drop((manager, log));

    node.config.disk_reserve_per_mille = 0;
    let manager = node.start();
    append(&manager.get(&partition("t", 0)).unwrap(), 10);
}

#[test]
fn a_directory_that_fails_goes_offline_for_good_and_the_others_go_on() {
    let mut node = Node::new(2);
    let (tell, told) = mpsc::channel();
    node.config.on_offline = Some(Arc::new(move |id, reason| tell.send((id, reason.to_owned())).unwrap()));
    let manager = node.start();
    let ids: Vec<_> = manager.dirs().iter().map(|dir| dir.id).collect();
    let make = |index, dir| manager.create(&partition("t", index), TOPIC, Arc::new(LogConfig::default()), dir);
    let (bad, good) = (make(0, Some(ids[0])).unwrap(), make(1, Some(ids[1])).unwrap());
    append(&bad, 10);
    append(&good, 10);
    manager.housekeep(node.clock.load(Ordering::SeqCst));
    let in_the_way = node.path(0).join("recovery-point-offset-checkpoint.tmp");
    fs::create_dir(&in_the_way).unwrap();
    manager.housekeep(node.advance(60_000));
    manager.flush_waiting();
    fs::remove_dir(&in_the_way).unwrap();

    let dirs = manager.dirs();
    assert!(dirs[0].offline.as_ref().unwrap().starts_with("writing checkpoints: "), "{dirs:?}");
    assert!(dirs[1].offline.is_none());
    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told, [(ids[0], dirs[0].offline.clone().unwrap())], "its owner is told, once");
    assert!(bad.append_as_leader(&mut batch(1), LeaderEpoch(0), AppendOrigin::Client, NOW_MS).is_err());
    append(&good, 10);
    assert_eq!(manager.directory_id(&make(2, None).unwrap()), Some(ids[1]), "new partitions avoid it");
    let (failed, answer) = mpsc::channel();
    manager.commit_flush(&bad, Offset(1), move |outcome| failed.send(outcome.is_err()).unwrap());
    manager.flush_waiting();
    assert!(answer.recv().unwrap());
    manager.close(true, BrokerEpoch(1));
    assert!(!node.path(0).join(".kafka_cleanshutdown").exists());
    assert!(node.path(1).join(".kafka_cleanshutdown").exists());
}

#[test]
fn a_node_at_rest_has_no_deadline_but_retention() {
    let node = Node::new(1);
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    append(&log, 10);
    let retention = NOW_MS + 30_000;
    assert_eq!(manager.housekeep(NOW_MS), NOW_MS + 5_000, "high watermarks are due first");
    log.set_high_watermark(Offset(1));
    assert_eq!(manager.housekeep(node.advance(5_000)), retention);
    manager.flush_waiting();
    assert_eq!(node.checkpoint(0, "replication-offset-checkpoint"), ["t 0 1"]);
    assert_eq!(manager.housekeep(node.advance(25_000)), NOW_MS + 60_000, "checkpoints of the change before");
    let now = node.advance(30_000);
    assert_eq!(manager.housekeep(now), retention + 300_000);
    manager.flush_waiting();
    assert_eq!(node.checkpoint(0, "recovery-point-offset-checkpoint"), ["t 0 0"]);
    assert_eq!(manager.housekeep(now + 1), retention + 300_000, "and then nothing");
}

#[test]
fn records_are_flushed_within_flush_ms() {
    let node = Node::new(1);
    let manager = node.start();
    let config = Arc::new(LogConfig { flush_ms: 1_000, ..LogConfig::default() });
    let timed = manager.create(&partition("timed", 0), TOPIC, config, None).unwrap();
    let untimed = create(&manager, &partition("untimed", 0));
    append(&timed, 10);
    append(&untimed, 10);
    assert_eq!(manager.housekeep(NOW_MS), NOW_MS + 1_000);
    manager.flush_waiting();
    assert_eq!(timed.recovery_point(), Offset(0));
    manager.housekeep(node.advance(1_000));
    manager.flush_waiting();
    assert_eq!((timed.recovery_point(), untimed.recovery_point()), (Offset(1), Offset(0)));
}

#[test]
fn retention_runs_with_the_clock() {
    let node = Node::new(1);
    let manager = node.start();
    let config = Arc::new(LogConfig { segment_bytes: 1_000, retention_ms: 100_000, ..LogConfig::default() });
    let log = manager.create(&partition("t", 0), TOPIC, config, None).unwrap();
    append_times(&log, 3, 600);
    log.set_high_watermark(Offset(3));
    assert_eq!(log.segments_count(), 3);
    manager.housekeep(node.advance(30_000));
    assert_eq!(log.segments_count(), 3);
    manager.housekeep(node.advance(300_000));
    assert_eq!(log.log_start_offset(), Offset(3), "all of it is older than its retention");
    let deleted = |path: &Path| {
        let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".deleted")).count()
    };
    assert!(deleted(&log.dir()) > 0);
    manager.housekeep(node.advance(60_000));
    assert_eq!(deleted(&log.dir()), 0, "and the files go after their delay");
}

#[test]
fn a_checkpoint_that_does_not_read_costs_a_longer_recovery_and_nothing_else() {
    let node = Node::new(1);
    let manager = node.start();
    let log = create(&manager, &partition("t", 0));
    append_times(&log, 5, 10);
    manager.close(true, BrokerEpoch(1));
    drop((manager, log));
    fs::write(node.path(0).join("recovery-point-offset-checkpoint"), "nonsense").unwrap();
    let manager = node.start();
    assert_eq!(manager.get(&partition("t", 0)).unwrap().log_end_offset(), Offset(5));
}

#[test]
fn a_partition_that_does_not_open_does_not_hold_back_the_others() {
    let node = Node::new(1);
    let manager = node.start();
    append(&create(&manager, &partition("bad", 0)), 10);
    append(&create(&manager, &partition("good", 0)), 10);
    drop(manager);
    let segment = fs::File::options().write(true).open(node.path(0).join("bad-0/00000000000000000000.log")).unwrap();
    segment.set_len(3 << 30).unwrap();
    let manager = node.start();
    assert!(manager.get(&partition("good", 0)).is_some());
    match manager.status(&partition("bad", 0)) {
        LogStatus::Failed(reason) => assert!(reason.contains("3221225472 bytes"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let refused = manager.create(&partition("bad", 0), TOPIC, Arc::new(LogConfig::default()), None);
    assert!(matches!(refused, Err(CreateError::Failed { .. })));
    manager.delete(&partition("bad", 0), TOPIC).unwrap();
    create(&manager, &partition("bad", 0));
}

#[test]
fn a_partition_in_two_directories_serves_from_neither() {
    let node = Node::new(2);
    drop(node.open());
    for dir in 0..2 {
        let folder = node.path(dir).join("t-0");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("partition.metadata"), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAABwAQ").unwrap();
    }
    let manager = node.start();
    assert!(
        matches!(manager.status(&partition("t", 0)), LogStatus::Failed(reason) if reason.contains("two log directories"))
    );
}

#[test]
fn logs_serve_as_soon_as_they_are_ready() {
    let node = Node::new(1);
    let manager = node.start();
    for index in 0..50 {
        append(&create(&manager, &partition("t", index)), 10);
    }
    drop(manager);
    let manager = node.open();
    let config = Arc::new(LogConfig::default());
    let ready = AtomicUsize::new(0);
    manager.load(&|_, _| Assignment::Ours { topic_id: TOPIC, config: Arc::clone(&config) }, &|log| {
        assert!(manager.get(log.topic_partition()).is_some(), "in service when it is announced");
        append(log, 10);
        ready.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(ready.into_inner(), 50);
}
