//! Decompression bombs: checking the records of a batch, or writing them in another codec, takes a fixed amount of memory
//! whatever comes out of it.

#![allow(missing_docs)]

mod counting_allocator;

use counting_allocator::peak_bytes;
use weir_protocol::compression::Codec;
use weir_protocol::records::{BatchBuilder, RecordSkim, TranscodeLimits, transcode};

const MIB: usize = 1 << 20;
const BOMB_BYTES: usize = 16 * MIB;
const COMPRESSING: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
/// The window of the walk and the codec's own state. zstd's is not the allocator's to count; its own tests measure it.
const WALK_BYTES: usize = 256 * 1024;
/// Another codec's state beside it.
const TRANSCODE_BYTES: usize = WALK_BYTES + 384 * 1024;

/// Batches whose records take far more room than they do: one record, and many.
fn bombs(codec: Codec) -> [Vec<u8>; 2] {
    let value = vec![0; BOMB_BYTES];
    let mut one = BatchBuilder::new(codec);
    one.append(0, Some(b"key"), Some(&value), &[]).unwrap();
    let mut many = BatchBuilder::new(codec);
    for _ in 0..BOMB_BYTES / 1024 {
        many.append(0, Some(b"key"), Some(&value[..1024]), &[]).unwrap();
    }
    [one.build().unwrap().to_vec(), many.build().unwrap().to_vec()]
}

#[test]
fn records_are_checked_in_a_window_whatever_comes_out() {
    for codec in COMPRESSING {
        for bomb in bombs(codec) {
            let walk = || RecordSkim::new(&bomb, 2 * BOMB_BYTES).unwrap().filter(|record| record.is_ok()).count();
            let (records, held) = peak_bytes(walk);
            assert!(records > 0);
            assert!(held < WALK_BYTES, "{codec}: {held} bytes for {records} records");
        }
    }
}

#[test]
fn a_codec_is_changed_in_a_window_whatever_passes_through() {
    for from in COMPRESSING {
        let [one, many] = bombs(from);
        for bomb in [one, many] {
            for to in COMPRESSING {
                let limits = TranscodeLimits { decompressed_bytes: 2 * BOMB_BYTES, batch_bytes: BOMB_BYTES };
                let (changed, held) = peak_bytes(|| transcode(&bomb, to, None, limits).unwrap());
                // A growing buffer is there twice for a moment.
                let limit = TRANSCODE_BYTES + 3 * changed.len();
                assert!(held < limit, "{from} to {to}: {held} bytes held, {} written", changed.len());
            }
        }
    }
}

#[test]
fn what_would_be_too_large_is_given_up_when_it_is() {
    for from in COMPRESSING {
        let [one, _] = bombs(from);
        let limits = TranscodeLimits { decompressed_bytes: 2 * BOMB_BYTES, batch_bytes: MIB };
        let (result, held) = peak_bytes(|| transcode(&one, Codec::None, None, limits));
        assert!(result.is_err());
        assert!(held < TRANSCODE_BYTES + 3 * MIB, "{from}: {held}");
    }
}
