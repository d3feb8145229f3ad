//! Replication between brokers: the shell around [`crate::replication`].
//!
//! Owns the threads that act on the metadata and fetch from leaders. Decides nothing: roles come from the metadata, and what follows from a
//! fetch or its answer from the cores.
//!
//! ```text
//!  publisher ── Task ──► control thread ── Command ──► fetcher (one a leader and `num.replica.fetchers`) ── Fetch ──► leader
//!                        roles, lag checks ◄── Lane ──  appends, cuts, flushes
//!
//!  partitions ── want another ISR ──► isr ── AlterPartition ──► active controller
//!  partitions ── lie elsewhere ──► directories ── AssignReplicasToDirs ──► active controller
//! ```
//!
//! Kafka's `ReplicaManager`, `ReplicaFetcherManager` and `AlterPartitionManager`.

mod control;
mod directories;
mod fetcher;
mod fetchers;
mod followed;
mod intake;
mod isr;
mod lane;
mod log_reports;
mod lost_leaders;
mod metrics;
mod roles;
mod session;
mod settings;

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use weir_controller::image::MetadataImage;
use weir_protocol::ids::BrokerEpoch;

use crate::controller_client::ControllerClient;
use crate::group::GroupCoordinator;
use crate::lifecycle::Presence;
use crate::partition::{Partition, PartitionTable, TableChange};
use crate::publisher::FileTask;

use lane::Lane;
pub(crate) use lost_leaders::LostLeaders;
pub(crate) use metrics::ReplicaMetrics;
pub(crate) use settings::ReplicaSettings;

/// Yields the metadata as it is now.
pub(crate) type ImageSource = Arc<dyn Fn() -> Arc<MetadataImage> + Send + Sync>;

/// What replication works with.
pub(crate) struct Surroundings {
    pub(crate) settings: ReplicaSettings,
    pub(crate) partitions: Arc<PartitionTable>,
    pub(crate) image: ImageSource,
    pub(crate) controller: Arc<ControllerClient>,
    pub(crate) groups: Weak<GroupCoordinator>,
    /// Where logs are opened, and groups loaded.
    pub(crate) files: mpsc::Sender<FileTask>,
    /// Where the controller is asked for other ISRs.
    pub(crate) runtime: Handle,
}

/// What there is to do for the control thread.
enum Task {
    /// The metadata has changed.
    Metadata(TableChange, Arc<MetadataImage>),
    /// The settings of these partitions' topic have.
    Settings(Vec<Arc<Partition>>, Arc<MetadataImage>),
    /// The broker has been registered, in another epoch: what the metadata says may now be about it.
    Registered,
    /// This follower is to fetch in another lane.
    Lane(Arc<Partition>, Lane),
    /// `num.replica.fetchers` may have.
    Fetchers(usize),
    /// Everything before this is to be done by when it is dropped.
    Settled(oneshot::Sender<()>),
    /// The broker stops.
    Stop,
}

/// Replication between brokers, running.
pub(crate) struct Replicas {
    tasks: mpsc::Sender<Task>,
    partitions: Arc<PartitionTable>,
    metrics: Arc<ReplicaMetrics>,
    lost_leaders: Arc<LostLeaders>,
    groups: Weak<GroupCoordinator>,
    control: Mutex<Option<JoinHandle<()>>>,
}

impl Replicas {
    /// Starts it; nothing is fetched until the metadata says so.
    pub(crate) fn start(surroundings: Surroundings) -> io::Result<Self> {
        let (tasks, queue) = mpsc::channel();
        let partitions = surroundings.partitions.clone();
        let metrics = Arc::new(ReplicaMetrics::default());
        if let Some(wanted) = partitions.local().take_isr_wanted() {
            let controller = surroundings.controller.clone();
            surroundings.runtime.spawn(isr::propose(wanted, controller, metrics.clone()));
        }
        if let Some(placed) = partitions.local().take_placed() {
            let (local, controller) = (partitions.local().clone(), surroundings.controller.clone());
            surroundings.runtime.spawn(directories::assign(placed, local, controller));
        }
        let lost_leaders = Arc::new(LostLeaders::default());
        let groups = surroundings.groups.clone();
        let control = control::Control::new(surroundings, tasks.clone(), metrics.clone(), lost_leaders.clone());
        let thread = std::thread::Builder::new().name("weir-replicas".into()).spawn(move || control.run(&queue))?;
        Ok(Self { tasks, partitions, metrics, lost_leaders, groups, control: Mutex::new(Some(thread)) })
    }

    /// The metadata has changed. Does not wait.
    pub(crate) fn on_metadata(&self, change: TableChange, image: &Arc<MetadataImage>) {
        if !change.is_empty() {
            self.send(Task::Metadata(change, image.clone()));
        }
    }

    /// The settings of a topic have changed. Does not wait.
    pub(crate) fn on_settings(&self, partitions: Vec<Arc<Partition>>, image: &Arc<MetadataImage>) {
        if !partitions.is_empty() {
            self.send(Task::Settings(partitions, image.clone()));
        }
    }

    /// A directory has failed, or has stopped answering: whoever waits for what lies in it is to look elsewhere.
    pub(crate) fn on_directory_lost(&self) {
        self.partitions.all().iter().filter(|partition| partition.is_unavailable()).for_each(|lost| lost.wake_all());
    }

    /// The leaders here go by this of whether the controller hears them. To be called once, before any leads.
    pub(crate) fn set_presence(&self, presence: Arc<Presence>) {
        self.partitions.local().set_presence(presence);
    }

    /// The coordinator is to look which groups it may coordinate.
    pub(crate) fn look_at_groups(&self) {
        if let Some(groups) = self.groups.upgrade() {
            groups.look_whether_cut_off();
        }
    }

    /// Whoever waits for what this broker leads but may not lead any more is to look elsewhere. Returns how many partitions those are.
    pub(crate) fn wake_cut_off(&self) -> usize {
        let partitions = self.partitions.all();
        partitions.iter().filter(|partition| partition.is_cut_off()).inspect(|lost| lost.wake_all()).count()
    }

    /// `num.replica.fetchers` may have changed. Does not wait.
    pub(crate) fn set_fetchers(&self, count: usize) {
        self.send(Task::Fetchers(count.max(1)));
    }

    /// Returns once the roles are taken that the metadata have given so far.
    pub(crate) async fn settled(&self) {
        let (done, settled) = oneshot::channel();
        self.send(Task::Settled(done));
        // Whoever drops it is through, or stops.
        let _ = settled.await;
    }

    /// The broker is registered in `epoch`. Does not wait.
    pub(crate) fn on_registered(&self, epoch: BrokerEpoch) {
        self.partitions.set_broker_epoch(epoch);
        self.send(Task::Registered);
    }

    /// What it has counted.
    pub(crate) fn metrics(&self) -> &Arc<ReplicaMetrics> {
        &self.metrics
    }

    /// Leaders that it cannot see any more.
    pub(crate) fn lost_leaders(&self) -> &LostLeaders {
        &self.lost_leaders
    }

    /// Stops fetching; when this returns no follower's log is written any more.
    pub(crate) fn stop(&self) {
        self.send(Task::Stop);
        if let Some(thread) = self.control.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the replicas' thread panicked");
        }
    }

    fn send(&self, task: Task) {
        // It ends with the broker only, when nothing matters any more.
        let _ = self.tasks.send(task);
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        // Fetchers have tasks for it too: that nobody else is left to send some does not end it.
        self.send(Task::Stop);
    }
}
