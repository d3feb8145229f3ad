//! From a directory to a leading controller, and the life of the controller's thread.
//!
//! Owns the order of a start: vote, snapshot, log, openraft, first formation or election, the first records, ready. It
//! refuses to start, in one sentence, what would be unsafe to start. Two tasks run beside the loop: one has a snapshot made
//! when one is due, one notices that openraft stopped.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, Raft, RaftMetrics, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;
use weir_storage::identity::format_uuid;

use super::active::{ActiveController, DecisionContext, LoopCounters, RaftNode, Submission, ended};
use super::controller::ControllerConfig;
use super::failure::{ControllerFailure, SubmitError};
use super::log_store::LogStore;
use super::metadata_log::{CLUSTER_METADATA_FOLDER, MetadataLog, MetadataLogError};
use super::network::NoPeers;
use super::publisher::Publication;
use super::quorum_state::{QuorumStateError, QuorumStateFile};
use super::snapshot_file::SnapshotError;
use super::state_machine::StateMachine;
use super::types::{ControllerNode, RaftNodeId, RaftTypes};
use crate::decide::FormClusterRequest;

/// How many entries stay readable behind a snapshot, so that a member that is a little behind needs no snapshot.
const ENTRIES_KEPT_BEHIND_SNAPSHOT: u64 = 1_000;

/// How long a start waits to lead; it covers reading a log that has never been snapshotted.
const LEADING_TIMEOUT: Duration = Duration::from_secs(300);

/// openraft's own queue of calls; the loop keeps one proposal in flight.
const RAFT_API_QUEUE: u64 = 1_024;

/// Why a controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be used.
    #[error("{path}: {source}")]
    Directory {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The vote cannot be read.
    #[error(transparent)]
    Vote(#[from] QuorumStateError),
    /// No snapshot can be read, though there are some.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The metadata log cannot be opened.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// A vote without a log: its entries were lost, and with them perhaps what this node acknowledged.
    #[error(
        "{directory} holds a vote of term {term} but no metadata log: the log was lost, and a voter without its log may not vote again; restore the directory, or remove it whole to start a new cluster"
    )]
    LogLost {
        /// The folder of the metadata log.
        directory: PathBuf,
        /// The term of the vote.
        term: u64,
    },
    /// The directory was copied, or its `meta.properties` replaced.
    #[error(
        "the metadata log {directory} belongs to voter(s) {voters}, but this is node {node}: node.id or directory.id changed since the cluster was formed"
    )]
    ForeignNode {
        /// The folder of the metadata log.
        directory: PathBuf,
        /// Who this node is.
        node: RaftNodeId,
        /// Who votes.
        voters: String,
    },
    /// The metadata is another cluster's than `meta.properties` says.
    #[error("the metadata log {directory} belongs to cluster {found}, but meta.properties names cluster {expected}")]
    ForeignCluster {
        /// The folder of the metadata log.
        directory: PathBuf,
        /// What `meta.properties` says.
        expected: Arc<str>,
        /// What the log says.
        found: Arc<str>,
    },
    /// The thread could not be made.
    #[error("the controller's thread could not start: {0}")]
    Thread(io::Error),
    /// The log holds what this node cannot apply, or the disk failed.
    #[error("{0}")]
    Failed(Arc<ControllerFailure>),
    /// openraft did not come to lead.
    #[error("the metadata quorum did not start: {reason}")]
    Quorum {
        /// What is known of it.
        reason: String,
    },
}

/// What a directory holds.
pub(super) struct Opened {
    node_id: RaftNodeId,
    directory: PathBuf,
    blank: bool,
    pub(super) machine: StateMachine,
    pub(super) log: Arc<MetadataLog>,
    pub(super) vote: Arc<Mutex<QuorumStateFile>>,
}

/// A controller that leads.
pub(super) struct Led {
    pub(super) raft: RaftNode,
    pub(super) cluster_id: Arc<str>,
}

/// Reads a directory; it is created if need be.
pub(super) fn open(config: &ControllerConfig, node_id: RaftNodeId) -> Result<Opened, StartError> {
    let directory = config.directory.join(CLUSTER_METADATA_FOLDER);
    fs::create_dir_all(&directory).map_err(|source| StartError::Directory { path: directory.clone(), source })?;
    let vote = QuorumStateFile::open(&directory)?;
    let machine = StateMachine::open(&directory)?;
    let log = MetadataLog::open(&directory, machine.snapshot_id())?;
    let last = log.last().map_err(|source| StartError::Directory { path: directory.clone(), source })?;
    let blank = last.is_none();
    if let (true, Some(vote)) = (blank, vote.vote()) {
        return Err(StartError::LogLost { directory, term: vote.leader_id.term });
    }
    Ok(Opened { node_id, directory, blank, machine, log: Arc::new(log), vote: Arc::new(Mutex::new(vote)) })
}

/// The controller's thread: leads, says so, and serves until it is stopped.
pub(super) fn run(
    config: ControllerConfig,
    opened: Opened,
    submissions: mpsc::Receiver<Submission>,
    counters: Arc<LoopCounters>,
    stop: &Notify,
    started: &SyncSender<Result<Led, StartError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        // Who started this thread waits for its word; nobody else could hear it.
        Err(error) => return drop(started.send(Err(StartError::Thread(error)))),
    };
    let log = Arc::clone(&opened.log);
    runtime.block_on(serve(config, opened, submissions, counters, stop, started));
    drop(runtime);
    if let Err(error) = log.close() {
        tracing::error!(%error, "the metadata log could not be flushed at shutdown");
    }
}

async fn serve(
    config: ControllerConfig,
    opened: Opened,
    submissions: mpsc::Receiver<Submission>,
    counters: Arc<LoopCounters>,
    stop: &Notify,
    started: &SyncSender<Result<Led, StartError>>,
) {
    let publication = opened.machine.publication();
    let snapshot_due = opened.machine.snapshot_due();
    let (node_id, blank, directory) = (opened.node_id, opened.blank, opened.directory.clone());
    let raft = match build_raft(opened).await {
        Ok(raft) => raft,
        Err(error) => return drop(started.send(Err(error))),
    };
    let snapshots = tokio::spawn(make_due_snapshots(raft.clone(), snapshot_due));
    let watch = tokio::spawn(watch_for_failure(raft.clone(), Arc::clone(&publication)));
    let leading = form_or_elect(&config, &raft, blank, node_id, directory, &publication).await;
    let context = DecisionContext { catalog: config.catalog, defaults: config.defaults };
    let mut active = ActiveController { raft: raft.clone(), publication, context, submissions, counters };
    let led = match leading {
        Ok(()) => form_cluster(&mut active, config.cluster_id).await,
        Err(error) => Err(error),
    };
    let led = led.map(|cluster_id| Led { raft: raft.clone(), cluster_id });
    let serve = led.is_ok();
    if started.send(led).is_ok() && serve {
        active.run(stop).await;
    }
    snapshots.abort();
    // It cannot fail in a way that matters: what was answered is durable.
    let _ = raft.shutdown().await;
    let _ = watch.await;
}

/// Brings openraft up on what was opened.
async fn build_raft(opened: Opened) -> Result<RaftNode, StartError> {
    let quorum = |reason: String| StartError::Quorum { reason };
    let store = LogStore::new(opened.log, opened.vote).map_err(StartError::Thread)?;
    let config = raft_config().validate().map_err(|error| quorum(error.to_string()))?;
    let raft = Raft::new(opened.node_id, Arc::new(config), NoPeers, store, opened.machine).await;
    raft.map_err(|error| quorum(error.to_string()))
}

/// The timing of a quorum of one: no clock ticks, so nothing wakes while nothing is asked.
fn raft_config() -> Config {
    Config {
        cluster_name: "weir".into(),
        heartbeat_interval: 500,
        election_timeout_min: 1_500,
        election_timeout_max: 3_000,
        enable_tick: false,
        enable_heartbeat: false,
        enable_elect: false,
        enable_pre_vote: Some(true),
        // When a snapshot is due is counted in bytes, by the state machine.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: ENTRIES_KEPT_BEHIND_SNAPSHOT,
        api_channel_size: Some(RAFT_API_QUEUE),
        allow_log_reversion: Some(false),
        // A restart is a new term: nobody can mistake what it writes for what it wrote before.
        enable_leader_restore: Some(false),
        ..Config::default()
    }
}

/// Makes this node the leader, the image complete, and the cluster known by its id.
async fn form_or_elect(
    config: &ControllerConfig,
    raft: &RaftNode,
    blank: bool,
    node_id: RaftNodeId,
    directory: PathBuf,
    publication: &Publication,
) -> Result<(), StartError> {
    let quorum = |reason: String| StartError::Quorum { reason };
    if blank {
        let node = ControllerNode { endpoints: config.endpoints.clone() };
        raft.initialize(BTreeMap::from([(node_id, node)])).await.map_err(|error| quorum(error.to_string()))?;
    } else {
        let voters = raft.with_raft_state(|state| state.membership_state.effective().voter_ids().collect::<Vec<_>>());
        let voters = voters.await.map_err(|error| quorum(error.to_string()))?;
        if !voters.contains(&node_id) {
            let voters = voters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(StartError::ForeignNode { directory, node: node_id, voters });
        }
    }
    raft.trigger().elect(false).await.map_err(|error| quorum(error.to_string()))?;
    // The entry that opens its term is applied, so everything before is: only now may it decide.
    let leading = |metrics: &RaftMetrics<RaftTypes>| {
        let opened =
            metrics.last_applied.is_some_and(|applied| applied.committed_leader_id().term == metrics.current_term);
        metrics.state == ServerState::Leader && opened
    };
    if let Err(error) = raft.wait(Some(LEADING_TIMEOUT)).metrics(leading, "this node leads").await {
        return Err(match ended(raft, publication) {
            SubmitError::Failed(failure) => StartError::Failed(failure),
            _ => quorum(error.to_string()),
        });
    }
    match (publication.image().cluster_id(), &config.cluster_id) {
        (Some(found), Some(expected)) if found != expected => {
            Err(StartError::ForeignCluster { directory, expected: Arc::clone(expected), found: Arc::clone(found) })
        }
        _ => Ok(()),
    }
}

/// Gives a cluster that has no id its first records: the id, and each feature at the highest level that is built.
async fn form_cluster(active: &mut ActiveController, named: Option<Arc<str>>) -> Result<Arc<str>, StartError> {
    if let Some(cluster_id) = active.publication.image().cluster_id() {
        return Ok(Arc::clone(cluster_id));
    }
    let cluster_id = named.unwrap_or_else(random_cluster_id);
    let (answer, answered) = oneshot::channel();
    let supported = active.context.defaults.supported_features.iter();
    let features = supported.map(|(name, (_, highest))| (Arc::clone(name), *highest)).collect();
    let request = FormClusterRequest { cluster_id: Arc::clone(&cluster_id), features }.into();
    active.serve(VecDeque::from([Submission { request, answer }])).await;
    let quorum = |reason: String| StartError::Quorum { reason };
    match answered.await {
        Ok(Ok(_)) if active.publication.image().cluster_id() == Some(&cluster_id) => Ok(cluster_id),
        Ok(Ok(response)) => Err(quorum(format!("the cluster could not be formed: {response:?}"))),
        Ok(Err(error)) => Err(quorum(format!("the cluster could not be formed: {error}"))),
        Err(_) => Err(quorum("nobody answered who was to form the cluster".into())),
    }
}

/// Kafka avoids ids that print with a leading dash, for tools take them for an option.
fn random_cluster_id() -> Arc<str> {
    loop {
        let id = format_uuid(&Uuid::new_v4());
        if !id.starts_with('-') {
            return id.into();
        }
    }
}

/// Has a snapshot made whenever the state machine says that one is due.
async fn make_due_snapshots(raft: RaftNode, due: Arc<Notify>) {
    loop {
        due.notified().await;
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Waits for the end of openraft, and records why if nobody asked for it.
async fn watch_for_failure(raft: RaftNode, publication: Arc<Publication>) {
    let mut changes = raft.server_metrics();
    while changes.changed().await.is_ok() {}
    ended(&raft, &publication);
}
