//! LZ4 frames as Kafka's `Lz4BlockOutputStream` writes them: independent blocks of 64 KiB, no checksums but the header's.
//!
//! Reads any frame, with or without block and content checksums and content size, and several in a row.

use super::{Codec, CompressionError, first_capacity};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, BufRead, Read, Write};

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, out);
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish().map(drop).map_err(io::Error::from))
        .map_err(|error| CompressionError::corrupt(Codec::Lz4, error))
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let codec = Codec::Lz4;
    let mut out = Vec::with_capacity(first_capacity(data.len(), max_bytes));
    let mut decoder = FrameDecoder::new(Input { rest: data, overrun: false });
    loop {
        let block = match decoder.fill_buf() {
            Ok(block) => block,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(CompressionError::Truncated { codec });
            }
            Err(error) => return Err(CompressionError::corrupt(codec, error)),
        };
        let len = block.len();
        if len > max_bytes - out.len() {
            return Err(CompressionError::TooLarge { codec, max_bytes });
        }
        out.extend_from_slice(block);
        decoder.consume(len);
        let input = decoder.get_ref();
        match (len, input.overrun, input.rest.is_empty()) {
            // The decoder takes the end of input for the end of a frame.
            (_, true, _) => return Err(CompressionError::Truncated { codec }),
            (0, false, true) => return Ok(out),
            _ => {}
        }
    }
}

/// A slice that remembers being asked for more than it holds.
struct Input<'a> {
    rest: &'a [u8],
    overrun: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.rest.len());
        let (head, rest) = self.rest.split_at(len);
        buf[..len].copy_from_slice(head);
        self.rest = rest;
        self.overrun |= len < buf.len();
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf hello | lz4 -c --no-frame-crc -B4 -BI`; the frame header is the one that Kafka's Java producer writes.
    const HELLO: &[u8] =
        &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 5, 0, 0, 0x80, b'h', b'e', b'l', b'l', b'o', 0, 0, 0, 0];

    #[test]
    fn writes_the_frame_that_kafka_writes() {
        let mut out = Vec::new();
        compress(b"hello", &mut out).unwrap();
        assert_eq!(out, HELLO);
    }

    #[test]
    fn reads_frames_with_every_checksum_and_size_flag() {
        let data: Vec<u8> = (0..300_000u32).map(|i| (i / 100) as u8).collect();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for (content, block) in [(false, false), (true, false), (false, true), (true, true)] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .content_checksum(content)
                    .block_checksums(block)
                    .content_size(content.then_some(data.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&data).unwrap();
                assert_eq!(decompress(&encoder.finish().unwrap(), data.len()).unwrap(), data);
            }
        }
    }

    #[test]
    fn a_frame_without_its_end_mark_is_truncated() {
        let without_end = &HELLO[..HELLO.len() - 4];
        assert_eq!(decompress(without_end, 100), Err(CompressionError::Truncated { codec: Codec::Lz4 }));
        assert_eq!(decompress(&[], 100), Err(CompressionError::Truncated { codec: Codec::Lz4 }));
    }
}
