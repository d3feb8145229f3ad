//! Probe: who are you, and what do you know of a cluster? Formation and joining are decided by the answers.
//!
//! ```text
//! request   (nothing)
//! answer    string cluster id, empty while unknown      bool whether its log and its vote are blank
//!           bool whether it may vote                    string whom its configuration names as voters
//!           bool whether it knows a leader              node leader   endpoints of the leader
//! ```

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::wire::{get_bool, get_endpoints, get_node_id, get_string, put_bool, put_endpoints, put_node_id, put_string};
use super::{Rpc, RpcDecodeError};
use crate::quorum::entry_batch::EntryError;
use crate::quorum::peer::{PeerAddress, PeerRpcKind};
use crate::quorum::types::RaftNodeId;

#[derive(Debug, PartialEq)]
pub(crate) struct Probe;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProbeAnswer {
    pub(crate) cluster_id: Option<Arc<str>>,
    pub(crate) blank: bool,
    pub(crate) may_vote: bool,
    pub(crate) configured: String,
    pub(crate) leader: Option<PeerAddress>,
}

impl Rpc for Probe {
    const KIND: PeerRpcKind = PeerRpcKind::Probe;
    type Answer = ProbeAnswer;

    fn encode(&self, _: &mut BytesMut) -> Result<(), EntryError> {
        Ok(())
    }

    fn decode(_: &mut Bytes) -> Result<Self, RpcDecodeError> {
        Ok(Self)
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        put_string(out, answer.cluster_id.as_deref().unwrap_or_default());
        put_bool(out, answer.blank);
        put_bool(out, answer.may_vote);
        put_string(out, &answer.configured);
        put_leader(out, answer.leader.as_ref());
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        Ok(ProbeAnswer {
            cluster_id: Some(get_string(input)?).filter(|id| !id.is_empty()).map(Arc::from),
            blank: get_bool(input)?,
            may_vote: get_bool(input)?,
            configured: get_string(input)?,
            leader: get_leader(input)?,
        })
    }
}

/// Nobody is a node of nought with a nil directory.
pub(super) fn put_leader(out: &mut BytesMut, leader: Option<&PeerAddress>) {
    let id = leader.and_then(|leader| leader.id);
    put_bool(out, id.is_some());
    put_node_id(out, &id.unwrap_or_else(|| RaftNodeId::from((0, 0))));
    put_endpoints(out, leader.map_or(&[], |leader| &leader.endpoints));
}

pub(super) fn get_leader(input: &mut Bytes) -> Result<Option<PeerAddress>, RpcDecodeError> {
    let (known, id, endpoints) = (get_bool(input)?, get_node_id(input)?, get_endpoints(input)?);
    Ok(known.then_some(PeerAddress { id: Some(id), endpoints }))
}
