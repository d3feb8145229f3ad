//! Features: which levels of each feature can you run? Asked before one is finalized.
//!
//! ```text
//! request   (nothing)
//! answer    int32 count, count x { string name, int16 lowest, int16 highest }
//! ```

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{get_count, get_i16, get_string, put_count, put_string};
use super::{Rpc, RpcDecodeError};
use crate::decide::SupportedFeatures;
use crate::quorum::entry_batch::EntryError;
use crate::quorum::peer::PeerRpcKind;

#[derive(Debug, PartialEq)]
pub(crate) struct Features;

impl Rpc for Features {
    const KIND: PeerRpcKind = PeerRpcKind::Features;
    type Answer = SupportedFeatures;

    fn encode(&self, _: &mut BytesMut) -> Result<(), EntryError> {
        Ok(())
    }

    fn decode(_: &mut Bytes) -> Result<Self, RpcDecodeError> {
        Ok(Self)
    }

    fn encode_answer(answer: &Self::Answer, out: &mut BytesMut) {
        put_count(out, answer.len());
        for (name, (lowest, highest)) in answer {
            put_string(out, name);
            out.put_i16(*lowest);
            out.put_i16(*highest);
        }
    }

    fn decode_answer(input: &mut Bytes) -> Result<Self::Answer, RpcDecodeError> {
        let count = get_count(input)?;
        (0..count).map(|_| Ok((Arc::from(get_string(input)?), (get_i16(input)?, get_i16(input)?)))).collect()
    }
}
