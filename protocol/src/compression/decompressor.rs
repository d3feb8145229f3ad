//! Decompression piece by piece, with a limit on what comes out in all.

use super::{Codec, CompressionError, gzip, lz4, snappy, zstd};
use std::fmt;

/// Decompresses bytes into whatever buffer is at hand.
///
/// What it holds does not grow with what comes out: gzip needs its window of 32 KiB, LZ4 the blocks of its frame (64 KiB as
/// Kafka writes them, 4 MiB at most), zstd the window of its frame, snappy its largest block.
pub struct Decompressor<'a> {
    codec: Codec,
    reader: Reader<'a>,
    produced: usize,
    max_bytes: usize,
    ended: bool,
}

enum Reader<'a> {
    None(&'a [u8]),
    Gzip(gzip::Reader<'a>),
    Snappy(snappy::Reader<'a>),
    Lz4(lz4::Reader<'a>),
    Zstd(zstd::Reader<'a>),
}

impl<'a> Decompressor<'a> {
    /// Begins with the first byte of `data`; more than `max_bytes` coming out is an error.
    pub fn new(codec: Codec, data: &'a [u8], max_bytes: usize) -> Self {
        let reader = match codec {
            Codec::None => Reader::None(data),
            Codec::Gzip => Reader::Gzip(gzip::Reader::new(data)),
            Codec::Snappy => Reader::Snappy(snappy::Reader::new(data)),
            Codec::Lz4 => Reader::Lz4(lz4::Reader::new(data)),
            Codec::Zstd => Reader::Zstd(zstd::Reader::new(data)),
        };
        Self { codec, reader, produced: 0, max_bytes, ended: false }
    }

    /// Fills the front of `out`, which has room, and returns how much; 0 at the end of the data only.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, CompressionError> {
        assert!(!out.is_empty(), "room for what comes out");
        if self.ended {
            return Ok(0);
        }
        let allowed = self.max_bytes - self.produced;
        // One byte more than allowed tells "too much" from "exactly enough".
        let room = out.len().min(allowed.saturating_add(1));
        let out = &mut out[..room];
        let too_large = |max_bytes| CompressionError::TooLarge { codec: self.codec, max_bytes };
        let read = match &mut self.reader {
            Reader::None(rest) => {
                let (head, tail) = rest.split_at(rest.len().min(room));
                out[..head.len()].copy_from_slice(head);
                *rest = tail;
                head.len()
            }
            Reader::Gzip(reader) => reader.read(out)?,
            Reader::Snappy(reader) => reader.read(out, allowed, &too_large(self.max_bytes))?,
            Reader::Lz4(reader) => reader.read(out)?,
            Reader::Zstd(reader) => {
                let read = reader.read(out)?;
                let limit = reader.window_limit();
                if self.produced + read > limit && limit < self.max_bytes {
                    return Err(too_large(limit));
                }
                read
            }
        };
        if read > allowed {
            return Err(too_large(self.max_bytes));
        }
        self.produced += read;
        self.ended = read == 0;
        Ok(read)
    }
}

impl fmt::Debug for Decompressor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("codec", &self.codec)
            .field("produced", &self.produced)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}
