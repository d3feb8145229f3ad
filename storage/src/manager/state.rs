//! What the manager's threads share.
//!
//! Owns the map of partitions and the folders that wait for removal. Lock order: a log's own lock may be held when the
//! alarm or a flush queue is told something, never the other way round; the map's lock is never held across a disk
//! operation. It may be held when the lock of the moves is taken, not the other way round.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use weir_protocol::ids::TopicPartition;

use super::config::LogManagerConfig;
use super::directory::Directory;
use super::futures::FutureReplica;
use super::metrics::LogManagerMetrics;
use crate::log::Log;

/// A partition that was found or made on this node.
#[derive(Clone)]
pub(super) enum Slot {
    /// Found at start, not opened yet.
    Loading { directory: usize },
    /// In service.
    Online { directory: usize, log: Arc<Log> },
    /// Found at start, and could not be opened.
    Failed { directory: usize, reason: Arc<str> },
}

impl Slot {
    pub(super) fn directory(&self) -> usize {
        match self {
            Self::Loading { directory } | Self::Online { directory, .. } | Self::Failed { directory, .. } => *directory,
        }
    }
}

/// A renamed folder that goes when it is due.
pub(super) struct DueFolder {
    pub(super) due_ms: i64,
    pub(super) path: PathBuf,
}

pub(super) struct Shared {
    pub(super) config: LogManagerConfig,
    pub(super) directories: Vec<Arc<Directory>>,
    pub(super) logs: RwLock<HashMap<TopicPartition, Slot>>,
    /// Partitions that move to another directory.
    pub(super) futures: Mutex<HashMap<TopicPartition, FutureReplica>>,
    pub(super) deletions: Mutex<Vec<DueFolder>>,
    pub(super) metrics: LogManagerMetrics,
    pub(super) alarm: Arc<Alarm>,
    /// The smallest `flush.ms` of any partition, `i64::MAX` if none sets one.
    pub(super) flush_ms: AtomicI64,
    /// How long an idle producer is remembered now; `config` has what it was at the start.
    pub(super) producer_id_expiration_ms: AtomicI64,
    /// Whether every partition that is on disk has its place in the map: until then none may be made, for it may be there.
    pub(super) surveyed: AtomicBool,
    pub(super) closed: AtomicBool,
}

impl Shared {
    pub(super) fn now_ms(&self) -> i64 {
        (self.config.clock)()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The logs in service in one directory.
    pub(super) fn logs_of(&self, directory: &Directory) -> Vec<Arc<Log>> {
        let logs = self.logs.read();
        let of_directory = logs.values().filter_map(|slot| match slot {
            Slot::Online { directory: index, log } if *index == directory.index => Some(Arc::clone(log)),
            _ => None,
        });
        of_directory.collect()
    }

    /// All logs in service.
    pub(super) fn online(&self) -> Vec<Arc<Log>> {
        let online = |slot: &Slot| if let Slot::Online { log, .. } = slot { Some(Arc::clone(log)) } else { None };
        self.logs.read().values().filter_map(online).collect()
    }

    /// The directory that a log lies in.
    pub(super) fn directory_of(&self, log: &Log) -> Option<&Arc<Directory>> {
        self.directories.iter().find(|directory| Arc::ptr_eq(&directory.context, log.context()))
    }

    /// A partition has this `flush.ms` now.
    pub(super) fn note_flush_ms(&self, flush_ms: i64) {
        self.flush_ms.fetch_min(flush_ms.max(1), Ordering::Relaxed);
    }
}

/// The housekeeping thread looks at its schedule at least this often: an interval may be set to "never".
const LONGEST_WAIT_MS: i64 = 86_400_000;

/// Wakes the housekeeping thread.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    state: Mutex<AlarmState>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct AlarmState {
    rung: bool,
    closed: bool,
}

impl Alarm {
    /// Something changed: look again.
    pub(super) fn ring(&self) {
        self.state.lock().rung = true;
        self.wake.notify_one();
    }

    /// No more housekeeping.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    /// Sleeps until it is rung or `wait_ms` have passed; `false` once it is closed.
    pub(super) fn wait(&self, wait_ms: i64) -> bool {
        let deadline = Instant::now() + Duration::from_millis(wait_ms.clamp(0, LONGEST_WAIT_MS) as u64);
        let mut state = self.state.lock();
        while !state.rung && !state.closed {
            if self.wake.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.rung = false;
        !state.closed
    }
}
