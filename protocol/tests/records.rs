//! Record batches against golden bytes, against themselves, and against damage.

use bytes::Bytes;
use proptest::prelude::*;
use weir_protocol::compression::{self, Codec, CompressionError};
use weir_protocol::records::{
    BatchBuilder, BatchError, BatchHeader, BuildError, ControlRecordType, EndTransactionMarker, NO_TIMESTAMP, Record,
    RecordError, RecordIter, RecordSkim, TimestampType, TranscodeError, TranscodeLimits, batch, batches, patch,
    transcode,
};

const MIB: usize = 1 << 20;

/// A record `k` = `v` with header `h` = `x`, at timestamp 1000, laid out by hand from Kafka's protocol guide.
const GOLDEN: &[u8] = &[
    0, 0, 0, 0, 0, 0, 0, 0, // base offset
    0, 0, 0, 62, // batch length
    0xff, 0xff, 0xff, 0xff, // partition leader epoch
    2,    // magic
    0x85, 0xd4, 0x93, 0x6f, // crc
    0, 0, // attributes
    0, 0, 0, 0, // last offset delta
    0, 0, 0, 0, 0, 0, 0x03, 0xe8, // base timestamp
    0, 0, 0, 0, 0, 0, 0x03, 0xe8, // max timestamp
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // producer id
    0xff, 0xff, // producer epoch
    0xff, 0xff, 0xff, 0xff, // base sequence
    0, 0, 0, 1, // records count
    24, 0, 0, 0, 2, b'k', 2, b'v', 2, 2, b'h', 2, b'x', // the record
];

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn golden_builder() -> BatchBuilder {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1000, Some(b"k"), Some(b"v"), &[(bytes("h"), Some(bytes("x")))]).unwrap();
    builder
}

fn read(batch: &[u8]) -> Result<Vec<Record>, RecordError> {
    RecordIter::new(Bytes::copy_from_slice(batch), MIB)?.collect()
}

/// A bitwise CRC-32C, so that golden bytes do not lean on the crate under test.
fn slow_crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

#[test]
fn golden_batch_is_written_and_read_byte_for_byte() {
    assert_eq!(slow_crc32c(b"123456789"), 0xe306_9283);
    let built = golden_builder().build().unwrap();
    assert_eq!(built[..], *GOLDEN, "crc {:02x?}", slow_crc32c(&GOLDEN[21..]).to_be_bytes());
    batch::verify_crc(GOLDEN).unwrap();
    let record = Record {
        offset: 0,
        timestamp: 1000,
        key: Some(bytes("k")),
        value: Some(bytes("v")),
        headers: vec![(bytes("h"), Some(bytes("x")))],
    };
    assert_eq!(read(GOLDEN).unwrap(), [record]);
}

#[test]
fn base_offset_and_leader_epoch_are_not_under_the_crc() {
    let mut batch = GOLDEN.to_vec();
    patch::set_base_offset(&mut batch, 1 << 40);
    patch::set_partition_leader_epoch(&mut batch, 7);
    batch::verify_crc(&batch).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch, header.next_offset()), (1 << 40, 7, (1 << 40) + 1));
    assert_eq!(read(&batch).unwrap()[0].offset, 1 << 40);
}

#[test]
fn log_append_time_rewrites_the_crc_and_holds_for_every_record() {
    let mut batch = GOLDEN.to_vec();
    patch::set_log_append_time(&mut batch, 5000);
    batch::verify_crc(&batch).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::LogAppendTime, 5000));
    assert_eq!(read(&batch).unwrap()[0].timestamp, 5000);
}

#[test]
fn a_flipped_bit_under_the_crc_is_found() {
    for at in 21..GOLDEN.len() {
        let mut batch = GOLDEN.to_vec();
        batch[at] ^= 0x40;
        assert!(batch::verify_crc(&batch).is_err(), "byte {at}");
    }
}

#[test]
fn duplicate_headers_nulls_and_empty_values_survive_in_order() {
    let headers = vec![
        (bytes("a"), Some(bytes("1"))),
        (bytes("a"), None),
        (bytes(""), Some(bytes(""))),
        (bytes("a"), Some(bytes("2"))),
    ];
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(codec);
        builder.append(5, None, Some(b""), &headers).unwrap();
        builder.append(3, Some(b""), None, &[]).unwrap();
        let batch = builder.build().unwrap();
        let records = read(&batch).unwrap();
        assert_eq!(records[0].headers, headers);
        assert_eq!((&records[0].key, records[0].value.as_deref()), (&None, Some(&b""[..])));
        assert_eq!((records[1].key.as_deref(), &records[1].value), (Some(&b""[..]), &None));
        assert_eq!(records[1].timestamp, 3);
        assert_eq!(BatchHeader::parse(&batch).unwrap().max_timestamp, 5);
    }
}

#[test]
fn a_compacted_batch_keeps_its_range_and_its_offsets() {
    let mut builder = BatchBuilder::new(Codec::Zstd).base_offset(100).producer(9, 1, 40).transactional(true);
    for _ in 0..10 {
        builder.append(1000, Some(b"k"), Some(b"v"), &[]).unwrap();
    }
    let batch = builder.build().unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    let mut kept = BatchBuilder::rebuild(&header);
    for record in read(&batch).unwrap().into_iter().filter(|record| [102, 105].contains(&record.offset)) {
        kept.append_record(&record).unwrap();
    }
    let kept = kept.build().unwrap();
    let after = BatchHeader::parse(&kept).unwrap();
    assert_eq!((after.base_offset, after.last_offset(), after.records_count), (100, 109, 2));
    assert_eq!((after.producer_id, after.base_sequence, after.last_sequence()), (9, 40, 49));
    assert!(after.is_transactional());
    assert_eq!(read(&kept).unwrap().iter().map(|record| record.offset).collect::<Vec<_>>(), [102, 105]);
}

#[test]
fn an_emptied_batch_remembers_its_range_and_producer() {
    let batch = BatchBuilder::new(Codec::Lz4).base_offset(7).producer(3, 0, 5).last_offset_delta(4).build().unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((batch.len(), header.compression(), header.records_count), (61, Codec::None, 0));
    assert_eq!((header.next_offset(), header.max_timestamp, header.producer_id), (12, NO_TIMESTAMP, 3));
    assert_eq!(read(&batch).unwrap(), []);
}

#[test]
fn a_delete_horizon_takes_the_base_timestamps_place() {
    let mut builder = BatchBuilder::new(Codec::None).delete_horizon(9_000);
    builder.append(1_000, Some(b"k"), None, &[]).unwrap();
    let batch = builder.build().unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.delete_horizon(), header.base_timestamp), (Some(9_000), 9_000));
    assert_eq!(read(&batch).unwrap()[0].timestamp, 1_000);
    assert_eq!(BatchHeader::parse(GOLDEN).unwrap().delete_horizon(), None);
}

#[test]
fn the_builder_refuses_offsets_that_do_not_rise() {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append_at(4, 0, None, None, &[]).unwrap();
    for offset_delta in [4, 0, -1] {
        let refused = builder.append_at(offset_delta, 0, None, None, &[]);
        assert_eq!(refused, Err(BuildError::OffsetOutOfOrder { offset_delta: offset_delta.into(), last: Some(4) }));
    }
    assert!(builder.clone().last_offset_delta(3).build().is_err());
    assert_eq!(BatchBuilder::new(Codec::None).build(), Err(BuildError::Empty));
}

#[test]
fn transaction_markers_read_back() {
    for committed in [true, false] {
        let marker = EndTransactionMarker { committed, coordinator_epoch: 12 };
        let batch = marker.to_batch(77, 3, 1234).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        assert!(header.is_control() && header.is_transactional() && header.base_sequence == -1);
        let record = read(&batch).unwrap().remove(0);
        assert_eq!(EndTransactionMarker::decode(record.key.as_deref(), record.value.as_deref()), Ok(marker));
        assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, u8::from(committed)][..]));
        assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 0, 12][..]));
    }
    assert_eq!(ControlRecordType::from_key(Some(&[0, 1, 0, 9, 0xff])), Ok(ControlRecordType::Unknown(9)));
    assert!(ControlRecordType::from_key(Some(&[0, 0, 0])).is_err());
    assert!(ControlRecordType::from_key(Some(&[0x80, 0, 0, 0])).is_err());
}

#[test]
fn sequences_wrap_after_the_greatest() {
    let mut builder = BatchBuilder::new(Codec::None).producer(1, 0, i32::MAX - 1);
    for _ in 0..4 {
        builder.append(0, None, None, &[]).unwrap();
    }
    assert_eq!(BatchHeader::parse(&builder.build().unwrap()).unwrap().last_sequence(), 1);
}

#[test]
fn the_walk_yields_whole_batches_and_ends_at_a_cut_one() {
    let bytes = [GOLDEN, GOLDEN, &GOLDEN[..70]].concat();
    let found: Vec<_> = batches(&bytes).collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].as_ref().unwrap().1, GOLDEN);
    assert_eq!(found[2], Err(BatchError::Truncated { needed: GOLDEN.len(), available: 70 }));
    assert_eq!(batches(&GOLDEN[..20]).next(), Some(Err(BatchError::Truncated { needed: 61, available: 20 })));
    assert_eq!(batches(&[]).next(), None);
}

fn altered(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = GOLDEN.to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    batch
}

#[test]
fn impossible_headers_are_refused_by_name() {
    let parse = |at, bytes: &[u8]| BatchHeader::parse(&altered(at, bytes)).unwrap_err();
    assert_eq!(parse(16, &[1]), BatchError::LegacyMagic { magic: 1 });
    assert_eq!(BatchHeader::parse(&altered(16, &[0])[..26]), Err(BatchError::LegacyMagic { magic: 0 }));
    assert_eq!(parse(16, &[3]), BatchError::UnknownMagic { magic: 3 });
    assert_eq!(parse(8, &48i32.to_be_bytes()), BatchError::InvalidLength { length: 48 });
    assert_eq!(parse(8, &[0xff; 4]), BatchError::InvalidLength { length: -1 });
    assert_eq!(parse(21, &[0, 5]), BatchError::UnknownCodec { id: 5 });
    assert!(matches!(parse(23, &[0xff; 4]), BatchError::InvalidOffsets { last_offset_delta: -1, .. }));
    assert!(matches!(parse(0, &i64::MAX.to_be_bytes()), BatchError::InvalidOffsets { .. }));
    assert!(matches!(parse(57, &[0xff; 4]), BatchError::InvalidCount { records_count: -1, .. }));
    assert!(matches!(parse(57, &2i32.to_be_bytes()), BatchError::InvalidCount { records_count: 2, .. }));
}

#[test]
fn records_must_match_the_count_exactly() {
    let mut two = golden_builder();
    two.append(0, None, None, &[]).unwrap();
    let two = two.build().unwrap();
    for (count, ok) in [(2, true), (1, false), (0, true)] {
        let mut batch = two.to_vec();
        batch[57..61].copy_from_slice(&i32::to_be_bytes(count));
        assert_eq!(read(&batch).is_ok(), ok);
    }
    let one_claims_two = {
        let mut batch = altered(57, &2i32.to_be_bytes());
        batch[26] = 1;
        batch
    };
    assert!(matches!(read(&one_claims_two), Err(RecordError::CountMismatch { records_count: 2, .. })));
}

#[test]
fn records_with_impossible_fields_are_refused() {
    let record = 61;
    let cases: [(usize, u8); 9] = [
        (0, 26),  // length beyond the batch
        (0, 1),   // negative length
        (0, 20),  // length shorter than the fields
        (3, 1),   // negative offset delta
        (3, 2),   // offset delta beyond the batch's last
        (4, 3),   // key length -2
        (6, 100), // value beyond the record
        (8, 1),   // negative headers count
        (9, 1),   // null header name
    ];
    for (at, byte) in cases {
        let batch = altered(record + at, &[byte]);
        assert!(read(&batch).is_err(), "record byte {at} = {byte}");
        assert!(RecordSkim::new(&batch, MIB).unwrap().any(|record| record.is_err()));
    }
}

#[test]
fn decompression_stops_at_the_callers_limit() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        builder.append(0, None, Some(&vec![0; 4 * MIB]), &[]).unwrap();
        let bomb = builder.build().unwrap();
        assert!(matches!(read(&bomb), Err(RecordError::Compression(_))), "{codec}");
        assert!(RecordSkim::new(&bomb, 5 * MIB).unwrap().all(|record| record.is_ok()));
    }
}

/// How many records there are, if all of them are good.
fn counted(batch: &[u8]) -> Option<usize> {
    Some(read(batch).ok()?.len())
}

fn skimmed(batch: &[u8]) -> Option<usize> {
    Some(RecordSkim::new(batch, MIB).ok()?.collect::<Result<Vec<_>, _>>().ok()?.len())
}

#[test]
fn a_record_of_any_size_is_skimmed_as_it_is_read() {
    let window = 16 * 1024;
    let header = |bytes: usize| (Bytes::from_static(b"name"), Some(Bytes::from(vec![3; bytes])));
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(codec).base_timestamp(1000);
        for bytes in [0, window - 20, window - 10, window - 1, window, window + 1, 3 * window, 100_000, 5] {
            let (key, value) = (vec![1; bytes], vec![2; bytes / 2]);
            builder.append(1000 + bytes as i64, Some(&key), Some(&value), &[header(bytes), header(1)]).unwrap();
            builder.append(7, None, Some(&key), &[header(bytes / 3)]).unwrap();
            builder.append(8, Some(&value), None, &[]).unwrap();
        }
        let batch = builder.build().unwrap();
        let records = read(&batch).unwrap();
        let skimmed: Vec<_> = RecordSkim::new(&batch, MIB).unwrap().map(Result::unwrap).collect();
        assert_eq!(records.len(), skimmed.len(), "{codec}");
        for (record, skimmed) in records.iter().zip(&skimmed) {
            assert_eq!((record.offset, record.timestamp), (i64::from(skimmed.offset_delta), skimmed.timestamp));
            assert_eq!(record.key.as_ref().map(|key| key.len() as u32), skimmed.key_bytes);
            assert_eq!(record.value.as_ref().map(|value| value.len() as u32), skimmed.value_bytes);
        }
    }
}

#[test]
fn every_field_of_a_long_record_is_checked() {
    // One record of 40,000 bytes, not compressed, so that its fields can be found: 61 length (3), 64 attributes, 65
    // timestamp delta, 66 offset delta, 67 key length (3), key, value length, headers count, name, null.
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(0, Some(&[0; 40_000]), None, &[(Bytes::from_static(b"n"), None)]).unwrap();
    let plain = builder.build().unwrap().to_vec();
    let value_at = 70 + 40_000;
    let altered = |at: usize, byte: u8| {
        let mut plain = plain.clone();
        plain[at] = byte;
        let mut packed = plain[..61].to_vec();
        packed.extend_from_slice(&compression::compress(Codec::Zstd, &plain[61..]).unwrap());
        packed[22] = Codec::Zstd.id();
        let length = packed.len() as i32 - 12;
        packed[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(counted(&packed), skimmed(&packed), "byte {at} = {byte}");
        skimmed(&packed)
    };
    assert_eq!(altered(64, 0), Some(1));
    let cases = [
        (61, plain[61] + 2),
        (61, plain[61] - 2),
        (66, 1),
        (66, 2),
        (67, plain[67] + 2),
        (67, plain[67] | 1),
        (value_at, 3),
        (value_at, 2),
        (value_at + 1, 1),
        (value_at + 1, 4),
        (value_at + 2, 1),
        (value_at + 4, 2),
    ];
    for (at, byte) in cases {
        assert_eq!(altered(at, byte), None, "byte {at} = {byte}");
    }
}

#[test]
fn a_batch_changes_its_codec_and_nothing_else() {
    let limits = TranscodeLimits { decompressed_bytes: MIB, batch_bytes: MIB };
    for from in Codec::ALL {
        let mut builder = BatchBuilder::new(from).producer(7, 3, 11).base_offset(40).transactional(true);
        for i in 0..5000u32 {
            builder.append(i64::from(i % 700), Some(&i.to_be_bytes()), Some(&[i as u8; 20]), &[]).unwrap();
        }
        let batch = builder.build().unwrap();
        for to in Codec::ALL {
            let changed = transcode(&batch, to, None, limits).unwrap();
            batch::verify_crc(&changed).unwrap();
            assert_eq!(read(&changed).unwrap(), read(&batch).unwrap(), "{from} to {to}");
            let header = BatchHeader::parse(&changed).unwrap();
            let expected = BatchHeader {
                batch_length: header.batch_length,
                crc: header.crc,
                attributes: header.attributes,
                ..BatchHeader::parse(&batch).unwrap()
            };
            assert_eq!((header, header.compression(), header.is_transactional()), (expected, to, true));
        }
    }
}

#[test]
fn what_changes_its_codec_keeps_its_limits_and_its_rules() {
    let mut builder = BatchBuilder::new(Codec::Gzip);
    builder.append(0, None, Some(&vec![0; MIB / 2]), &[]).unwrap();
    let batch = builder.build().unwrap();
    let to_plain = |decompressed_bytes, batch_bytes| {
        transcode(&batch, Codec::None, None, TranscodeLimits { decompressed_bytes, batch_bytes })
    };
    assert!(to_plain(MIB, MIB).is_ok());
    assert!(matches!(to_plain(MIB / 2, MIB), Err(TranscodeError::Record(RecordError::Compression(_)))));
    let error = to_plain(MIB, MIB / 2).unwrap_err();
    assert!(matches!(error, TranscodeError::Compression(CompressionError::OutputTooLarge { .. })), "{error}");
    // Two records at one offset.
    let mut twice = BatchBuilder::new(Codec::None);
    twice.append(0, None, None, &[]).unwrap();
    twice.append(0, None, None, &[]).unwrap();
    let mut twice = twice.build().unwrap().to_vec();
    twice[61 + 7 + 3] = 0;
    let error = transcode(&twice, Codec::Zstd, None, TranscodeLimits { decompressed_bytes: MIB, batch_bytes: MIB });
    assert_eq!(error.unwrap_err(), TranscodeError::OffsetOutOfOrder { offset_delta: 0, last: 0 });
}

#[test]
fn the_maximum_timestamp_is_what_the_records_say_unless_the_broker_stamped_them() {
    let limits = TranscodeLimits { decompressed_bytes: MIB, batch_bytes: MIB };
    for (timestamp_type, expected) in [(TimestampType::CreateTime, 5), (TimestampType::LogAppendTime, 99)] {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.append(5, None, None, &[]).unwrap();
        let mut batch = builder.build().unwrap();
        patch::set_max_timestamp(&mut batch, timestamp_type, 99);
        let changed = transcode(&batch, Codec::Lz4, None, limits).unwrap();
        assert_eq!(BatchHeader::parse(&changed).unwrap().max_timestamp, expected);
    }
}

type Fields = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>, u8);

fn record_fields() -> impl Strategy<Value = Fields> {
    let small = || proptest::collection::vec(any::<u8>(), 0..40);
    let headers = proptest::collection::vec((small(), proptest::option::of(small())), 0..4);
    (any::<i64>(), proptest::option::of(small()), proptest::option::of(small()), headers, 1u8..5)
}

proptest! {
    #[test]
    fn what_is_built_is_read(
        fields in proptest::collection::vec(record_fields(), 1..30), id in 0u8..5, base_offset in 0..i64::MAX / 2,
    ) {
        let mut builder = BatchBuilder::new(Codec::from_id(id).unwrap()).base_offset(base_offset);
        let mut expected = Vec::new();
        let mut offset = base_offset - 1;
        for (timestamp, key, value, headers, gap) in fields {
            offset += i64::from(gap);
            let headers = headers.into_iter().map(|(name, value)| (name.into(), value.map(Bytes::from))).collect();
            let record = Record { offset, timestamp, key: key.map(Bytes::from), value: value.map(Bytes::from), headers };
            builder.append_record(&record).unwrap();
            expected.push(record);
        }
        let batch = builder.build().unwrap();
        batch::verify_crc(&batch).unwrap();
        prop_assert_eq!(BatchHeader::parse(&batch).unwrap().last_offset(), offset);
        prop_assert_eq!(&read(&batch).unwrap(), &expected);
        let skimmed: Vec<_> = RecordSkim::new(&batch, MIB).unwrap().map(|record| record.unwrap()).collect();
        for (skimmed, record) in skimmed.iter().zip(&expected) {
            prop_assert_eq!(base_offset + i64::from(skimmed.offset_delta), record.offset);
            prop_assert_eq!(skimmed.timestamp, record.timestamp);
            prop_assert_eq!(skimmed.key_bytes.map(|len| len as usize), record.key.as_ref().map(Bytes::len));
            prop_assert_eq!(skimmed.value_bytes.map(|len| len as usize), record.value.as_ref().map(Bytes::len));
        }
        prop_assert_eq!(skimmed.len(), expected.len());
    }

    #[test]
    fn hostile_bytes_are_errors_and_never_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        for found in batches(&data) {
            let Ok((_, batch)) = found else { continue };
            let _ = read(batch);
        }
    }

    #[test]
    fn damaged_batches_are_errors_and_never_panics(
        fields in proptest::collection::vec(record_fields(), 1..5), id in 0u8..5,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut builder = BatchBuilder::new(Codec::from_id(id).unwrap());
        for (timestamp, key, value, _, _) in fields {
            builder.append(timestamp, key.as_deref(), value.as_deref(), &[]).unwrap();
        }
        let mut batch = builder.build().unwrap();
        for (at, byte) in damage {
            let at = at.index(batch.len());
            batch[at] = byte;
        }
        let _ = batch::verify_crc(&batch);
        prop_assert_eq!(counted(&batch), skimmed(&batch));
    }
}
