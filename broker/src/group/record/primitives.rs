//! Kafka's primitive types as the coordinator's records use them: classic and compact strings, bytes, arrays, tags.
//!
//! Reading never allocates more than arrived: lengths are checked against what remains before anything is taken.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use weir_protocol::messages::StrBytes;

/// Why a record's key or value could not be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum RecordError {
    /// The bytes end inside a field.
    #[error("the record ends inside a field")]
    Truncated,
    /// A length that is negative where the field may not be null, or longer than what remains.
    #[error("a field of {field} has the impossible length {length}")]
    Length {
        /// Which field.
        field: &'static str,
        /// The length it claims.
        length: i64,
    },
    /// A string that is not UTF-8.
    #[error("a field of {field} is not UTF-8")]
    NotUtf8 {
        /// Which field.
        field: &'static str,
    },
    /// A version this broker cannot read.
    #[error("version {version} of {record} is not known")]
    Version {
        /// Which record.
        record: &'static str,
        /// The version found.
        version: i16,
    },
    /// A record without a key: nothing in `__consumer_offsets` lacks one.
    #[error("the record has no key")]
    NoKey,
}

/// Reads primitives off one record, classic or compact by `flexible`.
pub(super) struct Reader {
    bytes: Bytes,
    flexible: bool,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Reader { bytes, flexible: false }
    }

    /// From here on, lengths are compact and structures end in tagged fields.
    pub(super) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(super) fn i16(&mut self) -> Result<i16, RecordError> {
        self.bytes.try_get_i16().map_err(|_| RecordError::Truncated)
    }

    pub(super) fn i32(&mut self) -> Result<i32, RecordError> {
        self.bytes.try_get_i32().map_err(|_| RecordError::Truncated)
    }

    pub(super) fn i64(&mut self) -> Result<i64, RecordError> {
        self.bytes.try_get_i64().map_err(|_| RecordError::Truncated)
    }

    pub(super) fn uuid(&mut self) -> Result<uuid::Uuid, RecordError> {
        self.bytes.try_get_u128().map(uuid::Uuid::from_u128).map_err(|_| RecordError::Truncated)
    }

    fn unsigned_varint(&mut self) -> Result<u32, RecordError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.bytes.try_get_u8().map_err(|_| RecordError::Truncated)?;
            value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Length { field: "a varint", length: 5 })
    }

    /// A length; -1 stands for null.
    fn length(&mut self, short: bool) -> Result<i64, RecordError> {
        if self.flexible {
            Ok(i64::from(self.unsigned_varint()?) - 1)
        } else if short {
            Ok(i64::from(self.i16()?))
        } else {
            Ok(i64::from(self.i32()?))
        }
    }

    fn take(&mut self, field: &'static str, length: i64) -> Result<Bytes, RecordError> {
        match usize::try_from(length) {
            Ok(wanted) if wanted <= self.bytes.len() => Ok(self.bytes.split_to(wanted)),
            _ => Err(RecordError::Length { field, length }),
        }
    }

    pub(super) fn nullable_string(&mut self, field: &'static str) -> Result<Option<StrBytes>, RecordError> {
        let length = self.length(true)?;
        if length < 0 {
            return Ok(None);
        }
        let bytes = self.take(field, length)?;
        // Copied: a record outlives the batch it was read from, and must not keep the batch alive.
        let text = std::str::from_utf8(&bytes).map_err(|_| RecordError::NotUtf8 { field })?;
        Ok(Some(StrBytes::from_string(text.to_owned())))
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<StrBytes, RecordError> {
        self.nullable_string(field)?.ok_or(RecordError::Length { field, length: -1 })
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<Bytes, RecordError> {
        let length = self.length(false)?;
        Ok(Bytes::copy_from_slice(&self.take(field, length)?))
    }

    /// The element count of an array: never more than the bytes that remain.
    pub(super) fn array_length(&mut self, field: &'static str) -> Result<usize, RecordError> {
        let length = self.length(false)?;
        match usize::try_from(length) {
            Ok(count) if count <= self.bytes.len() => Ok(count),
            _ => Err(RecordError::Length { field, length }),
        }
    }

    /// The tagged fields that end a flexible structure; `known` sees each tag and the reader of its bytes.
    pub(super) fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = i64::from(self.unsigned_varint()?);
            let mut field = Reader { bytes: self.take("a tagged field", size)?, flexible: true };
            known(tag, &mut field)?;
        }
        Ok(())
    }
}

/// Writes primitives of one record in its classic form; the compact form has writers of its own.
pub(super) fn put_string(out: &mut BytesMut, text: &str) {
    // Ids and topic names arrived in 16-bit lengths, or are bounded by the operation that made them.
    debug_assert!(text.len() <= i16::MAX as usize);
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

pub(super) fn put_nullable_string(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => out.put_i16(-1),
    }
}

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

pub(super) fn put_unsigned_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

pub(super) fn put_compact_string(out: &mut BytesMut, text: &str) {
    put_unsigned_varint(out, text.len() as u32 + 1);
    out.put_slice(text.as_bytes());
}
