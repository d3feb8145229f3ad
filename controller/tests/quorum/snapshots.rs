//! Snapshots: written, used, and the log cut behind them; half-written and damaged ones do no harm.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, start};

fn checkpoints(metadata_log: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(metadata_log).unwrap().map(|file| file.unwrap().path());
    let mut checkpoints =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).collect::<Vec<_>>();
    checkpoints.sort();
    checkpoints
}

impl Cluster {
    /// Has a snapshot made, which is there under its final name then.
    fn snapshot(&self) -> PathBuf {
        let applied = self.controller.image().applied().unwrap();
        let name = format!("{:020}-{:010}.checkpoint", applied.offset.get() + 1, applied.epoch.get());
        let path = self.metadata_log().join(name);
        self.runtime.block_on(self.controller.snapshot()).unwrap();
        assert!(path.exists(), "no {}", path.display());
        path
    }
}

#[test]
fn a_restart_from_snapshot_and_log_gives_the_same_image() {
    let cluster = Cluster::new();
    for topic in 0..50 {
        cluster.create(&format!("before-{topic}"));
    }
    cluster.snapshot();
    for topic in 0..50 {
        cluster.create(&format!("after-{topic}"));
    }
    let before = cluster.controller.image();
    cluster.controller.shutdown();
    let controller = start(cluster.directory.path()).unwrap();
    assert_eq!(controller.image().to_records().collect::<Vec<_>>(), before.to_records().collect::<Vec<_>>());
    assert_eq!(controller.cluster_id(), cluster.controller.cluster_id());
}

#[test]
fn two_snapshots_stay_and_an_unfinished_one_goes() {
    let cluster = Cluster::new();
    let mut written = Vec::new();
    for topic in 0..4 {
        cluster.create(&format!("topic-{topic}"));
        written.push(cluster.snapshot());
    }
    cluster.controller.shutdown();
    assert_eq!(checkpoints(&cluster.metadata_log()), written[2..]);
    let part = cluster.metadata_log().join("00000000000000009999-0000000001.checkpoint.part");
    fs::write(&part, b"half").unwrap();
    let controller = start(cluster.directory.path()).unwrap();
    assert!(!part.exists());
    assert_eq!(controller.image().topic_count(), 4);
}

#[test]
fn a_damaged_snapshot_costs_nothing_while_the_one_before_it_is_whole() {
    let cluster = Cluster::new();
    cluster.create("a");
    cluster.snapshot();
    cluster.create("b");
    let newest = cluster.snapshot();
    cluster.create("c");
    cluster.controller.shutdown();
    let bytes = fs::read(&newest).unwrap();
    for damage in ["cut", "flipped"] {
        let mut damaged = bytes.clone();
        match damage {
            "cut" => damaged.truncate(bytes.len() - 10),
            _ => damaged[bytes.len() / 2] ^= 1,
        }
        fs::write(&newest, damaged).unwrap();
        let controller = start(cluster.directory.path()).unwrap();
        let image = controller.image();
        let names = image.topics().map(|topic| topic.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names, ["a", "b", "c"], "{damage}");
        controller.shutdown();
    }
}

#[test]
fn a_snapshot_alone_is_enough_once_the_log_behind_it_is_gone() {
    let cluster = Cluster::new();
    cluster.create("a");
    cluster.snapshot();
    let before = cluster.controller.image();
    cluster.controller.shutdown();
    for file in fs::read_dir(cluster.metadata_log()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "checkpoint") {
            fs::remove_file(path).unwrap();
        }
    }
    let controller = start(cluster.directory.path()).unwrap();
    assert_eq!(controller.image().to_records().collect::<Vec<_>>(), before.to_records().collect::<Vec<_>>());
    assert!(controller.image().applied().unwrap().offset > before.applied().unwrap().offset);
}

#[test]
fn segments_that_both_snapshots_cover_are_deleted() {
    let cluster = Cluster::new();
    // More entries than stay readable behind a snapshot.
    for round in 0..4 {
        for _ in 0..600 {
            cluster.create(&format!("topic-{round}"));
            cluster.delete(&format!("topic-{round}"));
        }
        cluster.create(&format!("kept-{round}"));
        cluster.snapshot();
    }
    let first = first_segment(&cluster.metadata_log());
    assert!(first > 0, "the log still starts at 0");
    let before = cluster.controller.image();
    cluster.controller.shutdown();
    let controller = start(cluster.directory.path()).unwrap();
    assert_eq!(controller.image().to_records().collect::<Vec<_>>(), before.to_records().collect::<Vec<_>>());
}

fn first_segment(metadata_log: &Path) -> u64 {
    let names = fs::read_dir(metadata_log).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let bases = names.filter_map(|name| name.strip_suffix(".log").map(|base| base.parse::<u64>().unwrap()));
    bases.min().unwrap()
}
