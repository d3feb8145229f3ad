//! Calls to peers: who asks, what is checked of the answer.
//!
//! Owns the identity that every call and answer of this process carries, and the memory of who was heard. An answer counts
//! only if it comes from the node that was meant and from the one process of it that lives. And whether this process may stand for election:
//! a copy of a live member, which its peers refuse, must not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::entry_batch::EntryError;
use super::incarnations::{Incarnations, SecondIncarnation};
use super::member::Member;
use super::peer::{PeerAddress, PeerError, PeerRpcKind, PeerTransport};
use super::publisher::Publication;
use super::rpc::{self, PeerRefusal, RequestHeader, Responder, Rpc, RpcDecodeError};
use super::types::RaftNodeId;

/// Who this process is to its peers.
pub(crate) struct PeerIdentity {
    pub(crate) id: RaftNodeId,
    /// It was another member, of a cluster that is somewhere: it forms none.
    pub(crate) lost_log: bool,
    pub(crate) incarnation: Uuid,
    named: Option<Arc<str>>,
    publication: Arc<Publication>,
    incarnations: Mutex<Incarnations>,
    /// When a leader was last heard since this process started; what the disk remembers of one does not count.
    leader_heard: Mutex<Option<Instant>>,
    /// From when on this process may stand for election; nothing until its peers have been asked whether it is the one of its id.
    stands_from: watch::Sender<Option<Instant>>,
}

impl PeerIdentity {
    /// `named` is the cluster id of `meta.properties`.
    pub(crate) fn new(member: &Member, named: Option<Arc<str>>, publication: Arc<Publication>) -> Self {
        Self {
            id: member.id,
            lost_log: member.lost_log,
            incarnation: Uuid::new_v4(),
            named,
            publication,
            incarnations: Mutex::default(),
            leader_heard: Mutex::default(),
            stands_from: watch::Sender::default(),
        }
    }

    /// The cluster this node belongs to, as far as it knows.
    pub(crate) fn cluster_id(&self) -> Option<Arc<str>> {
        self.publication.image().cluster_id().cloned().or_else(|| self.named.clone())
    }

    /// A leader was heard; calls that overlap may tell so in any order.
    pub(crate) fn hear_leader(&self, at: Instant) {
        let mut heard = self.leader_heard.lock();
        *heard = (*heard).max(Some(at));
        drop(heard);
        // A leader calls the one process that has the place of this id.
        self.stands_from.send_if_modified(|stands_from| {
            let is_news = stands_from.is_none_or(|from| from > at);
            if is_news {
                *stands_from = Some(at);
            }
            is_news
        });
    }

    /// The peers were asked, and refused this process for the sake of another, which counts for `refused_for`; or did not.
    pub(crate) fn on_peers_asked(&self, now: Instant, refused_for: Option<Duration>) {
        self.stands_from.send_if_modified(|stands_from| {
            let from = match refused_for {
                Some(refused_for) => Some(now + refused_for),
                None => stands_from.or(Some(now)),
            };
            let is_news = *stands_from != from;
            *stands_from = from;
            is_news
        });
    }

    /// From when on this process may stand for election.
    pub(crate) fn stands_from(&self) -> watch::Receiver<Option<Instant>> {
        self.stands_from.subscribe()
    }

    pub(crate) fn may_stand(&self) -> bool {
        self.stands_from.borrow().is_some_and(|from| from <= Instant::now())
    }

    pub(crate) fn leader_heard_at(&self) -> Option<Instant> {
        *self.leader_heard.lock()
    }

    pub(crate) fn heard_leader(&self) -> bool {
        self.leader_heard_at().is_some()
    }

    pub(crate) fn responder(&self) -> Responder {
        Responder { id: self.id, incarnation: self.incarnation }
    }

    /// Notes a peer by what it asked or answered; an error if it is not the one process of its id.
    pub(crate) fn hear(&self, kind: PeerRpcKind, id: RaftNodeId, incarnation: Uuid) -> Result<(), PeerRefusal> {
        let heard = if id == self.id {
            let own = incarnation == self.incarnation;
            // It is this process that lives.
            own.then_some(()).ok_or(SecondIncarnation { heard_ago: Duration::ZERO, refused_for: Duration::MAX })
        } else if kind.is_of_members() {
            self.incarnations.lock().hear(Instant::now(), id, incarnation)
        } else {
            self.incarnations.lock().check(Instant::now(), id, incarnation)
        };
        heard.map_err(|second| {
            let heard_ago = second.heard_ago.as_millis();
            if second.both_live() {
                tracing::error!(
                    node = %id, %incarnation, heard_ago_ms = heard_ago,
                    "refused a second process that has the node.id and directory.id of a live one; is its data directory a copy?"
                );
            } else {
                tracing::debug!(node = %id, heard_ago_ms = heard_ago, "a restarted node waits until its former self is silent");
            }
            PeerRefusal::SecondIncarnation(format!("it was heard {heard_ago} ms ago"))
        })
    }

    /// Whether a request is for this node, of this cluster, and from who it says.
    pub(crate) fn admit(&self, kind: PeerRpcKind, header: &RequestHeader) -> Result<(), PeerRefusal> {
        if let (Some(own), Some(theirs)) = (self.cluster_id(), &header.cluster_id)
            && own != *theirs
        {
            tracing::warn!(peer = %header.sender, cluster = %theirs, "refused a call from another cluster");
            return Err(PeerRefusal::ForeignCluster(own.to_string()));
        }
        if header.target.is_some_and(|target| target != self.id) {
            return Err(PeerRefusal::NotThisNode(self.id.to_string()));
        }
        self.hear(kind, header.sender, header.incarnation)
    }
}

/// Why a call has no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Transport(#[from] PeerError),
    #[error(transparent)]
    Refused(#[from] PeerRefusal),
    #[error("its answer makes no sense: {0}")]
    Unreadable(#[from] RpcDecodeError),
    #[error(transparent)]
    Unwritable(#[from] EntryError),
}

/// Makes calls.
#[derive(Clone)]
pub(crate) struct PeerClient {
    pub(crate) identity: Arc<PeerIdentity>,
    pub(crate) transport: Arc<dyn PeerTransport>,
}

impl PeerClient {
    /// Asks `peer`, and tells who answered what.
    pub(crate) async fn call<R: Rpc>(
        &self,
        peer: PeerAddress,
        request: &R,
        timeout: Duration,
    ) -> Result<(Responder, R::Answer), CallError> {
        let meant = peer.id;
        let header = RequestHeader {
            cluster_id: self.identity.cluster_id(),
            sender: self.identity.id,
            incarnation: self.identity.incarnation,
            target: meant,
        };
        let body: Bytes = rpc::encode_request(&header, request)?;
        let answer = self.transport.call(peer, R::KIND, body, timeout);
        // The transport keeps the time too; the quorum does not depend on it.
        let answer = tokio::time::timeout(timeout, answer).await.map_err(|_| PeerError::TimedOut)??;
        let (responder, answer) = rpc::decode_answer::<R>(answer)?;
        let answer = answer?;
        if meant.is_some_and(|meant| meant != responder.id) {
            return Err(PeerRefusal::NotThisNode(responder.id.to_string()).into());
        }
        // Whoever dials its own address hears itself.
        if responder != self.identity.responder() {
            self.identity.hear(R::KIND, responder.id, responder.incarnation)?;
        }
        Ok((responder, answer))
    }
}
