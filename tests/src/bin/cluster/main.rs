//! The cluster suite: three nodes in three zones, one fault after the other under the load of an idempotent producer and a reader; what was
//! acknowledged must be there, once, in order, at the offset it said, and the cluster must be whole again by itself.
//!
//! `cluster [FAULTS] [SEED]`: the bounded number of CI unless told. The seed decides which faults strike whom, and when.

mod fault;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::producer::{Producer, ThreadedProducer};
use tempfile::TempDir;

use weir_tests::cluster::Cluster;
use weir_tests::gaps::Gaps;
use weir_tests::ledger::Ledger;
use weir_tests::load::{Acknowledgements, AnyError, Load};
use weir_tests::verdict::Verdict;

use fault::Fault;

const FAULTS: usize = 12;
const NODES: usize = 3;
const TOPIC: &str = "cluster";
const PARTITIONS: i32 = 6;
/// One record in so long, round the partitions.
const PACE: Duration = Duration::from_micros(500);
/// How long the load goes on undisturbed before a fault, at most.
const CALM_MAX_MS: u64 = 600;
/// How long the cluster may take to be whole again after a fault, on a machine that others use too.
const RECOVERY: Duration = Duration::from_secs(60);
/// How long the last flush and the last read may take.
const SETTLE: Duration = Duration::from_secs(120);
/// What a node says of itself when it is not well.
const COMPLAINTS: [&str; 2] = ["panicked", " ERROR "];

/// What is under way while faults strike.
struct Running {
    load: Load,
    ledger: Arc<Mutex<Ledger>>,
    gaps: Arc<Gaps>,
    producer: Arc<ThreadedProducer<Acknowledgements>>,
    goes_on: Arc<AtomicBool>,
    sender: thread::JoinHandle<Result<u64, AnyError>>,
    reader: thread::JoinHandle<Result<(), AnyError>>,
}

fn main() -> Result<ExitCode, AnyError> {
    let mut arguments = env::args().skip(1);
    let faults: usize = arguments.next().map_or(Ok(FAULTS), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(rand::rng().random()), |text| text.parse())?;
    println!("cluster: {faults} faults, seed {seed}");
    let dir = TempDir::new()?;
    let mut verdict = Verdict::new("cluster");
    let outcome = run(dir.path(), faults, seed, &mut verdict);
    if outcome.is_err() || verdict.is_broken() {
        println!("cluster: everything is kept in {}", dir.keep().display());
    }
    outcome?;
    Ok(verdict.finish())
}

fn run(dir: &Path, faults: usize, seed: u64, verdict: &mut Verdict) -> Result<(), AnyError> {
    let started = Instant::now();
    let mut cluster = Cluster::start(dir, NODES, &settings())?;
    println!("cluster: {NODES} nodes serve after {:?}", started.elapsed());
    let running = begin(&cluster)?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut left_broken = Vec::new();
    for number in 0..faults {
        thread::sleep(Duration::from_millis(random.random_range(0..CALM_MAX_MS)));
        let fault = Fault::draw(number, &mut random, cluster.len());
        let told = strike(&mut cluster, &running, fault)?;
        left_broken.extend(told);
    }
    verdict.check("the cluster is whole again by itself after each fault", &left_broken);
    end(running, verdict)?;
    verdict.check("no node has anything to complain of", &cluster.complaints(&COMPLAINTS)?);
    Ok(())
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
        producer: vec![("queue.buffering.max.messages", "1000000".into()), ("request.timeout.ms", "1000".into())],
        pace: Some(PACE),
        settle: SETTLE,
    };
    load.create_topic(i32::try_from(NODES)?, &[("segment.bytes", "4194304")])?;
    cluster.watch().wait_until_whole(TOPIC, RECOVERY)?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let gaps = Arc::new(Gaps::new(PARTITIONS));
    let goes_on = Arc::new(AtomicBool::new(true));
    let producer = load.producer(Arc::clone(&ledger), Arc::clone(&gaps))?;
    let sender = load.spawn_sender(Arc::clone(&producer), Arc::clone(&goes_on));
    let reader = load.spawn_reader(Arc::clone(&ledger), Arc::clone(&goes_on))?;
    Ok(Running { load, ledger, gaps, producer, goes_on, sender, reader })
}

/// Lets a fault happen and end; gives what is still broken when the patience is over.
fn strike(cluster: &mut Cluster, running: &Running, fault: Fault) -> Result<Option<String>, AnyError> {
    running.gaps.begin();
    let victim = fault.strike(cluster)?;
    let mended = Instant::now();
    let whole = cluster.watch().wait_until_whole(TOPIC, RECOVERY);
    let (whole_after, gap) = (mended.elapsed(), running.gaps.longest().into_iter().max().unwrap_or_default());
    println!("cluster: {fault} of {victim}: whole {whole_after:?} after it ended, longest gap of writes {gap:?}");
    Ok(whole.err().map(|error| format!("{fault} of {victim}: {error}")))
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
    println!("cluster: {sent} sent, {acknowledged} acknowledged, {} read", everything.len());
    let violations: Vec<String> = ledger.settle(everything).iter().map(|broken| format!("{broken:?}")).collect();
    verdict.check("what was acknowledged is there, once, in order, at its offset", &violations);
    let complete = refused == 0 && acknowledged == sent && sent > 0;
    verdict.holds("every record is acknowledged in the end", complete, || {
        format!("{refused} refused, {acknowledged} of {sent} acknowledged")
    });
    Ok(())
}
