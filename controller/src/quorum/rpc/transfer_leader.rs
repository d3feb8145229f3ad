//! TransferLeader: the leader names its successor to every member.
//!
//! ```text
//! request   vote of the leader, node that is to follow it, log id that it must hold
//! answer    int8: 0 done, 1 the vote has changed (two votes: expected, found), 2 the entries are not there (two log ids)
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse};

use super::wire::{get_i8, get_log_id, get_node_id, get_vote, put_log_id, put_node_id, put_vote};
use super::{Rpc, RpcDecodeError};
use crate::quorum::entry_batch::EntryError;
use crate::quorum::peer::PeerRpcKind;
use crate::quorum::types::RaftTypes;

#[derive(Debug, PartialEq)]
pub(crate) struct TransferLeader(pub(crate) TransferLeaderRequest<RaftTypes>);

impl Rpc for TransferLeader {
    const KIND: PeerRpcKind = PeerRpcKind::TransferLeader;
    type Answer = TransferLeaderResponse<RaftTypes>;

    fn encode(&self, out: &mut BytesMut) -> Result<(), EntryError> {
        put_vote(out, self.0.from_leader());
        put_node_id(out, self.0.to_node_id());
        put_log_id(out, self.0.last_log_id().copied());
        Ok(())
    }

    fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError> {
        let (from, to, last) = (get_vote(input)?, get_node_id(input)?, get_log_id(input)?);
        Ok(Self(TransferLeaderRequest::new(from, to, last)))
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        match answer {
            Ok(()) => out.put_i8(0),
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                out.put_i8(1);
                put_vote(out, expected);
                put_vote(out, actual);
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                out.put_i8(2);
                put_log_id(out, *expected);
                put_log_id(out, *actual);
            }
        }
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        Ok(match get_i8(input)? {
            0 => Ok(()),
            1 => {
                let (expected, actual) = (get_vote(input)?, get_vote(input)?);
                Err(TransferLeaderError::VoteChanged { expected, actual })
            }
            2 => {
                let (expected, actual) = (get_log_id(input)?, get_log_id(input)?);
                Err(TransferLeaderError::LogNotFlushed { expected, actual })
            }
            other => return Err(RpcDecodeError::UnknownValue("outcome", other.into())),
        })
    }
}
