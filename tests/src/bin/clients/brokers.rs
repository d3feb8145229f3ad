//! The brokers that drivers are run against: where they listen, and what they are told.

use std::path::Path;

use weir_tests::apache_kafka::{ApacheKafka, ApacheKafkaOptions};
use weir_tests::certificates::Certificates;
use weir_tests::clients::Endpoint;
use weir_tests::cluster::{Cluster, NodeOptions};
use weir_tests::ports;
use weir_tests::weir::{Weir, WeirOptions};

use super::AnyError;
use super::restarts::Restarts;

/// Nodes of a cluster, and replicas of everything in it.
const NODES: usize = 3;

/// What both brokers are told beyond where they listen. Weir takes all of it, and acts on what it has built.
const SETTINGS: [&str; 12] = [
    // The default of three seconds would be most of the run of every driver with a group.
    "group.initial.rebalance.delay.ms=0",
    "offsets.topic.num.partitions=5",
    "offsets.topic.replication.factor=1",
    // Room for the largest message that the drivers send.
    "socket.request.max.bytes=104857600",
    // Drivers write records of fixed, long gone times, which retention would take away; and reads of configurations show what a file sets.
    "log.retention.ms=-1",
    // So that the reference stays small.
    "log.cleaner.dedupe.buffer.size=10485760",
    "transaction.state.log.num.partitions=2",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "share.coordinator.state.topic.num.partitions=2",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
];

/// As small as one broker of a reference can be.
const REFERENCE_JVM_FLAGS: [&str; 5] = [
    "-Xmx512m",
    "-XX:MaxDirectMemorySize=1g",
    "-Djdk.nio.maxCachedBufferSize=262144",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
];

/// What makes one replica of something; a cluster makes as many as it has nodes.
const REPLICATION: &str = "replication.factor";
/// What lets one replica be enough for internal topics.
const MIN_ISR: &str = "state.topic.min.isr";

/// What is kept running while drivers use it.
pub(crate) enum Running {
    Weir(Weir),
    Cluster(Restarts),
    ApacheKafka(ApacheKafka),
}

impl Running {
    pub(crate) fn log_tail(&mut self) -> String {
        match self {
            Running::Weir(weir) => weir.process().log_tail(15),
            Running::Cluster(restarts) => restarts.log_tails(15),
            Running::ApacheKafka(kafka) => kafka.process().log_tail(15),
        }
    }

    /// From now on its nodes are restarted one after the other, if it has several.
    pub(crate) fn restart_nodes(&mut self) {
        if let Running::Cluster(restarts) = self {
            restarts.begin();
        }
    }

    /// Ends it; an error if it did not survive what was done to it.
    pub(crate) fn end(self) -> Result<(), AnyError> {
        match self {
            Running::Weir(_) | Running::ApacheKafka(_) => Ok(()),
            Running::Cluster(restarts) => restarts.end(),
        }
    }
}

/// Apache Kafka.
pub(crate) fn start_reference(
    name: &str,
    work: &Path,
    certificates: &Certificates,
) -> Result<(Endpoint, Running), AnyError> {
    let dir = work.join(name);
    let mut options = ApacheKafkaOptions::new(&dir)?;
    let [ssl_port] = ports::free_ports()?;
    options.settings = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
    // Later lines of a properties file win.
    let options = options
        .clone()
        .with_setting(&format!(
            "listeners=PLAINTEXT://127.0.0.1:{},SSL://127.0.0.1:{ssl_port},CONTROLLER://127.0.0.1:{}",
            options.port, options.controller_port
        ))
        .with_setting("listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT")
        .with_setting("ssl.keystore.type=PEM")
        .with_setting(&format!("ssl.keystore.location={}", certificates.keystore().display()));
    let kafka = ApacheKafka::start(options)?;
    println!("Apache Kafka ({name}) answered after {} ms", kafka.ready_after().as_millis());
    let endpoint = Endpoint {
        name: name.to_owned(),
        bootstrap: kafka.bootstrap(),
        controllers: format!("127.0.0.1:{}", kafka.options().controller_port),
        ssl_bootstrap: format!("127.0.0.1:{ssl_port}"),
        ssl_ca: certificates.authority().to_path_buf(),
        data_dir: kafka.options().data_dir(),
        output_dir: dir.join("outputs"),
    };
    Ok((endpoint, Running::ApacheKafka(kafka)))
}

/// Weir.
pub(crate) fn start_weir(work: &Path, certificates: &Certificates) -> Result<(Endpoint, Running), AnyError> {
    let dir = work.join("weir");
    let mut options = WeirOptions::new(&dir)?.with_ssl(certificates.clone())?.with_setting("node.id=1");
    options.settings.extend(SETTINGS.iter().map(|setting| (*setting).to_owned()));
    let weir = Weir::start(options)?;
    println!("Weir answered after {} ms", weir.ready_after().as_millis());
    let endpoint = Endpoint {
        name: "weir".to_owned(),
        bootstrap: weir.bootstrap(),
        // One that is alone has none.
        controllers: String::new(),
        ssl_bootstrap: weir.ssl_bootstrap().unwrap_or_default(),
        ssl_ca: certificates.authority().to_path_buf(),
        data_dir: weir.options().data_dir(),
        output_dir: dir.join("outputs"),
    };
    Ok((endpoint, Running::Weir(weir)))
}

/// Three nodes of Apache Kafka.
pub(crate) fn start_reference_cluster(
    work: &Path,
    certificates: &Certificates,
) -> Result<(Endpoint, Running), AnyError> {
    let (name, dir) = ("reference-cluster", work.join("reference-cluster"));
    let (nodes, ssl_bootstrap) = cluster_nodes(&dir, certificates)?;
    let nodes = NodeOptions::of_apache_kafka(nodes, &REFERENCE_JVM_FLAGS);
    let cluster = Cluster::of(nodes)?;
    println!("Apache Kafka's {NODES} nodes serve");
    let endpoint = cluster_endpoint(name, &dir, &cluster, ssl_bootstrap, certificates);
    Ok((endpoint, Running::Cluster(Restarts::none_yet(cluster))))
}

/// Three nodes of Weir.
pub(crate) fn start_cluster(work: &Path, certificates: &Certificates) -> Result<(Endpoint, Running), AnyError> {
    let (name, dir) = ("weir-cluster", work.join("weir-cluster"));
    let (nodes, ssl_bootstrap) = cluster_nodes(&dir, certificates)?;
    let cluster = Cluster::of(nodes)?;
    println!("Weir's {NODES} nodes serve");
    let endpoint = cluster_endpoint(name, &dir, &cluster, ssl_bootstrap, certificates);
    Ok((endpoint, Running::Cluster(Restarts::none_yet(cluster))))
}

/// Nodes with TLS listeners, and where those are.
fn cluster_nodes(dir: &Path, certificates: &Certificates) -> Result<(Vec<NodeOptions>, String), AnyError> {
    let for_one = |setting: &&str| setting.contains(REPLICATION) || setting.contains(MIN_ISR);
    let mut settings: Vec<String> =
        SETTINGS.iter().filter(|setting| !for_one(setting)).map(|setting| (*setting).to_owned()).collect();
    settings.extend([format!("default.replication.factor={NODES}"), "min.insync.replicas=2".to_owned()]);
    let mut nodes = NodeOptions::combined(dir, NODES, &settings)?;
    let mut ssl_bootstrap = Vec::new();
    let (ssl_ports, _held) = ports::hold_ports::<NODES>()?;
    for (node, ssl_port) in nodes.iter_mut().zip(ssl_ports) {
        ssl_bootstrap.push(format!("127.0.0.1:{ssl_port}"));
        // Later lines of a properties file win.
        node.settings.extend([
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{},SSL://127.0.0.1:{ssl_port},CONTROLLER://127.0.0.1:{}",
                node.port, node.controller_port
            ),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT".to_owned(),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", certificates.keystore().display()),
        ]);
    }
    Ok((nodes, ssl_bootstrap.join(",")))
}

fn cluster_endpoint(
    name: &str,
    dir: &Path,
    cluster: &Cluster,
    ssl_bootstrap: String,
    certificates: &Certificates,
) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        bootstrap: cluster.bootstrap(),
        controllers: cluster.controllers(),
        ssl_bootstrap,
        ssl_ca: certificates.authority().to_path_buf(),
        // Of the first node: every one has everything.
        data_dir: dir.join("node-1/data"),
        output_dir: dir.join("outputs"),
    }
}
