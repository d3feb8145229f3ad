//! The disks suite: three nodes, each with a disk of its own beside the first log directory, and what becomes of who writes while a disk
//! stops answering or fails and the process lives. The longest gap of acknowledged writes is measured for partitions that the struck
//! node led and for those that it followed.
//!
//! `disks [ROUNDS]`. Ends with status 77 where no disk can be mounted, and says why.

mod round;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::producer::{Producer, ThreadedProducer};
use tempfile::TempDir;
use weir_tests::cluster::{Cluster, NodeOptions};
use weir_tests::disk::{Disk, NoDisk};
use weir_tests::gaps::Gaps;
use weir_tests::ledger::Ledger;
use weir_tests::load::{Acknowledgements, AnyError, Load};
use weir_tests::verdict::Verdict;

use round::{Strike, strike};

const NODES: usize = 3;
const ROUNDS: usize = 4;
pub(crate) const TOPIC: &str = "disks";
const PARTITIONS: i32 = 12;
const PACE: Duration = Duration::from_micros(500);
/// How long the last flush and the last read may take.
const SETTLE: Duration = Duration::from_secs(120);
/// How long the cluster may take to be whole again, on a machine that others use too.
pub(crate) const RECOVERY: Duration = Duration::from_secs(60);
/// `tests/run` counts it as skipped.
const SKIPPED: u8 = 77;

/// What is under way while disks are struck.
pub(crate) struct Running {
    load: Load,
    ledger: Arc<Mutex<Ledger>>,
    pub(crate) gaps: Arc<Gaps>,
    producer: Arc<ThreadedProducer<Acknowledgements>>,
    goes_on: Arc<AtomicBool>,
    sender: thread::JoinHandle<Result<u64, AnyError>>,
    reader: thread::JoinHandle<Result<(), AnyError>>,
}

fn main() -> Result<ExitCode, AnyError> {
    let rounds: usize = env::args().nth(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let dir = TempDir::new()?;
    let mut verdict = Verdict::new("disks");
    let outcome = match suite(dir.path(), rounds, &mut verdict) {
        Err(error) if error.downcast_ref::<NoDisk>().is_some_and(|no_disk| !matches!(no_disk, NoDisk::Io(_))) => {
            println!("disks: {error}");
            return Ok(ExitCode::from(SKIPPED));
        }
        outcome => outcome,
    };
    if outcome.is_err() || verdict.is_broken() {
        println!("disks: everything is kept in {}", dir.keep().display());
    }
    outcome?;
    Ok(verdict.finish())
}

fn suite(dir: &Path, rounds: usize, verdict: &mut Verdict) -> Result<(), AnyError> {
    let beside = dir.join("beside");
    run(&beside, rounds, verdict, Where::BesideTheFirst, &[Strike::Freeze, Strike::Fail])?;
    let alone = dir.join("alone");
    run(&alone, rounds.div_ceil(2), verdict, Where::Alone, &[Strike::Freeze])
}

/// What lies on the disk that is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Half of the data; the first log directory, with the metadata log, is elsewhere.
    BesideTheFirst,
    /// Everything.
    Alone,
}

fn run(dir: &Path, rounds: usize, verdict: &mut Verdict, place: Where, strikes: &[Strike]) -> Result<(), AnyError> {
    let mut nodes = NodeOptions::combined(dir, NODES, &settings())?;
    let mut disks = Vec::new();
    for node in &mut nodes {
        std::fs::create_dir_all(&node.dir)?;
        disks.push(Disk::make(node.dir.join("disk.img"), node.dir.join("disk"), "loop")?);
        let on_disk = node.dir.join("disk/data").display().to_string();
        let log_dirs = match place {
            Where::BesideTheFirst => format!("{},{on_disk}", node.data_dir().display()),
            Where::Alone => on_disk,
        };
        node.settings.push(format!("log.dirs={log_dirs}"));
    }
    let mut cluster = Cluster::of(nodes)?;
    let running = begin(&cluster)?;
    for number in 0..rounds {
        let kind = strikes[number % strikes.len()];
        let victim = number % cluster.len();
        strike(&mut cluster, &disks[victim], victim, &running, kind, verdict)?;
    }
    let ended = end(running, verdict);
    for index in 0..cluster.len() {
        cluster.node(index).kill()?;
    }
    ended
}

fn settings() -> Vec<String> {
    let settings = ["default.replication.factor=3", "min.insync.replicas=2", "offsets.topic.num.partitions=4"];
    settings.map(str::to_owned).to_vec()
}

fn begin(cluster: &Cluster) -> Result<Running, AnyError> {
    let load = Load {
        bootstrap: cluster.bootstrap(),
        topic: TOPIC.to_owned(),
        partitions: PARTITIONS,
        // A node that does not answer must not keep the records of others waiting for room.
        producer: vec![("queue.buffering.max.messages", "1000000".into())],
        pace: Some(PACE),
        settle: SETTLE,
    };
    load.create_topic(i32::try_from(NODES)?, &[])?;
    cluster.watch().wait_until_whole(TOPIC, RECOVERY)?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let gaps = Arc::new(Gaps::new(PARTITIONS));
    let goes_on = Arc::new(AtomicBool::new(true));
    let producer = load.producer(Arc::clone(&ledger), Arc::clone(&gaps))?;
    let sender = load.spawn_sender(Arc::clone(&producer), Arc::clone(&goes_on));
    let reader = load.spawn_reader(Arc::clone(&ledger), Arc::clone(&goes_on))?;
    Ok(Running { load, ledger, gaps, producer, goes_on, sender, reader })
}

/// Ends the load and compares what is there with what was promised.
fn end(running: Running, verdict: &mut Verdict) -> Result<(), AnyError> {
    running.goes_on.store(false, Ordering::Relaxed);
    let sent = running.sender.join().map_err(|_| "the sender died")??;
    running.producer.flush(SETTLE)?;
    running.reader.join().map_err(|_| "the reader died")??;
    let everything = running.load.read_everything()?;
    let refused = running.producer.context().refused.load(Ordering::Relaxed);
    let unplaced = running.producer.context().unplaced.load(Ordering::Relaxed);
    drop(running.producer);
    let ledger = Arc::into_inner(running.ledger).ok_or("the ledger is still held")?;
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let acknowledged = u64::try_from(ledger.acknowledged())? + unplaced;
    println!("disks: {sent} sent, {acknowledged} acknowledged, {} read", everything.len());
    let violations: Vec<String> = ledger.settle(everything).iter().map(|broken| format!("{broken:?}")).collect();
    verdict.check("what was acknowledged is there, once, in order, at its offset", &violations);
    let complete = refused == 0 && acknowledged == sent && sent > 0;
    verdict.holds("every record is acknowledged in the end", complete, || {
        format!("{refused} refused, {acknowledged} of {sent} acknowledged")
    });
    Ok(())
}
