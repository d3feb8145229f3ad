//! Calls between members of the quorum over TCP: the quorum's seam to the network, on [`PeerLinks`].
//!
//! The body of a call is the number of its kind and then the quorum's own bytes; the body of the answer is theirs alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use weir_controller::quorum::{PeerAddress, PeerError, PeerFuture, PeerRpcKind, PeerTransport};
use weir_protocol::private_api::PrivateApi;

use super::links::{Lane, PeerLinks};

/// Carries calls to peers that have an endpoint.
pub(crate) struct TcpPeerTransport {
    links: Arc<PeerLinks>,
}

impl TcpPeerTransport {
    pub(crate) fn new(links: Arc<PeerLinks>) -> Self {
        Self { links }
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
        let links = Arc::clone(&self.links);
        Box::pin(async move {
            let Some(endpoint) = peer.endpoints.first() else {
                return Err(PeerError::Unreachable(format!("{peer} has no controller listener")));
            };
            let mut call = BytesMut::with_capacity(size_of::<i16>() + body.len());
            call.put_i16(kind as i16);
            call.put_slice(&body);
            links.call(endpoint, lane(kind), PrivateApi::PeerCall, &call, timeout).await
        })
    }
}

fn lane(kind: PeerRpcKind) -> Lane {
    match kind {
        PeerRpcKind::AppendEntries | PeerRpcKind::Vote | PeerRpcKind::PreVote | PeerRpcKind::TransferLeader => {
            Lane::Raft
        }
        PeerRpcKind::SnapshotChunk | PeerRpcKind::Probe | PeerRpcKind::Join => Lane::Bulk,
    }
}
