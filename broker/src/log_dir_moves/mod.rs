//! Replicas that move between the log directories of this broker (KIP-113): AlterReplicaLogDirs.
//!
//! One thread a directory that is moved to, while there is something to move: it copies one replica after the other from the log there
//! is, no faster than `replica.alter.log.dirs.io.max.bytes.per.second`, and puts the copy in its place once it is complete. Where it lies
//! then is told to the controller (KIP-858). A move survives restarts, after which its copy is made anew, and is called off by a move back. Kafka's
//! `ReplicaAlterLogDirsManager`, which fetches from itself; reading the log is enough.

mod mover;
mod rate;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_storage::manager::{LogManager, MoveError, Moving};

use crate::config::effective::Layers;
use crate::partition::{Partition, PartitionError};

/// How fast replicas may be copied; as fast as they can where nothing is set.
const COPY_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

/// What the settings say of that.
pub(crate) fn copy_bytes_per_second(layers: Layers<'_>) -> u64 {
    let dynamic = [layers.broker, layers.cluster].into_iter().find_map(|set| set.get(COPY_RATE)).map(|value| &**value);
    dynamic.or(layers.settings.set(COPY_RATE)).and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// Moves between log directories.
pub(crate) struct LogDirMoves {
    shared: Arc<Shared>,
    movers: Mutex<AHashMap<Uuid, Mover>>,
}

struct Shared {
    logs: Arc<LogManager>,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`.
    bytes_per_second: AtomicU64,
    stops: AtomicBool,
    /// Notified when it stops.
    stopped: Condvar,
    lock: Mutex<()>,
}

/// The thread that copies into one directory, and what it is still to copy.
struct Mover {
    queue: Arc<Mutex<Queue>>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Queue {
    partitions: Vec<Arc<Partition>>,
    /// The thread has seen that nothing is left, and ends.
    ended: bool,
}

impl LogDirMoves {
    pub(crate) fn new(logs: Arc<LogManager>, bytes_per_second: u64) -> Self {
        let shared = Shared {
            logs,
            bytes_per_second: AtomicU64::new(bytes_per_second),
            stops: AtomicBool::new(false),
            stopped: Condvar::new(),
            lock: Mutex::default(),
        };
        Self { shared: Arc::new(shared), movers: Mutex::default() }
    }

    /// `replica.alter.log.dirs.io.max.bytes.per.second` has changed.
    pub(crate) fn set_bytes_per_second(&self, bytes_per_second: u64) {
        self.shared.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Moves a replica to a directory, beginning now. Where it lies already a move elsewhere is called off.
    pub(crate) fn begin(&self, partition: &Arc<Partition>, to: Uuid) -> Result<(), PartitionError> {
        // It moves what is there.
        partition.log()?;
        let name = partition.topic_partition();
        match self.shared.logs.begin_move(&name, to) {
            Ok(Moving::Stays) => Ok(()),
            Ok(Moving::To(_)) => {
                tracing::info!(partition = %name, %to, "a replica moves to another log directory");
                self.enqueue(partition, to);
                Ok(())
            }
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Takes up the moves that a stop or a crash interrupted.
    pub(crate) fn resume(&self, partitions: impl Iterator<Item = Arc<Partition>>) {
        let moving: AHashMap<_, _> = self.shared.logs.moves().into_iter().collect();
        if moving.is_empty() {
            return;
        }
        for partition in partitions {
            if let Some(to) = moving.get(&partition.topic_partition()) {
                self.enqueue(&partition, *to);
            }
        }
    }

    fn enqueue(&self, partition: &Arc<Partition>, to: Uuid) {
        let mut movers = self.movers.lock();
        if let Some(mover) = movers.get(&to) {
            let mut queue = mover.queue.lock();
            if !queue.ended {
                if !queue.partitions.iter().any(|waiting| Arc::ptr_eq(waiting, partition)) {
                    queue.partitions.push(Arc::clone(partition));
                }
                return;
            }
        }
        let queue = Arc::new(Mutex::new(Queue { partitions: vec![Arc::clone(partition)], ended: false }));
        let (shared, to_copy) = (Arc::clone(&self.shared), Arc::clone(&queue));
        let thread = std::thread::Builder::new().name("weir-move".into()).spawn(move || mover::run(&shared, &to_copy));
        match thread {
            Ok(thread) => drop(movers.insert(to, Mover { queue, thread })),
            Err(error) => {
                tracing::error!(%error, partition = %partition.topic_partition(), "no thread to move a replica on: it moves after the next start");
            }
        }
    }

    /// Stops copying; what is under way begins anew after the next start. Does not wait for a disk that does not answer.
    pub(crate) fn stop(&self) {
        {
            let _locked = self.shared.lock.lock();
            self.shared.stops.store(true, Ordering::Release);
            self.shared.stopped.notify_all();
        }
        for (_, mover) in self.movers.lock().drain() {
            if !self.shared.logs.has_stalled() && mover.thread.join().is_err() {
                tracing::error!("a thread that moves replicas panicked");
            }
        }
    }
}

impl Shared {
    fn stops(&self) -> bool {
        self.stops.load(Ordering::Acquire)
    }

    /// Waits, but not beyond the stop.
    fn pause(&self, time: Duration) {
        let mut locked = self.lock.lock();
        if !self.stops() {
            self.stopped.wait_for(&mut locked, time);
        }
    }
}

fn refusal(error: &MoveError) -> PartitionError {
    let code = match error {
        MoveError::Loading(_) | MoveError::Absent(_) => ErrorCode::ReplicaNotAvailable,
        MoveError::DirectoryNotOnline(_) | MoveError::Io { .. } | MoveError::Storage(_) => ErrorCode::KafkaStorageError,
    };
    PartitionError::new(code, error)
}
