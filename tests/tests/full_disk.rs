//! The disk of a controller's metadata log is full: the others go on without it, it says what is wrong, and once there is room it is back by
//! itself, with nothing lost.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_tests::cluster::{Cluster, Node, NodeOptions, Watch};
use weir_tests::load::Load;
use weir_tests::process::output_of;
use weir_tests::verdict::Verdict;
use weir_tests::verified_load::VerifiedLoad;
use weir_tests::wire::{NewTopic, Wire};

const NODES: usize = 3;
/// How long a node may take to start, a topic to be whole, and a load to settle, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long changes of the metadata, and any partition, may stand still: an election, and the session of the broker that is out.
const STANDSTILL_MAX: Duration = Duration::from_secs(10);
/// How long a node that finds no room is given to start nevertheless.
const START_PATIENCE: Duration = Duration::from_secs(5);
const LOADED: &str = "loaded";
const SAFE: [&str; 2] = ["default.replication.factor=3", "min.insync.replicas=2"];
/// What the log says of it, once for each time.
const SAYS: &str = "the disk of the metadata log is full";
const METRIC: &str = "weir_metadata_log_disk_full";

/// A small disk in memory, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    const BYTES: u64 = 8 << 20;

    fn mount(path: PathBuf) -> io::Result<SmallDisk> {
        fs::create_dir_all(&path)?;
        let size = format!("size={}", Self::BYTES);
        output_of(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path))?;
        Ok(SmallDisk(path))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let error = io::copy(&mut io::repeat(0).take(Self::BYTES), &mut fs::File::create(self.filler()).expect("made"));
        assert_eq!(error.expect_err("more than fits").kind(), io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.filler()).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is left mounted goes with the machine.
        let _ = output_of(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

/// Three combined nodes with the metadata log of each on a small disk of its own; nothing where no disk can be mounted.
fn cluster(dir: &Path) -> Option<(Cluster, Vec<SmallDisk>)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can mount a small disk");
        return None;
    }
    let mut nodes = NodeOptions::combined(dir, NODES, &SAFE.map(str::to_owned)).expect("free ports");
    let disks = nodes.iter_mut().map(|node| {
        let disk = SmallDisk::mount(node.dir.join("metadata")).expect("mounted");
        node.settings.push(format!("metadata.log.dir={}", disk.0.display()));
        disk
    });
    let disks = disks.collect();
    Some((Cluster::of(nodes).expect("three nodes form a cluster"), disks))
}

fn load(cluster: &Cluster) -> VerifiedLoad {
    let load = Load {
        bootstrap: cluster.bootstrap(),
        topic: LOADED.to_owned(),
        partitions: 3,
        producer: vec![("request.timeout.ms", "1000".to_owned())],
        pace: Some(Duration::from_millis(1)),
        settle: PATIENCE,
    };
    load.create_topic(3, &[]).expect("a topic");
    cluster.watch().wait_until_whole(LOADED, PATIENCE).expect("whole");
    VerifiedLoad::begin(load).expect("a load")
}

/// Has topics created at that node until one is; its name, and how long that took. Each is a change of tens of kilobytes, which no page that
/// is there already holds.
fn create(watch: &Watch, broker: &str, name: &str) -> (String, Duration) {
    const PARTITIONS: u32 = 300;
    let asked = Instant::now();
    let mut attempt = 0;
    let created = watch.wait_for(PATIENCE, || {
        attempt += 1;
        let name = format!("{name}-{attempt}");
        let mut wire = Wire::connect(broker)?;
        wire.stream().set_read_timeout(Some(STANDSTILL_MAX))?;
        wire.create_topics(&[NewTopic { name: name.clone(), partitions: PARTITIONS, configs: &[] }])?;
        Ok(name)
    });
    (created.expect("a topic is created"), asked.elapsed())
}

fn until_it_says(watch: &Watch, node: &Node) {
    let says = || match node.complaints(&[SAYS])?.is_empty() || node.metric(METRIC)? < 1.0 {
        false => Ok(()),
        true => Err(io::Error::other("it does not say that its disk is full")),
    };
    watch.wait_for(PATIENCE, says).expect("it says what is wrong");
    let line = node.complaints(&[SAYS]).expect("a log").remove(0);
    let directory = node.options().dir.join("metadata");
    assert!(line.contains(&directory.display().to_string()) && line.contains("free "), "{line}");
    let readiness = node.readiness().expect_err("it is not ready").to_string();
    assert!(readiness.contains("is full"), "{readiness}");
}

fn until_it_has(watch: &Watch, node: &Node, topics: &[String]) {
    let all_there = || {
        let metadata = Wire::connect(&node.options().bootstrap()).and_then(|mut wire| wire.metadata())?;
        let there: Vec<String> =
            metadata.topics.iter().filter_map(|topic| Some(topic.name.as_ref()?.to_string())).collect();
        match topics.iter().find(|name| !there.contains(name)) {
            None => Ok(()),
            Some(missing) => Err(io::Error::other(format!("{missing} is not among {there:?}"))),
        }
    };
    watch.wait_for(PATIENCE, all_there).expect("it has what it missed");
}

/// Fills the disk of the active controller, or of one that follows, under load; then frees it.
fn filled(leads: bool) {
    let dir = TempDir::new().expect("a directory");
    let Some((mut cluster, disks)) = cluster(dir.path()) else { return };
    let running = load(&cluster);
    let watch = cluster.watch();
    let active = watch.wait_for(PATIENCE, || watch.active_controller()).expect("a controller");
    let active = cluster.place_of(active).expect("a node");
    let full = if leads { active } else { (active + 1) % NODES };
    let other = cluster.node((full + 1) % NODES).options().bootstrap();
    running.gaps().begin();
    disks[full].fill();
    let others = cluster.watch_from((full + 1) % NODES);
    let (created, took) = create(&others, &other, "meanwhile");
    assert!(took < STANDSTILL_MAX, "the first change took {took:?}");
    until_it_says(&others, cluster.node(full));
    let id = cluster.node(full).options().id;
    let elsewhere = || match others.partitions(LOADED)?.iter().all(|one| one.leader >= 0 && !one.in_sync.contains(&id))
    {
        true => Ok(()),
        false => Err(io::Error::other(format!("node {id} leads or is in sync"))),
    };
    others.wait_for(PATIENCE, elsewhere).expect("its broker is out of service");
    let (more, _) = create(&others, &other, "more");
    let longest = running.longest_gap();
    println!("leads: {leads}; the first change took {took:?}, the longest gap of a partition was {longest:?}");
    assert!(longest < STANDSTILL_MAX, "a partition stood still for {longest:?}");
    disks[full].free();
    cluster.node(full).wait_until_ready(PATIENCE).expect("it is back by itself");
    assert_eq!(cluster.node(full).metric(METRIC).expect("a metric"), 0.0);
    watch.wait_until_whole(LOADED, PATIENCE).expect("its replicas are in sync again");
    // It has what it missed.
    until_it_has(&watch, cluster.node(full), &[created, more]);
    // With another gone nothing is acknowledged without it.
    cluster.node((full + 2) % NODES).kill().expect("killed");
    create(&others, &other, "after");
    cluster.node((full + 2) % NODES).start(PATIENCE).expect("it comes back");
    let mut verdict = Verdict::new("full disk");
    running.end(&mut verdict).expect("the load ends");
    assert!(!verdict.is_broken());
    assert!(cluster.complaints(&["panicked"]).expect("logs").is_empty());
}

#[test]
fn the_active_controller_with_a_full_disk_is_outlived_and_back_by_itself_once_there_is_room() {
    filled(true);
}

#[test]
fn a_controller_that_follows_with_a_full_disk_holds_up_nobody_and_is_back_by_itself_once_there_is_room() {
    filled(false);
}

#[test]
fn a_controller_that_is_started_with_a_full_disk_is_back_once_there_is_room_and_has_forgotten_nothing() {
    let dir = TempDir::new().expect("a directory");
    let Some((mut cluster, disks)) = cluster(dir.path()) else { return };
    let broker = cluster.node(1).options().bootstrap();
    let watch = cluster.watch_from(1);
    let (before, _) = create(&watch, &broker, "before");
    disks[0].fill();
    let (meanwhile, _) = create(&watch, &broker, "meanwhile");
    until_it_says(&watch, cluster.node(0));
    cluster.node(0).kill().expect("killed");
    // It waits, or ends and says why.
    let refused = cluster.node(0).start(START_PATIENCE).expect_err("there is no room").to_string();
    assert!(refused.contains(SAYS) || refused.contains("No space left on device"), "{refused}");
    disks[0].free();
    if refused.contains("ended") {
        cluster.node(0).kill().expect("it has ended");
        cluster.node(0).spawn().expect("spawned");
    }
    cluster.node(0).wait_until_ready(PATIENCE).expect("it is back");
    cluster.node(2).kill().expect("killed");
    let (after, _) = create(&watch, &broker, "after");
    until_it_has(&watch, cluster.node(0), &[before, meanwhile, after]);
    assert!(cluster.complaints(&["panicked"]).expect("logs").is_empty());
}
