//! AppendEntries: entries for the follower's log, or none for a heartbeat.
//!
//! ```text
//! request   vote, log id before the entries, log id committed, int32 count, count x { the batch that a log holds }
//! answer    int8: 0 taken, 1 taken up to a log id, 2 the log id before them is not there, 3 a higher vote
//!           log id (1) or vote (3)
//! ```
//!
//! An entry travels as the batch that stands in the log (see `entry_batch`), so what arrives is under the batch's CRC.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::wire::{get_count, get_i8, get_log_id, get_vote, put_count, put_log_id, put_vote};
use super::{Rpc, RpcDecodeError};
use crate::quorum::entry_batch::{EntryError, batch_size, decode_batch, encode_entry, now_ms};
use crate::quorum::peer::PeerRpcKind;
use crate::quorum::types::{Entry, RaftTypes};

#[derive(Debug)]
pub(crate) struct AppendEntries(pub(crate) AppendEntriesRequest<RaftTypes>);

impl Rpc for AppendEntries {
    const KIND: PeerRpcKind = PeerRpcKind::AppendEntries;
    type Answer = AppendEntriesResponse<RaftTypes>;

    fn encode(&self, out: &mut BytesMut) -> Result<(), EntryError> {
        let request = &self.0;
        put_vote(out, &request.vote);
        put_log_id(out, request.prev_log_id);
        put_log_id(out, request.leader_commit);
        put_count(out, request.entries.len());
        let timestamp_ms = now_ms();
        for entry in &request.entries {
            out.put_slice(&encode_entry(entry, timestamp_ms)?);
        }
        Ok(())
    }

    fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError> {
        let vote = get_vote(input)?;
        let prev_log_id = get_log_id(input)?;
        let leader_commit = get_log_id(input)?;
        let mut entries = Vec::new();
        let mut expected = prev_log_id.map_or(0, |before| before.index().saturating_add(1));
        for _ in 0..get_count(input)? {
            let entry = get_entry(input)?;
            // The log below asserts that entries follow one another: what does not is turned away here.
            if entry.log_id.index() != expected {
                return Err(RpcDecodeError::Entry(format!(
                    "entry {} stands where entry {expected} belongs",
                    entry.log_id.index()
                )));
            }
            expected = expected.saturating_add(1);
            entries.push(entry);
        }
        Ok(Self(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }))
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        match answer {
            AppendEntriesResponse::Success => out.put_i8(0),
            AppendEntriesResponse::PartialSuccess(up_to) => {
                out.put_i8(1);
                put_log_id(out, *up_to);
            }
            AppendEntriesResponse::Conflict => out.put_i8(2),
            AppendEntriesResponse::HigherVote(vote) => {
                out.put_i8(3);
                put_vote(out, vote);
            }
        }
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        Ok(match get_i8(input)? {
            0 => AppendEntriesResponse::Success,
            1 => AppendEntriesResponse::PartialSuccess(get_log_id(input)?),
            2 => AppendEntriesResponse::Conflict,
            3 => AppendEntriesResponse::HigherVote(get_vote(input)?),
            other => return Err(RpcDecodeError::UnknownValue("outcome", other.into())),
        })
    }
}

fn get_entry(input: &mut Bytes) -> Result<Entry, RpcDecodeError> {
    let overhead = input.first_chunk().ok_or(RpcDecodeError::Truncated)?;
    let size = batch_size(overhead)?;
    if size > input.remaining() {
        return Err(RpcDecodeError::Truncated);
    }
    Ok(decode_batch(&input.split_to(size))?.into_entry()?)
}
