//! Calls between members of the quorum over TCP: the quorum's seam to the network, on [`PeerLinks`].
//!
//! The body of a call is the number of its kind and then the quorum's own bytes; the body of the answer is theirs alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use weir_controller::liveness::DialOutcome;
use weir_controller::quorum::{PeerAddress, PeerError, PeerFuture, PeerRpcKind, PeerTransport};
use weir_protocol::private_api::PrivateApi;

use super::links::{Lane, PeerLinks};
use super::session_calls::SessionCalls;
use crate::lifecycle::dial;

/// Carries calls to peers: over this node's links, or to those that nobody can dial over the sessions that they opened.
pub(crate) struct TcpPeerTransport {
    links: Arc<PeerLinks>,
    sessions: Arc<SessionCalls>,
}

impl TcpPeerTransport {
    pub(crate) fn new(links: Arc<PeerLinks>, sessions: Arc<SessionCalls>) -> Self {
        Self { links, sessions }
    }
}

impl PeerTransport for TcpPeerTransport {
    fn call(
        &self,
        peer: PeerAddress,
        kind: PeerRpcKind,
        body: Bytes,
        timeout: Duration,
    ) -> PeerFuture<Result<Bytes, PeerError>> {
        let (links, sessions) = (Arc::clone(&self.links), Arc::clone(&self.sessions));
        Box::pin(async move {
            let Some(endpoint) = peer.endpoints.first() else {
                let id = peer.id.ok_or_else(|| PeerError::Unreachable("it has no address".to_owned()))?;
                return sessions.call(id, kind, body, timeout).await;
            };
            let mut call = BytesMut::with_capacity(size_of::<i16>() + body.len());
            call.put_i16(kind as i16);
            call.put_slice(&body);
            links.call(endpoint, lane(kind), PrivateApi::PeerCall, &call, timeout).await
        })
    }

    fn until_broken(&self, peer: PeerAddress) -> PeerFuture<()> {
        let links = Arc::clone(&self.links);
        Box::pin(async move {
            match peer.endpoints.first() {
                Some(endpoint) => links.until_broken(endpoint, Lane::Raft).await,
                None => std::future::pending().await,
            }
        })
    }

    fn dial(&self, peer: PeerAddress) -> PeerFuture<DialOutcome> {
        Box::pin(async move {
            match peer.endpoints.first() {
                Some(endpoint) => dial(&endpoint.host, endpoint.port).await,
                None => DialOutcome::Unknown("it has no address".to_owned()),
            }
        })
    }
}

fn lane(kind: PeerRpcKind) -> Lane {
    match kind {
        PeerRpcKind::AppendEntries | PeerRpcKind::Vote | PeerRpcKind::PreVote | PeerRpcKind::TransferLeader => {
            Lane::Raft
        }
        PeerRpcKind::SnapshotChunk | PeerRpcKind::Probe | PeerRpcKind::Join | PeerRpcKind::Features => Lane::Bulk,
    }
}
