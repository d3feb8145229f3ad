//! Failures that need a hand inside: a disk that fails an fsync or has no room, a log that holds what no controller wrote.

use std::sync::Arc;

use bytes::Bytes;
use openraft::EntryPayload;
use tempfile::TempDir;
use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use super::controller::{Controller, ControllerConfig};
use super::entry_batch::log_id;
use super::failure::{ControllerFailure, SubmitError};
use super::metadata_log::{CLUSTER_METADATA_FOLDER, MetadataLog};
use super::start_error::StartError;
use super::types::{Change, Entry};
use crate::decide::{AnyConfig, ControllerResponse, Defaults, LogState, RegisterBrokerRequest, SupportedFeatures};
use crate::record::{BrokerEndpoint, BrokerFeature, MetadataRecord, RemoveTopicRecord, encode_change};

pub(super) fn start(directory: &TempDir) -> Result<Controller, StartError> {
    Controller::start(alone(directory))
}

pub(super) fn alone(directory: &TempDir) -> ControllerConfig {
    ControllerConfig {
        node_id: BrokerId(1),
        directory_id: Uuid::from_u128(0x1001),
        member_record: None,
        directory: directory.path().to_path_buf(),
        cluster_id: None,
        endpoints: Vec::new(),
        peers: None,
        catalog: Arc::new(AnyConfig),
        defaults: Defaults::default(),
    }
}

/// The log of a stopped controller.
fn log_of(directory: &TempDir) -> MetadataLog {
    let folder = directory.path().join(CLUSTER_METADATA_FOLDER);
    MetadataLog::open(&folder, None, &SupportedFeatures::new()).unwrap()
}

/// A stopped controller's directory with one more entry in the log, as if it had been committed.
pub(super) fn with_entry(change: Bytes) -> (TempDir, u64) {
    let directory = tempfile::tempdir().unwrap();
    start(&directory).unwrap().shutdown();
    let log = log_of(&directory);
    let index = log.last().unwrap().unwrap().index() + 1;
    log.append([Entry { log_id: log_id(1, index), payload: EntryPayload::Normal(Change(change)) }]).unwrap();
    log.close().unwrap();
    (directory, index)
}

fn replay_failure(error: StartError) -> (u64, String) {
    match error {
        StartError::Failed(failure) => match &*failure {
            ControllerFailure::Replay { offset, reason, .. } => (*offset, reason.clone()),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

#[test]
fn an_impossible_record_stops_the_replay_and_is_named() {
    let record = MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: Uuid::from_u128(0xdead) });
    let (directory, index) = with_entry(encode_change(&[record]).unwrap());
    let (offset, reason) = replay_failure(start(&directory).err().unwrap());
    assert_eq!(offset, index);
    assert!(reason.contains("RemoveTopicRecord"), "{reason}");
    // Nothing is cut off or skipped: it says the same again.
    assert_eq!(replay_failure(start(&directory).err().unwrap()).0, index);
}

fn register(controller: &Controller) -> RegisterBrokerRequest {
    RegisterBrokerRequest {
        broker: BrokerId(1),
        cluster_id: Arc::clone(controller.cluster_id()),
        incarnation_id: Uuid::from_u128(0x2001),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_level: 0,
            max_supported_level: i16::MAX,
        }],
        rack: None,
        log_dirs: vec![Uuid::from_u128(0x1001)],
        fenced: false,
        log_state: LogState::Intact,
        previous_broker_epoch: None,
        earlier_session_open: false,
    }
}

#[test]
fn a_failed_fsync_is_never_answered_as_success_nor_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let controller = start(&directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    controller.metadata_log().fail_flushes();
    let answer = runtime.block_on(controller.submit(register(&controller).into()));
    let Err(SubmitError::Failed(failure)) = answer else { panic!("{answer:?}") };
    assert!(matches!(&*failure, ControllerFailure::Storage { .. }), "{failure}");
    assert_eq!(controller.image().broker_count(), 0);
    let later = runtime.block_on(controller.submit(register(&controller).into()));
    assert_eq!(later, Err(SubmitError::Failed(failure)));
    controller.shutdown();
}

#[test]
fn a_full_disk_ends_nothing_is_told_and_what_waited_for_room_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let controller = start(&directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let log = controller.metadata_log();
    log.set_full(true);
    for _ in 0..2 {
        let refused = runtime.block_on(controller.submit(register(&controller).into()));
        assert_eq!(refused, Err(SubmitError::NotController { leader: None }));
        assert_eq!(controller.active_controller(), None);
        assert!(controller.disk_full().unwrap().contains(CLUSTER_METADATA_FOLDER));
    }
    log.set_full(false);
    runtime.block_on(log.room().until_there());
    assert_eq!((controller.disk_full(), controller.failure()), (None, None));
    let answer = runtime.block_on(controller.submit(register(&controller).into()));
    assert!(matches!(answer, Ok(ControllerResponse::RegisterBroker(Ok(_)))), "{answer:?}");
    assert_eq!(controller.image().broker_count(), 1);
    controller.shutdown();
    assert_eq!(start(&directory).unwrap().image().broker_count(), 1);
}

#[test]
fn a_controller_with_a_full_disk_can_be_stopped_and_has_lost_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let controller = start(&directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let registered = runtime.block_on(controller.submit(register(&controller).into()));
    assert!(matches!(registered, Ok(ControllerResponse::RegisterBroker(Ok(_)))), "{registered:?}");
    controller.metadata_log().set_full(true);
    let refused = runtime.block_on(controller.submit(register(&controller).into()));
    assert_eq!(refused, Err(SubmitError::NotController { leader: None }));
    controller.shutdown();
    assert_eq!(start(&directory).unwrap().image().broker_count(), 1);
}
