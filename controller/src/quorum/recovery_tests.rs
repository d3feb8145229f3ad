//! What a member of the quorum finds when it starts again, whatever the process before had come to.

use openraft::EntryPayload;

use super::entry_batch::log_id;
use super::metadata_log::MetadataLog;
use super::types::Entry;

fn blank_entry(index: u64) -> Entry {
    Entry { log_id: log_id(1, index), payload: EntryPayload::Blank }
}

#[test]
fn entries_that_a_killed_process_did_not_flush_are_durable_once_the_log_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let killed = MetadataLog::open(directory.path(), None).unwrap();
    killed.append([blank_entry(0), blank_entry(1)]).unwrap();
    assert_eq!(killed.fsyncs(), 0);
    drop(killed);
    let log = MetadataLog::open(directory.path(), None).unwrap();
    assert_eq!(log.last().unwrap(), Some(log_id(1, 1)));
    assert_eq!(log.fsyncs(), 1);
    // Whoever asks for it again, as a vote does, finds it done.
    log.flush().unwrap();
    assert_eq!(log.fsyncs(), 1);
}
