//! Vote and PreVote, which differ in kind alone.
//!
//! ```text
//! request   vote, log id of the last entry, bool whether the leader asked for this election
//! answer    vote, log id of the last entry, bool granted
//! ```

use bytes::{Bytes, BytesMut};
use openraft::raft::{VoteRequest, VoteResponse};

use super::wire::{get_bool, get_log_id, get_vote, put_bool, put_log_id, put_vote};
use super::{Rpc, RpcDecodeError};
use crate::quorum::entry_batch::EntryError;
use crate::quorum::peer::PeerRpcKind;
use crate::quorum::types::RaftTypes;

/// Asks for a vote, or whether there would be one.
#[derive(Debug, PartialEq)]
pub(crate) struct AskVote<const BEFOREHAND: bool>(pub(crate) VoteRequest<RaftTypes>);

pub(crate) type RequestVote = AskVote<false>;

pub(crate) type PreVote = AskVote<true>;

impl<const BEFOREHAND: bool> AskVote<BEFOREHAND> {
    pub(crate) fn with(request: VoteRequest<RaftTypes>) -> Self {
        Self(request)
    }
}

impl<const BEFOREHAND: bool> Rpc for AskVote<BEFOREHAND> {
    const KIND: PeerRpcKind = if BEFOREHAND { PeerRpcKind::PreVote } else { PeerRpcKind::Vote };
    type Answer = VoteResponse<RaftTypes>;

    fn encode(&self, out: &mut BytesMut) -> Result<(), EntryError> {
        put_request(out, &self.0);
        Ok(())
    }

    fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError> {
        get_request(input).map(Self)
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        put_answer(out, answer);
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        get_answer(input)
    }
}

fn put_request(out: &mut BytesMut, request: &VoteRequest<RaftTypes>) {
    put_vote(out, &request.vote);
    put_log_id(out, request.last_log_id);
    put_bool(out, request.leadership_transfer);
}

fn get_request(input: &mut Bytes) -> Result<VoteRequest<RaftTypes>, RpcDecodeError> {
    let (vote, last_log_id) = (get_vote(input)?, get_log_id(input)?);
    Ok(VoteRequest { vote, last_log_id, leadership_transfer: get_bool(input)? })
}

fn put_answer(out: &mut BytesMut, answer: &VoteResponse<RaftTypes>) {
    put_vote(out, &answer.vote);
    put_log_id(out, answer.last_log_id);
    put_bool(out, answer.vote_granted);
}

fn get_answer(input: &mut Bytes) -> Result<VoteResponse<RaftTypes>, RpcDecodeError> {
    let (vote, last_log_id) = (get_vote(input)?, get_log_id(input)?);
    Ok(VoteResponse { vote, last_log_id, vote_granted: get_bool(input)? })
}
