//! The answering side: what peers ask of this node.
//!
//! Owns the order of a call: read, admit (cluster, target, one live process of the sender), do, answer. Calls come from
//! whatever thread reads the sockets and are answered on the controller's, so a loaded data path cannot hold them up. It
//! answers as soon as the log is open, long before the node leads or follows; while the log waits for room on its disk, every call is
//! refused, for none could be answered. An answer is always some bytes: a refusal too.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::raft::AppendEntriesResponse;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::active::RaftNode;
use super::broker_watch::BrokerWatch;
use super::membership::MembershipQueue;
use super::peer::{PeerAddress, PeerRpcKind};
use super::peer_client::PeerIdentity;
use super::room::Room;
use super::rpc::{
    self, AppendEntries, Features, Join, PeerRefusal, PreVote, Probe, ProbeAnswer, RequestHeader, RequestVote, Rpc,
    SnapshotChunk, SnapshotChunkAnswer, TransferLeader,
};
use super::snapshot_receiver::{Received, SnapshotReceiver};
use super::types::RaftTypes;
use crate::decide::SupportedFeatures;

/// Calls that are being answered at once; more are told to come again.
const MAX_CALLS_IN_PROGRESS: usize = 4_096;

/// Answers peers. Clones share everything.
#[derive(Clone)]
pub struct PeerService {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) runtime: Handle,
    pub(super) identity: Arc<PeerIdentity>,
    pub(super) raft: RaftNode,
    pub(super) receiver: SnapshotReceiver,
    pub(super) membership: MembershipQueue,
    /// Where this node may lead.
    pub(super) watch: Option<Arc<BrokerWatch>>,
    /// On the disk of the log.
    pub(super) room: Arc<Room>,
    /// Whom the configuration names as voters, and whether this node may be one.
    pub(super) configured: String,
    pub(super) may_vote: bool,
    /// What this build can run.
    pub(super) supported: SupportedFeatures,
    pub(super) in_progress: AtomicUsize,
}

impl PeerService {
    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Answers one call. The future owns all it needs and may be awaited on any runtime.
    pub fn answer(&self, kind: PeerRpcKind, body: Bytes) -> impl Future<Output = Bytes> + Send + 'static + use<> {
        let inner = Arc::clone(&self.inner);
        async move {
            let (answer, answered) = oneshot::channel();
            let serving = Arc::clone(&inner);
            inner.runtime.spawn(async move {
                // Who asked may have gone.
                let _ = answer.send(serving.serve(kind, body).await);
            });
            let stopped = || inner.refuse(&PeerRefusal::Unavailable("the controller has stopped".into()));
            answered.await.unwrap_or_else(|_| stopped())
        }
    }
}

/// Counts a call while it is being answered.
struct InProgress<'a>(&'a AtomicUsize);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    fn refuse(&self, refusal: &PeerRefusal) -> Bytes {
        rpc::encode_refusal(&self.identity.responder(), refusal)
    }

    async fn serve(&self, kind: PeerRpcKind, body: Bytes) -> Bytes {
        let before = self.in_progress.fetch_add(1, Ordering::Relaxed);
        let _in_progress = InProgress(&self.in_progress);
        if before >= MAX_CALLS_IN_PROGRESS {
            return self.refuse(&PeerRefusal::Unavailable(format!("it answers {before} calls already")));
        }
        if let Some(full) = self.room.complaint() {
            return self.refuse(&PeerRefusal::Unavailable(full));
        }
        let answer = match kind {
            PeerRpcKind::AppendEntries => {
                let append = async |AppendEntries(request), header: RequestHeader| {
                    let arrived = Instant::now();
                    let answer = unless_fatal(self.raft.append_entries(request).await)?;
                    if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
                        self.identity.hear_leader(arrived);
                        if let Some(watch) = &self.watch {
                            watch.on_controller_heard(header.sender.node_id);
                        }
                    }
                    Ok(answer)
                };
                self.handle(body, append).await
            }
            PeerRpcKind::Vote => {
                self.handle(body, async |ask: RequestVote, _| unless_fatal(self.raft.vote(ask.0).await)).await
            }
            PeerRpcKind::PreVote => {
                self.handle(body, async |ask: PreVote, _| unless_fatal(self.raft.pre_vote(ask.0).await)).await
            }
            PeerRpcKind::TransferLeader => {
                let transfer =
                    async |TransferLeader(request), _| unless_fatal(self.raft.handle_transfer_leader(request).await);
                self.handle(body, transfer).await
            }
            PeerRpcKind::SnapshotChunk => self.handle(body, async |chunk, _| self.take_chunk(chunk).await).await,
            PeerRpcKind::Probe => self.handle(body, async |Probe, _| self.describe().await).await,
            PeerRpcKind::Features => self.handle(body, async |Features, _| Ok(self.supported.clone())).await,
            PeerRpcKind::Join => {
                let join =
                    async |request: Join, header: RequestHeader| Ok(self.membership.join(header.sender, request).await);
                self.handle(body, join).await
            }
        };
        answer.unwrap_or_else(|refusal| self.refuse(&refusal))
    }

    async fn handle<R: Rpc>(
        &self,
        mut body: Bytes,
        act: impl AsyncFnOnce(R, RequestHeader) -> Result<R::Answer, PeerRefusal>,
    ) -> Result<Bytes, PeerRefusal> {
        let unreadable = |error: rpc::RpcDecodeError| PeerRefusal::Unreadable(error.to_string());
        let header = RequestHeader::decode(&mut body).map_err(unreadable)?;
        self.identity.admit(R::KIND, &header)?;
        let request = rpc::decode_body::<R>(body).map_err(unreadable)?;
        let answer = act(request, header).await?;
        Ok(rpc::encode_answer::<R>(&self.identity.responder(), &answer))
    }

    async fn take_chunk(&self, chunk: SnapshotChunk) -> Result<SnapshotChunkAnswer, PeerRefusal> {
        let (vote, size) = (chunk.vote, chunk.size);
        let own = self.raft.server_metrics().borrow_watched().vote;
        if own > vote {
            return Ok(SnapshotChunkAnswer { vote: own, next_position: chunk.position });
        }
        let received = self.receiver.receive(chunk).await;
        match received.map_err(|error| PeerRefusal::Unavailable(error.to_string()))? {
            Received::Wanted(next_position) => Ok(SnapshotChunkAnswer { vote: own, next_position }),
            Received::Whole(snapshot) => {
                let file = snapshot.snapshot.clone();
                let installed = unless_stopped(self.raft.install_full_snapshot(vote, snapshot).await)?;
                // There is still one if it came twice or too late.
                file.discard_received();
                Ok(SnapshotChunkAnswer { vote: installed.vote, next_position: size })
            }
        }
    }

    async fn describe(&self) -> Result<ProbeAnswer, PeerRefusal> {
        let initialised = unless_stopped(self.raft.is_initialized().await)?;
        Ok(ProbeAnswer {
            cluster_id: self.identity.cluster_id(),
            blank: !initialised,
            may_vote: self.may_vote && !self.identity.lost_log,
            configured: self.configured.clone(),
            leader: known_leader(&self.raft),
        })
    }
}

/// Who leads, as far as this node knows, and where it is.
pub(super) fn known_leader(raft: &RaftNode) -> Option<PeerAddress> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let leader = metrics.current_leader?;
    metrics.membership_config.membership().get_node(&leader).map(|node| node.address(leader))
}

fn unless_stopped<T>(result: Result<T, Fatal<RaftTypes>>) -> Result<T, PeerRefusal> {
    result.map_err(|fatal| PeerRefusal::Unavailable(fatal.to_string()))
}

fn unless_fatal<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, PeerRefusal> {
    result.map_err(|error| PeerRefusal::Unavailable(error.to_string()))
}
