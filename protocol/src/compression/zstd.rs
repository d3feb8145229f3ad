//! Zstandard (KIP-110), with one compression and one decompression context kept by each thread.
//!
//! Reads streamed frames without a content size, which is what Kafka's Java producer writes, and several frames in a row.
//! A context that a frame with a large window has grown is dropped instead of kept.

use super::{Codec, CompressionError, first_capacity};
use std::cell::RefCell;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

const CODEC: Codec = Codec::Zstd;
/// Kafka's default level, and zstd's.
const LEVEL: i32 = 3;
/// The largest window that zstd-jni reads unless told otherwise: 128 MiB, reserved only if a frame asks, touched only as data comes.
const WINDOW_LOG_MAX: u32 = 27;
/// What one thread keeps between calls: enough for the 2 MiB windows of the default level.
const KEPT_CONTEXT_BYTES: usize = 8 << 20;
/// Output grows by at least this.
const STEP_BYTES: usize = 64 * 1024;

thread_local! {
    static COMPRESS: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESS: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

fn failed(code: usize) -> CompressionError {
    CompressionError::corrupt(CODEC, get_error_name(code))
}

/// A level out of zstd's range is taken as the nearest in it.
pub(super) fn compress(data: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut context = COMPRESS.take().unwrap_or_default();
    context.set_parameter(CParameter::CompressionLevel(level.unwrap_or(LEVEL))).map_err(failed)?;
    let at = out.len();
    out.resize(at + zstd::zstd_safe::compress_bound(data.len()), 0);
    let written = context.compress2(&mut out[at..], data).map_err(failed)?;
    out.truncate(at + written);
    if context.sizeof() <= KEPT_CONTEXT_BYTES {
        COMPRESS.set(Some(context));
    }
    Ok(())
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut context = match DECOMPRESS.take() {
        Some(mut context) => {
            context.reset(ResetDirective::SessionOnly).map_err(failed)?;
            context
        }
        None => {
            let mut context = DCtx::create();
            context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
            context
        }
    };
    let result = decompress_stream(&mut context, data, max_bytes);
    if context.sizeof() <= KEPT_CONTEXT_BYTES {
        DECOMPRESS.set(Some(context));
    }
    result
}

fn decompress_stream(context: &mut DCtx<'_>, data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(first_capacity(data.len(), max_bytes));
    let mut input = InBuffer::around(data);
    loop {
        if out.len() == out.capacity() {
            grow(&mut out, max_bytes);
        }
        let (read_before, written_before) = (input.pos(), out.len());
        let mut output = OutBuffer::around_pos(&mut out, written_before);
        let hint = context.decompress_stream(&mut output, &mut input).map_err(failed)?;
        if out.len() > max_bytes {
            return Err(CompressionError::TooLarge { codec: CODEC, max_bytes });
        }
        let room = out.len() < out.capacity();
        match (hint, input.pos() == data.len()) {
            (0, true) => return Ok(out),
            (0, false) => {}
            // Everything was read and there is room to write, yet the frame wants more.
            (_, true) if room => return Err(CompressionError::Truncated { codec: CODEC }),
            _ if room && input.pos() == read_before && out.len() == written_before => {
                return Err(CompressionError::corrupt(CODEC, "no progress"));
            }
            _ => {}
        }
    }
}

/// Doubles `out`, but to one byte over the limit at most: that byte tells "too much" from "exactly enough".
fn grow(out: &mut Vec<u8>, max_bytes: usize) {
    let target = out.capacity().saturating_mul(2).max(STEP_BYTES).min(max_bytes.saturating_add(1));
    out.reserve_exact(target.saturating_sub(out.len()).max(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_streamed_frame_without_content_size_is_read() {
        let data: Vec<u8> = (0..500_000u32).map(|i| (i / 50) as u8).collect();
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        for part in data.chunks(1000) {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
        }
        let packed = encoder.finish().unwrap();
        assert_eq!(decompress(&packed, data.len()).unwrap(), data);
        assert!(decompress(&packed, data.len() - 1).is_err());
    }

    #[test]
    fn a_failure_does_not_spoil_the_next_call() {
        let mut packed = Vec::new();
        compress(b"hello", None, &mut packed).unwrap();
        for _ in 0..3 {
            assert!(decompress(&packed[..packed.len() - 1], 100).is_err());
            assert_eq!(decompress(&packed, 100).unwrap(), b"hello");
        }
    }

    #[test]
    fn an_empty_input_is_truncated() {
        assert_eq!(decompress(&[], 100), Err(CompressionError::Truncated { codec: CODEC }));
    }
}
