//! The records of one batch, each on its own but sharing the batch's memory.

use super::batch::{self, BatchHeader};
use super::record::{Header, Record, RecordError, RecordView, Walk};
use bytes::Bytes;

/// Iterates over the records of one batch: no key, value or header is copied.
///
/// Ends after the first error; bytes left over after the last record, or too few, are an error too. The CRC is not
/// checked here: see [`batch::verify_crc`].
#[derive(Clone, Debug)]
pub struct RecordIter {
    header: BatchHeader,
    records: Bytes,
    at: usize,
    walk: Walk,
}

impl RecordIter {
    /// Reads the batch that `batch` begins with, at most `max_bytes` of decompressed records.
    pub fn new(batch: Bytes, max_bytes: usize) -> Result<Self, RecordError> {
        let (header, whole, _) = batch::split_first(&batch)?;
        let records = match batch::decompressed_records(&header, whole, max_bytes)? {
            std::borrow::Cow::Borrowed([]) => Bytes::new(),
            std::borrow::Cow::Borrowed(_) => batch.slice(BatchHeader::LEN..header.size_bytes()),
            std::borrow::Cow::Owned(records) => Bytes::from(records),
        };
        Ok(Self { header, records, at: 0, walk: Walk::new(&header) })
    }

    /// The header of the batch.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn own(&self, view: RecordView<'_>) -> Record {
        let share = |bytes: &[u8]| self.records.slice_ref(bytes);
        let mut headers: Vec<Header> = Vec::with_capacity(view.headers_count());
        headers.extend(view.headers().map(|(key, value)| (share(key), value.map(share))));
        Record {
            offset: view.offset(&self.header),
            timestamp: view.timestamp(&self.header),
            key: view.key.map(share),
            value: view.value.map(share),
            headers,
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = &self.records[self.at..];
        let view = self.walk.next(&mut rest)?;
        self.at = self.records.len() - rest.len();
        Some(view.map(|view| self.own(view)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error may end the walk, or follow the last record.
        (0, Some(self.walk.remaining() + 1))
    }
}

impl std::iter::FusedIterator for RecordIter {}
