//! gzip (RFC 1952), as `java.util.zip` writes it; several members in a row are one stream.

use super::{Codec, CompressionError, read_capped};
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use std::io::Write;

/// `level` is 1 (fast) to 9 (small), or 0 for no compression at all; anything else is the default, 6.
pub(super) fn compress(data: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let level = level.and_then(|level| u32::try_from(level).ok()).filter(|level| *level <= 9);
    let mut encoder = GzEncoder::new(out, level.map_or_else(Compression::default, Compression::new));
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish().map(drop))
        .map_err(|error| CompressionError::corrupt(Codec::Gzip, error))
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    read_capped(Codec::Gzip, MultiGzDecoder::new(data), data.len(), max_bytes)
}
