//! Decodes request headers and bodies, safely.
//!
//! Owns the only way from bytes off a socket to a request: the header is read by hand, the body is walked by
//! [`crate::admission`] before the codec crate sees it, and a body must end where its frame ends. Nothing here copies:
//! strings and records are slices of the frame.
//!
//! ```text
//!  header v1, v2:  api key i16 | api version i16 | correlation id i32 | client id: length i16, bytes
//!  header v2:      ... | tagged fields
//! ```
//!
//! The client id keeps its old form in v2 (KIP-482), so that ApiVersions at a version from the future can be read.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::RequestKind;
use kafka_protocol::protocol::StrBytes;
use thiserror::Error;

use crate::admission::{self, AdmissionError};
use crate::api::{self, ApiKey, UnsupportedApi};
use crate::newer;

/// Bytes of key, version and correlation id, at the same place in every request there ever was.
const FIXED_HEADER_BYTES: usize = 8;

/// Who asks for what, and what to write on the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API asked for.
    pub api_key: ApiKey,
    /// The version of the API, within what [`api::parses`] allows.
    pub api_version: i16,
    /// Chosen by the client and sent back to it.
    pub correlation_id: i32,
    /// The client's `client.id`, for logs and quotas.
    pub client_id: Option<StrBytes>,
}

/// Why a request cannot be decoded. Kafka closes the connection for all of them, except for ApiVersions.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The key or the version is unknown. For ApiVersions see [`crate::response::unsupported_api_versions`].
    #[error("{api}")]
    UnsupportedApi {
        /// What was asked for.
        api: UnsupportedApi,
        /// What to write on the answer, if there is one.
        correlation_id: i32,
    },
    /// The bytes do not have the shape of the message, or would cost too much to decode.
    #[error("{key:?} v{version}: {source}")]
    Refused {
        /// The API of the request.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// What is wrong and where.
        source: AdmissionError,
    },
    /// The frame is too short for a header.
    #[error("a frame of {length} bytes is too short for a request header")]
    ShortHeader {
        /// Bytes in the frame.
        length: usize,
    },
    /// A string is not UTF-8, or the codec disagrees with the walk.
    #[error("{key:?} v{version}: {reason}")]
    Malformed {
        /// The API of the request.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// In the codec's words.
        reason: String,
    },
}

/// The version of the request header that goes with a version of an API: 2 where the API is flexible, else 1.
pub fn header_version(key: ApiKey, version: i16) -> i16 {
    key.request_header_version(version)
}

/// Reads the header at the front of a frame (without its length) and leaves the body. On an error `frame` is unchanged.
pub fn decode_header(frame: &mut Bytes) -> Result<RequestHeader, RequestError> {
    let length = frame.len();
    let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = frame.first_chunk::<FIXED_HEADER_BYTES>() else {
        return Err(RequestError::ShortHeader { length });
    };
    let version = i16::from_be_bytes([v0, v1]);
    let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
    let key = api::parses(i16::from_be_bytes([k0, k1]), version)
        .map_err(|api| RequestError::UnsupportedApi { api, correlation_id })?;
    let walked = admission::admit_header(&frame[FIXED_HEADER_BYTES..], header_version(key, version))
        .map_err(|source| RequestError::Refused { key, version, source })?;
    let client_id = match walked.client_id {
        None => None,
        Some(range) => {
            let bytes = frame.slice(FIXED_HEADER_BYTES + range.start..FIXED_HEADER_BYTES + range.end);
            let text = StrBytes::from_utf8(bytes).map_err(|error| malformed(key, version, error))?;
            Some(text)
        }
    };
    frame.advance(FIXED_HEADER_BYTES + walked.length);
    Ok(RequestHeader { api_key: key, api_version: version, correlation_id, client_id })
}

/// Decodes the body that [`decode_header`] left: walks it, then decodes it. Bytes after it are ignored, as in Kafka.
pub fn decode_body(header: &RequestHeader, body: &mut Bytes) -> Result<RequestKind, RequestError> {
    let (key, version) = (header.api_key, header.api_version);
    admission::admit(key, version, body).map_err(|source| RequestError::Refused { key, version, source })?;
    newer::decode_request(key, version, body).map_err(|error| malformed(key, version, error.root_cause()))
}

fn malformed(key: ApiKey, version: i16, reason: impl ToString) -> RequestError {
    RequestError::Malformed { key, version, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Refusal;
    use crate::api::UnsupportedKind;

    fn decode(frame: &[u8]) -> (Result<RequestHeader, RequestError>, Bytes) {
        let mut frame = Bytes::copy_from_slice(frame);
        (decode_header(&mut frame), frame)
    }

    #[test]
    fn an_old_header_ends_with_the_client_id() {
        let (header, body) = decode(&[0, 3, 0, 8, 0, 0, 0, 7, 0, 2, b'm', b'e', 9, 9]);
        let expected = RequestHeader {
            api_key: ApiKey::Metadata,
            api_version: 8,
            correlation_id: 7,
            client_id: Some(StrBytes::from_static_str("me")),
        };
        assert_eq!(header.unwrap(), expected);
        assert_eq!(&body[..], [9, 9]);
    }

    #[test]
    fn a_flexible_header_has_tagged_fields_that_are_stepped_over() {
        let (header, body) = decode(&[0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 1, 5, 2, 1, 1, 9]);
        assert_eq!(header.unwrap().client_id, None);
        assert_eq!(&body[..], [9]);
    }

    #[test]
    fn api_versions_from_the_future_keeps_its_correlation_id() {
        let frame = [0, 18, 0, 99, 0, 0, 0, 7, 1, 2, 3];
        let (refused, left) = decode(&frame);
        let Err(RequestError::UnsupportedApi { api, correlation_id: 7 }) = refused else { panic!("{refused:?}") };
        assert!(api.is_api_versions());
        assert_eq!(api, UnsupportedApi { key: 18, version: 99, kind: UnsupportedKind::Version });
        assert_eq!(&left[..], frame);
    }

    #[test]
    fn a_frame_without_a_whole_header_is_refused() {
        assert!(matches!(decode(&[]).0, Err(RequestError::ShortHeader { length: 0 })));
        assert!(matches!(decode(&[0, 3, 0, 8, 0, 0, 0]).0, Err(RequestError::ShortHeader { length: 7 })));
        let (refused, _) = decode(&[0, 3, 0, 8, 0, 0, 0, 7, 0, 2, b'm']);
        let Err(RequestError::Refused { source, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((source.field, source.refusal), ("client_id", Refusal::Short { needed: 2, left: 1 }));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let (refused, _) = decode(&[0, 3, 0, 8, 0, 0, 0, 7, 0, 1, 0xff]);
        assert!(matches!(refused, Err(RequestError::Malformed { .. })), "{refused:?}");
    }

    #[test]
    fn records_are_a_slice_of_the_frame() {
        let mut frame = vec![0, 0, 0, 7, 0, 0, 0, 1, 0xff, 0xff]; // Produce v7, no client id.
        frame.extend([0xff, 0xff, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]);
        let at = frame.len();
        frame.extend(b"batch");
        let whole = Bytes::from(frame);
        let mut left = whole.clone();
        let header = decode_header(&mut left).unwrap();
        let RequestKind::Produce(produce) = decode_body(&header, &mut left).unwrap() else { panic!("not a Produce") };
        let records = produce.topic_data[0].partition_data[0].records.clone().unwrap();
        assert_eq!(records.as_ptr(), whole[at..].as_ptr());
    }
}
