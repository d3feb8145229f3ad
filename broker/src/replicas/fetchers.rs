//! Which fetcher fetches which partition, and on which thread.
//!
//! A fetcher is a task with one connection and one fetch session: one a leader, log directory, `num.replica.fetchers` and lane. Each
//! directory has as many threads for each lane, with a runtime of their own, started with the first fetcher that they are to serve: a disk
//! that does not answer holds up what follows into it, and nothing else, and what catches up nobody who is in sync.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use ahash::AHashMap;
use std::collections::hash_map::Entry;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;
use weir_controller::image::PartitionRegistration;
use weir_protocol::ids::BrokerId;

use super::fetcher::{Command, Fetcher};
use super::{ImageSource, Lane, LostLeaders, ReplicaMetrics, ReplicaSettings, Task};
use crate::partition::{LocalBroker, Partition, PartitionKey};
use crate::replication::FollowerState;

/// Stack of a fetchers' thread.
const STACK_BYTES: usize = 1024 * 1024;
/// How far a thread that catches up stands back (nice(2)): where the processors are busy, a tenth of the time of one that does not.
const CATCHING_UP_NICE: i32 = 10;

/// The directory that a thread writes to (none while this broker is still to choose), which of its threads it is, and for which lane.
type ThreadId = (Option<Uuid>, usize, Lane);

/// Whom a fetcher fetches from, and on which thread.
type FetcherId = (BrokerId, ThreadId);

/// What every fetcher works with.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) settings: ReplicaSettings,
    pub(super) local: Arc<LocalBroker>,
    pub(super) image: ImageSource,
    pub(super) tasks: std::sync::mpsc::Sender<Task>,
    pub(super) metrics: Arc<ReplicaMetrics>,
    pub(super) lost_leaders: Arc<LostLeaders>,
}

/// All fetchers.
pub(super) struct Fetchers {
    shared: Shared,
    threads: AHashMap<ThreadId, FetchThread>,
    fetchers: AHashMap<FetcherId, mpsc::UnboundedSender<Command>>,
    assigned: AHashMap<PartitionKey, (FetcherId, Weak<Partition>)>,
    hasher: ahash::RandomState,
}

struct FetchThread {
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Fetchers {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            threads: AHashMap::new(),
            shared,
            fetchers: AHashMap::new(),
            assigned: AHashMap::new(),
            hasher: ahash::RandomState::new(),
        }
    }

    /// Follows the leader that `registration` names, and no other.
    pub(super) fn follow(&mut self, partition: &Arc<Partition>, registration: &PartitionRegistration) {
        let lane = Lane::of(registration.isr.contains(&self.shared.local.id()));
        self.assign(partition, registration, lane);
    }

    /// Fetches a partition in another lane, if it is still followed.
    pub(super) fn change_lane(&mut self, partition: &Arc<Partition>, lane: Lane) {
        if self.assigned.contains_key(&partition.key()) {
            self.assign(partition, &partition.registration(), lane);
        }
    }

    fn assign(&mut self, partition: &Arc<Partition>, registration: &PartitionRegistration, lane: Lane) {
        let key = partition.key();
        let index = self.hasher.hash_one(key) as usize % self.shared.settings.fetchers;
        let fetcher = (registration.leader, (partition.lies_in(), index, lane));
        if self.assigned.get(&key).is_some_and(|(before, _)| *before != fetcher) {
            self.unfollow(&key);
        }
        let state = FollowerState::with_max_backoff(registration, self.shared.settings.max_backoff_ms);
        let command = Command::Follow(partition.clone(), state);
        match self.sender(fetcher) {
            Ok(sender) => {
                // It ends with its thread only.
                let _ = sender.send(command);
                self.assigned.insert(key, (fetcher, Arc::downgrade(partition)));
            }
            Err(error) => {
                tracing::error!(%error, partition = %partition.topic_partition(), "no thread to fetch on: the replica falls behind");
            }
        }
    }

    /// Fetches the partition from nobody.
    pub(super) fn unfollow(&mut self, key: &PartitionKey) {
        let Some((fetcher, _)) = self.assigned.remove(key) else { return };
        if let Some(sender) = self.fetchers.get(&fetcher) {
            // As above.
            let _ = sender.send(Command::Unfollow(*key));
        }
    }

    /// `num.replica.fetchers` has changed: partitions move to the fetchers that are theirs now. Threads that have none rest.
    pub(super) fn set_count(&mut self, count: usize) {
        if count == self.shared.settings.fetchers {
            return;
        }
        self.shared.settings.fetchers = count;
        let followed: Vec<_> = self.assigned.values().filter_map(|(_, partition)| partition.upgrade()).collect();
        for partition in followed {
            self.unfollow(&partition.key());
            self.follow(&partition, &partition.registration());
        }
    }

    /// Stops all of them and waits for what they are writing, unless it is written to a disk that does not answer.
    pub(super) fn stop(self) {
        drop(self.fetchers);
        for thread in self.threads.into_values() {
            // The thread may have ended by itself.
            let _ = thread.stop.send(true);
            if self.shared.local.has_stalled_disk() {
                continue;
            }
            if thread.thread.join().is_err() {
                tracing::error!("a fetchers' thread panicked");
            }
        }
    }

    fn sender(&mut self, id: FetcherId) -> std::io::Result<&mpsc::UnboundedSender<Command>> {
        let (leader, thread @ (_, _, lane)) = id;
        if !self.fetchers.contains_key(&id) {
            let count = self.threads.len();
            let thread = match self.threads.entry(thread) {
                Entry::Occupied(thread) => thread.into_mut(),
                Entry::Vacant(none) => none.insert(FetchThread::spawn(count, lane)?),
            };
            // As many commands as partitions change their roles; the fetcher takes them between two fetches.
            let (sender, commands) = mpsc::unbounded_channel();
            thread.handle.spawn(Fetcher::new(leader, lane, self.shared.clone(), commands).run());
            self.fetchers.insert(id, sender);
        }
        Ok(&self.fetchers[&id])
    }
}

impl FetchThread {
    fn spawn(index: usize, lane: Lane) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        let work = move || {
            if lane == Lane::CatchingUp
                && let Err(error) = rustix::process::nice(CATCHING_UP_NICE)
            {
                tracing::warn!(%error, "what catches up cannot yield to the rest of the broker");
            }
            // An error tells that whoever could stop it is gone.
            let _ = runtime.block_on(stopped.wait_for(|stopped| *stopped));
        };
        let name = match lane {
            Lane::InSync => "fetch",
            Lane::CatchingUp => "catchup",
        };
        let thread = std::thread::Builder::new().name(format!("weir-{name}-{index}")).stack_size(STACK_BYTES);
        Ok(Self { handle, stop, thread: thread.spawn(work)? })
    }
}
