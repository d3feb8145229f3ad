//! Moves of replicas in a cluster of processes: throttled, called off, taken up again after a crash; a broker drained and a cluster
//! balanced from the command line; internal topics raised as nodes join.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use weir_protocol::client::{
    Address, Admin, Client, ClientConfig, ConfigChange, ConfigResource, CoordinatorKind, Move,
};
use weir_protocol::compression::Codec;
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};
use weir_protocol::records::BatchBuilder;
use weir_tests::cluster::{Cluster, InSync, NodeOptions};
use weir_tests::paths;
use weir_tests::wire::Wire;

/// How long anything may take on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;
/// What one batch holds.
const BATCH_BYTES: usize = 512 << 10;
const RATES: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
const REPLICAS: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// Three nodes, and who asks them.
struct Harness {
    cluster: Cluster,
    admin: Admin,
    runtime: Runtime,
    _dir: TempDir,
}

impl Harness {
    fn start() -> Self {
        let dir = TempDir::new().expect("a directory");
        let cluster = Cluster::start(dir.path(), 3, &[]).expect("the cluster starts");
        Self::of(cluster, dir)
    }

    fn of(cluster: Cluster, dir: TempDir) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let bootstrap = Address::parse_list(&cluster.bootstrap()).expect("addresses");
        let client = runtime.block_on(Client::connect(ClientConfig::new(bootstrap))).expect("connected");
        Self { cluster, admin: Admin::new(client), runtime, _dir: dir }
    }

    /// Runs a command of `weir` against the cluster.
    fn weir(&self, arguments: &[&str]) -> Output {
        self.begin(arguments).wait_with_output().expect("it ends")
    }

    /// Begins a command of `weir`, whose words are read when it has ended.
    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(paths::weir_binary());
        command.args(arguments).args(["--bootstrap", &self.cluster.bootstrap()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("weir runs")
    }

    /// Every config by which replication is throttled, on the topic `orders` or on a broker.
    fn throttled(&self) -> Vec<String> {
        let brokers = (1..=3).map(|id| ConfigResource::Broker(BrokerId(id)));
        let resources: Vec<_> = brokers.chain([ConfigResource::Topic("orders".to_owned())]).collect();
        let described = self.runtime.block_on(self.admin.describe_configs(&resources)).expect("an answer");
        let configs = described.into_iter().flat_map(|(resource, configs)| {
            let configs = configs.expect("configs").into_iter();
            let is_set = |source| matches!(source, 1 | 2);
            let throttles =
                configs.filter(move |it| is_set(it.config_source) && it.name.contains("replication.throttled"));
            throttles.map(move |it| format!("{resource}: {}", &*it.name))
        });
        configs.collect()
    }

    fn weir_json(&self, arguments: &[&str]) -> Value {
        let output = self.weir(&[arguments, &["-o", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Makes a topic of one replica each on these brokers' lists, with as many bytes in each partition as told.
    fn topic(&self, name: &str, partitions: &[&[i32]], bytes_each: usize) {
        let (count, factor) = (partitions.len().to_string(), partitions[0].len().to_string());
        let created = self.weir(&["topic", "create", name, "--partitions", &count, "--replication-factor", &factor]);
        assert!(created.status.success(), "{created:?}");
        let moves = partitions.iter().zip(0..).map(|(ids, index)| (partition(name, index), Some(ids_of(ids))));
        self.move_partitions(&moves.collect::<Vec<_>>());
        self.wait_for(|| {
            match self.moves().is_empty() && self.cluster.watch().wait_until_whole(name, PATIENCE).is_ok() {
                true => Ok(()),
                false => Err(io::Error::other("it moves")),
            }
        });
        let leaders = self.admin.elect_leaders(weir_protocol::client::Election::Preferred, None);
        self.runtime.block_on(leaders).expect("elected");
        for (ids, index) in partitions.iter().zip(0..) {
            self.produce(name, index, ids[0], bytes_each);
        }
    }

    fn produce(&self, topic: &str, index: i32, leader: i32, bytes: usize) {
        self.append(topic, index, leader, &vec![batch(); bytes.div_ceil(BATCH_BYTES)]);
    }

    fn append(&self, topic: &str, index: i32, leader: i32, batches: &[Bytes]) {
        let bootstrap = self.cluster.bootstrap();
        let place = usize::try_from(leader - 1).expect("an id");
        let mut wire = Wire::connect(bootstrap.split(',').nth(place).expect("a node")).expect("connected");
        for batch in batches {
            let answer = self.wait_for(|| {
                let answer = wire.produce(topic, index, batch.clone())?;
                if answer.error_code == 0 { Ok(answer) } else { Err(io::Error::other(format!("{answer:?}"))) }
            });
            assert!(answer.base_offset >= 0);
        }
    }

    fn move_partitions(&self, moves: &[(TopicPartition, Option<Vec<BrokerId>>)]) {
        for (partition, outcome) in self.runtime.block_on(self.admin.move_partitions(moves)).expect("an answer") {
            outcome.unwrap_or_else(|error| panic!("{partition}: {error}"));
        }
    }

    fn moves(&self) -> Vec<Move> {
        self.runtime.block_on(self.admin.list_moves()).expect("an answer")
    }

    /// Throttles every replica of a topic everywhere, as the JVM's tool does, or no longer.
    fn throttle(&self, topic: &str, bytes_per_s: Option<u64>) {
        let change = |key: &str, value: &str| match bytes_per_s {
            Some(_) => (key.to_owned(), ConfigChange::Set(value.to_owned())),
            None => (key.to_owned(), ConfigChange::Delete),
        };
        let rates = RATES.map(|key| change(key, &bytes_per_s.unwrap_or_default().to_string()));
        for id in 1..=3 {
            self.alter(&ConfigResource::Broker(BrokerId(id)), &rates);
        }
        self.alter(&ConfigResource::Topic(topic.to_owned()), &REPLICAS.map(|key| change(key, "*")));
    }

    fn alter(&self, resource: &ConfigResource, changes: &[(String, ConfigChange)]) {
        self.runtime.block_on(self.admin.alter_configs(resource, changes, false)).expect("altered");
    }

    fn partitions(&self, topic: &str) -> Vec<InSync> {
        self.cluster.watch().partitions(topic).expect("an answer")
    }

    /// The bytes of a partition's log on a broker, if there is one.
    fn size_on(&self, broker: i32, wanted: &TopicPartition) -> Option<u64> {
        let dirs = self.runtime.block_on(self.admin.describe_log_dirs(BrokerId(broker))).expect("an answer");
        let mut replicas = dirs.iter().flat_map(|dir| &dir.replicas);
        replicas.find(|replica| replica.partition == *wanted).map(|replica| replica.size_bytes)
    }

    fn wait_for<T>(&self, question: impl FnMut() -> io::Result<T>) -> T {
        self.cluster.watch().wait_for(PATIENCE, question).expect("it comes to that")
    }
}

fn partition(topic: &str, index: i32) -> TopicPartition {
    TopicPartition::new(topic, PartitionIndex(index))
}

fn ids_of(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn batch() -> Bytes {
    let value = vec![7; BATCH_BYTES];
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_700_000_000_000, None, Some(&value), &[]).expect("it fits");
    builder.build().expect("a batch").freeze()
}

fn replicas_of(partitions: &[InSync]) -> Vec<Vec<i32>> {
    partitions.iter().map(|partition| partition.replicas.clone()).collect()
}

#[test]
fn a_drained_broker_is_emptied_at_the_rate_that_was_asked_for_and_gets_nothing_new() {
    let mut harness = Harness::start();
    harness.topic("orders", &[&[1, 2], &[2, 1]], 3 * MIB as usize);
    let begun = Instant::now();
    let drained = harness.weir(&["cluster", "drain", "2", "--throttle", "1048576"]);
    let took = begun.elapsed();
    assert!(drained.status.success(), "{drained:?}");
    // Six at one a second, but for the first second's worth and the answer under way at the end.
    assert!(took > Duration::from_secs(2), "took {took:?}");
    for mut replicas in replicas_of(&harness.partitions("orders")) {
        replicas.sort_unstable();
        assert_eq!(replicas, [1, 3]);
    }
    let fetched = harness.cluster.node(2).metric("weir_replica_throttled_fetched_bytes_total").expect("a metric");
    assert!(fetched >= (6 * MIB) as f64, "{fetched}");
    let described = harness.weir_json(&["topic", "describe", "orders"]);
    let configs = described[0]["configs"].as_array().expect("configs").iter();
    let left: Vec<_> = configs.filter(|it| it["source"] == "topic").map(|it| it["name"].clone()).collect();
    assert!(left.is_empty(), "the throttle is left: {left:?}");
    let refused = harness.weir(&["topic", "create", "wide", "--replication-factor", "3"]);
    assert!(!refused.status.success());
    assert!(harness.weir(&["topic", "create", "new", "-p", "4", "-r", "2"]).status.success());
    assert!(replicas_of(&harness.partitions("new")).iter().all(|replicas| !replicas.contains(&2)));
    assert!(harness.weir(&["cluster", "undrain", "2"]).status.success());
    harness.wait_for(|| {
        match harness.weir(&["topic", "create", "wide", "--replication-factor", "3"]).status.success() {
            true => Ok(()),
            false => Err(io::Error::other("still cordoned")),
        }
    });
}

#[test]
fn a_replica_whose_log_starts_within_a_batch_can_be_moved() {
    let harness = Harness::start();
    harness.topic("orders", &[&[1, 2]], 0);
    let mut ten = BatchBuilder::new(Codec::None);
    for _ in 0..10 {
        ten.append(1_700_000_000_000, None, Some(b"value"), &[]).expect("it fits");
    }
    harness.append("orders", 0, 1, &[ten.build().expect("a batch").freeze()]);
    let before = [(partition("orders", 0), 5)];
    let deleted = harness.runtime.block_on(harness.admin.delete_records(&before)).expect("an answer");
    assert!(matches!(&deleted[..], [(_, Ok(5))]), "{deleted:?}");
    harness.move_partitions(&[(partition("orders", 0), Some(ids_of(&[1, 3])))]);
    harness.wait_for(|| if harness.moves().is_empty() { Ok(()) } else { Err(io::Error::other("it moves")) });
    assert_eq!(replicas_of(&harness.partitions("orders")), [[1, 3]]);
}

#[test]
fn a_move_goes_on_after_the_broker_that_it_goes_to_was_killed() {
    let mut harness = Harness::start();
    harness.topic("orders", &[&[1, 2]], 4 * MIB as usize);
    harness.throttle("orders", Some(MIB / 2));
    harness.move_partitions(&[(partition("orders", 0), Some(ids_of(&[1, 3])))]);
    harness.wait_for(|| match harness.size_on(3, &partition("orders", 0)).is_some_and(|size| size > 0) {
        true => Ok(()),
        false => Err(io::Error::other("nothing is copied yet")),
    });
    assert_eq!(harness.moves()[0].adding, ids_of(&[3]));
    harness.cluster.node(2).kill().expect("killed");
    assert_eq!(harness.moves()[0].adding, ids_of(&[3]));
    harness.cluster.node(2).start(PATIENCE).expect("it starts");
    harness.throttle("orders", None);
    harness.cluster.watch().wait_until_whole("orders", PATIENCE).expect("whole");
    harness.wait_for(|| if harness.moves().is_empty() { Ok(()) } else { Err(io::Error::other("it moves")) });
    assert_eq!(replicas_of(&harness.partitions("orders")), [[1, 3]]);
    harness.wait_for(|| match harness.size_on(2, &partition("orders", 0)) {
        None => Ok(()),
        Some(_) => Err(io::Error::other("the old replica is still there")),
    });
}

#[test]
fn a_move_that_is_called_off_leaves_everything_as_it_was() {
    let harness = Harness::start();
    harness.topic("orders", &[&[1, 2]], 4 * MIB as usize);
    harness.throttle("orders", Some(MIB / 4));
    harness.move_partitions(&[(partition("orders", 0), Some(ids_of(&[3, 2])))]);
    harness.wait_for(|| match harness.size_on(3, &partition("orders", 0)).is_some_and(|size| size > 0) {
        true => Ok(()),
        false => Err(io::Error::other("nothing is copied yet")),
    });
    assert!(harness.weir(&["partition", "cancel", "orders-0"]).status.success());
    assert!(harness.moves().is_empty());
    let mut replicas = replicas_of(&harness.partitions("orders"));
    // Which of them is preferred is what the move had asked for, as in Kafka.
    replicas[0].sort_unstable();
    assert_eq!(replicas, [[1, 2]]);
    harness.wait_for(|| match harness.size_on(3, &partition("orders", 0)) {
        None => Ok(()),
        Some(_) => Err(io::Error::other("the copy is still there")),
    });
    // In sync and led as before, and written to.
    harness.produce("orders", 0, 1, BATCH_BYTES);
}

#[test]
fn a_throttled_move_takes_its_throttle_away_when_it_has_ended_and_when_it_is_called_off() {
    let harness = Harness::start();
    harness.topic("orders", &[&[1, 2]], 3 * MIB as usize);
    let moved = harness.weir(&["partition", "move", "orders-0=1,3", "--throttle", "2097152"]);
    assert!(moved.status.success(), "{moved:?}");
    assert_eq!(String::from_utf8_lossy(&moved.stdout), "orders-0 has moved\n");
    assert_eq!(replicas_of(&harness.partitions("orders")), [[1, 3]]);
    assert_eq!(harness.throttled(), Vec::<String>::new());
    let slow = harness.begin(&["partition", "move", "orders-0=1,2", "--throttle", "1024"]);
    harness.wait_for(|| if harness.moves().is_empty() { Err(io::Error::other("not begun")) } else { Ok(()) });
    assert_eq!(harness.throttled().len(), 3 * RATES.len() + REPLICAS.len());
    harness.move_partitions(&[(partition("orders", 0), None)]);
    let called_off = slow.wait_with_output().expect("it ends");
    assert!(!called_off.status.success());
    assert!(String::from_utf8_lossy(&called_off.stderr).contains("called the move off"), "{called_off:?}");
    assert_eq!(harness.throttled(), Vec::<String>::new());
}

#[test]
fn an_interrupted_move_says_what_it_leaves_and_one_command_takes_that_away() {
    let harness = Harness::start();
    harness.topic("orders", &[&[1, 2]], 3 * MIB as usize);
    let interrupted = || {
        let slow = harness.begin(&["partition", "move", "orders-0=1,3", "--throttle", "1024"]);
        harness.wait_for(|| if harness.moves().is_empty() { Err(io::Error::other("not begun")) } else { Ok(()) });
        rustix::process::kill_process(rustix::process::Pid::from_child(&slow), rustix::process::Signal::INT)
            .expect("it runs");
        slow.wait_with_output().expect("it ends")
    };
    let said = interrupted();
    assert!(!said.status.success());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("stay throttled") && said.contains("`weir partition unthrottle`"), "{said}");
    assert!(!harness.moves().is_empty() && !harness.throttled().is_empty());
    assert!(harness.weir(&["partition", "unthrottle"]).status.success());
    assert_eq!(harness.throttled(), Vec::<String>::new());
    harness.wait_for(|| if harness.moves().is_empty() { Ok(()) } else { Err(io::Error::other("it moves")) });
    harness.move_partitions(&[(partition("orders", 0), Some(ids_of(&[1, 2])))]);
    harness.wait_for(|| if harness.moves().is_empty() { Ok(()) } else { Err(io::Error::other("it moves")) });
    interrupted();
    assert!(harness.weir(&["partition", "cancel", "orders-0"]).status.success());
    assert_eq!(harness.throttled(), Vec::<String>::new());
    // Somebody's throttle with nothing that moves is told of.
    harness.throttle("orders", Some(MIB));
    let told = harness.weir(&["partition", "moves"]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("`weir partition unthrottle`"), "{told:?}");
}

#[test]
fn a_replica_that_is_away_with_everything_committed_is_told_as_an_eligible_leader() {
    let mut harness = Harness::start();
    let wide = ["topic", "create", "wide", "-p", "1", "-r", "3", "-c", "min.insync.replicas=3"];
    assert!(harness.weir(&wide).status.success());
    harness.cluster.watch().wait_until_whole("wide", PATIENCE).expect("whole");
    let described = harness.weir_json(&["topic", "describe", "wide"]);
    assert_eq!(described[0]["partitions"][0]["eligible_leader_replicas"], serde_json::json!([]));
    harness.cluster.node(2).kill().expect("killed");
    harness.wait_for(|| {
        let described = harness.weir_json(&["topic", "describe", "wide"]);
        let partition = &described[0]["partitions"][0];
        match partition["eligible_leader_replicas"] == serde_json::json!([3]) && partition["last_known_elr"].is_array()
        {
            true => Ok(()),
            false => Err(io::Error::other(format!("{partition}"))),
        }
    });
    let table = harness.weir(&["topic", "describe", "wide"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("ELIGIBLE LEADERS"), "{table:?}");
}

#[test]
fn a_cluster_is_balanced_after_a_dry_run_has_said_how_and_changed_nothing() {
    let harness = Harness::start();
    harness.topic("orders", &[&[1], &[1], &[1], &[1], &[1], &[1]], BATCH_BYTES);
    let plan = harness.weir_json(&["cluster", "balance", "--sample", "0", "--dry-run"]);
    let steps = plan["steps"].as_array().expect("steps");
    assert!(!steps.is_empty());
    assert!(steps[0]["reason"].as_str().expect("a reason").starts_with("broker 1 has "), "{:?}", steps[0]);
    assert!(replicas_of(&harness.partitions("orders")).iter().all(|replicas| *replicas == [1]));
    let balanced = harness.weir(&["cluster", "balance", "--sample", "0"]);
    assert!(balanced.status.success(), "{balanced:?}");
    let after = replicas_of(&harness.partitions("orders"));
    for broker in 1..=3 {
        assert_eq!(after.iter().filter(|replicas| **replicas == [broker]).count(), 2, "{after:?}");
    }
    let again = harness.weir_json(&["cluster", "balance", "--sample", "0", "--dry-run"]);
    assert_eq!(again["steps"].as_array().map(Vec::len), Some(0), "{again}");
}

#[test]
fn the_offsets_topic_gets_a_replica_on_each_node_that_joins_until_there_are_three() {
    let dir = TempDir::new().expect("a directory");
    let settings = ["offsets.topic.num.partitions=4".to_owned()];
    let options = NodeOptions::combined(dir.path(), 3, &settings).expect("free ports");
    let mut cluster = Cluster::waiting(options);
    for place in 0..2 {
        cluster.node(place).spawn().expect("it starts");
    }
    for place in 0..2 {
        cluster.node(place).wait_until_ready(PATIENCE).expect("it serves");
    }
    let mut harness = Harness::of(cluster, dir);
    let client = harness.admin.client().clone();
    harness.wait_for(|| {
        let found = harness.runtime.block_on(client.coordinator(CoordinatorKind::Group, "group"));
        found.map_err(io::Error::other)
    });
    let offsets = "__consumer_offsets";
    assert!(replicas_of(&harness.partitions(offsets)).iter().all(|replicas| replicas.len() == 2));
    harness.cluster.node(2).start(PATIENCE).expect("it starts");
    harness.wait_for(|| {
        let partitions = harness.partitions(offsets);
        let is_safe = |it: &InSync| it.replicas.len() == 3 && it.in_sync.len() == 3;
        match partitions.len() == 4 && partitions.iter().all(is_safe) {
            true => Ok(()),
            false => Err(io::Error::other(format!("{partitions:?}"))),
        }
    });
}
