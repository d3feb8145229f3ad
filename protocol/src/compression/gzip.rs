//! gzip (RFC 1952), as `java.util.zip` writes it; several members in a row are one stream.

use super::{Codec, CompressionError};
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use std::io::{self, Read, Write};

/// `level` is 1 (fast) to 9 (small), or 0 for no compression at all; anything else is the default, 6.
pub(super) fn writer<W: Write>(level: Option<i32>, out: W) -> GzEncoder<W> {
    let level = level.and_then(|level| u32::try_from(level).ok()).filter(|level| *level <= 9);
    GzEncoder::new(out, level.map_or_else(Compression::default, Compression::new))
}

/// Reads one stream.
pub(super) struct Reader<'a>(MultiGzDecoder<&'a [u8]>);

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(MultiGzDecoder::new(data))
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, CompressionError> {
        self.0.read(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CompressionError::Truncated { codec: Codec::Gzip },
            _ => CompressionError::corrupt(Codec::Gzip, error),
        })
    }
}
