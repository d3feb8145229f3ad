//! Starting: what a directory becomes, what it costs, and what is refused.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_controller::quorum::{CLUSTER_METADATA_FOLDER, Controller, ControllerConfig, MemberRecord, StartError};

use crate::cluster::{Cluster, Record, config, start};

#[test]
fn a_blank_directory_becomes_a_cluster_with_an_id_and_the_highest_features() {
    let directory = tempfile::tempdir().unwrap();
    let controller = start(directory.path()).unwrap();
    let image = controller.image();
    assert_eq!(image.cluster_id(), Some(controller.cluster_id()));
    assert_eq!(controller.cluster_id().len(), 22);
    assert_eq!((image.feature_level("metadata.version"), image.feature_level("weir.metadata.version")), (25, 1));
    assert_eq!(controller.active_controller(), Some(controller.node_id()));
}

#[test]
fn the_cluster_id_of_meta_properties_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let named = weir_controller::quorum::ControllerConfig {
        cluster_id: Some("AAAAAAAAAAAAAAAAAAAAAQ".into()),
        ..config(directory.path())
    };
    assert_eq!(&**Controller::start(named).unwrap().cluster_id(), "AAAAAAAAAAAAAAAAAAAAAQ");
}

#[test]
fn a_restart_keeps_everything() {
    let cluster = Cluster::new();
    for topic in 0..20 {
        cluster.create(&format!("topic-{topic}"));
    }
    let (before, id) = (cluster.controller.image(), cluster.controller.cluster_id().clone());
    cluster.controller.shutdown();
    let controller = start(cluster.directory.path()).unwrap();
    assert_eq!(controller.cluster_id(), &id);
    assert_eq!(controller.image().to_records().collect::<Vec<_>>(), before.to_records().collect::<Vec<_>>());
}

#[test]
fn each_start_leads_in_a_term_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let epochs = (0..3).map(|_| {
        let controller = start(directory.path()).unwrap();
        let applied = controller.image().applied().unwrap();
        controller.shutdown();
        applied.epoch.get()
    });
    let epochs = epochs.collect::<Vec<_>>();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn a_start_costs_a_vote_and_an_entry() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(directory.path()).unwrap();
    let stats = first.stats();
    // The vote and its directory, and the vote once it is granted; the membership, the entry that opens the term, and the first records.
    assert_eq!(stats.vote_fsyncs, 3);
    assert!(stats.log_fsyncs <= 3, "{stats:?}");
    first.shutdown();
    let again = start(directory.path()).unwrap();
    let stats = again.stats();
    // What was found is made durable before it is acted on, for nothing tells how the last process ended.
    assert_eq!((stats.vote_fsyncs, stats.log_fsyncs), (4, 2));
    again.shutdown();
}

#[test]
fn a_stop_is_quick() {
    let cluster = Cluster::new();
    let begun = Instant::now();
    cluster.controller.shutdown();
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(
        cluster.submit(crate::cluster::create("late", 1).into()),
        Err(weir_controller::quorum::SubmitError::ShuttingDown)
    );
}

#[test]
fn another_clusters_log_is_refused_in_one_sentence() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    let mut other = config(cluster.directory.path());
    other.cluster_id = Some("AAAAAAAAAAAAAAAAAAAAAQ".into());
    let error = Controller::start(other).err().unwrap();
    assert!(matches!(error, StartError::ForeignCluster { .. }), "{error}");
    assert!(error.to_string().contains("AAAAAAAAAAAAAAAAAAAAAQ"), "{error}");
}

#[test]
fn a_log_of_another_directory_id_is_refused() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    let mut other = config(cluster.directory.path());
    other.directory_id = Uuid::from_u128(0x2002);
    let error = Controller::start(other).err().unwrap();
    assert!(matches!(error, StartError::ForeignNode { .. }), "{error}");
}

#[test]
fn a_voter_that_lost_its_log_does_not_vote_again() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    let log = cluster.metadata_log();
    for file in fs::read_dir(&log).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap() != "quorum-state" {
            fs::remove_file(path).unwrap();
        }
    }
    let error = start(cluster.directory.path()).err().unwrap();
    assert!(matches!(error, StartError::LogLost { .. }), "{error}");
}

#[test]
fn a_log_without_a_vote_is_refused() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    fs::remove_file(cluster.metadata_log().join("quorum-state")).unwrap();
    let error = start(cluster.directory.path()).err().unwrap();
    assert!(matches!(error, StartError::VoteLost { .. }), "{error}");
}

#[test]
fn a_lone_controller_whose_log_is_gone_does_not_begin_anew() {
    let directory = tempfile::tempdir().unwrap();
    let record = Arc::new(Record::default());
    let recorded = || ControllerConfig { member_record: Some(record.clone()), ..config(directory.path()) };
    let first = Controller::start(recorded()).unwrap();
    assert_eq!(record.member(), Some(first.node_id().directory_id));
    first.shutdown();
    Controller::start(recorded()).unwrap().shutdown();
    fs::remove_dir_all(directory.path().join(CLUSTER_METADATA_FOLDER)).unwrap();
    let error = Controller::start(recorded()).err().unwrap();
    assert!(matches!(error, StartError::LogLost { .. }), "{error}");
}

#[test]
fn a_directory_that_has_voted_is_recorded_whatever_else_is_wrong_with_it() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    fs::write(cluster.metadata_log().join("quorum-state"), "{\"leaderId\":").unwrap();
    // As a build leaves it that recorded nothing.
    let record = Arc::new(Record::default());
    let recorded = ControllerConfig { member_record: Some(record.clone()), ..config(cluster.directory.path()) };
    assert!(matches!(Controller::start(recorded), Err(StartError::Vote(_))));
    assert_eq!(record.member(), Some(cluster.controller.node_id().directory_id));
}

#[test]
fn a_damaged_vote_is_refused() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    let path = cluster.directory.path().join(CLUSTER_METADATA_FOLDER).join("quorum-state");
    fs::write(path, "{\"leaderId\":").unwrap();
    assert!(matches!(start(cluster.directory.path()), Err(StartError::Vote(_))));
}
