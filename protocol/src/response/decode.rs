//! Decodes responses, as a client does.
//!
//! Owns the way from a frame off a socket to a response: the header, then a body that is walked before the codec crate
//! sees it, exactly as for requests; a broker's bytes are no better than a client's, and what answers on a port need not
//! be a broker at all. Matching answers to requests is the caller's business.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};
use thiserror::Error;

use super::CORRELATION_ID_BYTES;
use crate::admission::{self, AdmissionError};
use crate::api::ApiKey;

/// Why a response cannot be decoded. The connection is of no further use.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The bytes do not have the shape of the response, or would cost too much to decode.
    #[error("response to {key:?} v{version}: {source}")]
    Refused {
        /// The API that was asked.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// What is wrong and where.
        source: AdmissionError,
    },
    /// The frame is too short for a header.
    #[error("a frame of {length} bytes is too short for a response header")]
    ShortHeader {
        /// Bytes in the frame.
        length: usize,
    },
    /// A string is not UTF-8, or the codec disagrees with the walk.
    #[error("response to {key:?} v{version}: {reason}")]
    Malformed {
        /// The API that was asked.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// In the codec's words.
        reason: String,
    },
}

/// The correlation id at the front of a frame (without its length): whose answer it is. Takes nothing from `frame`.
pub fn correlation_id(frame: &[u8]) -> Result<i32, DecodeError> {
    match frame.first_chunk::<CORRELATION_ID_BYTES>() {
        Some(bytes) => Ok(i32::from_be_bytes(*bytes)),
        None => Err(DecodeError::ShortHeader { length: frame.len() }),
    }
}

/// Decodes a whole frame (without its length) as the answer to a request of type `R` at `version`.
pub fn frame<R: Request>(version: i16, frame: Bytes) -> Result<R::Response, DecodeError> {
    let key = ApiKey::try_from(R::KEY).expect("every request type of the codec crate has a key");
    let body = take_header(key, version, R::Response::header_version(version), frame)?;
    decode_body(key, version, body)
}

/// Decodes a whole frame as the answer to ApiVersions at `version`. A broker that does not know this version answers in
/// v0 with UNSUPPORTED_VERSION (KIP-511), so what is not of `version` may be of v0.
pub fn api_versions_frame(version: i16, frame: Bytes) -> Result<ApiVersionsResponse, DecodeError> {
    let body = take_header(ApiKey::ApiVersions, version, ApiVersionsResponse::header_version(version), frame)?;
    match decode_body(ApiKey::ApiVersions, version, body.clone()) {
        Err(error) if version > 0 => decode_body(ApiKey::ApiVersions, 0, body).map_err(|_| error),
        decoded => decoded,
    }
}

fn take_header(key: ApiKey, version: i16, header_version: i16, mut frame: Bytes) -> Result<Bytes, DecodeError> {
    correlation_id(&frame)?;
    frame.advance(CORRELATION_ID_BYTES);
    if header_version >= 1 {
        let length =
            admission::admit_tagged_fields(&frame).map_err(|source| DecodeError::Refused { key, version, source })?;
        frame.advance(length);
    }
    Ok(frame)
}

fn decode_body<M: Decodable>(key: ApiKey, version: i16, mut body: Bytes) -> Result<M, DecodeError> {
    let malformed = |reason| DecodeError::Malformed { key, version, reason };
    admission::admit_response(key, version, &body).map_err(|source| DecodeError::Refused { key, version, source })?;
    let message = M::decode(&mut body, version).map_err(|error| malformed(error.root_cause().to_string()))?;
    match body.len() {
        0 => Ok(message),
        left => Err(malformed(format!("{left} bytes are left after the response"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;
    use crate::request::RequestHeader;
    use crate::response;
    use kafka_protocol::messages::{ApiVersionsRequest, HeartbeatRequest, HeartbeatResponse, MetadataRequest};

    fn encoded<R: Request>(version: i16, answer: &R::Response) -> Bytes {
        let api_key = ApiKey::try_from(R::KEY).unwrap();
        let header = RequestHeader { api_key, api_version: version, correlation_id: 77, client_id: None };
        response::encode_message(&header, answer).unwrap().slice(4..)
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for version in 0..=4 {
            let answer = HeartbeatResponse::default().with_error_code(27);
            let bytes = encoded::<HeartbeatRequest>(version, &answer);
            assert_eq!(correlation_id(&bytes).unwrap(), 77);
            assert_eq!(frame::<HeartbeatRequest>(version, bytes).unwrap(), answer);
        }
    }

    #[test]
    fn a_broker_that_does_not_know_the_version_of_api_versions_is_understood() {
        let bytes = response::unsupported_api_versions(5).slice(4..);
        let answer = api_versions_frame(4, bytes.clone()).unwrap();
        assert_eq!(ErrorCode::from_code(answer.error_code), ErrorCode::UnsupportedVersion);
        assert_eq!(answer.api_keys.len(), 1);
        assert!(frame::<ApiVersionsRequest>(4, bytes).is_err(), "only ApiVersions is read twice");
    }

    #[test]
    fn a_huge_count_is_refused_before_it_is_allocated() {
        let bytes = Bytes::from_static(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        let refused = frame::<MetadataRequest>(12, bytes);
        assert!(matches!(refused, Err(DecodeError::Refused { .. })), "{refused:?}");
    }

    #[test]
    fn a_frame_shorter_than_its_header_is_refused() {
        assert!(matches!(correlation_id(&[0, 0, 0]), Err(DecodeError::ShortHeader { length: 3 })));
        let refused = frame::<HeartbeatRequest>(4, Bytes::from_static(&[0, 0, 0, 1]));
        assert!(matches!(refused, Err(DecodeError::Refused { .. })), "{refused:?}");
    }
}
