//! What members of the quorum say to each other, and its bytes.
//!
//! ```text
//! request   int16 version (0)   string cluster id, empty while unknown
//!           node sender         16 bytes incarnation of the sender's process
//!           node target         nil directory id where any is meant
//!           body                by kind, one file each
//! answer    int16 version (0)   int16 status
//!           node responder      16 bytes incarnation of its process
//!           body                by kind, or for a refusal a string
//!
//! node   = int32 node.id, 16 bytes directory.id
//! string = int32 length, UTF-8 bytes
//! ```
//!
//! All numbers are big-endian. Bytes behind what a version knows are an error: a field is added with a new version. Nothing
//! here allocates more than a small multiple of what arrived.

mod append_entries;
mod features;
mod join;
mod probe;
mod snapshot_chunk;
mod transfer_leader;
mod vote;
mod wire;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

pub(crate) use append_entries::AppendEntries;
pub(crate) use features::Features;
pub(crate) use join::{Join, JoinAnswer};
pub(crate) use probe::{Probe, ProbeAnswer};
pub(crate) use snapshot_chunk::{SnapshotChunk, SnapshotChunkAnswer};
pub(crate) use transfer_leader::TransferLeader;
pub(crate) use vote::{PreVote, RequestVote};
pub(crate) use wire::RpcDecodeError;

use self::wire::{
    finish, get_bool, get_i16, get_node_id, get_string, get_uuid, put_bool, put_node_id, put_string, put_uuid,
};
use super::entry_batch::{EntryError, MAX_BATCH_BYTES};
use super::log_store::READ_BATCH_BYTES;
use super::peer::PeerRpcKind;
use super::types::RaftNodeId;

const VERSION: i16 = 0;

/// No call and no answer is larger: one read of the log, which one large entry may exceed, and what stands around it.
pub const MAX_PEER_RPC_BYTES: usize = READ_BATCH_BYTES + MAX_BATCH_BYTES + 64 * 1024;

/// One kind of call: what is asked, what is answered, and the bytes of both.
pub(crate) trait Rpc: Sized {
    const KIND: PeerRpcKind;
    type Answer;

    fn encode(&self, out: &mut BytesMut) -> Result<(), EntryError>;
    fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError>;
    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut);
    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError>;
}

/// What every request begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    pub(crate) cluster_id: Option<Arc<str>>,
    pub(crate) sender: RaftNodeId,
    pub(crate) incarnation: Uuid,
    pub(crate) target: Option<RaftNodeId>,
}

impl RequestHeader {
    fn encode(&self, out: &mut BytesMut) {
        out.put_i16(VERSION);
        put_string(out, self.cluster_id.as_deref().unwrap_or_default());
        put_node_id(out, &self.sender);
        put_uuid(out, &self.incarnation);
        put_bool(out, self.target.is_some());
        put_node_id(out, &self.target.unwrap_or(self.sender));
    }

    pub(crate) fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError> {
        check_version(input)?;
        let cluster_id = Some(get_string(input)?).filter(|id| !id.is_empty()).map(Arc::from);
        let (sender, incarnation) = (get_node_id(input)?, get_uuid(input)?);
        let (targeted, target) = (get_bool(input)?, get_node_id(input)?);
        Ok(Self { cluster_id, sender, incarnation, target: targeted.then_some(target) })
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Responder {
    pub(crate) id: RaftNodeId,
    pub(crate) incarnation: Uuid,
}

/// Why a peer does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerRefusal {
    /// The call makes no sense to it.
    #[error("it cannot read the call: {0}")]
    Unreadable(String),
    /// It belongs to another cluster.
    #[error("it belongs to cluster {0}")]
    ForeignCluster(String),
    /// Somebody else is where the target was expected.
    #[error("it is {0}, not the node that was meant")]
    NotThisNode(String),
    /// Another process that lives has this node's id.
    #[error("another process with the same node.id and directory.id is alive: {0}")]
    SecondIncarnation(String),
    /// It is stopping, or has failed.
    #[error("it cannot serve: {0}")]
    Unavailable(String),
}

impl PeerRefusal {
    fn status(&self) -> i16 {
        match self {
            Self::Unreadable(_) => 1,
            Self::ForeignCluster(_) => 2,
            Self::NotThisNode(_) => 3,
            Self::SecondIncarnation(_) => 4,
            Self::Unavailable(_) => 5,
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Unreadable(detail)
            | Self::ForeignCluster(detail)
            | Self::NotThisNode(detail)
            | Self::SecondIncarnation(detail)
            | Self::Unavailable(detail) => detail,
        }
    }

    fn of(status: i16, detail: String) -> Result<Self, RpcDecodeError> {
        Ok(match status {
            1 => Self::Unreadable(detail),
            2 => Self::ForeignCluster(detail),
            3 => Self::NotThisNode(detail),
            4 => Self::SecondIncarnation(detail),
            5 => Self::Unavailable(detail),
            unknown => return Err(RpcDecodeError::UnknownValue("status", unknown.into())),
        })
    }
}

/// The bytes of a request.
pub(crate) fn encode_request<R: Rpc>(header: &RequestHeader, request: &R) -> Result<Bytes, EntryError> {
    let mut out = BytesMut::new();
    header.encode(&mut out);
    request.encode(&mut out)?;
    Ok(out.freeze())
}

/// Reads what follows the header, which ends the request.
pub(crate) fn decode_body<R: Rpc>(mut input: Bytes) -> Result<R, RpcDecodeError> {
    let request = R::decode(&mut input)?;
    finish(&input)?;
    Ok(request)
}

/// The bytes of an answer.
pub(crate) fn encode_answer<R: Rpc>(responder: &Responder, answer: &R::Answer) -> Bytes {
    let mut out = BytesMut::new();
    put_responder(&mut out, 0, responder);
    R::encode_answer(answer, &mut out);
    out.freeze()
}

/// The bytes of a refusal.
pub(crate) fn encode_refusal(responder: &Responder, refusal: &PeerRefusal) -> Bytes {
    let mut out = BytesMut::new();
    put_responder(&mut out, refusal.status(), responder);
    put_string(&mut out, refusal.detail());
    out.freeze()
}

fn put_responder(out: &mut BytesMut, status: i16, responder: &Responder) {
    out.put_i16(VERSION);
    out.put_i16(status);
    put_node_id(out, &responder.id);
    put_uuid(out, &responder.incarnation);
}

/// Reads an answer: who gave it, and what.
pub(crate) fn decode_answer<R: Rpc>(
    mut input: Bytes,
) -> Result<(Responder, Result<R::Answer, PeerRefusal>), RpcDecodeError> {
    let input = &mut input;
    check_version(input)?;
    let status = get_i16(input)?;
    let responder = Responder { id: get_node_id(input)?, incarnation: get_uuid(input)? };
    let answer = match status {
        0 => Ok(R::decode_answer(input)?),
        refused => Err(PeerRefusal::of(refused, get_string(input)?)?),
    };
    finish(input)?;
    Ok((responder, answer))
}

fn check_version(input: &mut Bytes) -> Result<(), RpcDecodeError> {
    match get_i16(input)? {
        VERSION => Ok(()),
        version => Err(RpcDecodeError::UnknownVersion(version)),
    }
}

#[cfg(test)]
mod tests;
