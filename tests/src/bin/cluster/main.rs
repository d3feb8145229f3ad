//! The cluster suite: three nodes in three zones, one fault after the other under the load of an idempotent producer and a reader; what was
//! acknowledged must be there, once, in order, at the offset it said, and the cluster must be whole again by itself. The JVM's verifiable
//! clients run beside that load, and a controller is added and removed by Apache Kafka's tool after it, where a JVM is installed.
//!
//! `cluster [FAULTS] [SEED]`: the bounded number of CI unless told. The seed decides which faults strike whom, and when.

mod fault;
mod voters;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use weir_tests::cluster::Cluster;
use weir_tests::load::{AnyError, Load};
use weir_tests::verdict::Verdict;
use weir_tests::verifiable::VerifiableClients;
use weir_tests::verified_load::VerifiedLoad;

use fault::Fault;

const FAULTS: usize = 12;
const NODES: usize = 3;
const TOPIC: &str = "cluster";
const PARTITIONS: i32 = 6;
/// The topic of the JVM's clients.
const VERIFIABLE: &str = "verifiable";
const VERIFIABLE_PARTITIONS: i32 = 3;
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
    let with_jvm = VerifiableClients::are_installed();
    if !with_jvm {
        println!("cluster: skipped: the JVM's clients and tools are not installed");
    }
    let verifiable = with_jvm.then(|| begin_verifiable(&cluster, &dir.join("jvm"))).transpose()?;
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
    if let Some(verifiable) = verifiable {
        verifiable.end(verdict)?;
    }
    running.end(verdict)?;
    verdict.check("no node has anything to complain of", &cluster.complaints(&COMPLAINTS)?);
    drop(cluster);
    if with_jvm {
        voters::run(&dir.join("voters"), verdict)?;
    }
    Ok(())
}

fn settings() -> Vec<String> {
    let settings = ["default.replication.factor=3", "min.insync.replicas=2", "offsets.topic.num.partitions=4"];
    settings.map(str::to_owned).to_vec()
}

fn begin(cluster: &Cluster) -> Result<VerifiedLoad, AnyError> {
    let load = load(cluster, TOPIC, PARTITIONS);
    load.create_topic(i32::try_from(NODES)?, &[("segment.bytes", "4194304")])?;
    cluster.watch().wait_until_whole(TOPIC, RECOVERY)?;
    VerifiedLoad::begin(load)
}

fn begin_verifiable(cluster: &Cluster, dir: &Path) -> Result<VerifiableClients, AnyError> {
    load(cluster, VERIFIABLE, VERIFIABLE_PARTITIONS).create_topic(i32::try_from(NODES)?, &[])?;
    cluster.watch().wait_until_whole(VERIFIABLE, RECOVERY)?;
    VerifiableClients::begin(&cluster.bootstrap(), VERIFIABLE, dir, SETTLE)
}

fn load(cluster: &Cluster, topic: &str, partitions: i32) -> Load {
    Load {
        bootstrap: cluster.bootstrap(),
        topic: topic.to_owned(),
        partitions,
        // A node that does not answer must not keep the records of others waiting for room.
        producer: vec![("queue.buffering.max.messages", "1000000".into()), ("request.timeout.ms", "1000".into())],
        pace: Some(PACE),
        settle: SETTLE,
    }
}

/// Lets a fault happen and end; gives what is still broken when the patience is over.
fn strike(cluster: &mut Cluster, running: &VerifiedLoad, fault: Fault) -> Result<Option<String>, AnyError> {
    // So that whoever is struck is missed.
    cluster.watch().return_leaders(TOPIC, RECOVERY)?;
    running.gaps().begin();
    let victim = fault.strike(cluster)?;
    let mended = Instant::now();
    // A node that is robbed before another has all again could take the last of something.
    let whole = cluster.watch().wait_until_all_whole(RECOVERY);
    let (whole_after, gap) = (mended.elapsed(), running.longest_gap());
    println!("cluster: {fault} of {victim}: whole {whole_after:?} after it ended, longest gap of writes {gap:?}");
    Ok(whole.err().map(|error| format!("{fault} of {victim}: {error}")))
}
