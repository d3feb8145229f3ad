//! Bytes that are not records: refused with a reason that names what is wrong, never a panic or a large allocation.

use proptest::prelude::*;
use weir_controller::record::{
    DecodeError, EncodeError, MAX_CHANGE_RECORDS, MetadataRecord, NoOpRecord, TopicRecord, decode_change, encode_change,
};

use crate::golden::every_kind;

#[test]
fn an_unknown_type_is_named() {
    assert_eq!(
        MetadataRecord::decode(&[1, 0x7f, 3, 0]),
        Err(DecodeError::UnknownType { record_type: 127, version: 3 })
    );
}

#[test]
fn an_unknown_version_is_named() {
    assert_eq!(
        MetadataRecord::decode(&[1, 3, 9, 0]),
        Err(DecodeError::UnknownVersion { record_type: 3, version: 9, max_version: 2 })
    );
}

#[test]
fn an_unknown_frame_version_is_named() {
    assert_eq!(MetadataRecord::decode(&[0, 20, 0, 0]), Err(DecodeError::UnknownFrameVersion { frame_version: 0 }));
}

#[test]
fn a_length_that_the_bytes_cannot_hold_is_refused_before_it_is_believed() {
    // A PartitionRecord whose replicas claim four billion entries.
    let mut bytes = vec![1, 3, 1, 0, 0, 0, 0];
    bytes.extend([7; 16]);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(matches!(MetadataRecord::decode(&bytes), Err(DecodeError::Truncated { remaining: 0, .. })));
    assert!(matches!(decode_change(&[0xff, 0xff, 0x03]), Err(DecodeError::Truncated { .. })));
}

#[test]
fn a_change_holds_a_named_number_of_records() {
    assert_eq!(
        decode_change(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Err(DecodeError::TooManyRecords { records: u32::MAX as usize })
    );
    let change = vec![MetadataRecord::NoOp(NoOpRecord); MAX_CHANGE_RECORDS + 1];
    assert!(matches!(encode_change(&change), Err(EncodeError::ChangeTooLarge { .. })));
    let change = &change[..MAX_CHANGE_RECORDS];
    assert_eq!(decode_change(&encode_change(change).unwrap()).unwrap(), change);
}

#[test]
fn a_string_that_kafka_could_not_read_is_not_written() {
    let topic = |length| MetadataRecord::from(TopicRecord { name: "x".repeat(length).into(), topic_id: uuid() });
    assert_eq!(topic(32768).encode(), Err(EncodeError::StringTooLong { bytes: 32768 }));
    assert_eq!(encode_change(&[topic(32768)]), Err(EncodeError::StringTooLong { bytes: 32768 }));
    let encoded = topic(32767).encode().unwrap();
    assert_eq!(MetadataRecord::decode(&encoded), Ok(topic(32767)));
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[test]
fn tags_of_the_future_are_skipped() {
    // A NoOpRecord with tag 9 of two bytes.
    assert_eq!(MetadataRecord::decode(&[1, 20, 0, 1, 9, 2, 0xab, 0xcd]), Ok(MetadataRecord::NoOp(NoOpRecord)));
}

#[test]
fn every_proper_prefix_of_a_record_is_refused() {
    for record in every_kind() {
        let bytes = record.encode().unwrap();
        for end in 0..bytes.len() {
            assert!(MetadataRecord::decode(&bytes[..end]).is_err(), "{record:?} cut to {end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(MetadataRecord::decode(&longer), Err(DecodeError::TrailingBytes { bytes: 1 }));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_change(&bytes);
        let _ = MetadataRecord::decode(&bytes);
    }

    #[test]
    fn mutated_records_never_panic_and_what_decodes_encodes(
        kind in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let records = every_kind();
        let mut bytes = kind.get(&records).encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(record) = MetadataRecord::decode(&bytes) {
            let encoded = record.encode().unwrap();
            prop_assert_eq!(MetadataRecord::decode(&encoded), Ok(record));
        }
    }
}
