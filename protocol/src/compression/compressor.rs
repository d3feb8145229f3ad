//! Compression piece by piece into a bounded buffer, in the framing that Kafka's clients expect.

use super::{Codec, CompressionError, gzip, lz4, snappy, zstd};
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;
use snap::raw::Encoder;
use std::fmt;
use std::io::{self, Write};

/// Compresses what it is given and appends it to a buffer, up to a limit.
pub struct Compressor {
    codec: Codec,
    writer: Writer,
    max_bytes: usize,
}

enum Writer {
    None(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Snappy { encoder: Box<Encoder>, block: Vec<u8>, out: Vec<u8> },
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd(zstd::Writer),
}

impl Compressor {
    /// Appends to `out`, which may grow to `max_bytes` in all. The level is gzip's or zstd's own, as in
    /// [`super::compress_at_level`].
    pub fn new(codec: Codec, level: Option<i32>, mut out: Vec<u8>, max_bytes: usize) -> Result<Self, CompressionError> {
        let writer = match codec {
            Codec::None => Writer::None(out),
            Codec::Gzip => Writer::Gzip(gzip::writer(level, out)),
            Codec::Snappy => {
                snappy::put_header(&mut out);
                let block = Vec::with_capacity(snappy::BLOCK_BYTES);
                Writer::Snappy { encoder: Box::new(Encoder::new()), block, out }
            }
            Codec::Lz4 => Writer::Lz4(Box::new(lz4::writer(out))),
            Codec::Zstd => Writer::Zstd(zstd::Writer::new(level, out)?),
        };
        Ok(Self { codec, writer, max_bytes })
    }

    /// Takes the next bytes. What the codec keeps back for better compression comes out later.
    pub fn write(&mut self, mut data: &[u8]) -> Result<(), CompressionError> {
        let corrupt = |error: io::Error| CompressionError::corrupt(self.codec, error);
        match &mut self.writer {
            Writer::None(out) => out.extend_from_slice(data),
            Writer::Gzip(encoder) => encoder.write_all(data).map_err(corrupt)?,
            Writer::Snappy { encoder, block, out } => {
                while !data.is_empty() {
                    let (head, tail) = data.split_at(data.len().min(snappy::BLOCK_BYTES - block.len()));
                    block.extend_from_slice(head);
                    data = tail;
                    if block.len() == snappy::BLOCK_BYTES {
                        snappy::put_block(encoder, block, out)?;
                        block.clear();
                    }
                }
            }
            Writer::Lz4(encoder) => encoder.write_all(data).map_err(corrupt)?,
            Writer::Zstd(writer) => writer.write(data)?,
        }
        let written = match &self.writer {
            Writer::None(out) | Writer::Snappy { out, .. } => out.len(),
            Writer::Gzip(encoder) => encoder.get_ref().len(),
            Writer::Lz4(encoder) => encoder.get_ref().len(),
            Writer::Zstd(writer) => writer.out.len(),
        };
        self.check_size(written)
    }

    /// The buffer, with all that was given.
    pub fn finish(mut self) -> Result<Vec<u8>, CompressionError> {
        let corrupt = |error: io::Error| CompressionError::corrupt(self.codec, error);
        let out = match std::mem::replace(&mut self.writer, Writer::None(Vec::new())) {
            Writer::None(out) => out,
            Writer::Gzip(encoder) => encoder.finish().map_err(corrupt)?,
            Writer::Snappy { mut encoder, block, mut out } => {
                if !block.is_empty() {
                    snappy::put_block(&mut encoder, &block, &mut out)?;
                }
                out
            }
            Writer::Lz4(encoder) => encoder.finish().map_err(|error| corrupt(error.into()))?,
            Writer::Zstd(writer) => writer.finish()?,
        };
        self.check_size(out.len())?;
        Ok(out)
    }

    fn check_size(&self, written: usize) -> Result<(), CompressionError> {
        match written > self.max_bytes {
            true => Err(CompressionError::OutputTooLarge { codec: self.codec, max_bytes: self.max_bytes }),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("codec", &self.codec)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decompress;
    use super::*;

    fn in_pieces(codec: Codec, data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
        let mut compressor = Compressor::new(codec, None, b"head".to_vec(), max_bytes)?;
        for piece in data.chunks(1000) {
            compressor.write(piece)?;
        }
        compressor.finish()
    }

    #[test]
    fn pieces_read_back_as_one_after_what_the_buffer_held() {
        for len in [0, 1, 32 * 1024, 100_001] {
            let data: Vec<u8> = (0..len).map(|i: u32| (i / 9) as u8).collect();
            for codec in Codec::ALL {
                let out = in_pieces(codec, &data, usize::MAX).unwrap();
                assert_eq!(&out[..4], b"head");
                assert_eq!(decompress(codec, &out[4..], data.len()).unwrap(), data, "{codec}");
            }
        }
    }

    #[test]
    fn what_is_too_large_ends_early() {
        // Random enough that no codec makes it small.
        let mut state = 1u64;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as u8
        });
        let data: Vec<u8> = random.take(300_000).collect();
        for codec in Codec::ALL {
            let max_bytes = 20_000;
            let ended = in_pieces(codec, &data, max_bytes).map(|out| out.len());
            assert_eq!(ended, Err(CompressionError::OutputTooLarge { codec, max_bytes }));
        }
    }
}
