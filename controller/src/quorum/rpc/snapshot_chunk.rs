//! SnapshotChunk: a part of a snapshot's file. The last part is answered once the snapshot is installed.
//!
//! ```text
//! request   vote, int64 end offset, int64 epoch, int64 size of the file, int64 position of the part, int32 length, bytes
//! answer    vote, int64 position from which the file is wanted next
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{get_bytes, get_u64, get_vote, put_bytes, put_vote};
use super::{Rpc, RpcDecodeError};
use crate::quorum::entry_batch::EntryError;
use crate::quorum::peer::PeerRpcKind;
use crate::quorum::snapshot_file::SnapshotId;
use crate::quorum::types::Vote;

#[derive(Debug, PartialEq)]
pub(crate) struct SnapshotChunk {
    pub(crate) vote: Vote,
    pub(crate) id: SnapshotId,
    pub(crate) size: u64,
    pub(crate) position: u64,
    pub(crate) bytes: Bytes,
}

#[derive(Debug, PartialEq)]
pub(crate) struct SnapshotChunkAnswer {
    pub(crate) vote: Vote,
    pub(crate) next_position: u64,
}

impl Rpc for SnapshotChunk {
    const KIND: PeerRpcKind = PeerRpcKind::SnapshotChunk;
    type Answer = SnapshotChunkAnswer;

    fn encode(&self, out: &mut BytesMut) -> Result<(), EntryError> {
        put_vote(out, &self.vote);
        for number in [self.id.end_offset, self.id.epoch, self.size, self.position] {
            out.put_u64(number);
        }
        put_bytes(out, &self.bytes);
        Ok(())
    }

    fn decode(input: &mut Bytes) -> Result<Self, RpcDecodeError> {
        let vote = get_vote(input)?;
        let id = SnapshotId { end_offset: get_u64(input)?, epoch: get_u64(input)? };
        let (size, position) = (get_u64(input)?, get_u64(input)?);
        Ok(Self { vote, id, size, position, bytes: get_bytes(input)? })
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        put_vote(out, &answer.vote);
        out.put_u64(answer.next_position);
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        Ok(SnapshotChunkAnswer { vote: get_vote(input)?, next_position: get_u64(input)? })
    }
}
