//! Versions of Kafka 4.2 and 4.3 that the codec crate, made from Kafka 4.1, ends before.
//!
//! Owns those messages by hand, on the crate's own structs and traits, each in a file that goes when the crate catches up.
//! A version that has the bytes of the one before it, and only allows new values, is a line in `request_layout` or
//! [`response_layout`]. Nothing here trusts a length: bytes from a socket have been walked by [`crate::admission`] all the
//! same.
//!
//! | API | version | what is new |
//! |---|---|---|
//! | ListOffsets | 11 | the timestamp -6, the earliest offset that is still to be uploaded (KIP-1023) |
//! | OffsetCommit, OffsetFetch | 10 | topics by id and not by name (KIP-848); the crate has the responses |
//! | DescribeLogDirs | 5 | whether a directory is cordoned (KIP-1066), in the response |

mod describe_log_dirs;
mod offset_commit;
mod offset_fetch;
mod primitives;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind};

pub use describe_log_dirs::{DescribeLogDirsResponse, DescribedLogDir};

/// The first version of OffsetCommit and of OffsetFetch with topic ids.
const TOPIC_IDS: i16 = 10;

/// The version that the codec crate knows the bytes of a request's `version` by.
const fn request_layout(key: ApiKey, version: i16) -> i16 {
    match (key, version) {
        (ApiKey::ListOffsets, 11) => 10,
        (ApiKey::DescribeLogDirs, 5) => 4,
        _ => version,
    }
}

/// The version that the codec crate knows the bytes of a response's `version` by.
pub const fn response_layout(key: ApiKey, version: i16) -> i16 {
    match (key, version) {
        (ApiKey::ListOffsets, 11) => 10,
        _ => version,
    }
}

/// Decodes the body of a request at any version of [`crate::api`]'s table. The bytes must have been admitted.
pub fn decode_request(key: ApiKey, version: i16, body: &mut Bytes) -> Result<RequestKind> {
    match (key, version) {
        (ApiKey::OffsetCommit, TOPIC_IDS) => offset_commit::decode(body).map(RequestKind::OffsetCommit),
        (ApiKey::OffsetFetch, TOPIC_IDS) => offset_fetch::decode(body).map(RequestKind::OffsetFetch),
        _ => RequestKind::decode(key, body, request_layout(key, version)),
    }
}

/// Encodes the body of a request at any version of [`crate::api`]'s table.
pub fn encode_request(request: &RequestKind, version: i16, out: &mut BytesMut) -> Result<()> {
    match request {
        RequestKind::OffsetCommit(request) if version == TOPIC_IDS => offset_commit::encode(request, out),
        RequestKind::OffsetFetch(request) if version == TOPIC_IDS => offset_fetch::encode(request, out),
        RequestKind::ListOffsets(_) => request.encode(out, request_layout(ApiKey::ListOffsets, version)),
        RequestKind::DescribeLogDirs(_) => request.encode(out, request_layout(ApiKey::DescribeLogDirs, version)),
        _ => request.encode(out, version),
    }
}
