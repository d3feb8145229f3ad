//! Raft entries and snapshot parts as record batches.
//!
//! Owns the translation, and decides nothing. One entry is one v2 batch of one uncompressed record at base offset = index
//! with partition leader epoch = term:
//!
//! | entry | batch | key | value |
//! |---|---|---|---|
//! | change | data | none | a counted list of metadata records (`encode_change`) |
//! | blank | control | type 20000 | version 0 |
//! | membership | control | type 20001 | see `membership_codec` |
//! | snapshot header | control | 3 | `SnapshotHeaderRecord` v0 (KIP-630) |
//! | snapshot membership | control | type 20002 | int64 index and int32 term of the membership entry (-1 if none), membership |
//! | snapshot footer | control | 4 | `SnapshotFooterRecord` v0 (KIP-630) |
//!
//! Types from 20000 on are Weir's; Kafka's tools print them as unknown control records and go on.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use weir_protocol::compression::{Codec, CompressionError};
use weir_protocol::records::batch::{self, BatchHeader};
use weir_protocol::records::{BatchBuilder, BatchError, BuildError, ControlRecordType, RecordError, RecordIter};

use super::membership_codec::{MembershipDecodeError, decode_membership, encode_membership};
use super::types::{Change, CommittedLeaderId, Entry, EntryPayload, LogId, Membership, StoredMembership};
use crate::record::MAX_CHANGE_BYTES;

pub(crate) use batch::LOG_OVERHEAD;

const BLANK: ControlRecordType = ControlRecordType::Unknown(20_000);
const MEMBERSHIP: ControlRecordType = ControlRecordType::Unknown(20_001);
const SNAPSHOT_MEMBERSHIP: ControlRecordType = ControlRecordType::Unknown(20_002);

/// The largest batch that holds an entry: the largest change, and room for the headers of record and batch.
pub(crate) const MAX_BATCH_BYTES: usize = MAX_CHANGE_BYTES + 1024;

/// Why an entry is no batch, or a batch no entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Compression(#[from] CompressionError),
    #[error(transparent)]
    Membership(#[from] MembershipDecodeError),
    #[error("control record: {0}")]
    Control(#[from] weir_protocol::records::ControlRecordError),
    #[error("a batch of {0} bytes is larger than any entry")]
    TooLarge(i64),
    #[error("a batch of {0} records; an entry has one")]
    NotOneRecord(i32),
    #[error("{0} is no index or term that the log can hold")]
    OutOfRange(i128),
    #[error("a data record without a value")]
    NoValue,
    #[error("a control record that no entry has: {0:?}")]
    UnknownControl(ControlRecordType),
    #[error("a snapshot membership that ends early")]
    Truncated,
    #[error("{0} in the log, where only entries are")]
    NotAnEntry(&'static str),
}

/// What a batch holds.
#[derive(Debug, PartialEq)]
pub(crate) enum BatchContent {
    Change(Bytes),
    Blank,
    Membership(Membership),
    SnapshotHeader,
    SnapshotMembership(StoredMembership),
    SnapshotFooter,
}

impl BatchContent {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Change(_) => "a change",
            Self::Blank => "a blank entry",
            Self::Membership(_) => "a membership entry",
            Self::SnapshotHeader => "a snapshot header",
            Self::SnapshotMembership(_) => "a snapshot's membership",
            Self::SnapshotFooter => "a snapshot footer",
        }
    }
}

/// One batch, read.
#[derive(Debug)]
pub(crate) struct DecodedBatch {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) content: BatchContent,
}

impl DecodedBatch {
    pub(crate) fn into_entry(self) -> Result<Entry, EntryError> {
        let payload = match self.content {
            BatchContent::Change(change) => EntryPayload::Normal(Change(change)),
            BatchContent::Blank => EntryPayload::Blank,
            BatchContent::Membership(membership) => EntryPayload::Membership(membership),
            other => return Err(EntryError::NotAnEntry(other.name())),
        };
        Ok(Entry { log_id: log_id(self.term, self.index), payload })
    }
}

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term), index)
}

/// The batch of one entry.
pub(crate) fn encode_entry(entry: &Entry, timestamp_ms: i64) -> Result<BytesMut, EntryError> {
    let (index, term) = (entry.log_id.index(), entry.log_id.committed_leader_id().term);
    match &entry.payload {
        EntryPayload::Normal(Change(change)) => data_batch(index, term, timestamp_ms, change),
        EntryPayload::Blank => control_batch(index, term, timestamp_ms, BLANK, &0i16.to_be_bytes()),
        EntryPayload::Membership(membership) => {
            let mut value = Vec::new();
            encode_membership(membership, &mut value);
            control_batch(index, term, timestamp_ms, MEMBERSHIP, &value)
        }
    }
}

/// A part of a snapshot: a change.
pub(crate) fn change(offset: u64, epoch: u64, change: &[u8]) -> Result<Bytes, EntryError> {
    Ok(data_batch(offset, epoch, now_ms(), change)?.freeze())
}

/// A part of a snapshot: its header (`version` int16, `lastContainedLogTimestamp` int64, no tagged field).
pub(crate) fn snapshot_header(offset: u64, epoch: u64) -> Result<Bytes, EntryError> {
    let now_ms = now_ms();
    let mut value = Vec::with_capacity(11);
    value.put_i16(0);
    value.put_i64(now_ms);
    value.put_u8(0);
    Ok(control_batch(offset, epoch, now_ms, ControlRecordType::SnapshotHeader, &value)?.freeze())
}

/// A part of a snapshot: its footer (`version` int16, no tagged field).
pub(crate) fn snapshot_footer(offset: u64, epoch: u64) -> Result<Bytes, EntryError> {
    Ok(control_batch(offset, epoch, now_ms(), ControlRecordType::SnapshotFooter, &[0, 0, 0])?.freeze())
}

/// A part of a snapshot: the last membership that it covers.
pub(crate) fn snapshot_membership(offset: u64, epoch: u64, stored: &StoredMembership) -> Result<Bytes, EntryError> {
    let mut value = Vec::new();
    match stored.log_id() {
        Some(log_id) => {
            value.put_i64(to_i64(log_id.index())?);
            value.put_i32(to_epoch(log_id.committed_leader_id().term)?);
        }
        None => {
            value.put_i64(-1);
            value.put_i32(-1);
        }
    }
    encode_membership(stored.membership(), &mut value);
    Ok(control_batch(offset, epoch, now_ms(), SNAPSHOT_MEMBERSHIP, &value)?.freeze())
}

/// The whole size of the batch that begins with these bytes, if it is one that an entry or a snapshot may have.
pub(crate) fn batch_size(overhead: &[u8; LOG_OVERHEAD]) -> Result<usize, EntryError> {
    let [.., a, b, c, d] = *overhead;
    let length = i64::from(i32::from_be_bytes([a, b, c, d]));
    let size = length + LOG_OVERHEAD as i64;
    match usize::try_from(size) {
        Ok(size) if (BatchHeader::LEN..=MAX_BATCH_BYTES).contains(&size) => Ok(size),
        _ => Err(EntryError::TooLarge(size)),
    }
}

/// Reads one whole batch, CRC included.
pub(crate) fn decode_batch(bytes: &Bytes) -> Result<DecodedBatch, EntryError> {
    let header = BatchHeader::parse(bytes)?;
    batch::verify_crc(bytes)?;
    if header.records_count != 1 {
        return Err(EntryError::NotOneRecord(header.records_count));
    }
    let record = RecordIter::new(bytes.clone(), MAX_BATCH_BYTES)?.next().ok_or(EntryError::NotOneRecord(0))??;
    let content = if header.is_control() {
        decode_control(ControlRecordType::from_key(record.key.as_deref())?, &record.value.unwrap_or_default())?
    } else {
        BatchContent::Change(record.value.ok_or(EntryError::NoValue)?)
    };
    let index = u64::try_from(header.base_offset).map_err(|_| EntryError::OutOfRange(header.base_offset.into()))?;
    let epoch = header.partition_leader_epoch;
    let term = u64::try_from(epoch).map_err(|_| EntryError::OutOfRange(epoch.into()))?;
    Ok(DecodedBatch { index, term, content })
}

fn decode_control(control: ControlRecordType, mut value: &[u8]) -> Result<BatchContent, EntryError> {
    Ok(match control {
        BLANK => BatchContent::Blank,
        MEMBERSHIP => BatchContent::Membership(decode_membership(value)?),
        ControlRecordType::SnapshotHeader => BatchContent::SnapshotHeader,
        ControlRecordType::SnapshotFooter => BatchContent::SnapshotFooter,
        SNAPSHOT_MEMBERSHIP => {
            if value.len() < 12 {
                return Err(EntryError::Truncated);
            }
            let (index, term) = (value.get_i64(), value.get_i32());
            let stored_at = u64::try_from(index).ok().zip(u64::try_from(term).ok());
            let stored_at = stored_at.map(|(index, term)| log_id(term, index));
            BatchContent::SnapshotMembership(StoredMembership::new(stored_at, decode_membership(value)?))
        }
        other => return Err(EntryError::UnknownControl(other)),
    })
}

fn data_batch(index: u64, term: u64, timestamp_ms: i64, value: &[u8]) -> Result<BytesMut, EntryError> {
    let mut builder = builder(index, term, value.len())?;
    builder.append(timestamp_ms, None, Some(value), &[])?;
    Ok(builder.build()?)
}

fn control_batch(
    index: u64,
    term: u64,
    timestamp_ms: i64,
    control: ControlRecordType,
    value: &[u8],
) -> Result<BytesMut, EntryError> {
    let mut builder = builder(index, term, value.len())?.control(true);
    builder.append(timestamp_ms, Some(&control.to_key()), Some(value), &[])?;
    Ok(builder.build()?)
}

fn builder(index: u64, term: u64, value_bytes: usize) -> Result<BatchBuilder, EntryError> {
    /// Lengths, deltas and the key of one record take less.
    const RECORD_OVERHEAD_BYTES: usize = 64;
    let builder = BatchBuilder::with_capacity(Codec::None, value_bytes + RECORD_OVERHEAD_BYTES);
    Ok(builder.base_offset(to_i64(index)?).partition_leader_epoch(to_epoch(term)?))
}

fn to_i64(index: u64) -> Result<i64, EntryError> {
    i64::try_from(index).map_err(|_| EntryError::OutOfRange(index.into()))
}

fn to_epoch(term: u64) -> Result<i32, EntryError> {
    i32::try_from(term).map_err(|_| EntryError::OutOfRange(term.into()))
}

/// The time that a batch is stamped with; nothing is decided by it.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::quorum::types::{ControllerNode, RaftNodeId};

    fn membership() -> Membership {
        let id = RaftNodeId::from(1);
        Membership::new(vec![BTreeSet::from([id])], BTreeMap::from([(id, ControllerNode::default())])).unwrap()
    }

    #[test]
    fn every_kind_of_entry_survives_the_round_trip() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Change(Bytes::from_static(b"change"))),
            EntryPayload::Membership(membership()),
        ];
        for (index, payload) in payloads.into_iter().enumerate() {
            let entry = Entry { log_id: log_id(7, index as u64), payload };
            let batch = encode_entry(&entry, 1_700_000_000_000).unwrap().freeze();
            assert_eq!(decode_batch(&batch).unwrap().into_entry().unwrap(), entry);
        }
    }

    #[test]
    fn an_entry_is_a_batch_at_its_index_and_term() {
        let entry = Entry { log_id: log_id(7, 42), payload: EntryPayload::Blank };
        let batch = encode_entry(&entry, 5).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!((header.base_offset, header.partition_leader_epoch, header.records_count), (42, 7, 1));
        assert!(header.is_control());
        assert_eq!(&batch[BatchHeader::LEN..], &[24, 0, 0, 0, 8, 0, 0, 0x4e, 0x20, 4, 0, 0, 0]);
    }

    #[test]
    fn a_flipped_bit_anywhere_under_the_crc_is_an_error() {
        let entry = Entry { log_id: log_id(1, 0), payload: EntryPayload::Membership(membership()) };
        let batch = encode_entry(&entry, 5).unwrap();
        for at in 21..batch.len() {
            let mut damaged = batch.clone();
            damaged[at] ^= 0x10;
            assert!(decode_batch(&damaged.freeze()).is_err(), "bit at {at}");
        }
    }

    #[test]
    fn an_absurd_batch_length_asks_for_no_memory() {
        for length in [i32::MAX, -1, 0, i32::MIN] {
            let mut overhead = [0; LOG_OVERHEAD];
            overhead[8..].copy_from_slice(&length.to_be_bytes());
            assert!(matches!(batch_size(&overhead), Err(EntryError::TooLarge(_))), "{length}");
        }
    }

    #[test]
    fn terms_beyond_an_epoch_are_refused_not_wrapped() {
        let entry = Entry { log_id: log_id(u64::from(u32::MAX), 0), payload: EntryPayload::Blank };
        assert!(matches!(encode_entry(&entry, 0), Err(EntryError::OutOfRange(_))));
    }
}
