//! The JVM's verifiable clients beside a load: one idempotent producer and one consumer of a group, as Apache Kafka's own system tests
//! run them, and the verdict on what they say (`history`).

mod history;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::apache_kafka::java;
use crate::load::AnyError;
use crate::paths;
use crate::process::Process;
use crate::verdict::Verdict;

use history::History;

/// Records a second.
const THROUGHPUT: &str = "200";
/// How often it is looked what they have said.
const POLL: Duration = Duration::from_millis(50);
/// How long a client may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// One of each runs beside three nodes, so each is small.
const JVM_FLAGS: [&str; 4] = ["-Xmx96m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// What the producer is told beside its arguments: its own default is to give up at the first error.
const PRODUCER: &str = "enable.idempotence=true\nretries=2147483647\nrequest.timeout.ms=2000\n";

/// Both clients, under way.
pub struct VerifiableClients {
    producer: Client,
    consumer: Client,
    history: History,
    patience: Duration,
}

impl VerifiableClients {
    /// Whether the JVM and the jars that `tests/run` installs are there.
    pub fn are_installed() -> bool {
        let runs = Command::new("java").arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).status();
        runs.is_ok_and(|status| status.success()) && paths::cache_dir().join("java/lib").is_dir()
    }

    /// Starts both on a topic that exists and is theirs alone; returns once a record has been read. Each step may take `patience`.
    pub fn begin(bootstrap: &str, topic: &str, dir: &Path, patience: Duration) -> Result<VerifiableClients, AnyError> {
        fs::create_dir_all(dir)?;
        let config = dir.join("producer.properties");
        fs::write(&config, PRODUCER)?;
        let of_producer = ["--acks", "-1", "--throughput", THROUGHPUT, "--command-config"];
        let mut producer = tool("VerifiableProducer", bootstrap, topic);
        producer.args(of_producer).arg(&config);
        let mut consumer = tool("VerifiableConsumer", bootstrap, topic);
        consumer.args(["--verbose", "--group-id", topic, "--reset-policy", "earliest"]);
        let mut clients = VerifiableClients {
            producer: Client::start(&mut producer, &dir.join("producer"))?,
            consumer: Client::start(&mut consumer, &dir.join("consumer"))?,
            history: History::default(),
            patience,
        };
        clients.until("a record is read", |history| history.read() > 0)?;
        Ok(clients)
    }

    /// Stops the producer, has the consumer read what is left, stops it too, and judges what both have said.
    pub fn end(mut self, verdict: &mut Verdict) -> Result<(), AnyError> {
        self.producer.stop()?;
        self.until("the producer has said all", |history| history.ended() == 1)?;
        // What is missing then is told by the verdict.
        let read = self.until("all is read", History::is_complete);
        self.consumer.stop()?;
        self.look()?;
        let (suite, acknowledged, read_count) = (verdict.suite(), self.history.acknowledged(), self.history.read());
        println!("{suite}: JVM: {acknowledged} acknowledged, {read_count} read");
        let violations = self.history.violations();
        verdict.check(
            "the JVM's verifiable consumer reads what its producer was promised, once, and never back",
            &violations,
        );
        let ended = self.history.ended() == 2 && read.is_ok() && acknowledged > 0;
        verdict.holds("the JVM's verifiable clients go on until they are stopped", ended, || {
            format!("{}\n{}", self.producer.complaints(), self.consumer.complaints())
        });
        Ok(())
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&History) -> bool) -> Result<(), AnyError> {
        let deadline = Instant::now() + self.patience;
        loop {
            self.look()?;
            if is_so(&self.history) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let said = format!("{}\n{}", self.producer.complaints(), self.consumer.complaints());
                return Err(format!("the JVM's verifiable clients: in vain: {what}\n{said}").into());
            }
            thread::sleep(POLL);
        }
    }

    fn look(&mut self) -> io::Result<()> {
        self.producer.said(&mut self.history)?;
        self.consumer.said(&mut self.history)
    }
}

fn tool(name: &str, bootstrap: &str, topic: &str) -> Command {
    let mut command = java(&JVM_FLAGS.map(str::to_owned));
    command.arg(format!("org.apache.kafka.tools.{name}"));
    command.args(["--bootstrap-server", bootstrap, "--topic", topic]);
    command
}

/// One of them: its events come line by line, its complaints aside.
struct Client {
    process: Process,
    events: File,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Client {
    fn start(command: &mut Command, files: &Path) -> io::Result<Client> {
        let events = files.with_extension("events");
        let process = Process::start_apart(command, &events, &files.with_extension("log"))?;
        Ok(Client { process, events: File::open(events)?, begun: Vec::new() })
    }

    /// Takes the lines that are new.
    fn said(&mut self, history: &mut History) -> io::Result<()> {
        self.events.read_to_end(&mut self.begun)?;
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.begun.drain(..whole).collect();
        String::from_utf8_lossy(&lines).lines().for_each(|line| history.take(line));
        Ok(())
    }

    /// Asks it to stop. A JVM that is asked so ends with a status of its own.
    fn stop(&mut self) -> io::Result<()> {
        if self.process.ended()?.is_none() {
            self.process.stop(STOP_PATIENCE)?;
        }
        Ok(())
    }

    fn complaints(&self) -> String {
        self.process.log_tail(10)
    }
}
