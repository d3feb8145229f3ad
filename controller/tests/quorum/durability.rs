//! What was answered survives: a kill, a torn tail, and both at once under load.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use weir_controller::quorum::{MetadataLogError, StartError};

use crate::cluster::{Cluster, copy_as_a_kill_leaves_it, create, start};

/// The newest segment of a metadata log.
fn last_segment(metadata_log: &Path) -> PathBuf {
    let files = fs::read_dir(metadata_log).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    let cluster = Cluster::new();
    for round in 0..10 {
        cluster.create(&format!("round-{round}"));
        // More is in flight when the process dies.
        let in_flight = cluster.controller.submit(create(&format!("in-flight-{round}"), 1).into());
        let in_flight = cluster.runtime.spawn(in_flight);
        cluster.runtime.block_on(tokio::task::yield_now());
        let killed = copy_as_a_kill_leaves_it(cluster.directory.path());
        cluster.runtime.block_on(in_flight).unwrap().unwrap();
        let controller = start(killed.path()).unwrap();
        let image = controller.image();
        for answered in 0..=round {
            assert!(image.topic_by_name(&format!("round-{answered}")).is_some(), "round {round} lost {answered}");
        }
        assert_eq!(controller.cluster_id(), cluster.controller.cluster_id());
    }
}

#[test]
fn a_torn_tail_loses_only_what_was_never_answered() {
    let cluster = Cluster::new();
    cluster.create("answered");
    let answered = fs::metadata(last_segment(&cluster.metadata_log())).unwrap().len();
    cluster.create("torn");
    cluster.controller.shutdown();
    let torn = fs::metadata(last_segment(&cluster.metadata_log())).unwrap().len();
    // Every length that a write cut short by a power failure can leave.
    for length in answered..torn {
        let crashed = copy_as_a_kill_leaves_it(cluster.directory.path());
        let segment = last_segment(&crashed.path().join("__cluster_metadata-0"));
        OpenOptions::new().write(true).open(segment).unwrap().set_len(length).unwrap();
        let controller = start(crashed.path()).unwrap();
        let image = controller.image();
        assert!(image.topic_by_name("answered").is_some(), "cut at {length}");
        assert!(image.topic_by_name("torn").is_none(), "cut at {length}");
        assert_eq!(image.cluster_id(), cluster.controller.image().cluster_id());
        controller.shutdown();
    }
}

#[test]
fn garbage_behind_the_last_entry_is_cut_off() {
    let cluster = Cluster::new();
    cluster.create("answered");
    cluster.controller.shutdown();
    let mut segment = OpenOptions::new().append(true).open(last_segment(&cluster.metadata_log())).unwrap();
    segment.write_all(&[0xff; 100]).unwrap();
    let controller = start(cluster.directory.path()).unwrap();
    assert!(controller.image().topic_by_name("answered").is_some());
    controller.shutdown();
    let controller = start(cluster.directory.path()).unwrap();
    assert!(controller.image().topic_by_name("answered").is_some());
}

#[test]
fn a_spoilt_entry_with_intact_ones_behind_it_stops_the_start_and_nothing_is_cut() {
    let cluster = Cluster::new();
    cluster.create("first");
    let length = fs::metadata(last_segment(&cluster.metadata_log())).unwrap().len();
    cluster.create("second");
    cluster.controller.shutdown();
    let segment = last_segment(&cluster.metadata_log());
    let mut bytes = fs::read(&segment).unwrap();
    bytes[usize::try_from(length).unwrap() - 3] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let error = start(cluster.directory.path()).err().unwrap();
    assert!(matches!(&error, StartError::Log(MetadataLogError::Damaged { .. })), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}
