//! Record batches that no client sends, and the error code that each is refused with: Apache Kafka's, but for the differences that the
//! clients suite knows and gives the reasons of.
//!
//! Each is a good batch of one record with one thing changed; the CRC is that of the changed bytes unless the CRC is the thing.

use bytes::Bytes;
use weir_protocol::compression::Codec;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::records::{BatchBuilder, patch};

use crate::wire::PRODUCE;

/// A topic with no rule of its own.
pub const PLAIN: &str = "refusals";
/// A topic with `cleanup.policy=compact`.
pub const COMPACTED: &str = "refusals-compacted";

const TIMESTAMP_MS: i64 = 1_700_000_000_000;
/// Where the header's fields lie.
const BASE_OFFSET_AT: usize = 0;
const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const RECORDS_COUNT_AT: usize = 57;
const RECORDS_AT: usize = 61;
/// The first version of Produce that takes zstd (KIP-110).
const FIRST_WITH_ZSTD: i16 = 7;
/// What the bomb decompresses to.
const BOMB_BYTES: usize = 32 << 20;

/// One batch and its fate.
#[derive(Debug, Clone)]
pub struct BadBatch {
    /// What is wrong with it.
    pub name: &'static str,
    /// Where it is produced to.
    pub topic: &'static str,
    /// At which version of Produce.
    pub version: i16,
    /// Its bytes.
    pub records: Bytes,
    /// What it is refused with, or [`ErrorCode::None`].
    pub code: ErrorCode,
}

/// One keyed record.
fn good() -> Vec<u8> {
    built(BatchBuilder::new(Codec::None), Some(b"key"), b"value")
}

fn built(mut builder: BatchBuilder, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    builder.append(TIMESTAMP_MS, key, Some(value), &[]).expect("the first record");
    builder.build().expect("a batch").to_vec()
}

/// The good batch with these bytes at this place.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = good();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    patch::rewrite_crc(&mut batch);
    batch
}

fn with_i16(at: usize, value: i16) -> Vec<u8> {
    with(at, &value.to_be_bytes())
}

fn with_i32(at: usize, value: i32) -> Vec<u8> {
    with(at, &value.to_be_bytes())
}

fn with_i64(at: usize, value: i64) -> Vec<u8> {
    with(at, &value.to_be_bytes())
}

/// The good batch with another length and the CRC it had.
fn with_length(length: i32) -> Vec<u8> {
    let mut batch = good();
    batch[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    batch
}

fn with_flipped_bit(at: usize) -> Vec<u8> {
    let mut batch = good();
    batch[at] ^= 1;
    batch
}

/// A batch that says it is compressed and holds noise.
fn noise(codec: Codec) -> Vec<u8> {
    let mut batch = with_i16(ATTRIBUTES_AT, i16::from(codec.id()));
    batch[RECORDS_AT..].fill(0xa5);
    patch::rewrite_crc(&mut batch);
    batch
}

/// A batch that claims `count` records, its offsets agreeing, and holds one.
fn claiming(count: i32) -> Vec<u8> {
    let mut batch = with_i32(RECORDS_COUNT_AT, count);
    batch[LAST_OFFSET_DELTA_AT..LAST_OFFSET_DELTA_AT + 4].copy_from_slice(&(count - 1).to_be_bytes());
    patch::rewrite_crc(&mut batch);
    batch
}

fn from_producer(epoch: i16, sequence: i32) -> Vec<u8> {
    let mut batch = with_i64(PRODUCER_ID_AT, 4711);
    batch[PRODUCER_EPOCH_AT..PRODUCER_EPOCH_AT + 2].copy_from_slice(&epoch.to_be_bytes());
    batch[BASE_SEQUENCE_AT..BASE_SEQUENCE_AT + 4].copy_from_slice(&sequence.to_be_bytes());
    patch::rewrite_crc(&mut batch);
    batch
}

/// Every batch, with its fate.
pub fn all() -> Vec<BadBatch> {
    use ErrorCode::{
        CorruptMessage, InvalidRecord, InvalidTimestamp, MessageTooLarge, None, UnsupportedCompressionType,
    };
    let whole = good().len() as i32 - 12;
    let plain: Vec<(&'static str, Vec<u8>, ErrorCode)> = vec![
        ("good", good(), None),
        ("no bytes", Vec::new(), InvalidRecord),
        ("less than a length", good()[..5].to_vec(), InvalidRecord),
        ("less than a header", good()[..40].to_vec(), InvalidRecord),
        ("cut short", good()[..RECORDS_AT + 3].to_vec(), InvalidRecord),
        ("bytes after it", [&good()[..], &[0; 3]].concat(), None),
        ("a second batch after it", [good(), good()].concat(), InvalidRecord),
        ("length -1", with_length(-1), CorruptMessage),
        ("length 0", with_length(0), CorruptMessage),
        ("length less than a header", with_length(30), CorruptMessage),
        ("length one too small", with_length(whole - 1), CorruptMessage),
        ("length one too large", with_length(whole + 1), InvalidRecord),
        ("length 2 GiB", with_length(i32::MAX), InvalidRecord),
        ("wrong crc", with_flipped_bit(CRC_AT + 3), CorruptMessage),
        ("a bit of a record flipped", with_flipped_bit(RECORDS_AT + 4), CorruptMessage),
        ("a bit of the attributes flipped", with_flipped_bit(ATTRIBUTES_AT + 1), CorruptMessage),
        ("magic 0", with(MAGIC_AT, &[0]), InvalidRecord),
        ("magic 1", with(MAGIC_AT, &[1]), InvalidRecord),
        ("magic 3", with(MAGIC_AT, &[3]), CorruptMessage),
        ("magic -1", with(MAGIC_AT, &[0xff]), CorruptMessage),
        ("base offset 5", with_i64(BASE_OFFSET_AT, 5), InvalidRecord),
        ("base offset -1", with_i64(BASE_OFFSET_AT, -1), InvalidRecord),
        ("leader epoch 77", with_i32(LEADER_EPOCH_AT, 77), None),
        ("codec 5", with_i16(ATTRIBUTES_AT, 5), InvalidRecord),
        ("codec 7", with_i16(ATTRIBUTES_AT, 7), InvalidRecord),
        ("log append time", with_i16(ATTRIBUTES_AT, 1 << 3), InvalidTimestamp),
        ("control batch", with_i16(ATTRIBUTES_AT, 1 << 5), InvalidRecord),
        ("delete horizon", with_i16(ATTRIBUTES_AT, 1 << 6), None),
        ("unknown attributes", with_i16(ATTRIBUTES_AT, 0x7f80), None),
        ("last offset delta -1", with_i32(LAST_OFFSET_DELTA_AT, -1), InvalidRecord),
        ("last offset delta 1", with_i32(LAST_OFFSET_DELTA_AT, 1), InvalidRecord),
        ("last offset delta 2^31-1", with_i32(LAST_OFFSET_DELTA_AT, i32::MAX), InvalidRecord),
        ("last offset delta -2^31", with_i32(LAST_OFFSET_DELTA_AT, i32::MIN), InvalidRecord),
        ("count 0", with_i32(RECORDS_COUNT_AT, 0), InvalidRecord),
        ("count 2", with_i32(RECORDS_COUNT_AT, 2), InvalidRecord),
        ("count -1", with_i32(RECORDS_COUNT_AT, -1), InvalidRecord),
        ("count 2^31-1", with_i32(RECORDS_COUNT_AT, i32::MAX), InvalidRecord),
        ("base timestamp -1", with_i64(BASE_TIMESTAMP_AT, -1), None),
        ("max timestamp in the far future", with_i64(MAX_TIMESTAMP_AT, i64::MAX), InvalidTimestamp),
        ("producer without a sequence", from_producer(0, -1), InvalidRecord),
        ("producer with a negative epoch", from_producer(-1, 0), None),
        ("too large", built(BatchBuilder::new(Codec::None), Some(b"key"), &vec![7; 1_048_588]), MessageTooLarge),
    ];
    let of_plain = plain.into_iter().map(|(name, records, code)| BadBatch {
        name,
        topic: PLAIN,
        version: PRODUCE,
        records: records.into(),
        code,
    });
    let unkeyed = built(BatchBuilder::new(Codec::None), Option::None, b"value");
    let bomb = built(BatchBuilder::new(Codec::Gzip), Some(b"key"), &vec![0; BOMB_BYTES]);
    let compacted: Vec<(&'static str, Vec<u8>, ErrorCode)> = vec![
        ("compacted, keyed", good(), None),
        ("compacted, no key", unkeyed, InvalidRecord),
        ("compacted, two claimed and one there", claiming(2), InvalidRecord),
        ("compacted, gzip noise", noise(Codec::Gzip), InvalidRecord),
        ("compacted, snappy noise", noise(Codec::Snappy), InvalidRecord),
        ("compacted, lz4 noise", noise(Codec::Lz4), InvalidRecord),
        ("compacted, zstd noise", noise(Codec::Zstd), InvalidRecord),
        ("compacted, a bomb of 32 MiB", bomb, None),
    ];
    let of_compacted = compacted.into_iter().map(|(name, records, code)| BadBatch {
        name,
        topic: COMPACTED,
        version: PRODUCE,
        records: records.into(),
        code,
    });
    let zstd = |name, version, code| BadBatch {
        name,
        topic: PLAIN,
        version,
        records: built(BatchBuilder::new(Codec::Zstd), Some(b"key"), b"value").into(),
        code,
    };
    let zstds = [
        zstd("zstd before it was taken", FIRST_WITH_ZSTD - 1, UnsupportedCompressionType),
        zstd("zstd since it is taken", FIRST_WITH_ZSTD, None),
    ];
    of_plain.chain(of_compacted).chain(zstds).collect()
}
