//! The seam between the quorum and the network that carries it.
//!
//! Owns [`PeerTransport`], which whoever owns sockets implements, and the words both sides share. This crate opens no
//! socket: a call is a kind and some bytes to an address, its answer some bytes. What the bytes mean is in `rpc`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::types::{ControllerEndpoint, RaftNodeId};
use crate::liveness::DialOutcome;

/// What a call to a peer becomes.
pub type PeerFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is asked of a peer. The numbers are for the wire and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum PeerRpcKind {
    /// Take these entries; without any, a heartbeat.
    AppendEntries = 0,
    /// Vote for me.
    Vote = 1,
    /// Would you vote for me?
    PreVote = 2,
    /// Take this part of a snapshot.
    SnapshotChunk = 3,
    /// I hand the leadership over.
    TransferLeader = 4,
    /// Who are you, and what do you know?
    Probe = 5,
    /// Take me in.
    Join = 6,
    /// Which levels of features do you support?
    Features = 7,
}

impl PeerRpcKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::AppendEntries,
        Self::Vote,
        Self::PreVote,
        Self::SnapshotChunk,
        Self::TransferLeader,
        Self::Probe,
        Self::Join,
        Self::Features,
    ];

    /// Whether it is a call of the consensus: whoever makes or answers it acts as a member.
    pub(crate) fn is_of_members(self) -> bool {
        !matches!(self, Self::Probe | Self::Join)
    }

    /// The kind of that number.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i16 == number)
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Who is to answer; unknown while it is only known where somebody should be. A member that dials in and has no endpoint
    /// is reached by this alone, over the session that it opened.
    pub id: Option<RaftNodeId>,
    /// Its controller listeners, the preferred one first.
    pub endpoints: Vec<ControllerEndpoint>,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.id, self.endpoints.first()) {
            (Some(id), Some(endpoint)) => write!(f, "node {} at {endpoint}", id.node_id),
            (Some(id), None) => write!(f, "node {}", id.node_id),
            (None, Some(endpoint)) => write!(f, "{endpoint}"),
            (None, None) => f.write_str("nobody"),
        }
    }
}

/// Why a call to a peer has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The host lives and nobody listens there.
    #[error("connection refused")]
    Refused,
    /// There is no way to the peer.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No answer in time; whether the peer did what it was asked is unknown.
    #[error("no answer in time")]
    TimedOut,
    /// The other side closed the door before it looked at the call: authentication, protocol.
    #[error("turned away: {0}")]
    TurnedAway(String),
}

/// Carries calls to peers.
///
/// One call may be lost, late or carried out twice; the quorum is safe whatever happens to it. Calls are made on the
/// controller's own runtime, which drives timers and sockets.
pub trait PeerTransport: Send + Sync + 'static {
    /// Sends `body` to `peer` and waits for the answer, no longer than `timeout`.
    fn call(
        &self,
        peer: PeerAddress,
        kind: PeerRpcKind,
        body: Bytes,
        timeout: Duration,
    ) -> PeerFuture<Result<Bytes, PeerError>>;

    /// Resolves once an open connection to `peer` broke, and at once if its listener refuses one; never for a peer that nobody
    /// can dial.
    fn until_broken(&self, peer: PeerAddress) -> PeerFuture<()>;

    /// Finds out whether anybody listens where `peer` should, and hangs up.
    fn dial(&self, peer: PeerAddress) -> PeerFuture<DialOutcome>;
}
