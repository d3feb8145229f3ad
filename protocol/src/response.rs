//! Encodes responses into frames; [`decode`] is the other direction.
//!
//! Owns the outside of an answer: length, header, body, in one buffer that is allocated once at its exact size and is
//! ready to be written. Fetch has its own encoder ([`crate::fetch_response`]), because records are not copied.
//!
//! ```text
//!  length i32 | correlation id i32 | tagged fields (header v1: flexible versions) | body
//! ```
//!
//! The header of an ApiVersions response is always v0: a client reads it before it knows what the broker speaks (KIP-511).

pub mod decode;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsResponse, ResponseKind};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use thiserror::Error;

use crate::api::{self, ApiKey};
use crate::error_code::ErrorCode;
use crate::frame::FRAME_LENGTH_BYTES;
use crate::newer;
use crate::request::RequestHeader;

/// Bytes of the correlation id.
const CORRELATION_ID_BYTES: usize = 4;

/// Why a response cannot be put into a frame: always our own fault.
#[derive(Debug, Error)]
pub enum ResponseError {
    /// A field is set that this version does not have, or a string or an array is too long for its type.
    #[error("{key:?} v{version}: {reason}")]
    Unencodable {
        /// The API that is answered.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// In the codec's words.
        reason: String,
    },
    /// The frame's length does not fit in its 32 bits.
    #[error("{key:?} v{version}: a response of {length} bytes does not fit in a frame")]
    TooLarge {
        /// The API that is answered.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// What it would take.
        length: usize,
    },
    /// A Fetch response came with more or fewer records than it has partitions.
    #[error("a fetch response of {partitions} partitions came with {records} parts of records")]
    RecordsMismatch {
        /// Partitions in the response.
        partitions: usize,
        /// Parts of records beside it.
        records: usize,
    },
}

/// Encodes the answer to `request` as a frame. The kind of `response` must be that of the request.
pub fn encode(request: &RequestHeader, response: &ResponseKind) -> Result<Bytes, ResponseError> {
    let version = newer::response_layout(request.api_key, request.api_version);
    let mut frame = start_frame(request, response.header_version(version), 0);
    response.encode(&mut frame, version).map_err(|error| unencodable(request, error))?;
    finish_frame(request, frame)
}

/// Encodes the answer to `request` as a frame, where the type of the answer is known: one allocation of the exact size.
pub fn encode_message<M: Encodable + HeaderVersion>(
    request: &RequestHeader,
    response: &M,
) -> Result<Bytes, ResponseError> {
    let version = newer::response_layout(request.api_key, request.api_version);
    let size = response.compute_size(version).map_err(|error| unencodable(request, error))?;
    let mut frame = start_frame(request, M::header_version(version), size);
    response.encode(&mut frame, version).map_err(|error| unencodable(request, error))?;
    finish_frame(request, frame)
}

/// The answer to ApiVersions at a version that is not spoken: in v0, UNSUPPORTED_VERSION and the versions of ApiVersions
/// itself, so that the client can ask again (KIP-511).
pub fn unsupported_api_versions(correlation_id: i32) -> Bytes {
    let supported = api::versions(ApiKey::ApiVersions);
    let response =
        ApiVersionsResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code()).with_api_keys(vec![
            ApiVersion::default()
                .with_api_key(supported.key as i16)
                .with_min_version(supported.min)
                .with_max_version(supported.max),
        ]);
    let request = RequestHeader { api_key: ApiKey::ApiVersions, api_version: 0, correlation_id, client_id: None };
    encode_message(&request, &response).expect("three fields that every version has")
}

/// A buffer with the header in it and `body_bytes` to come; the length in front is still zero.
pub(crate) fn start_frame(request: &RequestHeader, header_version: i16, body_bytes: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(FRAME_LENGTH_BYTES + CORRELATION_ID_BYTES + 1 + body_bytes);
    frame.put_i32(0);
    frame.put_i32(request.correlation_id);
    if header_version >= 1 {
        frame.put_u8(0); // No tagged fields.
    }
    frame
}

/// Writes `length` of everything after the length's own bytes into the front of `frame`.
pub(crate) fn put_length(request: &RequestHeader, frame: &mut [u8], length: usize) -> Result<(), ResponseError> {
    let too_large = ResponseError::TooLarge { key: request.api_key, version: request.api_version, length };
    let length = i32::try_from(length).map_err(|_| too_large)?;
    frame[..FRAME_LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

pub(crate) fn unencodable(request: &RequestHeader, error: impl ToString) -> ResponseError {
    ResponseError::Unencodable { key: request.api_key, version: request.api_version, reason: error.to_string() }
}

fn finish_frame(request: &RequestHeader, mut frame: BytesMut) -> Result<Bytes, ResponseError> {
    let length = frame.len() - FRAME_LENGTH_BYTES;
    put_length(request, &mut frame, length)?;
    Ok(frame.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::HeartbeatResponse;

    fn request(api_key: ApiKey, api_version: i16) -> RequestHeader {
        RequestHeader { api_key, api_version, correlation_id: 0x01020304, client_id: None }
    }

    #[test]
    fn a_frame_is_length_correlation_id_and_body() {
        let response = HeartbeatResponse::default().with_throttle_time_ms(5).with_error_code(27);
        let frame = encode_message(&request(ApiKey::Heartbeat, 3), &response).unwrap();
        assert_eq!(&frame[..], [0, 0, 0, 10, 1, 2, 3, 4, 0, 0, 0, 5, 0, 27]);
    }

    #[test]
    fn a_flexible_version_has_tagged_fields_in_its_header() {
        let response = HeartbeatResponse::default();
        let frame = encode_message(&request(ApiKey::Heartbeat, 4), &response).unwrap();
        assert_eq!(&frame[..], [0, 0, 0, 12, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn both_encoders_write_the_same_bytes() {
        let response = HeartbeatResponse::default().with_error_code(25);
        let header = request(ApiKey::Heartbeat, 4);
        let kind = ResponseKind::from(response.clone());
        assert_eq!(encode(&header, &kind).unwrap(), encode_message(&header, &response).unwrap());
    }

    #[test]
    fn the_header_of_api_versions_is_never_flexible() {
        for version in 0..=4 {
            let frame =
                encode_message(&request(ApiKey::ApiVersions, version), &ApiVersionsResponse::default()).unwrap();
            assert_eq!(&frame[4..10], [1, 2, 3, 4, 0, 0], "the error code follows the correlation id at v{version}");
        }
    }

    #[test]
    fn api_versions_from_the_future_is_answered_in_v0() {
        let frame = unsupported_api_versions(7);
        let expected = [0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
        assert_eq!(&frame[..], expected);
    }

    #[test]
    fn a_field_of_another_version_is_an_error() {
        use kafka_protocol::messages::FindCoordinatorResponse;
        use kafka_protocol::messages::find_coordinator_response::Coordinator;
        let response = FindCoordinatorResponse::default().with_coordinators(vec![Coordinator::default()]);
        let result = encode_message(&request(ApiKey::FindCoordinator, 0), &response);
        assert!(matches!(result, Err(ResponseError::Unencodable { version: 0, .. })), "{result:?}");
    }
}
