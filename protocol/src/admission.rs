//! Walks bytes against the shape of a message before anything is allocated for it.

mod reader;

use std::ops::Range;

use thiserror::Error;

use reader::Reader;

/// Unknown tagged fields that one request may carry, header and body together (`MessageUtil.MAX_TAGGED_FIELD_COUNT`).
pub const MAX_TAGGED_FIELDS: usize = 10_000;

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
    /// The frame, or the tagged field around it, ends too early.
    #[error("{needed} bytes are wanted and {left} are left")]
    Short {
        /// What the field takes.
        needed: usize,
        /// What there is.
        left: usize,
    },
    /// A length below zero that is not null's -1.
    #[error("length {length} is negative")]
    NegativeLength {
        /// As read.
        length: i64,
    },
    /// A varint is longer than five bytes or 32 bits.
    #[error("a varint does not end")]
    Varint,
    /// More tagged fields than [`MAX_TAGGED_FIELDS`].
    #[error("more than {MAX_TAGGED_FIELDS} tagged fields")]
    TaggedFields,
    /// Tags must rise from field to field (KIP-482).
    #[error("tag {tag} does not follow tag {previous}")]
    TagOrder {
        /// As read.
        tag: u32,
        /// The one before it.
        previous: i64,
    },
}

/// What [`admit_header`] found behind key, version and correlation id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderWalk {
    /// Where the client id is, unless it is null.
    pub client_id: Option<Range<usize>>,
    /// Bytes up to the body.
    pub length: usize,
}

/// Walks a request header (version 1 or 2) from its client id on.
pub fn admit_header(bytes: &[u8], header_version: i16) -> Result<HeaderWalk, AdmissionError> {
    let mut reader = Reader::new(bytes);
    let at = |field| move |refusal| AdmissionError { field, refusal };
    let client_id = match reader.string_length(false).map_err(at("client_id"))? {
        None => None,
        Some(length) => {
            let start = bytes.len() - reader.left();
            reader.take(length).map_err(at("client_id"))?;
            Some(start..start + length)
        }
    };
    if header_version >= 2 {
        skip_tagged_fields(&mut reader).map_err(at("header tagged fields"))?;
    }
    Ok(HeaderWalk { client_id, length: bytes.len() - reader.left() })
}

fn skip_tagged_fields(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    let count = reader.unsigned_varint()? as usize;
    if count > MAX_TAGGED_FIELDS {
        return Err(Refusal::TaggedFields);
    }
    let mut previous = -1;
    for _ in 0..count {
        let tag = reader.unsigned_varint()?;
        if i64::from(tag) <= previous {
            return Err(Refusal::TagOrder { tag, previous });
        }
        previous = i64::from(tag);
        let size = reader.unsigned_varint()? as usize;
        reader.take(size)?;
    }
    Ok(())
}
