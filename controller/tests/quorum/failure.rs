//! Failures are final, named, and told to every publisher.

use std::fs;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use weir_controller::image::{MetadataDelta, MetadataImage};
use weir_controller::quorum::{ControllerFailure, MetadataPublisher, StartError, SubmitError};

use crate::cluster::{Cluster, create, start};

struct Failures(mpsc::Sender<Arc<ControllerFailure>>);

impl MetadataPublisher for Failures {
    fn on_delta(&self, _: &MetadataDelta, _: &Arc<MetadataImage>) {}

    fn on_failure(&self, failure: &Arc<ControllerFailure>) {
        self.0.send(Arc::clone(failure)).unwrap();
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_stops_the_controller_and_publishers_hear_why() {
    let cluster = Cluster::new();
    cluster.create("before");
    let (failures, heard) = mpsc::channel();
    cluster.controller.subscribe(Box::new(Failures(failures)));
    let applied = cluster.controller.image().applied().unwrap();
    let part = format!("{:020}-{:010}.checkpoint.part", applied.offset.get() + 1, applied.epoch.get());
    // A folder stands where the snapshot is to be written.
    fs::create_dir(cluster.metadata_log().join(part)).unwrap();
    assert!(matches!(cluster.runtime.block_on(cluster.controller.snapshot()), Err(SubmitError::Failed(_))));
    let failure = heard.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(&*failure, ControllerFailure::Storage { .. }), "{failure}");
    assert_eq!(cluster.controller.failure(), Some(Arc::clone(&failure)));
    assert_eq!(cluster.submit(create("after", 1).into()), Err(SubmitError::Failed(failure)));
    assert_eq!(cluster.controller.active_controller(), None);
    // What was known is still readable.
    assert!(cluster.controller.image().topic_by_name("before").is_some());
}

#[test]
fn a_vote_that_cannot_be_saved_stops_the_start() {
    let cluster = Cluster::new();
    cluster.controller.shutdown();
    fs::create_dir(cluster.metadata_log().join("quorum-state.part")).unwrap();
    let error = start(cluster.directory.path()).err().unwrap();
    assert!(matches!(&error, StartError::Failed(_)), "{error}");
}
