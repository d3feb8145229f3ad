//! openraft's own store suite, on ours. It lives here, not in `tests/`, for it makes node ids of its own kind.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::log_store::LogStore;
use super::metadata_log::MetadataLog;
use super::quorum_state::QuorumStateFile;
use super::state_machine::StateMachine;
use super::types::RaftTypes;
use crate::decide::SupportedFeatures;

struct OnDisk;

impl StoreBuilder<RaftTypes, LogStore, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<RaftTypes>> {
        let directory = tempfile::tempdir().unwrap();
        let machine = StateMachine::open(directory.path(), SupportedFeatures::new()).unwrap();
        let log = MetadataLog::open(directory.path(), machine.snapshot_id(), &SupportedFeatures::new()).unwrap();
        let log = Arc::new(log);
        let vote = Arc::new(Mutex::new(QuorumStateFile::open(directory.path()).unwrap()));
        Ok((directory, LogStore::new(log, vote).unwrap(), machine))
    }
}

#[test]
fn the_store_is_what_openraft_asks_of_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(Suite::test_all(OnDisk)).unwrap();
}
