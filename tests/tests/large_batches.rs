//! A batch that is larger than followers ask for in one answer.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use weir_protocol::compression::Codec;
use weir_protocol::records::BatchBuilder;
use weir_tests::cluster::Cluster;
use weir_tests::paths;
use weir_tests::wire::Wire;

/// How long anything may take on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "large";
/// More than `replica.fetch.response.max.bytes`, whose default is 10 MiB, and than any room to spare above it.
const BATCH_BYTES: usize = 40 << 20;

fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_700_000_000_000, None, Some(&vec![7; BATCH_BYTES]), &[]).expect("it fits");
    builder.build().expect("a batch").freeze()
}

#[test]
fn a_batch_that_is_larger_than_followers_ask_for_is_replicated_and_acknowledged() {
    let dir = TempDir::new().expect("a directory");
    let settings = ["min.insync.replicas=3".to_owned()];
    let cluster = Cluster::start(dir.path(), 3, &settings).expect("the cluster starts");
    let watch = cluster.watch();
    let bootstrap = cluster.bootstrap();
    let nodes: Vec<&str> = bootstrap.split(',').collect();
    let mut create = Command::new(paths::weir_binary());
    create.args(["topic", "create", TOPIC, "-p", "1", "-r", "3", "-c", "max.message.bytes=104857600"]);
    let created = create.args(["--bootstrap", &bootstrap]).output().expect("weir runs");
    assert!(created.status.success(), "{created:?}");
    watch.wait_until_whole(TOPIC, PATIENCE).expect("whole");
    let leader = watch.partitions(TOPIC).expect("an answer")[0].leader;
    let place = usize::try_from(leader - 1).expect("an id");
    let mut wire = Wire::connect(nodes[place]).expect("connected");
    let answer = wire.produce(TOPIC, 0, batch()).expect("an answer");
    assert_eq!((answer.error_code, answer.base_offset), (0, 0), "{answer:?}");
}
