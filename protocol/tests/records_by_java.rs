//! Batches that Kafka's own Java library (kafka-clients 4.3.1, `MemoryRecordsBuilder`) wrote, one for each codec.

use bytes::Bytes;
use weir_protocol::compression::Codec;
use weir_protocol::records::{BatchBuilder, BatchHeader, Header, Record, RecordIter, RecordSkim, batch};

/// The same three records by each codec: base offset 10, producer 7, epoch 1, sequence 3, leader epoch 5.
const BY_JAVA: [(&str, &str); 5] = [
    (
        "none",
        concat!(
            "000000000000000a000000bc00000005023fef6f6300000000000200000000000003e800000000000003e90000000000",
            "000007000100000003000000032a000000066b65790a76616c75650402680231026801d60100020201c8017878787878",
            "787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878",
            "787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787800",
            "0e000104026b0100",
        ),
    ),
    (
        "gzip",
        concat!(
            "000000000000000a0000006f0000000502bbeae19400010000000200000000000003e800000000000003e90000000000",
            "000007000100000003000000031f8b08000000000000ffd362606060cb4eade42a4bcc294d6561ca603264ca60bcc6c8",
            "c0c4c47882b1820e80818f819185299b910100d32d6b3d8b000000",
        ),
    ),
    (
        "snappy",
        concat!(
            "000000000000000a000000770000000502f8dfae6300020000000200000000000003e800000000000003e90000000000",
            "0000070001000000030000000382534e41505059000000000100000001000000328b01782a000000066b65790a76616c",
            "75650402680231026801d60100020201c80178fe01008a010020000e000104026b0100",
        ),
    ),
    (
        "lz4",
        concat!(
            "000000000000000a0000006e00000005022746374300030000000200000000000003e800000000000003e90000000000",
            "0000070001000000030000000304224d186040822e000000ff102a000000066b65790a76616c75650402680231026801",
            "d60100020201c8017801005090000e000104026b010000000000",
        ),
    ),
    (
        "zstd",
        concat!(
            "000000000000000a0000006d00000005023aead11800040000000200000000000003e800000000000003e90000000000",
            "0000070001000000030000000328b52ffd005884010084022a000000066b65790a76616c75650402680231026801d601",
            "00020201c80178000e000104026b0100010083143801010000",
        ),
    ),
];

fn by_java(hex: &str) -> Vec<u8> {
    let (digits, _) = hex.as_bytes().as_chunks::<2>();
    digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn records() -> [Record; 3] {
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let headers: Vec<Header> = vec![("h".into(), text("1")), ("h".into(), None)];
    let long = Some(Bytes::from(vec![b'x'; 100]));
    [
        Record { offset: 10, timestamp: 1000, key: text("key"), value: text("value"), headers },
        Record { offset: 11, timestamp: 1001, key: None, value: long, headers: Vec::new() },
        Record { offset: 12, timestamp: 999, key: text("k"), value: None, headers: Vec::new() },
    ]
}

#[test]
fn every_codec_of_the_java_library_is_read() {
    for (codec, hex) in BY_JAVA {
        let bytes = by_java(hex);
        batch::verify_crc(&bytes).unwrap();
        let header = BatchHeader::parse(&bytes).unwrap();
        assert_eq!((header.size_bytes(), header.compression().name()), (bytes.len(), codec));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 1, 3));
        assert_eq!((header.partition_leader_epoch, header.max_timestamp, header.records_count), (5, 1001, 3));
        let read: Vec<_> = RecordIter::new(Bytes::from(bytes.clone()), 1000).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, records(), "{codec}");
        assert_eq!(RecordSkim::new(&bytes, 1000).unwrap().map(Result::unwrap).count(), 3);
    }
}

#[test]
fn we_write_the_very_same_bytes_and_the_same_frames_around_compressed_ones() {
    for (codec, hex) in BY_JAVA {
        let codec: Codec = codec.parse().unwrap();
        let mut builder = BatchBuilder::new(codec).base_offset(10).partition_leader_epoch(5).producer(7, 1, 3);
        for record in records() {
            builder.append_record(&record).unwrap();
        }
        let ours = builder.build().unwrap();
        match codec {
            Codec::None => assert_eq!(ours[..], by_java(hex)),
            // Other encoders find other matches; only the frame around them is the same.
            Codec::Lz4 => assert_eq!(ours[61..68], by_java(hex)[61..68]),
            _ => assert_eq!(ours[61..63], by_java(hex)[61..63]),
        }
    }
}
