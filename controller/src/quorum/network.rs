//! How this node reaches the other members of the quorum.
//!
//! Owns openraft's seam to the network. A quorum of one has nobody to reach, so [`NoPeers`] refuses every call by name;
//! a network over the controller listener takes its place without touching the rest of the quorum.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{AnyError, OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use super::snapshot_file::SnapshotFile;
use super::types::{ControllerNode, RaftNodeId, RaftTypes, Snapshot, Vote};

/// The network of a quorum of one.
#[derive(Debug, Default)]
pub(crate) struct NoPeers;

/// A peer that cannot be reached, for this quorum has one voter and no learner.
#[derive(Debug)]
pub(crate) struct UnreachablePeer {
    target: RaftNodeId,
}

impl UnreachablePeer {
    fn unreachable(&self) -> Unreachable<RaftTypes> {
        Unreachable::new(&AnyError::error(format!("no way to node {}: the quorum has a single voter", self.target)))
    }
}

impl RaftNetworkFactory<RaftTypes> for NoPeers {
    type Network = UnreachablePeer;

    async fn new_client(&mut self, target: RaftNodeId, _node: &ControllerNode) -> UnreachablePeer {
        UnreachablePeer { target }
    }
}

impl RaftNetworkV2<RaftTypes> for UnreachablePeer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<RaftTypes>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftTypes>, RPCError<RaftTypes>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<RaftTypes>,
        _option: RPCOption,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    /// The default grants unasked; a peer that cannot be reached grants nothing.
    async fn pre_vote(
        &mut self,
        _rpc: VoteRequest<RaftTypes>,
        _option: RPCOption,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<RaftTypes>, StreamingError<RaftTypes>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
