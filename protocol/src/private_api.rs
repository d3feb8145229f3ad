//! The APIs that Weir's nodes use among themselves, on controller listeners and nowhere else.
//!
//! ```text
//! request   int16 key   int16 version   int32 correlation id   nullable string client id   body
//! response  int32 correlation id   body
//! ```
//!
//! Their keys lie far above Kafka's ([`FIRST_KEY`] to [`LAST_KEY`]), are never advertised, and their frames have Kafka's
//! header, so that one connection carries both kinds. What a body means is known to whoever sends and takes it; each has a
//! version of its own.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::frame::FRAME_LENGTH_BYTES;

/// The first key of the range.
pub const FIRST_KEY: i16 = 20_000;

/// The last key of the range.
pub const LAST_KEY: i16 = 20_099;

/// An API among Weir's nodes. The numbers are for the wire and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum PrivateApi {
    /// A call between members of the metadata quorum.
    PeerCall = 20_000,
    /// A change of the metadata, forwarded to the active controller.
    Submit = 20_001,
    /// A member without a controller listener takes the next call that is meant for it, and answers the one before.
    TakeCall = 20_002,
    /// A question or change that concerns the metadata quorum, forwarded to the active controller.
    Quorum = 20_003,
}

impl PrivateApi {
    /// Every private API.
    pub const ALL: [Self; 4] = [Self::PeerCall, Self::Submit, Self::TakeCall, Self::Quorum];

    /// The API with this key.
    pub fn from_key(key: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| *api as i16 == key)
    }
}

/// A request that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateRequest {
    /// What is asked.
    pub api: PrivateApi,
    /// The version of the body.
    pub version: i16,
    /// To be returned with the answer.
    pub correlation_id: i32,
    /// The rest.
    pub body: Bytes,
}

/// A frame with a private key that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateRequestError {
    /// The header does not end within the frame.
    #[error("a request of a private API ends within its header")]
    Truncated,
    /// No API has this key.
    #[error("no private API has key {0}; is the other node of a newer version?")]
    UnknownKey(i16),
}

/// Whether a request, without its length, is of the private range.
pub fn is_private(frame: &[u8]) -> bool {
    let key = frame.first_chunk::<2>().map(|key| i16::from_be_bytes(*key));
    key.is_some_and(|key| (FIRST_KEY..=LAST_KEY).contains(&key))
}

/// Reads a request, without its length.
pub fn decode(mut frame: Bytes) -> Result<PrivateRequest, PrivateRequestError> {
    /// Key, version, correlation id, length of the client id.
    const FIXED_BYTES: usize = 2 + 2 + 4 + 2;
    if frame.len() < FIXED_BYTES {
        return Err(PrivateRequestError::Truncated);
    }
    let (key, version, correlation_id, client_id) =
        (frame.get_i16(), frame.get_i16(), frame.get_i32(), frame.get_i16());
    // A length below nought is no client id.
    let client_id = usize::try_from(client_id).unwrap_or(0);
    if frame.len() < client_id {
        return Err(PrivateRequestError::Truncated);
    }
    frame.advance(client_id);
    let api = PrivateApi::from_key(key).ok_or(PrivateRequestError::UnknownKey(key))?;
    Ok(PrivateRequest { api, version, correlation_id, body: frame })
}

/// A request in its frame, its length included; `None` if that is too large to be told. The client id is null.
pub fn encode(api: PrivateApi, version: i16, correlation_id: i32, body: &[u8]) -> Option<BytesMut> {
    const HEADER_BYTES: usize = 2 + 2 + 4 + 2;
    let size = i32::try_from(HEADER_BYTES + body.len()).ok()?;
    let mut frame = BytesMut::with_capacity(FRAME_LENGTH_BYTES + HEADER_BYTES + body.len());
    frame.put_i32(size);
    frame.put_i16(api as i16);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    frame.put_i16(-1);
    frame.put_slice(body);
    Some(frame)
}

/// The head of an answer's frame: its length and the correlation id; `body_len` bytes follow.
pub fn answer_head(correlation_id: i32, body_len: usize) -> Option<Bytes> {
    let size = i32::try_from(size_of::<i32>() + body_len).ok()?;
    let mut head = BytesMut::with_capacity(FRAME_LENGTH_BYTES + size_of::<i32>());
    head.put_i32(size);
    head.put_i32(correlation_id);
    Some(head.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_arrives_as_it_was_sent() {
        let frame = encode(PrivateApi::Submit, 3, 77, b"body").unwrap().freeze();
        assert_eq!(frame.len(), 4 + i32::from_be_bytes(*frame.first_chunk().unwrap()) as usize);
        let frame = frame.slice(4..);
        assert!(is_private(&frame));
        let expected = PrivateRequest {
            api: PrivateApi::Submit,
            version: 3,
            correlation_id: 77,
            body: Bytes::from_static(b"body"),
        };
        assert_eq!(decode(frame), Ok(expected));
    }

    #[test]
    fn a_client_id_is_passed_over() {
        let frame = Bytes::from_static(b"\x4e\x20\0\0\0\0\0\x01\0\x02idX");
        assert_eq!(decode(frame).unwrap().body, "X");
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_refused() {
        let frame = encode(PrivateApi::PeerCall, 0, 1, b"").unwrap().freeze().slice(4..);
        for length in 0..frame.len() {
            assert_eq!(decode(frame.slice(..length)), Err(PrivateRequestError::Truncated));
        }
        let unheard_of = Bytes::from_static(b"\x4e\x7f\0\0\0\0\0\x01\xff\xff");
        assert!(is_private(&unheard_of));
        assert_eq!(decode(unheard_of), Err(PrivateRequestError::UnknownKey(20_095)));
        assert!(!is_private(&[0, 18, 0, 0]) && !is_private(&[0x4e]));
    }

    #[test]
    fn no_key_of_kafkas_is_private() {
        assert!(crate::api::all().all(|api| (api.key as i16) < FIRST_KEY));
        assert!(PrivateApi::ALL.iter().all(|api| (FIRST_KEY..=LAST_KEY).contains(&(*api as i16))));
    }
}
