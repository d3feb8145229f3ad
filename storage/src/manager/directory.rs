//! One log directory as the manager holds it.
//!
//! Owns its identity (and so its lock), what its logs share, the flusher's queue, and how many partitions it has. Never
//! looks inside a partition.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use super::checkpoints::LastWritten;
use super::flusher::FlushQueue;
use crate::context::StorageContext;
use crate::identity::{DirectoryIdentity, LastStop};

/// One of `log.dirs`.
pub(super) struct Directory {
    /// Its place among the manager's directories.
    pub(super) index: usize,
    pub(super) path: PathBuf,
    pub(super) id: Uuid,
    pub(super) last_stop: LastStop,
    pub(super) identity: Mutex<DirectoryIdentity>,
    pub(super) context: Arc<StorageContext>,
    pub(super) flushes: FlushQueue,
    pub(super) partitions: AtomicUsize,
    pub(super) recovery_points: LastWritten,
    pub(super) log_starts: LastWritten,
    pub(super) high_watermarks: LastWritten,
    loaded: AtomicBool,
    /// Opened with the directory, so that it is told of every write-back that fails from then on.
    handle: io::Result<File>,
}

impl Directory {
    pub(super) fn new(index: usize, identity: DirectoryIdentity, context: Arc<StorageContext>) -> Self {
        let handle = File::open(identity.path());
        Self {
            index,
            path: identity.path().to_owned(),
            id: identity.directory_id(),
            last_stop: identity.last_stop(),
            identity: Mutex::new(identity),
            context,
            flushes: FlushQueue::default(),
            partitions: AtomicUsize::new(0),
            recovery_points: LastWritten::default(),
            log_starts: LastWritten::default(),
            high_watermarks: LastWritten::default(),
            loaded: AtomicBool::new(false),
            handle,
        }
    }

    /// Makes everything on the directory's file system durable.
    pub(super) fn sync_file_system(&self) -> io::Result<()> {
        match &self.handle {
            Ok(handle) => Ok(rustix::fs::syncfs(handle)?),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// Every partition that was found has been opened or set aside.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(super) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }
}
