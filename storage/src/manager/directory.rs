//! One log directory as the manager holds it.
//!
//! Owns its identity (and so its lock), what its logs share, the flusher's queue, how many partitions it has, and which lines
//! of its checkpoints are of partitions that have no log at the moment. Never looks inside a partition.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;
use weir_protocol::ids::TopicPartition;

use super::checkpoints::{FoundOffsets, LastWritten};
use super::flusher::FlushQueue;
use crate::context::StorageContext;
use crate::identity::{DirectoryIdentity, LastStop};
use crate::stall::StallWatch;

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
    /// What the checkpoints said of partitions that were found and are not in service, yet or at all: the next files say it
    /// again, or a later start would take what was flushed for what never was.
    pub(super) found: Mutex<HashMap<TopicPartition, FoundOffsets>>,
    /// Partitions whose folders are gone while the checkpoints on disk may still speak of them: a new one of the name must
    /// not be taken for the old. Emptied with each checkpoint.
    pub(super) retired: Mutex<HashSet<TopicPartition>>,
    /// Held from looking at the logs until the file is written, so that an older look never replaces a newer.
    pub(super) checkpointing: Mutex<()>,
    loaded: AtomicBool,
    stall: Mutex<StallWatch>,
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
            found: Mutex::default(),
            retired: Mutex::default(),
            checkpointing: Mutex::default(),
            loaded: AtomicBool::new(false),
            stall: Mutex::default(),
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

    /// Looks whether the disk has stopped answering, or answers again; true if that changed.
    pub(super) fn look_for_stall(&self, now: Instant, patience: Duration) -> bool {
        let stalled = self.stall.lock().look(now, self.context.progress(), patience);
        if self.context.is_offline() || stalled == self.context.is_stalled() {
            return false;
        }
        self.context.set_stalled(stalled);
        let dir = self.path.display();
        match stalled {
            true => {
                tracing::error!(%dir, patience_ms = patience.as_millis(), "the disk of a log directory does not answer: what lies in it is served by others until it does")
            }
            false => tracing::warn!(%dir, "the disk of a log directory answers again: what lies in it is served again"),
        }
        true
    }

    /// The folder of a partition is gone from its name.
    pub(super) fn forget(&self, partition: &TopicPartition) {
        self.found.lock().remove(partition);
        self.retired.lock().insert(partition.clone());
    }

    /// Every partition that was found is in service or set aside.
    pub(super) fn is_whole(&self) -> bool {
        self.is_loaded() && self.found.lock().is_empty()
    }

    /// Every partition that was found has been opened or set aside, or could not be.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(super) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }
}
