//! openraft's seam to the network: its calls as calls to peers.
//!
//! Owns the translation of calls and of their failures, and the way of a snapshot: its file in parts of a bounded size, each
//! answered with the position from which the receiver wants to go on, so that a transfer that broke continues where it was.
//! Without peers ([`Network::none`]) every call is refused by name. A node whose log waits for room on its disk calls nobody: a leader
//! that can write nothing must not look alive to those who could elect another.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{ErrorSource, NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{Backoff, RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2, StorageError};

use super::peer::{PeerAddress, PeerError};
use super::peer_client::{CallError, PeerClient};
use super::room::Room;
use super::rpc::{AppendEntries, PreVote, RequestVote, Rpc, SnapshotChunk, TransferLeader};
use super::snapshot_file::SnapshotFile;
use super::types::{ControllerNode, RaftNodeId, RaftTypes, Snapshot, Vote};

/// How long entries may take to be on a follower's disk. A heartbeat has less: openraft gives it one interval.
const APPEND_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a part of a snapshot may take.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last part may take, which is answered when the snapshot is checked, synced and applied.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The size of a part of a snapshot.
const SNAPSHOT_CHUNK_BYTES: u64 = 512 * 1024;

/// How often a part is sent again before the transfer starts over.
const CHUNK_ATTEMPTS: u32 = 5;

/// How soon a member that could not be reached is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The network of this node.
#[derive(Clone)]
pub(crate) struct Network {
    /// And the room on the disk of the log.
    client: Option<(PeerClient, Arc<Room>)>,
}

impl Network {
    pub(crate) fn new(client: PeerClient, room: Arc<Room>) -> Self {
        Self { client: Some((client, room)) }
    }

    /// The network of a quorum of one.
    pub(crate) fn none() -> Self {
        Self { client: None }
    }
}

impl RaftNetworkFactory<RaftTypes> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: RaftNodeId, node: &ControllerNode) -> Peer {
        Peer { target, address: node.address(target), client: self.client.clone() }
    }
}

/// One other member.
pub(crate) struct Peer {
    target: RaftNodeId,
    address: PeerAddress,
    client: Option<(PeerClient, Arc<Room>)>,
}

impl Peer {
    async fn call<R: Rpc>(&self, request: &R, timeout: Duration) -> Result<R::Answer, CallError> {
        let Some((client, room)) = &self.client else {
            let reason = format!("no way to node {}: the quorum has a single voter", self.target);
            return Err(PeerError::Unreachable(reason).into());
        };
        if room.is_missing() {
            return Err(PeerError::Unreachable("the disk of this node's metadata log is full".into()).into());
        }
        Ok(client.call(self.address.clone(), request, timeout).await?.1)
    }

    async fn ask<R: Rpc>(
        &self,
        request: &R,
        action: RPCTypes,
        timeout: Duration,
    ) -> Result<R::Answer, RPCError<RaftTypes>> {
        self.call(request, timeout).await.map_err(|error| match error {
            CallError::Transport(PeerError::TimedOut) => {
                RPCError::Timeout(Timeout { action, id: self.own_id(), target: self.target, timeout })
            }
            other => RPCError::Unreachable(self.unreachable(&other)),
        })
    }

    fn own_id(&self) -> RaftNodeId {
        self.client.as_ref().map_or(self.target, |(client, _)| client.identity.id)
    }

    fn unreachable(&self, error: &CallError) -> Unreachable<RaftTypes> {
        Unreachable::from_string(format!("{}: {error}", self.address))
    }

    /// Sends the file from where the receiver wants it until it has it all.
    async fn send_snapshot(&self, vote: Vote, snapshot: SnapshotFile) -> Result<Vote, StreamingError<RaftTypes>> {
        let unreadable = |error: io::Error| {
            StreamingError::StorageError(StorageError::read_snapshot(None, ErrorSource::from_error(&error)))
        };
        // Opened once: the file may be superseded and removed meanwhile.
        let file = File::open(&snapshot.path).map_err(|error| unreadable(named(&snapshot, error)))?;
        let size = file.metadata().map_err(|error| unreadable(named(&snapshot, error)))?.len();
        let mut position = 0;
        let mut attempts = 0;
        loop {
            let bytes = read_chunk(&file, position, size).map_err(|error| unreadable(named(&snapshot, error)))?;
            let last = position + bytes.len() as u64 == size;
            let chunk = SnapshotChunk { vote, id: snapshot.id, size, position, bytes };
            let timeout = if last { INSTALL_TIMEOUT } else { CHUNK_TIMEOUT };
            match self.call(&chunk, timeout).await {
                Ok(answer) if answer.vote > vote || answer.next_position >= size => return Ok(answer.vote),
                // A receiver that begins anew says so once; it must not make the sender run in circles.
                Ok(answer) if answer.next_position <= position && attempts >= CHUNK_ATTEMPTS => {
                    let reason = format!("{} asks for the same part of the snapshot again and again", self.address);
                    return Err(NetworkError::from_string(reason).into());
                }
                Ok(answer) => {
                    attempts = if answer.next_position > position { 0 } else { attempts + 1 };
                    position = answer.next_position;
                }
                Err(CallError::Transport(PeerError::TimedOut)) if attempts < CHUNK_ATTEMPTS => attempts += 1,
                Err(error) => return Err(self.unreachable(&error).into()),
            }
        }
    }
}

fn named(snapshot: &SnapshotFile, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", snapshot.path.display()))
}

fn read_chunk(file: &File, position: u64, size: u64) -> io::Result<Bytes> {
    let length = size.saturating_sub(position).min(SNAPSHOT_CHUNK_BYTES);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes.into())
}

impl RaftNetworkV2<RaftTypes> for Peer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftTypes>, RPCError<RaftTypes>> {
        let timeout = option.soft_ttl().max(APPEND_TIMEOUT);
        self.ask(&AppendEntries(rpc), RPCTypes::AppendEntries, timeout).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        self.ask(&RequestVote::with(rpc), RPCTypes::Vote, option.soft_ttl()).await
    }

    /// The default grants unasked; a peer that cannot be reached grants nothing.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftTypes>, RPCError<RaftTypes>> {
        self.ask(&PreVote::with(rpc), RPCTypes::Vote, option.soft_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<RaftTypes>, StreamingError<RaftTypes>> {
        tokio::select! {
            sent = self.send_snapshot(vote, snapshot.snapshot) => sent.map(SnapshotResponse::new),
            closed = cancel => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<RaftTypes>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<RaftTypes>, RPCError<RaftTypes>> {
        self.ask(&TransferLeader(req), RPCTypes::TransferLeader, option.soft_ttl()).await
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(RETRY_INTERVAL)))
    }
}

/// Keeps the network alive wherever openraft keeps it.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("peers", &self.client.is_some()).finish()
    }
}
