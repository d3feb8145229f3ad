//! LZ4 frames as Kafka's `Lz4BlockOutputStream` writes them: independent blocks of 64 KiB, no checksums but the header's.
//!
//! Reads any frame, with or without block and content checksums and content size, and several in a row.

use super::{Codec, CompressionError};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{self, BufRead, Read, Write};

const CODEC: Codec = Codec::Lz4;

pub(super) fn writer<W: Write>(out: W) -> FrameEncoder<W> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    FrameEncoder::with_frame_info(frame, out)
}

/// Reads frames in a row. Holds two blocks of the size that a frame asks for, 4 MiB at most (and three if they are linked).
pub(super) struct Reader<'a>(FrameDecoder<Input<'a>>);

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(FrameDecoder::new(Input { rest: data, overrun: false }))
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, CompressionError> {
        loop {
            let block = match self.0.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(CompressionError::Truncated { codec: CODEC });
                }
                Err(error) => return Err(CompressionError::corrupt(CODEC, error)),
            };
            let len = block.len().min(out.len());
            out[..len].copy_from_slice(&block[..len]);
            self.0.consume(len);
            let input = self.0.get_ref();
            match (len, input.overrun, input.rest.is_empty()) {
                // The decoder takes the end of input for the end of a frame.
                (_, true, _) => return Err(CompressionError::Truncated { codec: CODEC }),
                // Between two frames.
                (0, false, false) => {}
                _ => return Ok(len),
            }
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
    use super::super::{compress, decompress};
    use super::*;

    /// `printf hello | lz4 -c --no-frame-crc -B4 -BI`; the frame header is the one that Kafka's Java producer writes.
    const HELLO: &[u8] =
        &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 5, 0, 0, 0x80, b'h', b'e', b'l', b'l', b'o', 0, 0, 0, 0];

    #[test]
    fn writes_the_frame_that_kafka_writes() {
        assert_eq!(compress(CODEC, b"hello").unwrap(), HELLO);
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
                assert_eq!(decompress(CODEC, &encoder.finish().unwrap(), data.len()).unwrap(), data);
            }
        }
    }

    #[test]
    fn a_frame_without_its_end_mark_is_truncated() {
        let without_end = &HELLO[..HELLO.len() - 4];
        assert_eq!(decompress(CODEC, without_end, 100), Err(CompressionError::Truncated { codec: CODEC }));
        assert_eq!(decompress(CODEC, &[], 100), Err(CompressionError::Truncated { codec: CODEC }));
    }
}
