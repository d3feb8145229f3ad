//! The records of one batch, looked at but neither copied nor kept: what validation, indexes and compaction ask for.

use super::batch::{self, BatchHeader};
use super::record::{RecordError, RecordView, Walk};
use std::borrow::Cow;

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

/// Walks the records of one batch without allocating for any of them; a compressed batch is decompressed once.
///
/// As an iterator it yields [`SkimmedRecord`]s; [`RecordSkim::next_view`] yields the bytes too. Every record is checked as
/// [`super::RecordIter`] checks it, and the walk ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordSkim<'a> {
    header: BatchHeader,
    records: Cow<'a, [u8]>,
    at: usize,
    walk: Walk,
}

impl<'a> RecordSkim<'a> {
    /// Walks the batch that `batch` begins with, at most `max_bytes` of decompressed records.
    pub fn new(batch: &'a [u8], max_bytes: usize) -> Result<Self, RecordError> {
        let (header, batch, _) = batch::split_first(batch)?;
        let records = batch::decompressed_records(&header, batch, max_bytes)?;
        Ok(Self { header, records, at: 0, walk: Walk::new(&header) })
    }

    /// The header of the batch.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The next record where it lies.
    #[inline]
    pub fn next_view(&mut self) -> Option<Result<RecordView<'_>, RecordError>> {
        let mut rest = &self.records[self.at..];
        let view = self.walk.next(&mut rest);
        self.at = self.records.len() - rest.len();
        view
    }
}

impl Iterator for RecordSkim<'_> {
    type Item = Result<SkimmedRecord, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let header = self.header;
        Some(self.next_view()?.map(|view| SkimmedRecord {
            offset_delta: view.offset_delta,
            timestamp: view.timestamp(&header),
            key_bytes: view.key.map(|key| key.len() as u32),
            value_bytes: view.value.map(|value| value.len() as u32),
        }))
    }
}

impl std::iter::FusedIterator for RecordSkim<'_> {}
