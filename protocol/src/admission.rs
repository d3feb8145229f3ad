//! Walks bytes against the shape of a message before anything is allocated for it.
//!
//! Owns the answer to "may these bytes be decoded?". The codec crate allocates what an array's count claims: five bytes of
//! Metadata ask it for 309 GB. So every message is first walked against its shape ([`shape`], [`requests`], [`responses`]): each
//! length must fit in what has arrived, nulls stand only where Kafka allows them, tagged fields rise, everything is used
//! up; and three budgets must hold, two of them Kafka 4.4's (`MessageUtil`) and for requests only, the third ours.
//!
//! A walk allocates nothing, never panics and goes no deeper than the table. It does not look inside strings: UTF-8 is
//! the decoder's business. What passes costs the decoder at most [`decoded_bytes_limit`] bytes at once; the fuzz test in
//! `tests/admission_bound.rs` counts them.

mod reader;
pub mod requests;
pub mod responses;
pub mod shape;
mod walk;

use std::ops::Range;

use thiserror::Error;

use crate::api::{self, ApiKey};
use reader::Reader;
use walk::Budget;

/// Array elements that one request may carry, in all its arrays (`MessageUtil.MAX_ARRAY_LENGTH`, there for each array).
/// None takes more than 128 bytes once decoded, so no request becomes larger than 128 MB, whatever the frame's limit.
pub const MAX_ARRAY_ELEMENTS: usize = 1_000_000;

/// Unknown tagged fields that one request may carry (`MessageUtil.MAX_TAGGED_FIELD_COUNT`, there for each struct). Known
/// ones do not count: a follower's Fetch has one or two for each partition.
pub const MAX_TAGGED_FIELDS: usize = 10_000;

/// How much larger than its body a message may become by being decoded. Topics of a few letters become 14 times larger,
/// real ones two to five times.
pub const DECODED_BYTES_FACTOR: usize = 16;

/// What any message may become, however short.
pub const DECODED_BYTES_ALLOWANCE: usize = 256 * 1024;

/// Bytes that the decoder may hold for a body of this length that was admitted.
pub const fn decoded_bytes_limit(body_bytes: usize) -> usize {
    body_bytes.saturating_mul(DECODED_BYTES_FACTOR).saturating_add(DECODED_BYTES_ALLOWANCE)
}

/// Bytes that are not admitted: which field they belong to and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field}: {refusal}")]
pub struct AdmissionError {
    /// The field as the codec crate names it, without its parents.
    pub field: &'static str,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// Why bytes are not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No shape is known for this version.
    #[error("version {version} has no known shape")]
    Version {
        /// As asked for.
        version: i16,
    },
    /// The frame, or the tagged field around it, ends too early.
    #[error("at least {needed} bytes are needed and {left} are left")]
    Short {
        /// What the field takes at least.
        needed: usize,
        /// What there is.
        left: usize,
    },
    /// Something follows the last field.
    #[error("{left} bytes are left over")]
    Trailing {
        /// How much.
        left: usize,
    },
    /// A length below zero that is not null's -1.
    #[error("length {length} is negative")]
    NegativeLength {
        /// As read.
        length: i64,
    },
    /// Null where this version has no null.
    #[error("null is not allowed")]
    Null,
    /// The byte in front of a nullable struct is neither 1 nor -1.
    #[error("{byte} says neither that a struct follows nor that it is null")]
    Presence {
        /// As read.
        byte: i8,
    },
    /// A varint is longer than five bytes or 32 bits.
    #[error("a varint does not end")]
    Varint,
    /// More array elements than [`MAX_ARRAY_ELEMENTS`].
    #[error("more than {MAX_ARRAY_ELEMENTS} array elements in one request")]
    Elements,
    /// More unknown tagged fields than [`MAX_TAGGED_FIELDS`].
    #[error("more than {MAX_TAGGED_FIELDS} unknown tagged fields in one request")]
    TaggedFields,
    /// Tags must rise from field to field and stay below 2^31 (KIP-482).
    #[error("tag {tag} is out of order")]
    TagOrder {
        /// As read.
        tag: u32,
    },
    /// A known tag in a version that does not have it yet.
    #[error("tag {tag} is not valid in this version")]
    TagVersion {
        /// As read.
        tag: u32,
    },
    /// Decoding would take more than [`decoded_bytes_limit`].
    #[error("the message would grow more than {DECODED_BYTES_FACTOR} times by being decoded")]
    TooCostly,
}

/// Walks the body of a request: `Ok` means that the codec crate may decode it, and tells how many bytes it will take. What
/// comes after them is nobody's, as in Kafka.
pub fn admit(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, AdmissionError> {
    known(key, version)?;
    walk::body(requests::shape_of(key), version, body, Budget { elements: MAX_ARRAY_ELEMENTS, tags: MAX_TAGGED_FIELDS })
}

/// Walks the body of a response: `Ok` means that the codec crate may decode it. Counts are bound by the bytes alone, for
/// a cluster's metadata may well have a million elements.
pub fn admit_response(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, AdmissionError> {
    known(key, version)?;
    walk::body(responses::shape_of(key), version, body, Budget { elements: usize::MAX, tags: usize::MAX })
}

fn known(key: ApiKey, version: i16) -> Result<(), AdmissionError> {
    match api::versions(key).parses(version) {
        true => Ok(()),
        false => Err(AdmissionError { field: "body", refusal: Refusal::Version { version } }),
    }
}

/// What [`admit_header`] found behind key, version and correlation id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderWalk {
    /// Where the client id is, unless it is null.
    pub client_id: Option<Range<usize>>,
    /// Bytes up to the body.
    pub length: usize,
}

/// Walks a request header (version 1 or 2) from its client id on. Tagged fields are stepped over, for none is known.
pub fn admit_header(bytes: &[u8], header_version: i16) -> Result<HeaderWalk, AdmissionError> {
    let mut reader = Reader::new(bytes);
    let client_id =
        client_id(&mut reader, bytes.len()).map_err(|refusal| AdmissionError { field: "client_id", refusal })?;
    if header_version >= 2 {
        skip_tagged_fields(&mut reader)
            .map_err(|refusal| AdmissionError { field: "tagged fields of the header", refusal })?;
    }
    Ok(HeaderWalk { client_id, length: bytes.len() - reader.left() })
}

/// Walks the tagged fields that a flexible response header ends with; says how many bytes they take.
pub fn admit_tagged_fields(bytes: &[u8]) -> Result<usize, AdmissionError> {
    let mut reader = Reader::new(bytes);
    skip_tagged_fields(&mut reader)
        .map_err(|refusal| AdmissionError { field: "tagged fields of the header", refusal })?;
    Ok(bytes.len() - reader.left())
}

fn client_id(reader: &mut Reader<'_>, bytes: usize) -> Result<Option<Range<usize>>, Refusal> {
    let Some(length) = reader.string_length(false)? else {
        return Ok(None);
    };
    let start = bytes - reader.left();
    reader.take(length)?;
    Ok(Some(start..start + length))
}

fn skip_tagged_fields(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    let count = reader.unsigned_varint()? as usize;
    if count > MAX_TAGGED_FIELDS {
        return Err(Refusal::TaggedFields);
    }
    let mut previous = None;
    for _ in 0..count {
        previous = Some(reader.tagged_field(previous)?.0);
    }
    Ok(())
}
