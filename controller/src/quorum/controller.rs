//! The controller as the rest of the process sees it: start, submit, subscribe, shut down.
//!
//! Owns one OS thread with a runtime of its own, so that a loaded data path cannot delay the quorum. A blank directory
//! becomes a cluster of one voter; any other continues what it holds. A quorum of one ticks no clock: it elects itself at
//! once and burns nothing while idle. It never touches `meta.properties`; the ids in it are arguments and results.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use super::active::{LoopCounters, MAX_WAITING_SUBMISSIONS, RaftNode, Submission, ended, stopped};
use super::failure::{ControllerFailure, SubmitError};
use super::metadata_log::MetadataLog;
use super::publisher::{MetadataPublisher, Publication};
use super::quorum_state::QuorumStateFile;
use super::start::{self, StartError};
use super::types::{ControllerEndpoint, RaftNodeId};
use crate::decide::{ConfigCatalog, ControllerRequest, ControllerResponse, Defaults};
use crate::image::MetadataImage;

/// What a controller is started with.
pub struct ControllerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `directory.id` of the log directory that holds the metadata log.
    pub directory_id: Uuid,
    /// That log directory (`metadata.log.dir`); the log is its folder `__cluster_metadata-0`.
    pub directory: PathBuf,
    /// The cluster id that `meta.properties` names, if it names one.
    pub cluster_id: Option<Arc<str>>,
    /// Where other nodes reach this one's controller listeners; empty while there are none.
    pub endpoints: Vec<ControllerEndpoint>,
    /// What configs mean.
    pub catalog: Arc<dyn ConfigCatalog>,
    /// What this node's configuration says where requests leave it open.
    pub defaults: Defaults,
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
}

/// A running controller. Dropping it stops it too, without waiting.
pub struct Controller {
    node_id: RaftNodeId,
    cluster_id: Arc<str>,
    submissions: mpsc::Sender<Submission>,
    raft: RaftNode,
    shared: Shared,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Controller {
    /// Starts the controller and returns once it leads and its image is complete.
    ///
    /// Blocks for a few fsyncs, and for reading what the directory holds.
    pub fn start(config: ControllerConfig) -> Result<Self, StartError> {
        let node_id = RaftNodeId { node_id: config.node_id, directory_id: config.directory_id };
        let opened = start::open(&config, node_id)?;
        let shared = Shared {
            publication: opened.machine.publication(),
            log: Arc::clone(&opened.log),
            vote: Arc::clone(&opened.vote),
            counters: Arc::default(),
            stop: Arc::default(),
        };
        let (submissions, queue) = mpsc::channel(MAX_WAITING_SUBMISSIONS);
        let (started, leading) = std::sync::mpsc::sync_channel(1);
        let counters = Arc::clone(&shared.counters);
        let stop = Arc::clone(&shared.stop);
        let thread = std::thread::Builder::new()
            .name("controller".into())
            .spawn(move || start::run(config, opened, queue, counters, &stop, &started))
            .map_err(StartError::Thread)?;
        let started = leading
            .recv()
            .unwrap_or_else(|_| Err(StartError::Quorum { reason: "its thread ended before it led".into() }));
        match started {
            Ok(led) => Ok(Self {
                node_id,
                cluster_id: led.cluster_id,
                submissions,
                raft: led.raft,
                shared,
                thread: Mutex::new(Some(thread)),
            }),
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

    /// This member of the quorum.
    pub fn node_id(&self) -> RaftNodeId {
        self.node_id
    }

    /// The active controller, as far as this node knows.
    pub fn active_controller(&self) -> Option<RaftNodeId> {
        if self.failure().is_some() {
            return None;
        }
        self.raft.server_metrics().borrow_watched().current_leader
    }

    /// Asks the active controller for a change. The answer comes after the change is durable, applied and published.
    ///
    /// The future owns all it needs. Dropping it does not withdraw the request.
    pub fn submit(
        &self,
        request: ControllerRequest,
    ) -> impl Future<Output = Result<ControllerResponse, SubmitError>> + Send + 'static + use<> {
        let submissions = self.submissions.clone();
        let publication = Arc::clone(&self.shared.publication);
        async move {
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
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it has been printed, and there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
    }
}
