//! The four codecs of a record batch, always with a limit on what comes out.
//!
//! Owns the codec ids of a batch's attributes and the framing that Kafka's own clients write: gzip (RFC 1952), snappy in
//! xerial's framing, LZ4 frames of independent 64 KiB blocks, zstd (KIP-110). Reads what any client writes, which is more:
//! bare snappy, several gzip members, LZ4 frames or zstd frames in a row, with and without checksums and content sizes.
//!
//! Never trusts a size that the input claims: memory grows with the bytes that really come out, and stops at the
//! caller's limit. [`Decompressor`] and [`Compressor`] go piece by piece, for those who need not hold everything at once.
//! Leaves record structure to [`crate::records`].

mod compressor;
mod decompressor;
mod gzip;
mod lz4;
mod snappy;
mod zstd;

pub use compressor::Compressor;
pub use decompressor::Decompressor;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// What compresses the records of a batch: the low three bits of its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Records as they are.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Codec {
    /// Every codec, in order of id.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec with this id, unless the id is unknown.
    #[inline]
    pub const fn from_id(id: u8) -> Option<Codec> {
        match id {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }

    /// The id that goes into the attributes.
    #[inline]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The name that `compression.type` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A `compression.type` that names no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression type {0:?}: use none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCodec(pub String);

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        Self::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// More comes out than the caller allows.
    #[error("{codec} data decompresses to more than {max_bytes} bytes")]
    TooLarge {
        /// The codec of the data.
        codec: Codec,
        /// The caller's limit.
        max_bytes: usize,
    },
    /// Compressed, it takes more room than the caller allows.
    #[error("data takes more than {max_bytes} bytes in {codec}")]
    OutputTooLarge {
        /// The codec written.
        codec: Codec,
        /// The caller's limit.
        max_bytes: usize,
    },
    /// The data ends within a frame or block.
    #[error("{codec} data ends early")]
    Truncated {
        /// The codec of the data.
        codec: Codec,
    },
    /// The data is not what the codec writes.
    #[error("{codec} data is corrupt: {reason}")]
    Corrupt {
        /// The codec of the data.
        codec: Codec,
        /// What the codec said.
        reason: String,
    },
}

impl CompressionError {
    fn corrupt(codec: Codec, reason: impl fmt::Display) -> Self {
        Self::Corrupt { codec, reason: reason.to_string() }
    }
}

/// Compresses `data` at the codec's default level, in the framing that Kafka's clients expect.
pub fn compress(codec: Codec, data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    compress_into(codec, data, &mut out)?;
    Ok(out)
}

/// [`compress`], appended to `out`.
pub fn compress_into(codec: Codec, data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    compress_at_level(codec, None, data, out)
}

/// [`compress_into`], at a level of gzip's or zstd's own; none is the codec's default. Snappy has no levels, and LZ4 is
/// always written at its fast one.
pub fn compress_at_level(
    codec: Codec,
    level: Option<i32>,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    match codec {
        Codec::None => {
            out.extend_from_slice(data);
            Ok(())
        }
        Codec::Gzip => {
            let mut writer = gzip::writer(level, out);
            let written = writer.write_all(data).and_then(|()| writer.finish().map(drop));
            written.map_err(|error| CompressionError::corrupt(codec, error))
        }
        Codec::Snappy => snappy::compress(data, out),
        Codec::Lz4 => {
            let mut writer = lz4::writer(out);
            let written = writer.write_all(data).and_then(|()| writer.finish().map(drop).map_err(io::Error::from));
            written.map_err(|error| CompressionError::corrupt(codec, error))
        }
        Codec::Zstd => zstd::compress(data, level, out),
    }
}

/// Decompresses all of `data`; an error if more than `max_bytes` come out.
pub fn decompress(codec: Codec, data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut reader = Decompressor::new(codec, data, max_bytes);
    // About what real data needs, and bounded by what arrived.
    let mut out = vec![0; data.len().saturating_mul(4).min(max_bytes).max(1)];
    let mut len = 0;
    loop {
        if len == out.len() {
            // One byte over the limit tells "too much" from "exactly enough".
            out.resize(len.saturating_mul(2).min(max_bytes.saturating_add(1)).max(len + 1), 0);
        }
        match reader.read(&mut out[len..])? {
            0 => break,
            read => len += read,
        }
    }
    out.truncate(len);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: usize = 1 << 20;

    fn sample() -> Vec<u8> {
        (0..200_000u32).flat_map(|i| (i / 7).to_be_bytes()).collect()
    }

    #[test]
    fn every_codec_returns_what_it_was_given() {
        for data in [Vec::new(), b"x".to_vec(), sample()] {
            for codec in Codec::ALL {
                let packed = compress(codec, &data).unwrap();
                assert_eq!(decompress(codec, &packed, data.len()).unwrap(), data, "{codec}");
            }
        }
    }

    #[test]
    fn a_higher_level_makes_it_smaller_and_every_level_reads_back() {
        let data: Vec<u8> = (0..60_000u32).flat_map(|i| (i.wrapping_mul(i) >> 9).to_string().into_bytes()).collect();
        for (codec, low, high) in [(Codec::Gzip, 1, 9), (Codec::Zstd, -5, 19)] {
            let at = |level| {
                let mut packed = Vec::new();
                compress_at_level(codec, level, &data, &mut packed).unwrap();
                assert_eq!(decompress(codec, &packed, data.len()).unwrap(), data, "{codec} at {level:?}");
                packed
            };
            assert!(at(Some(high)).len() < at(Some(low)).len(), "{codec}");
            // A thread's context does not remember the level of the call before.
            assert_eq!(at(None), compress(codec, &data).unwrap(), "{codec}");
        }
    }

    #[test]
    fn output_stops_at_the_limit_exactly() {
        let data = sample();
        for codec in Codec::ALL {
            let packed = compress(codec, &data).unwrap();
            let max_bytes = data.len() - 1;
            assert_eq!(decompress(codec, &packed, max_bytes), Err(CompressionError::TooLarge { codec, max_bytes }));
        }
    }

    #[test]
    fn bombs_are_refused_at_the_limit() {
        let zeros = vec![0u8; 64 * MIB];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bomb = compress(codec, &zeros).unwrap();
            assert!(bomb.len() < 4 * MIB, "{codec}");
            assert_eq!(decompress(codec, &bomb, MIB), Err(CompressionError::TooLarge { codec, max_bytes: MIB }));
        }
    }

    #[test]
    fn data_cut_anywhere_is_an_error() {
        let data = &sample()[..10_000];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let packed = compress(codec, data).unwrap();
            // Snappy's framing has no end mark: between two blocks a cut leaves whole data (here, none after the header).
            let whole = if codec == Codec::Snappy { 16 } else { 0 };
            for cut in (1..packed.len()).filter(|&cut| cut != whole) {
                assert!(decompress(codec, &packed[..cut], MIB).is_err(), "{codec} cut at {cut}");
            }
        }
    }

    #[test]
    fn frames_in_a_row_decompress_as_one() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut packed = compress(codec, b"first ").unwrap();
            compress_into(codec, b"second", &mut packed).unwrap();
            assert_eq!(decompress(codec, &packed, MIB).unwrap(), b"first second", "{codec}");
        }
    }

    #[test]
    fn names_parse_back_and_others_are_refused_by_name() {
        for codec in Codec::ALL {
            assert_eq!(codec.name().parse(), Ok(codec));
            assert_eq!(Codec::from_id(codec.id()), Some(codec));
        }
        assert_eq!(Codec::from_id(5), None);
        assert_eq!("brotli".parse::<Codec>(), Err(UnknownCodec("brotli".into())));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_or_exceed_the_limit(data in proptest::collection::vec(any::<u8>(), 0..300), id in 0u8..5) {
            let codec = Codec::from_id(id).unwrap();
            if let Ok(out) = decompress(codec, &data, 4096) {
                prop_assert!(out.len() <= 4096);
            }
        }

        #[test]
        fn damaged_data_never_panics_or_exceeds_the_limit(
            data in proptest::collection::vec(any::<u8>(), 0..2000), id in 1u8..5, at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let codec = Codec::from_id(id).unwrap();
            let mut packed = compress(codec, &data).unwrap();
            let at = at.index(packed.len());
            packed[at] = byte;
            if let Ok(out) = decompress(codec, &packed, 4096) {
                prop_assert!(out.len() <= 4096);
            }
        }
    }
}
