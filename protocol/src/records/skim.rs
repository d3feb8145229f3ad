//! The records of one batch, looked at but neither copied nor kept: what validation, indexes and compaction ask for.

use super::batch::{self, BatchHeader};
use super::packed::PackedRecords;
use super::record::{RecordError, RecordView, Walk};
use crate::compression::Codec;

/// What [`RecordSkim`] tells of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkimmedRecord {
    /// Its offset less the batch's base offset.
    pub offset_delta: i32,
    /// Its timestamp in milliseconds, or -1.
    pub timestamp: i64,
    /// Bytes of the key, unless null.
    pub key_bytes: Option<u32>,
    /// Bytes of the value, unless null.
    pub value_bytes: Option<u32>,
}

impl SkimmedRecord {
    pub(super) fn of(view: &RecordView<'_>, header: &BatchHeader) -> Self {
        Self {
            offset_delta: view.offset_delta,
            timestamp: view.timestamp(header),
            key_bytes: view.key.map(|key| key.len() as u32),
            value_bytes: view.value.map(|value| value.len() as u32),
        }
    }
}

/// Walks the records of one batch without allocating for any of them. A compressed batch is decompressed as the walk goes
/// on, through a small window: neither its size nor that of a record costs memory.
///
/// Every record is checked as [`super::RecordIter`] checks it, and the walk ends after the first error.
#[derive(Debug)]
pub struct RecordSkim<'a> {
    header: BatchHeader,
    walk: Walk,
    records: Records<'a>,
}

#[derive(Debug)]
enum Records<'a> {
    Plain(&'a [u8]),
    Packed(Box<PackedRecords<'a>>),
}

impl<'a> RecordSkim<'a> {
    /// Walks the batch that `batch` begins with, at most `max_bytes` of decompressed records.
    pub fn new(batch: &'a [u8], max_bytes: usize) -> Result<Self, RecordError> {
        let (header, batch, _) = batch::split_first(batch)?;
        let body = batch::body(&header, batch);
        let records = match header.compression() {
            Codec::None => Records::Plain(body),
            _ if header.records_count == 0 => Records::Plain(body),
            codec => Records::Packed(Box::new(PackedRecords::new(codec, body, max_bytes))),
        };
        Ok(Self { header, walk: Walk::new(&header), records })
    }

    /// The header of the batch.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }
}

impl Iterator for RecordSkim<'_> {
    type Item = Result<SkimmedRecord, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.records {
            Records::Plain(rest) => {
                let view = self.walk.next(rest)?;
                Some(view.map(|view| SkimmedRecord::of(&view, &self.header)))
            }
            Records::Packed(packed) => packed.next(&mut self.walk, &self.header),
        }
    }
}

impl std::iter::FusedIterator for RecordSkim<'_> {}
