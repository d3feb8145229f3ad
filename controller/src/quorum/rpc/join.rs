//! Join: a node asks the active controller to take it into the quorum, and says where it is reached.
//!
//! ```text
//! request   endpoints, bool whether it is to vote
//! answer    int8: 0 it is a member as it asked, 1 it is not yet, ask again, 2 another node leads, 3 it will not be
//!           leader (2) or string why (3)
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::probe::{get_leader, put_leader};
use super::wire::{get_bool, get_endpoints, get_i8, get_string, put_bool, put_endpoints, put_string};
use super::{Rpc, RpcDecodeError};
use crate::quorum::entry_batch::EntryError;
use crate::quorum::peer::{PeerAddress, PeerRpcKind};
use crate::quorum::types::ControllerEndpoint;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    pub(crate) endpoints: Vec<ControllerEndpoint>,
    pub(crate) to_vote: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JoinAnswer {
    Joined,
    Pending,
    NotLeader(Option<PeerAddress>),
    Denied(String),
}

impl Rpc for Join {
    const KIND: PeerRpcKind = PeerRpcKind::Join;
    type Answer = JoinAnswer;

    fn encode(&self, out: &mut BytesMut) -> Result<(), EntryError> {
        put_endpoints(out, &self.endpoints);
        put_bool(out, self.to_vote);
        Ok(())
    }

    fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError> {
        Ok(Self { endpoints: get_endpoints(input)?, to_vote: get_bool(input)? })
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        match answer {
            JoinAnswer::Joined => out.put_i8(0),
            JoinAnswer::Pending => out.put_i8(1),
            JoinAnswer::NotLeader(leader) => {
                out.put_i8(2);
                put_leader(out, leader.as_ref());
            }
            JoinAnswer::Denied(reason) => {
                out.put_i8(3);
                put_string(out, reason);
            }
        }
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        Ok(match get_i8(input)? {
            0 => JoinAnswer::Joined,
            1 => JoinAnswer::Pending,
            2 => JoinAnswer::NotLeader(get_leader(input)?),
            3 => JoinAnswer::Denied(get_string(input)?),
            other => return Err(RpcDecodeError::UnknownValue("outcome", other.into())),
        })
    }
}
