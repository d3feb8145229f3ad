//! What a member of the quorum finds when it starts again, whatever the process before had come to.

use openraft::EntryPayload;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};

use super::entry_batch::log_id;
use super::metadata_log::MetadataLog;
use super::snapshot_file::{SnapshotFile, SnapshotId, SnapshotWriter};
use super::state_machine::StateMachine;
use super::types::{Entry, SnapshotMeta, StoredMembership};
use crate::decide::SupportedFeatures;

fn blank_entry(index: u64) -> Entry {
    Entry { log_id: log_id(1, index), payload: EntryPayload::Blank }
}

#[test]
fn entries_that_a_killed_process_did_not_flush_are_durable_once_the_log_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let killed = MetadataLog::open(directory.path(), None, &SupportedFeatures::new()).unwrap();
    killed.append([blank_entry(0), blank_entry(1)]).unwrap();
    assert_eq!(killed.fsyncs(), 0);
    drop(killed);
    let log = MetadataLog::open(directory.path(), None, &SupportedFeatures::new()).unwrap();
    assert_eq!(log.last().unwrap(), Some(log_id(1, 1)));
    assert_eq!(log.fsyncs(), 1);
    // Whoever asks for it again, as a vote does, finds it done.
    log.flush().unwrap();
    assert_eq!(log.fsyncs(), 1);
}

/// A snapshot of an empty image, in a directory of its own.
fn empty_snapshot(id: SnapshotId) -> (tempfile::TempDir, SnapshotMeta, SnapshotFile) {
    let directory = tempfile::tempdir().unwrap();
    let membership = StoredMembership::default();
    let file = SnapshotWriter::create(directory.path(), id, &membership).unwrap().finish().unwrap();
    (directory, SnapshotMeta { last_log_id: id.last_log_id(), last_membership: membership }, file)
}

#[test]
fn a_snapshot_that_is_done_after_a_later_one_was_installed_does_not_take_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let later = SnapshotId { end_offset: 42, epoch: 3 };
    let (_sender, meta, received) = empty_snapshot(later);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let mut machine = StateMachine::open(directory.path(), SupportedFeatures::new()).unwrap();
        let mut builder = machine.get_snapshot_builder().await;
        machine.install_snapshot(&meta, received).await.unwrap();
        let built = builder.build_snapshot().await.unwrap();
        assert!(built.snapshot.id < later);
        assert_eq!(machine.get_current_snapshot().await.unwrap().unwrap().snapshot.id, later);
    });
}

#[test]
fn a_snapshot_that_cannot_be_read_never_gets_the_name_that_a_start_believes() {
    let directory = tempfile::tempdir().unwrap();
    let (_sender, meta, received) = empty_snapshot(SnapshotId { end_offset: 42, epoch: 3 });
    std::fs::write(&received.path, b"cut").unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let mut machine = StateMachine::open(directory.path(), SupportedFeatures::new()).unwrap();
        machine.install_snapshot(&meta, received).await.unwrap_err();
    });
    assert_eq!(StateMachine::open(directory.path(), SupportedFeatures::new()).unwrap().snapshot_id(), None);
}
