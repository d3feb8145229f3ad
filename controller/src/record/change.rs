//! A change: the records of one Raft entry, applied together or not at all.
//!
//! Owns the counted list in which they are stored:
//!
//! ```text
//! uvarint count
//! count x { uvarint length, length bytes of one framed record (Kafka's MetadataRecordSerde) }
//! ```
//!
//! Invariant: both the count and the size are bounded by names, when writing and when reading.

use bytes::Bytes;

use super::wire::{Reader, Writer};
use super::{DecodeError, EncodeError, MetadataRecord};

/// The most bytes that one change may take.
pub const MAX_CHANGE_BYTES: usize = 32 * 1024 * 1024;

/// The most records that one change may hold.
pub const MAX_CHANGE_RECORDS: usize = 250_000;

/// Encodes the records of one Raft entry.
pub fn encode_change(records: &[MetadataRecord]) -> Result<Bytes, EncodeError> {
    let mut out = Writer::default();
    let mut record_bytes = Writer::default();
    out.uvarint(u32::try_from(records.len()).unwrap_or(u32::MAX));
    for record in records {
        record_bytes.clear();
        record.write_framed(&mut record_bytes);
        out.uvarint(record_bytes.len() as u32);
        out.raw(record_bytes.bytes());
        if out.len() > MAX_CHANGE_BYTES {
            break;
        }
    }
    let bytes = out.len();
    if records.len() > MAX_CHANGE_RECORDS || bytes > MAX_CHANGE_BYTES {
        return Err(EncodeError::ChangeTooLarge { records: records.len(), bytes });
    }
    record_bytes.finish()?;
    Ok(Bytes::from(out.finish()?))
}

/// Decodes the records of one Raft entry.
pub fn decode_change(bytes: &[u8]) -> Result<Vec<MetadataRecord>, DecodeError> {
    let mut input = Reader::new(bytes);
    let records = count(&mut input)?;
    // The smallest record takes five bytes, so the count cannot ask for more memory than a multiple of what arrived.
    let mut change = Vec::with_capacity(records.min(input.remaining() / 5));
    for _ in 0..records {
        change.push(MetadataRecord::decode(framed(&mut input)?)?);
    }
    input.finish()?;
    Ok(change)
}

/// Looks at each record of a change as it is framed.
pub(crate) fn for_each_framed(
    bytes: &[u8],
    mut look: impl FnMut(&[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut input = Reader::new(bytes);
    (0..count(&mut input)?).try_for_each(|_| look(framed(&mut input)?))
}

fn count(input: &mut Reader<'_>) -> Result<usize, DecodeError> {
    match input.uvarint()? as usize {
        records if records > MAX_CHANGE_RECORDS => Err(DecodeError::TooManyRecords { records }),
        records => Ok(records),
    }
}

fn framed<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = input.uvarint()? as usize;
    input.take(len)
}
