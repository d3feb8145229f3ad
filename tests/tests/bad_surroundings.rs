//! What surrounds a cluster and is not as it should be: clocks an hour apart, snapshots that a crash left half written. Each is survived,
//! or said in words, and nothing that was acknowledged is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::protocol::StrBytes;
use tempfile::TempDir;
use weir_tests::cluster::{Cluster, NodeOptions};
use weir_tests::load::Load;
use weir_tests::paths;
use weir_tests::process::output_of;
use weir_tests::verdict::Verdict;
use weir_tests::verified_load::VerifiedLoad;
use weir_tests::wire::{NewTopic, Wire};

/// How long a node may take to start, a topic to be whole, and a load to settle, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR_S: i64 = 3600;
const TOPIC: &str = "changed";
/// Kafka's number for topics among what can be configured.
const TOPIC_RESOURCE: i8 = 2;
const SAFE: [&str; 2] = ["default.replication.factor=3", "min.insync.replicas=2"];

fn nodes(dir: &Path) -> Vec<NodeOptions> {
    NodeOptions::combined(dir, 3, &SAFE.map(str::to_owned)).expect("free ports")
}

/// What shifts the wall clock of a process into which it is preloaded.
fn clock_shift(dir: &Path) -> PathBuf {
    let library = dir.join("clock_shift.so");
    let source = paths::tests_dir().join("faults/clock_shift.c");
    output_of(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source)).expect("compiled");
    library
}

#[test]
fn clocks_an_hour_apart_fence_nobody_lose_nothing_and_do_not_hold_up_a_failover() {
    let dir = TempDir::new().expect("a directory");
    let library = clock_shift(dir.path());
    let mut nodes = nodes(dir.path());
    for (node, hours) in nodes.iter_mut().zip([1, 0, -1]) {
        node.environment.push(("LD_PRELOAD".to_owned(), library.display().to_string()));
        node.environment.push(("CLOCK_SHIFT_S".to_owned(), (hours * HOUR_S).to_string()));
    }
    let mut cluster = Cluster::of(nodes).expect("three nodes form a cluster");
    let load = Load {
        bootstrap: cluster.bootstrap(),
        topic: "apart".to_owned(),
        partitions: 3,
        producer: vec![("request.timeout.ms", "1000".to_owned())],
        pace: Some(Duration::from_millis(1)),
        settle: PATIENCE,
    };
    load.create_topic(3, &[]).expect("a topic");
    let watch = cluster.watch();
    watch.wait_until_whole("apart", PATIENCE).expect("whole");
    let running = VerifiedLoad::begin(load).expect("a load");
    for index in 0..3 {
        cluster.node(index).kill().expect("killed");
        // The next one waits until the others have gone on without it.
        let gone = i32::try_from(index + 1).expect("a node id");
        watch
            .wait_for(PATIENCE, || match watch.partitions("apart")?.iter().all(|one| !one.in_sync.contains(&gone)) {
                true => Ok(()),
                false => Err(std::io::Error::other(format!("node {gone} is in sync"))),
            })
            .expect("the others go on");
        cluster.node(index).start(PATIENCE).expect("it comes back");
        watch.wait_until_whole("apart", PATIENCE).expect("whole");
    }
    let mut verdict = Verdict::new("clocks apart");
    running.end(&mut verdict).expect("the load ends");
    assert!(!verdict.is_broken());
    let complaints = cluster.complaints(&["panicked", " ERROR "]).expect("logs");
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// The metadata snapshots of a node, the newest last.
fn snapshots(node: &NodeOptions) -> Vec<PathBuf> {
    let directory = node.data_dir().join("__cluster_metadata-0");
    let entries = fs::read_dir(directory).expect("the metadata log").map(|entry| entry.expect("an entry").path());
    let is_snapshot = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "checkpoint");
    let mut found: Vec<PathBuf> = entries.filter(is_snapshot).collect();
    found.sort();
    found
}

/// Changes a long setting again and again until a snapshot is made: after 20 MiB of changes.
fn until_snapshot(cluster: &mut Cluster, index: usize) {
    const CHANGES_MAX: usize = 2_000;
    const LONG: usize = 7_500;
    let node = cluster.node(index).options().clone();
    let mut wire = Wire::connect(&node.bootstrap()).expect("connected");
    wire.create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] }]).expect("a topic");
    for number in 0..CHANGES_MAX {
        if !snapshots(&node).is_empty() {
            return;
        }
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("leader.replication.throttled.replicas"))
            .with_value(Some(StrBytes::from_string(vec![format!("0:{}", number % 9 + 1); LONG].join(","))));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(StrBytes::from_static_str(TOPIC))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let response = wire.call(&request, 1).expect("an answer");
        assert_eq!(response.responses[0].error_code, 0, "{:?}", response.responses[0].error_message);
    }
    panic!("no snapshot was made after {CHANGES_MAX} changes");
}

#[test]
fn a_node_that_comes_back_to_half_a_snapshot_says_so_and_is_given_a_whole_one_or_what_it_is_to_do() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::of(nodes(dir.path())).expect("three nodes form a cluster");
    until_snapshot(&mut cluster, 1);
    cluster.node(1).stop().expect("stopped");
    let snapshot = snapshots(cluster.node(1).options()).pop().expect("a snapshot");
    let whole = fs::read(&snapshot).expect("a snapshot");
    fs::write(&snapshot, &whole[..whole.len() / 2]).expect("cut in half");
    // What a crash leaves of one that was being written is not taken for one.
    fs::write(snapshot.with_extension("checkpoint.part"), &whole[..10]).expect("written");
    let refused = cluster.node(1).start(PATIENCE).expect_err("half a snapshot is no metadata").to_string();
    let name = snapshot.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(refused.contains("ended (exit status: 1)") && refused.contains(&name), "{refused}");
    cluster.node(1).kill().expect("it has ended");
    // Mended as it says: the node joins again on an empty directory, and nobody else was disturbed.
    cluster.node(1).wipe().expect("emptied");
    cluster.node(1).start(PATIENCE).expect("it joins again");
    let metadata = Wire::connect(&cluster.node(1).options().bootstrap()).and_then(|mut wire| wire.metadata());
    let topics = metadata.expect("metadata").topics;
    assert!(topics.iter().any(|topic| topic.name.as_ref().is_some_and(|name| name.as_str() == TOPIC)), "{topics:?}");
}
