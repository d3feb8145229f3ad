//! The primitives of the calls between members. A length is believed only when the remaining bytes can hold it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::vote::RaftLeaderId;
use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use crate::quorum::entry_batch::{EntryError, log_id};
use crate::quorum::types::{ControllerEndpoint, LeaderId, LogId, RaftNodeId, Vote};

/// Bytes that are no call or no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcDecodeError {
    #[error("it ends early")]
    Truncated,
    #[error("version {0} is unknown")]
    UnknownVersion(i16),
    #[error("an impossible count of {0}")]
    InvalidCount(i32),
    #[error("a string that is not UTF-8")]
    NotUtf8,
    #[error("{0} {1} is unknown")]
    UnknownValue(&'static str, i64),
    #[error("{0}")]
    Entry(String),
    #[error("{0} bytes follow its end")]
    TrailingBytes(usize),
}

impl From<EntryError> for RpcDecodeError {
    fn from(error: EntryError) -> Self {
        Self::Entry(error.to_string())
    }
}

pub(super) fn finish(input: &Bytes) -> Result<(), RpcDecodeError> {
    match input.len() {
        0 => Ok(()),
        left => Err(RpcDecodeError::TrailingBytes(left)),
    }
}

fn take<const N: usize>(input: &mut Bytes) -> Result<[u8; N], RpcDecodeError> {
    let head = *input.first_chunk::<N>().ok_or(RpcDecodeError::Truncated)?;
    input.advance(N);
    Ok(head)
}

pub(super) fn get_bool(input: &mut Bytes) -> Result<bool, RpcDecodeError> {
    match take::<1>(input)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(RpcDecodeError::UnknownValue("truth value", other.into())),
    }
}

pub(super) fn put_bool(out: &mut BytesMut, value: bool) {
    out.put_u8(value.into());
}

pub(super) fn get_i8(input: &mut Bytes) -> Result<i8, RpcDecodeError> {
    Ok(i8::from_be_bytes(take(input)?))
}

pub(super) fn get_i16(input: &mut Bytes) -> Result<i16, RpcDecodeError> {
    Ok(i16::from_be_bytes(take(input)?))
}

pub(super) fn get_u64(input: &mut Bytes) -> Result<u64, RpcDecodeError> {
    Ok(u64::from_be_bytes(take(input)?))
}

/// A count of things that take at least a byte each, so it cannot exceed what is left.
pub(super) fn get_count(input: &mut Bytes) -> Result<usize, RpcDecodeError> {
    let count = i32::from_be_bytes(take(input)?);
    match usize::try_from(count) {
        Ok(count) if count <= input.len() => Ok(count),
        _ => Err(RpcDecodeError::InvalidCount(count)),
    }
}

pub(super) fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).expect("a call holds fewer than 2^31 of anything"));
}

pub(super) fn get_bytes(input: &mut Bytes) -> Result<Bytes, RpcDecodeError> {
    let length = get_count(input)?;
    Ok(input.split_to(length))
}

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

pub(super) fn get_string(input: &mut Bytes) -> Result<String, RpcDecodeError> {
    let bytes = get_bytes(input)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| RpcDecodeError::NotUtf8)
}

pub(super) fn put_string(out: &mut BytesMut, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(super) fn get_uuid(input: &mut Bytes) -> Result<Uuid, RpcDecodeError> {
    Ok(Uuid::from_bytes(take(input)?))
}

pub(super) fn put_uuid(out: &mut BytesMut, id: &Uuid) {
    out.put_slice(id.as_bytes());
}

pub(super) fn get_node_id(input: &mut Bytes) -> Result<RaftNodeId, RpcDecodeError> {
    let node_id = BrokerId(i32::from_be_bytes(take(input)?));
    Ok(RaftNodeId { node_id, directory_id: get_uuid(input)? })
}

pub(super) fn put_node_id(out: &mut BytesMut, id: &RaftNodeId) {
    out.put_i32(id.node_id.get());
    put_uuid(out, &id.directory_id);
}

/// Term, whom it was given to, whether a quorum gave it.
pub(super) fn get_vote(input: &mut Bytes) -> Result<Vote, RpcDecodeError> {
    let leader_id = LeaderId::new(get_u64(input)?, get_node_id(input)?);
    Ok(Vote { leader_id, committed: get_bool(input)? })
}

pub(super) fn put_vote(out: &mut BytesMut, vote: &Vote) {
    out.put_u64(vote.leader_id.term);
    put_node_id(out, &vote.leader_id.voted_for);
    put_bool(out, vote.committed);
}

/// Whether there is one, its term, its index.
pub(super) fn get_log_id(input: &mut Bytes) -> Result<Option<LogId>, RpcDecodeError> {
    let (present, term, index) = (get_bool(input)?, get_u64(input)?, get_u64(input)?);
    Ok(present.then(|| log_id(term, index)))
}

pub(super) fn put_log_id(out: &mut BytesMut, id: Option<LogId>) {
    put_bool(out, id.is_some());
    out.put_u64(id.map_or(0, |id| id.committed_leader_id().term));
    out.put_u64(id.map_or(0, |id| id.index()));
}

pub(super) fn get_endpoints(input: &mut Bytes) -> Result<Vec<ControllerEndpoint>, RpcDecodeError> {
    let mut endpoints = Vec::new();
    for _ in 0..get_count(input)? {
        let (listener, host) = (get_string(input)?, get_string(input)?);
        endpoints.push(ControllerEndpoint { listener, host, port: u16::from_be_bytes(take(input)?) });
    }
    Ok(endpoints)
}

pub(super) fn put_endpoints(out: &mut BytesMut, endpoints: &[ControllerEndpoint]) {
    put_count(out, endpoints.len());
    for endpoint in endpoints {
        put_string(out, &endpoint.listener);
        put_string(out, &endpoint.host);
        out.put_u16(endpoint.port);
    }
}
