//! Snappy in xerial's framing (`SnappyOutputStream` of snappy-java), which Kafka's clients write, or bare.
//!
//! ```text
//! 0   magic: 82 'S' 'N' 'A' 'P' 'P' 'Y' 00
//! 8   version i32 (1), lowest compatible version i32 (1)
//! 16  blocks: length i32, then that many bytes of one snappy block (32 KiB of data each)
//! ```
//! All big-endian. A header may come again between blocks. librdkafka writes one bare snappy block.
//!
//! A block is decompressed whole, for its copies may reach back to its beginning. No block grows by more than
//! [`HIGHEST_RATIO`], so that what is held is bounded by what arrived.

use super::{Codec, CompressionError};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
const VERSION: i32 = 1;
/// What snappy-java puts into a block.
pub(super) const BLOCK_BYTES: usize = 32 * 1024;
/// The smallest element that copies 64 bytes, the most that any does, takes three.
const HIGHEST_RATIO: usize = 64usize.div_ceil(3);
const CODEC: Codec = Codec::Snappy;

pub(super) fn put_header(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
}

/// Writes one block, of [`BLOCK_BYTES`] at most.
pub(super) fn put_block(encoder: &mut Encoder, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let length_at = out.len();
    out.resize(length_at + 4 + max_compress_len(block.len()), 0);
    let len =
        encoder.compress(block, &mut out[length_at + 4..]).map_err(|error| CompressionError::corrupt(CODEC, error))?;
    out.truncate(length_at + 4 + len);
    out[length_at..length_at + 4].copy_from_slice(&(len as u32).to_be_bytes());
    Ok(())
}

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    put_header(out);
    let mut encoder = Encoder::new();
    data.chunks(BLOCK_BYTES).try_for_each(|block| put_block(&mut encoder, block, out))
}

/// Reads xerial's framing or one bare block.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    framed: bool,
    bare_taken: bool,
    decoder: Decoder,
    /// The block that did not fit the caller's buffer, and how much of it was handed out.
    block: Vec<u8>,
    block_at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let framed = data.starts_with(&MAGIC);
        Self { rest: data, framed, bare_taken: false, decoder: Decoder::new(), block: Vec::new(), block_at: 0 }
    }

    /// `allowed` bytes may still come out.
    pub(super) fn read(
        &mut self,
        out: &mut [u8],
        allowed: usize,
        too_large: &CompressionError,
    ) -> Result<usize, CompressionError> {
        loop {
            if self.block_at < self.block.len() {
                let left = &self.block[self.block_at..];
                let len = left.len().min(out.len());
                out[..len].copy_from_slice(&left[..len]);
                self.block_at += len;
                return Ok(len);
            }
            let Some(packed) = self.next_block()? else { return Ok(0) };
            let len = claimed_len(packed)?;
            if len > allowed {
                return Err(too_large.clone());
            }
            let corrupt = |error| CompressionError::corrupt(CODEC, error);
            if len <= out.len() {
                self.decoder.decompress(packed, &mut out[..len]).map_err(corrupt)?;
                if len > 0 {
                    return Ok(len);
                }
            } else {
                self.block.resize(len, 0);
                self.block_at = len;
                self.decoder.decompress(packed, &mut self.block).map_err(corrupt)?;
                self.block_at = 0;
            }
        }
    }

    fn next_block(&mut self) -> Result<Option<&'a [u8]>, CompressionError> {
        if !self.framed {
            return Ok((!std::mem::replace(&mut self.bare_taken, true)).then_some(self.rest));
        }
        while self.rest.starts_with(&MAGIC) {
            self.rest = skip_header(self.rest)?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, after) = self.rest.split_first_chunk::<4>().ok_or(CompressionError::Truncated { codec: CODEC })?;
        let length = i32::from_be_bytes(*length);
        let length = usize::try_from(length)
            .map_err(|_| CompressionError::corrupt(CODEC, format_args!("block length {length}")))?;
        let (block, rest) = after.split_at_checked(length).ok_or(CompressionError::Truncated { codec: CODEC })?;
        self.rest = rest;
        Ok(Some(block))
    }
}

/// The size that a block says it has when decompressed, if it can.
fn claimed_len(block: &[u8]) -> Result<usize, CompressionError> {
    let len = decompress_len(block).map_err(|error| CompressionError::corrupt(CODEC, error))?;
    if len > block.len().saturating_mul(HIGHEST_RATIO) {
        return Err(CompressionError::corrupt(CODEC, format_args!("{len} bytes claimed by {}", block.len())));
    }
    Ok(len)
}

fn skip_header(data: &[u8]) -> Result<&[u8], CompressionError> {
    let header = data.get(..HEADER_BYTES).ok_or(CompressionError::Truncated { codec: CODEC })?;
    let compatible = i32::from_be_bytes([header[12], header[13], header[14], header[15]]);
    if compatible > VERSION {
        return Err(CompressionError::corrupt(CODEC, format_args!("xerial framing version {compatible}")));
    }
    Ok(&data[HEADER_BYTES..])
}

#[cfg(test)]
mod tests {
    use super::super::{compress, decompress};
    use super::*;

    #[test]
    fn writes_the_framing_of_snappy_java() {
        let out = compress(CODEC, b"hello").unwrap();
        let golden = [&MAGIC[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 5, 4 << 2], b"hello"].concat();
        assert_eq!(out, golden);
    }

    #[test]
    fn reads_a_bare_block() {
        let bare = Encoder::new().compress_vec(b"bare").unwrap();
        assert_eq!(decompress(CODEC, &bare, 4).unwrap(), b"bare");
    }

    #[test]
    fn a_claimed_size_allocates_nothing() {
        let claims_a_gib = [0x80, 0x80, 0x80, 0x80, 0x04, 0];
        assert!(matches!(decompress(CODEC, &claims_a_gib, usize::MAX / 2), Err(CompressionError::Corrupt { .. })));
    }

    #[test]
    fn a_negative_or_long_block_length_is_an_error() {
        let mut data = compress(CODEC, b"hello").unwrap();
        data[16] = 0xff;
        assert!(matches!(decompress(CODEC, &data, 100), Err(CompressionError::Corrupt { .. })));
        data[16] = 0x7f;
        assert_eq!(decompress(CODEC, &data, 100), Err(CompressionError::Truncated { codec: CODEC }));
    }
}
