//! The network suite: three nodes on three hosts, and one fault of the network between them after the other under the load of an idempotent
//! producer, a reader and a consumer of a group; what was acknowledged must be there, once, in order, at the offset it said, the group must
//! find what it has committed, and the cluster must be whole again by itself, as every node sees it. Then the host of the group's coordinator is
//! cut off for longer than a client would wait: the group must not.
//!
//! `network [FAULTS] [SEED]`: each kind once unless told. The seed decides what lasts how long, and whom it strikes. Needs root for network
//! namespaces; without it the suite says so and ends with status 77.

mod fault;

use std::env;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use weir_tests::cluster::{Cluster, NodeOptions, Roles};
use weir_tests::group_load::{Group, GroupLoad};
use weir_tests::load::{AnyError, Load};
use weir_tests::network::Network;
use weir_tests::verdict::Verdict;
use weir_tests::verified_load::VerifiedLoad;

use fault::{Fault, Kind};

const NODES: u8 = 3;
const TOPIC: &str = "network";
const PARTITIONS: i32 = 6;
/// One record in so long, round the partitions.
const PACE: Duration = Duration::from_micros(500);
/// How long the load goes on undisturbed before a fault, at most.
const CALM_MAX_MS: u64 = 600;
/// How long the cluster may take to be whole again after a fault, on a machine that others use too.
const RECOVERY: Duration = Duration::from_secs(60);
/// How long the last flush and the last read may take.
const SETTLE: Duration = Duration::from_secs(120);
const GROUP: &str = "network-group";
/// How the host of the group's coordinator is cut off: with its clients, and from the other hosts alone.
const CUT_OFFS: [Kind; 2] = [Kind::Swallowed, Kind::CutOff];
/// For how long.
const CUT_OFF_LASTS: Duration = Duration::from_secs(6);
/// How long the group may commit nothing meanwhile: a broker's session and a client's timeout, on a machine that others use too.
const GROUP_GAP_MAX: Duration = Duration::from_secs(5);
/// What tells `tests/run` that the suite cannot run here.
const CANNOT_RUN: u8 = 77;
/// What a node says of itself when it is not well.
const COMPLAINTS: [&str; 2] = ["panicked", " ERROR "];
const SETTINGS: [&str; 3] = ["default.replication.factor=3", "min.insync.replicas=2", "offsets.topic.num.partitions=4"];

fn main() -> Result<ExitCode, AnyError> {
    let mut arguments = env::args().skip(1);
    let faults: usize = arguments.next().map_or(Ok(Kind::COUNT), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(rand::rng().random()), |text| text.parse())?;
    let network = match Network::new(NODES) {
        Ok(network) => network,
        Err(error) => {
            println!("network: there can be no hosts of their own here: {error}");
            return Ok(ExitCode::from(CANNOT_RUN));
        }
    };
    println!("network: {faults} faults, seed {seed}");
    let dir = TempDir::new()?;
    let mut verdict = Verdict::new("network");
    let outcome = run(&network, dir.path(), faults, seed, &mut verdict);
    if outcome.is_err() || verdict.is_broken() {
        println!("network: everything is kept in {}", dir.keep().display());
    }
    outcome?;
    Ok(verdict.finish())
}

fn run(network: &Network, dir: &Path, faults: usize, seed: u64, verdict: &mut Verdict) -> Result<(), AnyError> {
    let started = Instant::now();
    let roles = [Roles::Combined; NODES as usize];
    let cluster = Cluster::of(NodeOptions::on(network.hosts(), dir, &roles, &SETTINGS.map(str::to_owned))?)?;
    println!("network: {NODES} nodes serve after {:?}", started.elapsed());
    let running = Running::begin(&cluster)?;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut left_broken, mut stood_still) = (Vec::new(), Vec::new());
    for number in 0..faults {
        thread::sleep(Duration::from_millis(random.random_range(0..CALM_MAX_MS)));
        let fault = Fault::draw(number, &mut random, cluster.len());
        left_broken.extend(strike(network, &cluster, &running, &fault)?);
    }
    for kind in CUT_OFFS {
        let watch = cluster.watch();
        watch.wait_until_all_whole(RECOVERY)?;
        // It may move the coordinator, which is asked for behind it.
        watch.return_leaders(TOPIC, RECOVERY)?;
        let coordinator = watch.wait_for(RECOVERY, || watch.coordinator(GROUP))?;
        let coordinator = cluster.place_of(coordinator).ok_or("a coordinator that is no node")?;
        let fault = Fault::of(kind, coordinator, CUT_OFF_LASTS);
        left_broken.extend(strike(network, &cluster, &running, &fault)?);
        let gap = running.group.longest_gap();
        stood_still
            .extend((gap > GROUP_GAP_MAX).then(|| format!("{gap:?} without a commit: {fault} of its coordinator")));
    }
    verdict.check("the cluster is whole again by itself after each fault", &left_broken);
    verdict.check("a group goes on while the host of its coordinator is cut off", &stood_still);
    running.group.end(verdict)?;
    running.load.end(verdict)?;
    verdict.check("no node has anything to complain of", &cluster.complaints(&COMPLAINTS)?);
    Ok(())
}

/// What the cluster is under.
struct Running {
    load: VerifiedLoad,
    group: GroupLoad,
}

impl Running {
    fn begin(cluster: &Cluster) -> Result<Running, AnyError> {
        let load = begin(cluster)?;
        let group = Group {
            bootstrap: cluster.bootstrap(),
            id: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            partitions: PARTITIONS,
            settle: SETTLE,
        };
        Ok(Running { load, group: GroupLoad::begin(&group)? })
    }
}

fn begin(cluster: &Cluster) -> Result<VerifiedLoad, AnyError> {
    let load = Load {
        bootstrap: cluster.bootstrap(),
        topic: TOPIC.to_owned(),
        partitions: PARTITIONS,
        // A node that does not answer must not keep the records of others waiting for room.
        producer: vec![
            ("queue.buffering.max.messages", "1000000".into()),
            ("request.timeout.ms", "1000".into()),
            ("socket.timeout.ms", "1000".into()),
        ],
        pace: Some(PACE),
        settle: SETTLE,
    };
    load.create_topic(i32::from(NODES), &[("segment.bytes", "4194304")])?;
    cluster.watch().wait_until_whole(TOPIC, RECOVERY)?;
    VerifiedLoad::begin(load)
}

/// Lets a fault happen and end; gives what is still broken when the patience is over.
fn strike(network: &Network, cluster: &Cluster, running: &Running, fault: &Fault) -> Result<Option<String>, AnyError> {
    let watch = cluster.watch();
    // So that whoever is struck is missed.
    watch.return_leaders(TOPIC, RECOVERY)?;
    let controller = watch.wait_for(RECOVERY, || watch.active_controller())?;
    let controller = cluster.place_of(controller).ok_or("an active controller that is no node")?;
    let victim = fault.victim(controller);
    running.load.gaps().begin();
    running.group.begin_gap();
    fault.strike(network, victim)?;
    let mended = Instant::now();
    let whole = (0..cluster.len()).try_for_each(|index| cluster.watch_from(index).wait_until_whole(TOPIC, RECOVERY));
    let is_controller = if victim == controller { ", the active controller" } else { "" };
    let struck = format!("{fault} of node {}{is_controller}", victim + 1);
    let whole_after = mended.elapsed();
    let (gap, of_commits) = (running.load.longest_gap(), running.group.longest_gap());
    println!(
        "network: {struck}: whole {whole_after:?} after it ended, longest gap of writes {gap:?}, of the group's commits {of_commits:?}"
    );
    Ok(whole.err().map(|error: io::Error| format!("{struck}: {error}")))
}
