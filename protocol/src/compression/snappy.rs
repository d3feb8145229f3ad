//! Snappy in xerial's framing (`SnappyOutputStream` of snappy-java), which Kafka's clients write, or bare.
//!
//! ```text
//! 0   magic: 82 'S' 'N' 'A' 'P' 'P' 'Y' 00
//! 8   version i32 (1), lowest compatible version i32 (1)
//! 16  blocks: length i32, then that many bytes of one snappy block (32 KiB of data each)
//! ```
//! All big-endian. A header may come again between blocks. librdkafka writes one bare snappy block.

use super::{Codec, CompressionError, first_capacity};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
const VERSION: i32 = 1;
/// What snappy-java puts into a block.
const BLOCK_BYTES: usize = 32 * 1024;
const CODEC: Codec = Codec::Snappy;

pub(super) fn compress(data: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for block in data.chunks(BLOCK_BYTES) {
        let length_at = out.len();
        out.resize(length_at + 4 + max_compress_len(block.len()), 0);
        let len = encoder
            .compress(block, &mut out[length_at + 4..])
            .map_err(|error| CompressionError::corrupt(CODEC, error))?;
        out.truncate(length_at + 4 + len);
        out[length_at..length_at + 4].copy_from_slice(&(len as u32).to_be_bytes());
    }
    Ok(())
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(first_capacity(data.len(), max_bytes));
    let mut decoder = Decoder::new();
    if !data.starts_with(&MAGIC) {
        decompress_block(&mut decoder, data, &mut out, max_bytes)?;
        return Ok(out);
    }
    let mut rest = data;
    while !rest.is_empty() {
        if rest.starts_with(&MAGIC) {
            rest = skip_header(rest)?;
            continue;
        }
        let (length, after) = rest.split_first_chunk::<4>().ok_or(CompressionError::Truncated { codec: CODEC })?;
        let length = i32::from_be_bytes(*length);
        let length = usize::try_from(length)
            .map_err(|_| CompressionError::corrupt(CODEC, format_args!("block length {length}")))?;
        let block = after.get(..length).ok_or(CompressionError::Truncated { codec: CODEC })?;
        decompress_block(&mut decoder, block, &mut out, max_bytes)?;
        rest = &after[length..];
    }
    Ok(out)
}

fn skip_header(data: &[u8]) -> Result<&[u8], CompressionError> {
    let header = data.get(..HEADER_BYTES).ok_or(CompressionError::Truncated { codec: CODEC })?;
    let compatible = i32::from_be_bytes([header[12], header[13], header[14], header[15]]);
    if compatible > VERSION {
        return Err(CompressionError::corrupt(CODEC, format_args!("xerial framing version {compatible}")));
    }
    Ok(&data[HEADER_BYTES..])
}

fn decompress_block(
    decoder: &mut Decoder,
    block: &[u8],
    out: &mut Vec<u8>,
    max_bytes: usize,
) -> Result<(), CompressionError> {
    /// A snappy element of three bytes copies at most 64.
    const HIGHEST_RATIO: usize = 64;
    let len = decompress_len(block).map_err(|error| CompressionError::corrupt(CODEC, error))?;
    if len > max_bytes - out.len() {
        return Err(CompressionError::TooLarge { codec: CODEC, max_bytes });
    }
    if len > block.len().saturating_mul(HIGHEST_RATIO) {
        return Err(CompressionError::corrupt(CODEC, format_args!("{len} bytes claimed by {}", block.len())));
    }
    let at = out.len();
    out.resize(at + len, 0);
    decoder.decompress(block, &mut out[at..]).map_err(|error| CompressionError::corrupt(CODEC, error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_framing_of_snappy_java() {
        let mut out = Vec::new();
        compress(b"hello", &mut out).unwrap();
        let golden = [&MAGIC[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 5, 4 << 2], b"hello"].concat();
        assert_eq!(out, golden);
    }

    #[test]
    fn reads_a_bare_block() {
        let bare = Encoder::new().compress_vec(b"bare").unwrap();
        assert_eq!(decompress(&bare, 4).unwrap(), b"bare");
    }

    #[test]
    fn a_claimed_size_allocates_nothing() {
        let claims_a_gib = [0x80, 0x80, 0x80, 0x80, 0x04, 0];
        assert!(matches!(decompress(&claims_a_gib, usize::MAX / 2), Err(CompressionError::Corrupt { .. })));
    }

    #[test]
    fn a_negative_or_long_block_length_is_an_error() {
        let mut data = Vec::new();
        compress(b"hello", &mut data).unwrap();
        data[16] = 0xff;
        assert!(matches!(decompress(&data, 100), Err(CompressionError::Corrupt { .. })));
        data[16] = 0x7f;
        assert_eq!(decompress(&data, 100), Err(CompressionError::Truncated { codec: CODEC }));
    }
}
