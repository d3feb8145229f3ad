//! From the bytes of a fetched partition to the records that an application may see. Pure.
//!
//! Checks every batch's CRC, leaves out control records, records before the fetch offset (a batch may begin earlier) and,
//! when reading committed, those of aborted transactions (KIP-98). A batch that the response cuts off is left for the next
//! fetch (KIP-74).

use crate::messages::fetch_response::AbortedTransaction;
use crate::records::{BatchError, ControlRecordType, Record, RecordError, RecordIter, batch, batches};
use bytes::Bytes;
use std::collections::HashSet;

/// What a fetch of one partition gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible {
    /// The records to show, in order.
    pub(super) records: Vec<Record>,
    /// Where the next fetch begins.
    pub(super) next_offset: i64,
}

/// Reads `bytes`, fetched at `fetch_offset`; `aborted` is `None` when uncommitted records are wanted too.
pub(super) fn visible(
    bytes: &Bytes,
    fetch_offset: i64,
    aborted: Option<&[AbortedTransaction]>,
    max_decompressed_bytes: usize,
) -> Result<Visible, RecordError> {
    let mut found = Visible { records: Vec::new(), next_offset: fetch_offset };
    let mut aborted_transactions: Vec<_> = aborted.unwrap_or_default().iter().collect();
    aborted_transactions.sort_by_key(|transaction| transaction.first_offset);
    let mut starting = aborted_transactions.into_iter().peekable();
    let mut aborted_producers = HashSet::new();
    for walked in batches(bytes) {
        let (header, whole) = match walked {
            Ok(walked) => walked,
            Err(BatchError::Truncated { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        batch::verify_crc(whole)?;
        while let Some(transaction) = starting.next_if(|it| it.first_offset <= header.last_offset()) {
            aborted_producers.insert(transaction.producer_id.0);
        }
        let next_offset = found.next_offset.max(header.next_offset());
        let hidden = header.is_transactional() && aborted_producers.contains(&header.producer_id);
        if header.is_control() || !hidden {
            for record in RecordIter::new(bytes.slice_ref(whole), max_decompressed_bytes)? {
                let record = record?;
                if header.is_control() {
                    if ControlRecordType::from_key(record.key.as_deref()) == Ok(ControlRecordType::Abort) {
                        aborted_producers.remove(&header.producer_id);
                    }
                } else if record.offset >= fetch_offset {
                    found.records.push(record);
                }
            }
        }
        found.next_offset = next_offset;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Codec;
    use crate::records::{BatchBuilder, EndTransactionMarker, patch};

    fn data(base_offset: i64, producer_id: i64, transactional: bool, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Codec::Lz4)
            .base_offset(base_offset)
            .producer(producer_id, 0, 0)
            .transactional(transactional);
        for value in values {
            builder.append(0, None, Some(value.as_bytes()), &[]).unwrap();
        }
        builder.build().unwrap().to_vec()
    }

    fn marker(offset: i64, producer_id: i64, committed: bool) -> Vec<u8> {
        let mut batch = EndTransactionMarker { committed, coordinator_epoch: 0 }.to_batch(producer_id, 0, 0).unwrap();
        patch::set_base_offset(&mut batch, offset);
        batch.to_vec()
    }

    fn aborted(producer_id: i64, first_offset: i64) -> AbortedTransaction {
        AbortedTransaction::default().with_producer_id(producer_id.into()).with_first_offset(first_offset)
    }

    fn check(bytes: Vec<u8>, from: i64, aborted: Option<&[AbortedTransaction]>, values: &[&str], next_offset: i64) {
        let found = visible(&bytes.into(), from, aborted, 1000).unwrap();
        let found_values: Vec<_> = found.records.iter().map(|it| it.value.as_deref().unwrap_or_default()).collect();
        assert_eq!(found_values, values.iter().map(|it| it.as_bytes()).collect::<Vec<_>>());
        assert_eq!(found.next_offset, next_offset);
    }

    #[test]
    fn records_before_the_fetch_offset_are_left_out() {
        check(data(10, -1, false, &["a", "b", "c"]), 11, None, &["b", "c"], 13);
    }

    #[test]
    fn a_cut_batch_is_left_for_the_next_fetch() {
        let cut = [data(0, -1, false, &["a"]), data(1, -1, false, &["b"])[..70].to_vec()].concat();
        check(cut, 0, None, &["a"], 1);
    }

    #[test]
    fn aborted_records_are_hidden_until_their_marker_and_markers_always() {
        let log = || {
            let batches = [
                data(0, 7, true, &["aborted"]),
                data(1, 8, true, &["other"]),
                marker(2, 7, false),
                data(3, 7, true, &["later"]),
                marker(4, 7, true),
            ];
            batches.concat()
        };
        check(log(), 0, Some(&[aborted(7, 0)]), &["other", "later"], 5);
        check(log(), 0, None, &["aborted", "other", "later"], 5);
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut bytes = data(0, -1, false, &["a"]);
        *bytes.last_mut().unwrap() ^= 1;
        let damaged = visible(&bytes.into(), 0, None, 1000);
        assert!(matches!(damaged, Err(RecordError::Batch(BatchError::CrcMismatch { .. }))));
    }
}
