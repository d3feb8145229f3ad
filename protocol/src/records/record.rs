//! One record: its layout, a view of it in a batch's bytes, and its owned form.
//!
//! ```text
//! length          varint   bytes after this field
//! attributes      i8       unused
//! timestampDelta  varlong
//! offsetDelta     varint
//! keyLength       varint   -1 for no key
//! key
//! valueLength     varint   -1 for no value
//! value
//! headersCount    varint
//! headers         each: keyLength varint, key (UTF-8), valueLength varint (-1 for null), value
//! ```
//!
//! Kafka: `DefaultRecord`. Headers keep their order and their duplicates.

use super::batch::{BatchError, BatchHeader, TimestampType};
use super::varint;
use crate::compression::CompressionError;
use bytes::Bytes;

/// The fewest bytes that a record takes, its length field included.
pub(super) const MIN_RECORD_BYTES: usize = 7;
/// The most bytes of a record's length field.
pub(super) const MAX_LENGTH_BYTES: usize = varint::MAX_BYTES_32;

/// A header of a record: its name, and its value unless that is null.
pub type Header = (Bytes, Option<Bytes>);

/// A record on its own; its bytes share the memory of the batch that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the log.
    pub offset: i64,
    /// Milliseconds since 1970, or -1.
    pub timestamp: i64,
    /// The key, unless null.
    pub key: Option<Bytes>,
    /// The value, unless null (a tombstone in a compacted topic).
    pub value: Option<Bytes>,
    /// The headers in order, duplicates kept.
    pub headers: Vec<Header>,
}

/// Why the records of a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The batch is none.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The records do not decompress, or to too many bytes.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A field is cut off, too long, or negative.
    #[error("record {index} of the batch at offset {base_offset} is invalid: {field}")]
    InvalidField {
        /// The batch.
        base_offset: i64,
        /// Which of its records, from 0.
        index: i32,
        /// What is wrong.
        field: &'static str,
    },
    /// The batch holds more or fewer records than it says.
    #[error("batch at offset {base_offset} says {records_count} records, but its bytes do not hold exactly that many")]
    CountMismatch {
        /// The batch.
        base_offset: i64,
        /// What it says.
        records_count: i32,
    },
}

/// A record where it lies in a batch's uncompressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// The record's attributes; none are in use.
    pub attributes: i8,
    /// Its offset less the batch's base offset.
    pub offset_delta: i32,
    /// Its timestamp less the batch's base timestamp.
    pub timestamp_delta: i64,
    /// The key, unless null.
    pub key: Option<&'a [u8]>,
    /// The value, unless null.
    pub value: Option<&'a [u8]>,
    headers_count: usize,
    headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Takes a record from the front of `input`, all of it checked.
    #[inline]
    pub(super) fn take(input: &mut &'a [u8]) -> Result<RecordView<'a>, &'static str> {
        let length = varint::take_i32(input).ok_or("length")?;
        let length = usize::try_from(length).map_err(|_| "length")?;
        if length > input.len() {
            return Err("length beyond the batch");
        }
        let (mut body, rest) = input.split_at(length);
        *input = rest;
        let (&attributes, after) = body.split_first().ok_or("attributes")?;
        body = after;
        let timestamp_delta = varint::take_i64(&mut body).ok_or("timestamp delta")?;
        let offset_delta = varint::take_i32(&mut body).ok_or("offset delta")?;
        if offset_delta < 0 {
            return Err("offset delta");
        }
        let key = take_nullable(&mut body).ok_or("key")?;
        let value = take_nullable(&mut body).ok_or("value")?;
        let count = varint::take_i32(&mut body).ok_or("headers count")?;
        let headers_count = usize::try_from(count).map_err(|_| "headers count")?;
        let headers = body;
        for _ in 0..headers_count {
            take_header(&mut body).ok_or("header")?;
        }
        if !body.is_empty() {
            return Err("length longer than the fields");
        }
        let attributes = attributes as i8;
        Ok(RecordView { attributes, offset_delta, timestamp_delta, key, value, headers_count, headers })
    }

    /// How many headers it has.
    pub fn headers_count(&self) -> usize {
        self.headers_count
    }

    /// Its headers in order, duplicates kept.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.headers;
        std::iter::from_fn(move || take_header(&mut rest))
    }

    /// Its offset in the log, `header` being its batch's.
    #[inline]
    pub fn offset(&self, header: &BatchHeader) -> i64 {
        header.base_offset.saturating_add(i64::from(self.offset_delta))
    }

    /// Its timestamp, `header` being its batch's: a log append time holds for every record of the batch.
    #[inline]
    pub fn timestamp(&self, header: &BatchHeader) -> i64 {
        match header.timestamp_type() {
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(self.timestamp_delta),
            TimestampType::LogAppendTime => header.max_timestamp,
        }
    }
}

#[inline]
fn take_nullable<'a>(input: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint::take_i32(input)? {
        -1 => Some(None),
        length => take_bytes(input, length).map(Some),
    }
}

#[inline]
fn take_header<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let key_length = varint::take_i32(input)?;
    let key = take_bytes(input, key_length)?;
    Some((key, take_nullable(input)?))
}

#[inline]
fn take_bytes<'a>(input: &mut &'a [u8], length: i32) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    let (taken, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(taken)
}

/// Walks the records in a batch's uncompressed bytes and ends after the first error, which a wrong count is too.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    base_offset: i64,
    last_offset_delta: i32,
    records_count: i32,
    index: i32,
    failed: bool,
}

impl Walk {
    pub(super) fn new(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            records_count: header.records_count,
            index: 0,
            failed: false,
        }
    }

    /// How many records are left.
    pub(super) fn remaining(&self) -> usize {
        if self.failed { 0 } else { (self.records_count - self.index) as usize }
    }

    /// Whether nothing follows any more.
    pub(super) fn has_ended(&self) -> bool {
        self.failed
    }

    /// Allows another record: its index, if one is due and there are bytes.
    #[inline]
    pub(super) fn begin(&mut self, at_end: bool) -> Option<Result<i32, RecordError>> {
        if self.failed {
            return None;
        }
        if self.index == self.records_count {
            // Bytes after the last record: the count is wrong.
            self.failed = true;
            return (!at_end).then(|| Err(self.count_mismatch()));
        }
        if at_end {
            self.failed = true;
            return Some(Err(self.count_mismatch()));
        }
        self.index += 1;
        Some(Ok(self.index - 1))
    }

    /// Judges the offset of a record that was taken.
    #[inline]
    pub(super) fn check(&mut self, index: i32, offset_delta: i32) -> Result<(), RecordError> {
        if offset_delta <= self.last_offset_delta {
            return Ok(());
        }
        Err(self.invalid(index, "offset delta beyond the batch's last"))
    }

    /// Ends the walk at a field that cannot be.
    #[cold]
    pub(super) fn invalid(&mut self, index: i32, field: &'static str) -> RecordError {
        self.failed = true;
        RecordError::InvalidField { base_offset: self.base_offset, index, field }
    }

    /// Ends the walk with what ended it.
    #[cold]
    pub(super) fn fail(&mut self, error: impl Into<RecordError>) -> RecordError {
        self.failed = true;
        error.into()
    }

    #[cold]
    fn count_mismatch(&self) -> RecordError {
        RecordError::CountMismatch { base_offset: self.base_offset, records_count: self.records_count }
    }

    /// The next record, `rest` being the bytes not yet walked.
    #[inline]
    pub(super) fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Option<Result<RecordView<'a>, RecordError>> {
        let too_many = self.index == 0 && (self.records_count as usize) > rest.len() / MIN_RECORD_BYTES;
        let index = match self.begin(rest.is_empty() || too_many)? {
            Ok(index) => index,
            Err(error) => return Some(Err(error)),
        };
        Some(match RecordView::take(rest) {
            Ok(view) => self.check(index, view.offset_delta).map(|()| view),
            Err(field) => Err(self.invalid(index, field)),
        })
    }
}
