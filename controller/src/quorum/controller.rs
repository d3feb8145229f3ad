//! The controller as the rest of the process sees it: start, submit, subscribe, shut down.
//!
//! Owns one OS thread with a runtime of its own, so that a loaded data path cannot delay the quorum. Without peers a blank
//! directory becomes a cluster of one voter; with peers it forms or joins theirs; any other continues what it holds. A
//! quorum of one ticks no clock: it elects itself at once and burns nothing while idle. It never touches
//! `meta.properties`; the ids in it are arguments and results.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;
use weir_protocol::ids::{BrokerId, Offset};

use super::active::{LoopCounters, MAX_WAITING_SUBMISSIONS, RaftNode, Submission, ended, stopped};
use super::broker_watch::{BrokerWatch, LivenessConfig};
use super::describe::QuorumDescription;
use super::failure::{ControllerFailure, SubmitError};
use super::formation::ConfiguredVoters;
use super::member::MemberRecord;
use super::membership::{MembershipQueue, VoterChangeError};
use super::metadata_log::MetadataLog;
use super::peer::{PeerAddress, PeerTransport};
use super::peer_service::{PeerService, known_leader};
use super::publisher::{MetadataPublisher, Publication};
use super::quorum_state::QuorumStateFile;
use super::start::{self, Intake, Launched, PeerAccess, Progress};
use super::start_error::StartError;
use super::timing::QuorumTiming;
use super::types::{ControllerEndpoint, RaftNodeId};
use crate::decide::{ConfigCatalog, ControllerRequest, ControllerResponse, Defaults};
use crate::image::MetadataImage;

/// What a controller is started with.
pub struct ControllerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `directory.id` of the log directory that holds the metadata log; the node's id in the quorum unless another is recorded.
    pub directory_id: Uuid,
    /// What is recorded of that log outside of its folder; without it a folder that is gone is not told from a new one.
    pub member_record: Option<Arc<dyn MemberRecord>>,
    /// That log directory (`metadata.log.dir`); the log is its folder `__cluster_metadata-0`.
    pub directory: PathBuf,
    /// The cluster id that `meta.properties` names, if it names one.
    pub cluster_id: Option<Arc<str>>,
    /// Where other nodes reach this one's controller listeners; empty while there are none.
    pub endpoints: Vec<ControllerEndpoint>,
    /// The other members of the quorum; none for a quorum of one.
    pub peers: Option<PeerConfig>,
    /// What configs mean.
    pub catalog: Arc<dyn ConfigCatalog>,
    /// What this node's configuration says where requests leave it open.
    pub defaults: Defaults,
}

/// The quorum that a node forms with others, or joins.
#[derive(Clone)]
pub struct PeerConfig {
    /// Carries calls to them.
    pub transport: Arc<dyn PeerTransport>,
    /// Whom the configuration names as voters, this node among them if it is one.
    pub voters: ConfiguredVoters,
    /// Whether this node is a controller, which may vote, and not a broker alone.
    pub may_vote: bool,
    /// How the quorum keeps time.
    pub timing: QuorumTiming,
    /// How this node finds out which brokers live while it is the active controller; nothing if it may not vote.
    pub liveness: Option<LivenessConfig>,
    /// How often the active controller returns leaderships to their preferred replicas, if it does.
    pub leader_rebalance_interval: Option<Duration>,
}

/// What the controller has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControllerStats {
    /// Requests taken from the queue.
    pub submissions: u64,
    /// Proposals made of them.
    pub proposals: u64,
    /// Fsyncs of the metadata log.
    pub log_fsyncs: u64,
    /// Fsyncs of the vote and its directory.
    pub vote_fsyncs: u64,
}

/// What the handle and the thread share.
pub(super) struct Shared {
    pub(super) publication: Arc<Publication>,
    pub(super) log: Arc<MetadataLog>,
    pub(super) vote: Arc<Mutex<QuorumStateFile>>,
    pub(super) counters: Arc<LoopCounters>,
    pub(super) stop: Arc<Notify>,
    pub(super) watch: Option<Arc<BrokerWatch>>,
}

/// A running controller. Dropping it stops it too, without waiting.
pub struct Controller {
    node_id: RaftNodeId,
    cluster_id: Arc<str>,
    submissions: mpsc::Sender<Submission>,
    raft: RaftNode,
    runtime: Handle,
    peers: Option<PeerAccess>,
    shared: Shared,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A controller that answers peers and is not ready yet. Dropping it stops it.
pub struct StartingController {
    node_id: RaftNodeId,
    submissions: mpsc::Sender<Submission>,
    launched: Launched,
    shared: Shared,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_ready: Receiver<Result<Arc<str>, StartError>>,
}

/// Stops a start that waits for its peers.
#[derive(Clone)]
pub struct StartAbort(Arc<Notify>, Arc<MetadataLog>);

impl StartAbort {
    /// Makes [`StartingController::ready`] return [`StartError::Stopped`].
    pub fn abort(&self) {
        self.1.room().close();
        self.0.notify_one();
    }
}

impl StartingController {
    /// This member of the quorum.
    pub fn node_id(&self) -> RaftNodeId {
        self.node_id
    }

    /// Answers peers; nothing without any.
    pub fn peer_service(&self) -> Option<PeerService> {
        self.launched.peers.as_ref().map(|peers| peers.service.clone())
    }

    /// The controller's own runtime: what must not wait for data runs there. With peers it drives sockets too.
    pub fn runtime(&self) -> &Handle {
        &self.launched.runtime
    }

    /// Stops the start from elsewhere.
    pub fn abort_handle(&self) -> StartAbort {
        StartAbort(Arc::clone(&self.shared.stop), Arc::clone(&self.shared.log))
    }

    /// Waits until the controller leads or follows, and its image has caught up to what was committed when it found out.
    pub fn ready(self) -> Result<Controller, StartError> {
        match self.is_ready.recv().unwrap_or(Err(StartError::Stopped)) {
            Ok(cluster_id) => Ok(Controller {
                node_id: self.node_id,
                cluster_id,
                submissions: self.submissions,
                raft: self.launched.raft,
                runtime: self.launched.runtime,
                peers: self.launched.peers,
                shared: self.shared,
                thread: self.thread,
            }),
            Err(error) => {
                self.shared.stop();
                if let Some(thread) = self.thread.lock().take() {
                    // A panic in it has been printed.
                    let _ = thread.join();
                }
                Err(error)
            }
        }
    }
}

impl Controller {
    /// Starts the controller and returns once it leads, or follows a leader, and its image is complete: see
    /// [`Controller::active_controller`].
    ///
    /// Blocks for a few fsyncs, and for reading what the directory holds; with peers until a majority of them is there.
    pub fn start(config: ControllerConfig) -> Result<Self, StartError> {
        Self::launch(config)?.ready()
    }

    /// Starts the controller and returns once peers can be answered, which they must be for it to become ready.
    pub fn launch(config: ControllerConfig) -> Result<StartingController, StartError> {
        let opened = start::open(&config)?;
        let node_id = opened.member.id;
        let shared = Shared {
            publication: opened.machine.publication(),
            log: Arc::clone(&opened.log),
            vote: Arc::clone(&opened.vote),
            counters: Arc::default(),
            stop: Arc::default(),
            watch: config.peers.as_ref().and_then(|peers| peers.liveness.clone()).map(BrokerWatch::new).map(Arc::new),
        };
        let (submissions, queue) = mpsc::channel(MAX_WAITING_SUBMISSIONS);
        let (launched, is_launched) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let intake = Intake {
            submissions: queue,
            counters: Arc::clone(&shared.counters),
            stop: Arc::clone(&shared.stop),
            watch: shared.watch.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("controller".into())
            .spawn(move || start::run(config, opened, intake, Progress { launched, ready }))
            .map_err(StartError::Thread)?;
        match is_launched.recv().unwrap_or(Err(StartError::Stopped)) {
            Ok(launched) => {
                let thread = Mutex::new(Some(thread));
                Ok(StartingController { node_id, submissions, launched, shared, thread, is_ready })
            }
            Err(error) => {
                // It has said why; it ends by itself, and a panic in it has been printed.
                let _ = thread.join();
                Err(error)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn metadata_log(&self) -> &MetadataLog {
        &self.shared.log
    }

    /// The id of the cluster, made at its first start.
    pub fn cluster_id(&self) -> &Arc<str> {
        &self.cluster_id
    }

    /// Answers peers; nothing without any.
    pub fn peer_service(&self) -> Option<PeerService> {
        self.peers.as_ref().map(|peers| peers.service.clone())
    }

    /// Makes a voter of a node, which becomes a learner first and catches up if it is none (KIP-853, AddRaftVoter).
    pub fn add_voter(
        &self,
        voter: RaftNodeId,
        endpoints: Vec<ControllerEndpoint>,
    ) -> impl Future<Output = Result<(), VoterChangeError>> + Send + 'static + use<> {
        let queue = self.membership_queue();
        async move { queue?.add(voter, endpoints).await }
    }

    /// Takes the vote from a node, and the node out of the quorum (KIP-853, RemoveRaftVoter).
    pub fn remove_voter(
        &self,
        voter: RaftNodeId,
    ) -> impl Future<Output = Result<(), VoterChangeError>> + Send + 'static + use<> {
        let queue = self.membership_queue();
        async move { queue?.remove(voter).await }
    }

    fn membership_queue(&self) -> Result<MembershipQueue, VoterChangeError> {
        let queue = self.peers.as_ref().map(|peers| peers.changes.clone());
        queue.ok_or_else(|| VoterChangeError::Refused("this node has no controllers configured to reach".into()))
    }

    /// Who belongs to the quorum, and how far each member is (Kafka: DescribeQuorum).
    pub fn describe_quorum(&self) -> QuorumDescription {
        QuorumDescription::of(&self.raft.metrics().borrow_watched())
    }

    /// This member of the quorum.
    pub fn node_id(&self) -> RaftNodeId {
        self.node_id
    }

    /// What an operator is told while nothing can be written to the metadata log for lack of room; it goes on once there is some.
    pub fn disk_full(&self) -> Option<String> {
        self.shared.log.room().complaint()
    }

    /// Whether this node takes no part in the quorum, for good or until its disk has room: who leads it does not know then.
    fn stands_still(&self) -> bool {
        self.failure().is_some() || self.shared.log.room().is_missing()
    }

    /// The active controller, as far as this node knows.
    pub fn active_controller(&self) -> Option<RaftNodeId> {
        if self.stands_still() {
            return None;
        }
        self.raft.server_metrics().borrow_watched().current_leader
    }

    /// The active controller and where it is reached, as far as this node knows.
    pub fn active_controller_address(&self) -> Option<PeerAddress> {
        if self.stands_still() {
            return None;
        }
        known_leader(&self.raft)
    }

    /// Resolves once this node knows of another active controller than `seen`, or of none where there was one.
    pub fn active_controller_other_than(
        &self,
        seen: Option<RaftNodeId>,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut server = self.raft.server_metrics();
        // Of a controller that stands still it is known that it knows of none, whatever it was told last.
        let seen = seen.or_else(|| server.borrow_watched().current_leader.filter(|_| self.stands_still()));
        async move {
            while server.borrow_watched().current_leader == seen {
                if server.changed().await.is_err() {
                    // Nothing changes any more in a controller that has ended.
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Resolves once the metadata up to `offset` is applied here and published; an error if that can never be.
    pub fn until_applied(
        &self,
        offset: Offset,
    ) -> impl Future<Output = Result<(), SubmitError>> + Send + 'static + use<> {
        let (raft, publication) = (self.raft.clone(), Arc::clone(&self.shared.publication));
        async move {
            let mut progress = raft.data_metrics();
            let is_behind = || publication.image().applied().is_none_or(|applied| applied.offset < offset);
            while is_behind() {
                progress.changed().await.map_err(|_| ended(&raft, &publication))?;
            }
            Ok(())
        }
    }

    /// The controller's own runtime: what must not wait for data runs there. With peers it drives sockets too.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Asks this node, as the active controller, for a change. The answer comes after the change is durable, applied and published.
    ///
    /// The future owns all it needs. Dropping it does not withdraw the request.
    pub fn submit(
        &self,
        mut request: ControllerRequest,
    ) -> impl Future<Output = Result<ControllerResponse, SubmitError>> + Send + 'static + use<> {
        let submissions = self.submissions.clone();
        let publication = Arc::clone(&self.shared.publication);
        let survey = self.peers.as_ref().map(|peers| peers.survey.clone());
        let runtime = self.runtime.clone();
        async move {
            if let (ControllerRequest::UpdateFeatures(request), Some(survey)) = (&mut request, survey) {
                // Asked here, so that the loop waits for nobody. A stopping controller answers nothing, which is told below.
                request.controllers = runtime.spawn(survey.run()).await.unwrap_or_default();
            }
            let (answer, answered) = oneshot::channel();
            if submissions.send(Submission { request, answer }).await.is_err() {
                return Err(stopped(&publication));
            }
            answered.await.unwrap_or_else(|_| Err(stopped(&publication)))
        }
    }

    /// The metadata as it is now.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.shared.publication.image()
    }

    /// Tells `publisher` the metadata as it is, on this thread, and from then on each change, on the controller's.
    pub fn subscribe(&self, publisher: Box<dyn MetadataPublisher>) {
        self.shared.publication.subscribe(publisher);
    }

    /// A broker's process opened a connection over which it registers and is heard, be this node active or not.
    pub fn broker_session_opened(&self, broker: BrokerId, incarnation: Uuid) {
        if let Some(watch) = &self.shared.watch {
            watch.session_opened(broker, incarnation);
        }
    }

    /// Such a connection closed. Once the last has, and the broker's listener refuses connections, it is dead.
    pub fn broker_session_closed(&self, broker: BrokerId, incarnation: Uuid) {
        if let Some(watch) = &self.shared.watch {
            watch.session_closed(broker, incarnation);
        }
    }

    /// Why the controller stopped by itself, if it did.
    pub fn failure(&self) -> Option<Arc<ControllerFailure>> {
        self.shared.publication.failure().cloned()
    }

    /// What the controller has done so far.
    pub fn stats(&self) -> ControllerStats {
        ControllerStats {
            submissions: self.shared.counters.submissions.load(Ordering::Relaxed),
            proposals: self.shared.counters.proposals.load(Ordering::Relaxed),
            log_fsyncs: self.shared.log.fsyncs(),
            vote_fsyncs: self.shared.vote.lock().fsyncs(),
        }
    }

    /// Has a snapshot written that covers everything applied so far, instead of waiting until one is due; the part of the
    /// log that it makes superfluous goes.
    pub fn snapshot(&self) -> impl Future<Output = Result<(), SubmitError>> + Send + 'static + use<> {
        let raft = self.raft.clone();
        let publication = Arc::clone(&self.shared.publication);
        async move {
            let wanted = publication.image().applied().and_then(|applied| u64::try_from(applied.offset.get()).ok());
            let mut progress = raft.data_metrics();
            loop {
                let written = progress.borrow_watched().snapshot;
                if written.map(|written| written.index()) >= wanted {
                    return Ok(());
                }
                // Ignored while one is being written; that one's end is waited for, and then the next asked for.
                raft.trigger().snapshot().await.map_err(|_| ended(&raft, &publication))?;
                while progress.borrow_watched().snapshot == written {
                    progress.changed().await.map_err(|_| ended(&raft, &publication))?;
                }
            }
        }
    }

    /// Finishes the proposal in flight, refuses what waits, flushes and ends the thread. A second call does nothing.
    pub fn shutdown(&self) {
        self.shared.stop();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it has been printed, and there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

/// Whoever drops a controller, ready or not, stops it.
impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Asks the thread to end, whatever it waits for.
    fn stop(&self) {
        self.log.room().close();
        self.stop.notify_one();
    }
}
