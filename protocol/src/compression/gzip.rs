//! gzip (RFC 1952), as `java.util.zip` writes it; several members in a row are one stream.

use super::{Codec, CompressionError, read_capped};
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use std::io::Write;

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut encoder = GzEncoder::new(out, Compression::default());
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish().map(drop))
        .map_err(|error| CompressionError::corrupt(Codec::Gzip, error))
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    read_capped(Codec::Gzip, MultiGzDecoder::new(data), data.len(), max_bytes)
}
