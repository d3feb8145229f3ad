//! From a directory to a controller that serves, and the life of the controller's thread.
//!
//! Owns the order of a start: vote, snapshot, log, openraft, then lead alone or be admitted by peers, ready. It refuses to
//! start, in one sentence, what would be unsafe to start. Tasks run beside the loop: one has a snapshot made when one is
//! due, one notices that openraft stopped; with peers, one is admitted to the quorum and one changes its membership.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, Raft, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use super::active::{ActiveController, DecisionContext, LoopCounters, RaftNode, Submission, ended};
use super::admission::Admission;
use super::broker_watch::BrokerWatch;
use super::clocks::Clocks;
use super::controller::{ControllerConfig, PeerConfig};
use super::feature_survey::FeatureSurvey;
use super::forming;
use super::internal_topics::InternalTopics;
use super::leader_watch::LeaderWatch;
use super::leaderless::LeaderlessElections;
use super::log_reports::LogReports;
use super::log_store::LogStore;
use super::member::{self, Member};
use super::membership::{MembershipChanges, MembershipQueue, acknowledged_ago};
use super::metadata_log::{CLUSTER_METADATA_FOLDER, MetadataLog};
use super::network::Network;
use super::peer_client::{PeerClient, PeerIdentity};
use super::peer_service::{self, PeerService};
use super::publisher::Publication;
use super::quorum_state::QuorumStateFile;
use super::rebalance::LeaderRebalance;
use super::snapshot_file::SnapshotFile;
use super::snapshot_receiver::SnapshotReceiver;
use super::start_error::StartError;
use super::state_machine::StateMachine;
use super::term::LeadingTerm;
use super::timing::QuorumTiming;
use super::types::RaftNodeId;

/// How many entries stay readable behind a snapshot, so that a member that is a little behind needs no snapshot.
const ENTRIES_KEPT_BEHIND_SNAPSHOT: u64 = 1_000;

/// openraft's own queue of calls; the loop keeps one proposal in flight.
const RAFT_API_QUEUE: u64 = 1_024;

/// How long a stopping leader waits for its successor.
const HAND_OVER_TIMEOUT: Duration = Duration::from_millis(500);

/// A voter that was heard within this time can take over.
const SUCCESSOR_HEARD_WITHIN: Duration = Duration::from_secs(1);

/// What a directory holds.
pub(super) struct Opened {
    pub(super) member: Member,
    directory: std::path::PathBuf,
    blank: bool,
    pub(super) machine: StateMachine,
    pub(super) log: Arc<MetadataLog>,
    pub(super) vote: Arc<Mutex<QuorumStateFile>>,
}

/// A controller that can be asked, though it may not be ready.
pub(super) struct Launched {
    pub(super) raft: RaftNode,
    pub(super) runtime: Handle,
    /// With peers.
    pub(super) peers: Option<PeerAccess>,
}

/// What peers are answered by, and asked through.
#[derive(Clone)]
pub(super) struct PeerAccess {
    pub(super) service: PeerService,
    pub(super) changes: MembershipQueue,
    pub(super) survey: FeatureSurvey,
}

/// Where the thread reports how far its start is.
pub(super) struct Progress {
    pub(super) launched: SyncSender<Result<Launched, StartError>>,
    /// The id of the cluster, once the image is complete.
    pub(super) ready: SyncSender<Result<Arc<str>, StartError>>,
}

/// What handle and thread share from the first moment.
pub(super) struct Intake {
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) counters: Arc<LoopCounters>,
    pub(super) stop: Arc<Notify>,
    pub(super) watch: Option<Arc<BrokerWatch>>,
}

/// Reads a directory; it is created if need be. What is found is durable, whatever the process before had come to when it ended.
pub(super) fn open(config: &ControllerConfig) -> Result<Opened, StartError> {
    let directory = config.directory.join(CLUSTER_METADATA_FOLDER);
    let made = fs::create_dir_all(&directory).and_then(|()| File::open(&config.directory)?.sync_all());
    let unusable = |source| StartError::Directory { path: directory.clone(), source };
    made.map_err(unusable)?;
    let vote = QuorumStateFile::open(&directory);
    if QuorumStateFile::is_in(&directory)
        && let Some(record) = member::record_of(config)
    {
        // Before anything is refused, for the operator may then remove the folder; an earlier build recorded nothing.
        record.note().map_err(unusable)?;
    }
    let mut vote = vote?;
    let supported = &config.defaults.supported_features;
    // Both are judged before anything of the metadata is written.
    let machine = StateMachine::open(&directory, supported.clone())?;
    let log = MetadataLog::open(&directory, machine.snapshot_id(), supported)?;
    SnapshotFile::remove_unfinished(&directory).map_err(unusable)?;
    let last = log.last().map_err(unusable)?;
    let member = member::settle(config, &directory, &mut vote, last)?;
    let blank = last.is_none();
    Ok(Opened { member, directory, blank, machine, log: Arc::new(log), vote: Arc::new(Mutex::new(vote)) })
}

/// The controller's thread: starts, says how far it is, and serves until it is stopped.
pub(super) fn run(config: ControllerConfig, opened: Opened, intake: Intake, progress: Progress) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time();
    if config.peers.is_some() {
        // Whoever carries calls to peers may open sockets on this runtime.
        builder.enable_io();
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        // Who started this thread waits for its word; nobody else could hear it.
        Err(error) => return drop(progress.launched.send(Err(StartError::Thread(error)))),
    };
    let log = Arc::clone(&opened.log);
    runtime.block_on(serve(config, opened, intake, progress));
    drop(runtime);
    if let Err(error) = log.close() {
        tracing::error!(%error, "the metadata log could not be flushed at shutdown");
    }
}

async fn serve(config: ControllerConfig, opened: Opened, intake: Intake, progress: Progress) {
    let publication = opened.machine.publication();
    let snapshot_due = opened.machine.snapshot_due();
    let identity = Arc::new(PeerIdentity::new(&opened.member, config.cluster_id.clone(), Arc::clone(&publication)));
    let client = config
        .peers
        .as_ref()
        .map(|peers| PeerClient { identity: Arc::clone(&identity), transport: Arc::clone(&peers.transport) });
    let (blank, directory, room) = (opened.blank, opened.directory.clone(), Arc::clone(opened.log.room()));
    let timing = config.peers.as_ref().map(|peers| peers.timing);
    let raft = match build_raft(opened, client.clone(), timing).await {
        Ok(raft) => raft,
        Err(error) => return drop(progress.launched.send(Err(error))),
    };
    let snapshots = tokio::spawn(make_due_snapshots(raft.clone(), snapshot_due));
    let clocks = timing.map(|timing| Clocks { identity: Arc::clone(&identity), timing });
    let raft_watch = tokio::spawn(watch_raft(raft.clone(), Arc::clone(&publication), clocks));
    let Intake { submissions, counters, stop, watch } = intake;
    let active = ActiveController {
        raft: raft.clone(),
        publication: Arc::clone(&publication),
        context: DecisionContext { catalog: Arc::clone(&config.catalog), defaults: config.defaults.clone() },
        submissions,
        counters,
        proposing: Arc::default(),
        quorum_loss: timing.map(|timing| timing.quorum_loss()),
        room,
        term: LeadingTerm::default(),
        watch,
        log_reports: LogReports::default(),
        rebalance: LeaderRebalance::new(config.peers.as_ref().and_then(|peers| peers.leader_rebalance_interval)),
        leaderless: LeaderlessElections::default(),
        internal_topics: InternalTopics::default(),
    };
    match (client, &config.peers) {
        (Some(client), Some(peers)) => {
            let receiver = SnapshotReceiver::new(directory);
            serve_with_peers(&config, peers, client, receiver, active, &stop, progress).await;
        }
        _ => serve_alone(&config, blank, directory, identity.id, active, &stop, progress).await,
    }
    snapshots.abort();
    // It cannot fail in a way that matters: what was answered is durable.
    let _ = raft.shutdown().await;
    let _ = raft_watch.await;
}

async fn serve_alone(
    config: &ControllerConfig,
    blank: bool,
    directory: std::path::PathBuf,
    node_id: RaftNodeId,
    mut active: ActiveController,
    stop: &Notify,
    progress: Progress,
) {
    if progress
        .launched
        .send(Ok(Launched { raft: active.raft.clone(), runtime: Handle::current(), peers: None }))
        .is_err()
    {
        return;
    }
    let ready = async {
        forming::lead_alone(config, &active.raft, blank, node_id, directory, &active.publication).await?;
        forming::form_cluster(&mut active, config.cluster_id.clone()).await
    };
    let ready = ready.await;
    let serve = ready.is_ok();
    if progress.ready.send(ready).is_ok() && serve {
        active.run(stop, None).await;
    }
}

async fn serve_with_peers(
    config: &ControllerConfig,
    peers: &PeerConfig,
    client: PeerClient,
    receiver: SnapshotReceiver,
    active: ActiveController,
    stop: &Notify,
    progress: Progress,
) {
    let raft = active.raft.clone();
    let proposing = Arc::clone(&active.proposing);
    let (changes, queue) = MembershipChanges::new(raft.clone(), peers.voters.clone(), &peers.timing, proposing);
    let service = PeerService::new(peer_service::Inner {
        runtime: Handle::current(),
        identity: Arc::clone(&client.identity),
        raft: raft.clone(),
        receiver,
        membership: queue.clone(),
        watch: active.watch.clone(),
        room: Arc::clone(&active.room),
        configured: peers.voters.text(),
        may_vote: peers.may_vote,
        supported: config.defaults.supported_features.clone(),
        in_progress: AtomicUsize::new(0),
    });
    let survey = FeatureSurvey { raft: raft.clone(), client: client.clone() };
    let access = PeerAccess { service, changes: queue, survey };
    let launched = Launched { raft: raft.clone(), runtime: Handle::current(), peers: Some(access) };
    if progress.launched.send(Ok(launched)).is_err() {
        return;
    }
    let changes = tokio::spawn(changes.run());
    let leader_watch = LeaderWatch {
        raft: raft.clone(),
        identity: Arc::clone(&client.identity),
        transport: Arc::clone(&peers.transport),
    };
    let leader_watch = tokio::spawn(leader_watch.run());
    let admission = Admission {
        raft: raft.clone(),
        publication: Arc::clone(&active.publication),
        client,
        peers: peers.clone(),
        endpoints: config.endpoints.clone(),
        accepted: AtomicBool::new(false),
    };
    let ready = progress.ready;
    let admission = tokio::spawn(async move {
        // Whoever started the controller may have given up waiting.
        admission.run(|outcome| drop(ready.send(outcome))).await;
    });
    active.run(stop, config.cluster_id.clone()).await;
    admission.abort();
    leader_watch.abort();
    hand_over(&raft).await;
    changes.abort();
}

/// Brings openraft up on what was opened.
async fn build_raft(
    opened: Opened,
    client: Option<PeerClient>,
    timing: Option<QuorumTiming>,
) -> Result<RaftNode, StartError> {
    let quorum = |reason: String| StartError::Quorum { reason };
    let room = Arc::clone(opened.log.room());
    let network = client.map_or_else(Network::none, |client| Network::new(client, room));
    let store = LogStore::new(opened.log, opened.vote).map_err(StartError::Thread)?;
    let config = raft_config(timing.unwrap_or_default()).validate().map_err(|error| quorum(error.to_string()))?;
    let raft = Raft::new(opened.member.id, Arc::new(config), network, store, opened.machine).await;
    raft.map_err(|error| quorum(error.to_string()))
}

/// No clock ticks until the membership asks for it, so nothing wakes while nothing is asked.
fn raft_config(timing: QuorumTiming) -> Config {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: "weir".into(),
        heartbeat_interval: millis(timing.heartbeat_interval),
        election_timeout_min: millis(timing.election_timeout_min),
        election_timeout_max: millis(timing.election_timeout_max),
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

/// Has a snapshot made whenever the state machine says that one is due.
async fn make_due_snapshots(raft: RaftNode, due: Arc<Notify>) {
    loop {
        due.notified().await;
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Keeps the clocks where there may be peers, and records why openraft ended if nobody asked for it.
async fn watch_raft(raft: RaftNode, publication: Arc<Publication>, clocks: Option<Clocks>) {
    match clocks {
        Some(clocks) => clocks.run(&raft).await,
        None => {
            let mut changes = raft.server_metrics();
            while changes.changed().await.is_ok() {}
        }
    }
    ended(&raft, &publication);
}

/// Gives the leadership to the voter that is furthest, so that nobody has to notice the absence of this node.
async fn hand_over(raft: &RaftNode) {
    let successor = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state != ServerState::Leader {
            return;
        }
        let voters = metrics.membership_config.membership().voter_ids().filter(|voter| *voter != metrics.id);
        let heard = voters
            .filter(|voter| acknowledged_ago(&metrics, voter).is_some_and(|ago| ago < SUCCESSOR_HEARD_WITHIN))
            .collect::<Vec<_>>();
        let matched = |voter: &RaftNodeId| *metrics.replication.as_ref()?.get(voter)?;
        heard.into_iter().max_by_key(matched)
    };
    let Some(successor) = successor else { return };
    if raft.trigger().transfer_leader(successor).await.is_err() {
        return;
    }
    let mut server = raft.server_metrics();
    let handed_over =
        async { while server.borrow_watched().state == ServerState::Leader && server.changed().await.is_ok() {} };
    match tokio::time::timeout(HAND_OVER_TIMEOUT, handed_over).await {
        Ok(()) => tracing::info!(%successor, "handed the active controller over"),
        Err(_) => tracing::warn!(%successor, "no other voter took over as active controller in time"),
    }
}
