//! The disks suite: three nodes, each with a disk of its own beside the first log directory, and what becomes of who writes while a disk
//! stops answering or fails and the process lives. The longest gap of acknowledged writes is measured for partitions that the struck
//! node led and for those that it followed.
//!
//! `disks [ROUNDS]`. Ends with status 77 where no disk can be mounted, and says why.

mod round;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;
use weir_tests::cluster::{Cluster, NodeOptions};
use weir_tests::disk::{Disk, NoDisk};
use weir_tests::load::{AnyError, Load};
use weir_tests::verdict::Verdict;
use weir_tests::verified_load::VerifiedLoad;

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

impl Where {
    /// The longest gap of writes to a partition that the struck node followed. With the disk of the active controller's log a silent
    /// controller has to be noticed as well: it speaks until its broker tells, after a session, that the disk does not answer.
    fn followed_bar(self) -> Duration {
        match self {
            Where::BesideTheFirst => Duration::from_secs(3),
            Where::Alone => Duration::from_millis(3_500),
        }
    }
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
        strike(&mut cluster, &disks[victim], victim, &running, kind, place.followed_bar(), verdict)?;
    }
    let ended = running.end(verdict);
    for index in 0..cluster.len() {
        cluster.node(index).kill()?;
    }
    ended
}

fn settings() -> Vec<String> {
    let settings = ["default.replication.factor=3", "min.insync.replicas=2", "offsets.topic.num.partitions=4"];
    settings.map(str::to_owned).to_vec()
}

fn begin(cluster: &Cluster) -> Result<VerifiedLoad, AnyError> {
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
    VerifiedLoad::begin(load)
}
