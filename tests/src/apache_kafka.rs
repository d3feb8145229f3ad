//! Apache Kafka from its jars: the reference that every client's outcome is compared with.
//!
//! One combined broker and controller, as its quick start has it. Formatting costs a JVM start, so a formatted directory is kept in
//! the cache and copied.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::paths;
use crate::ports;
use crate::process::{Process, output_of};
use crate::readiness;

/// How long its start may take on a loaded machine.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long its stop may take.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// The version of the formatted directory's layout; part of its name in the cache.
const FORMATTED: &str = "apache-kafka-formatted-2";
/// A fixed cluster id, which its format tool asks for.
const CLUSTER_ID: &str = "d2VpcnRlc3RjbHVzdGVyMA";

/// What to start.
#[derive(Debug, Clone)]
pub struct ApacheKafkaOptions {
    /// Everything of this broker: `data/`, its configuration and `kafka.log`.
    pub dir: PathBuf,
    /// The port of the plaintext listener.
    pub port: u16,
    /// The port of the controller listener.
    pub controller_port: u16,
    /// More `key=value` lines for `server.properties`.
    pub settings: Vec<String>,
    /// Flags for the JVM.
    pub jvm_flags: Vec<String>,
}

impl ApacheKafkaOptions {
    /// A plaintext broker below `dir` on free ports, with a small heap.
    pub fn new(dir: &Path) -> io::Result<ApacheKafkaOptions> {
        let [port, controller_port] = ports::free_ports()?;
        // Its threads would each keep a direct buffer as large as the largest message they have moved.
        let buffers = "-Djdk.nio.maxCachedBufferSize=262144";
        let small = ["-Xmx512m", "-XX:MaxDirectMemorySize=1g", buffers, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
        let jvm_flags = small.map(str::to_owned);
        Ok(ApacheKafkaOptions {
            dir: dir.to_path_buf(),
            port,
            controller_port,
            settings: Vec::new(),
            jvm_flags: jvm_flags.to_vec(),
        })
    }

    /// Adds a `key=value` setting.
    pub fn with_setting(mut self, setting: &str) -> ApacheKafkaOptions {
        self.settings.push(setting.to_owned());
        self
    }

    /// Sets the flags of the JVM, as a benchmark does that wants its own start script's.
    pub fn with_jvm_flags(mut self, flags: &[&str]) -> ApacheKafkaOptions {
        self.jvm_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    /// The data directory (`log.dirs`).
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn properties(&self) -> String {
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            "node.id=1".to_owned(),
            format!("controller.quorum.voters=1@127.0.0.1:{}", self.controller_port),
            "controller.listener.names=CONTROLLER".to_owned(),
            format!("listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}", self.port, self.controller_port),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            format!("log.dirs={}", self.data_dir().display()),
            "offsets.topic.replication.factor=1".to_owned(),
            "transaction.state.log.replication.factor=1".to_owned(),
            "transaction.state.log.min.isr=1".to_owned(),
            "share.coordinator.state.topic.replication.factor=1".to_owned(),
            "share.coordinator.state.topic.min.isr=1".to_owned(),
        ];
        lines.extend(self.settings.iter().cloned());
        lines.join("\n") + "\n"
    }
}

/// A running Apache Kafka.
#[derive(Debug)]
pub struct ApacheKafka {
    options: ApacheKafkaOptions,
    process: Process,
    ready_after: Duration,
}

impl ApacheKafka {
    /// Starts it (formatting its directory first where that is new) and waits for its first answer.
    pub fn start(options: ApacheKafkaOptions) -> io::Result<ApacheKafka> {
        fs::create_dir_all(&options.dir)?;
        let config = options.dir.join("server.properties");
        fs::write(&config, options.properties())?;
        if !options.data_dir().join("meta.properties").exists() {
            copy_files(&formatted_dir()?, &options.data_dir())?;
        }
        let mut command = java(&options.jvm_flags);
        command.arg("kafka.Kafka").arg(&config);
        let mut process = Process::start(&mut command, &options.dir.join("kafka.log"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let ready_after = readiness::wait_until_answers(address, &mut process, START_PATIENCE)?;
        Ok(ApacheKafka { options, process, ready_after })
    }

    /// `host:port` of the plaintext listener.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.options.port)
    }

    /// What it was started with.
    pub fn options(&self) -> &ApacheKafkaOptions {
        &self.options
    }

    /// From the start of the process to its first answer.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops it as an operator does.
    pub fn stop(mut self) -> io::Result<ApacheKafkaOptions> {
        self.process.stop(STOP_PATIENCE)?;
        Ok(self.options.clone())
    }
}

/// A `java` command with the jars and the logging of the tests on its class path.
pub fn java(flags: &[String]) -> Command {
    let cache = paths::cache_dir().join("java");
    let logging = paths::tests_dir().join("clients/java/log4j2.properties");
    let mut command = Command::new("java");
    command.args(flags);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(format!("{}:{}", cache.join("classes").display(), cache.join("lib/*").display()));
    command
}

/// Makes a data directory of one node of a cluster, whose nodes are all made so.
pub(crate) fn format_node(data_dir: &Path, node_id: i32) -> io::Result<()> {
    copy_files(&formatted_dir()?, data_dir)?;
    let meta_properties = data_dir.join("meta.properties");
    let text = fs::read_to_string(&meta_properties)?;
    // A directory without an id is given one by the first start.
    let lines = text.lines().filter(|line| !line.starts_with("node.id=") && !line.starts_with("directory.id="));
    let lines: Vec<String> = lines.map(str::to_owned).chain([format!("node.id={node_id}")]).collect();
    fs::write(&meta_properties, lines.join("\n") + "\n")
}

/// A freshly formatted data directory, made once per cache.
fn formatted_dir() -> io::Result<PathBuf> {
    let kept = paths::cache_dir().join(FORMATTED);
    if kept.join("meta.properties").exists() {
        return Ok(kept);
    }
    // Made under another name and renamed, so that a half made one is never taken for a whole one.
    let options = ApacheKafkaOptions::new(&kept.with_extension(std::process::id().to_string()))?;
    fs::create_dir_all(&options.dir)?;
    let config = options.dir.join("server.properties");
    fs::write(&config, options.properties())?;
    let mut command = java(&options.jvm_flags);
    command.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(config);
    // Eligible leader replicas make min.insync.replicas a dynamic config of every cluster, which hides other differences.
    command.args(["--feature", "eligible.leader.replicas.version=0"]);
    output_of(&mut command)
        .map_err(|error| io::Error::other(format!("Apache Kafka's storage tool failed: {error}")))?;
    let renamed = fs::rename(options.data_dir(), &kept);
    fs::remove_dir_all(&options.dir)?;
    match renamed {
        Ok(()) => Ok(kept),
        Err(_) if kept.join("meta.properties").exists() => Ok(kept),
        Err(error) => Err(error),
    }
}

/// Copies the files of one directory (it has no folders when freshly formatted).
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
