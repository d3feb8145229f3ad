//! A controller more, and one less, as Apache Kafka's operators have it: `kafka-metadata-quorum add-controller` with the configuration file of
//! a fresh node, and `remove-controller`, at nodes that are controllers and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use weir_tests::apache_kafka::java;
use weir_tests::cluster::{Cluster, Node, NodeOptions, Roles};
use weir_tests::load::AnyError;
use weir_tests::process::output_of;
use weir_tests::verdict::Verdict;
use weir_tests::wire::{NewTopic, Wire};

/// How long a node may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// The id of the controller that comes and goes.
const ADDED: i32 = 9;

/// A broker and three controllers, and the fourth.
pub(crate) fn run(dir: &Path, verdict: &mut Verdict) -> Result<(), AnyError> {
    let roles = [Roles::Broker, Roles::Controller, Roles::Controller, Roles::Controller];
    let mut cluster = Cluster::of(NodeOptions::of(dir, &roles, &[])?)?;
    let controllers = cluster.controllers();
    let mut added = Node::new(fresh(&dir.join("added"), &controllers)?);
    added.start(PATIENCE)?;
    let config = added.options().dir.join("server.properties");
    let said = tool(&[
        "--bootstrap-controller",
        &controllers,
        "--command-config",
        &config.to_string_lossy(),
        "add-controller",
    ])?;
    verdict.holds("kafka-metadata-quorum adds a controller", said.contains("Added controller"), || said);
    let voters = voters(&controllers)?;
    verdict.holds("a controller that was added is told as a voter", voters == 4, || format!("{voters} voters"));
    // Three of four are a majority, and only with the new one's vote.
    cluster.node(1).kill()?;
    verdict.holds("a controller that was added votes", create(&cluster, "by-three").is_ok(), || added.log_tail(20));
    let directory = directory_id(&added)?;
    let (id, remaining) = (ADDED.to_string(), cluster.node(2).options().controller().unwrap_or_default());
    let removal = ["remove-controller", "--controller-id", &id, "--controller-directory-id", &directory];
    let said = tool(&[&["--bootstrap-controller", &remaining][..], &removal].concat())?;
    verdict.holds("kafka-metadata-quorum removes a controller", said.contains("Removed"), || said);
    added.kill()?;
    // Two of three are one as well, and of four they would not be.
    verdict.holds("a controller that was removed is not missed", create(&cluster, "by-two").is_ok(), || {
        cluster.node(2).log_tail(20)
    });
    Ok(())
}

/// A node that knows the controllers and is known to none of them.
fn fresh(dir: &Path, controllers: &str) -> Result<NodeOptions, AnyError> {
    let servers = format!("controller.quorum.bootstrap.servers={controllers}");
    let mut options = NodeOptions::of(dir, &[Roles::Controller], &[servers])?.remove(0);
    (options.id, options.voters) = (ADDED, String::new());
    Ok(options)
}

fn tool(arguments: &[&str]) -> Result<String, AnyError> {
    let mut command = java(&["-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned));
    command.arg("org.apache.kafka.tools.MetadataQuorumCommand").args(arguments);
    Ok(output_of(&mut command)?)
}

/// How many voters the quorum has, by the tool's own table.
fn voters(controllers: &str) -> Result<usize, AnyError> {
    let table = tool(&["--bootstrap-controller", controllers, "describe", "--replication"])?;
    let votes = |line: &&str| matches!(line.split_whitespace().last(), Some("Leader" | "Follower"));
    Ok(table.lines().filter(votes).count())
}

/// A change of the metadata, asked of the broker.
fn create(cluster: &Cluster, name: &str) -> Result<(), AnyError> {
    let broker = cluster.bootstrap();
    let mut wire = Wire::connect(broker.split(',').next().unwrap_or_default())?;
    Ok(wire.create_topics(&[NewTopic { name: name.to_owned(), partitions: 1, configs: &[] }])?)
}

fn directory_id(node: &Node) -> Result<String, AnyError> {
    let text = fs::read_to_string(node.options().data_dir().join("meta.properties"))?;
    let id = text.lines().find_map(|line| line.strip_prefix("directory.id="));
    Ok(id.ok_or("meta.properties names no directory.id")?.to_owned())
}
