//! Zstandard (KIP-110), with one compression and one decompression context kept by each thread.
//!
//! Reads streamed frames without a content size, which is what Kafka's Java producer writes, and several frames in a row.
//! A context that a frame with a large window has grown is dropped instead of kept.
//!
//! What reading holds is the window that the frame asks for, as far as data fills it, and never more than [`WIDE_WINDOW_BYTES`]
//! or [`WIDE_WINDOW_RATIO`] times what arrived: a frame with a wider window must end by then.

use super::{Codec, CompressionError};
use std::cell::RefCell;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

const CODEC: Codec = Codec::Zstd;
/// Kafka's default level, and zstd's.
const LEVEL: i32 = 3;
/// The largest window that zstd-jni reads unless told otherwise: 128 MiB, reserved only if a frame asks, touched only as data comes.
const WINDOW_LOG_MAX: u32 = 27;
/// What one thread keeps between calls: enough for the 2 MiB windows of the default level.
const KEPT_CONTEXT_BYTES: usize = 8 << 20;
/// What compressed output grows by.
const STEP_BYTES: usize = 32 * 1024;
/// The widest window that is read whatever comes out: that of levels up to 19. Only levels 20 to 22 ask for more.
const WIDE_WINDOW_BYTES: usize = 8 << 20;
/// How much may come out of frames with wider windows, for each byte that arrived.
const WIDE_WINDOW_RATIO: usize = 8;

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

/// Compresses piece by piece into a buffer of its own.
pub(super) struct Writer {
    context: CCtx<'static>,
    pub(super) out: Vec<u8>,
}

impl Writer {
    pub(super) fn new(level: Option<i32>, out: Vec<u8>) -> Result<Self, CompressionError> {
        let mut context = COMPRESS.take().unwrap_or_default();
        context.reset(ResetDirective::SessionOnly).map_err(failed)?;
        context.set_parameter(CParameter::CompressionLevel(level.unwrap_or(LEVEL))).map_err(failed)?;
        Ok(Self { context, out })
    }

    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), CompressionError> {
        let mut input = InBuffer::around(data);
        while input.pos() < data.len() {
            self.out.reserve(STEP_BYTES);
            let at = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, at);
            self.context.compress_stream(&mut output, &mut input).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, CompressionError> {
        loop {
            self.out.reserve(STEP_BYTES);
            let at = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, at);
            if self.context.end_stream(&mut output).map_err(failed)? == 0 {
                break;
            }
        }
        if self.context.sizeof() <= KEPT_CONTEXT_BYTES {
            COMPRESS.set(Some(self.context));
        }
        Ok(self.out)
    }
}

/// Reads frames in a row. Takes the thread's context and gives it back.
pub(super) struct Reader<'a> {
    context: Option<DCtx<'static>>,
    data: &'a [u8],
    at: usize,
    between_frames: bool,
    /// Whether a frame asked for a wide window.
    wide: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { context: None, data, at: 0, between_frames: true, wide: false }
    }

    /// How much may come out in all because of the windows seen so far.
    pub(super) fn window_limit(&self) -> usize {
        if !self.wide {
            return usize::MAX;
        }
        self.data.len().saturating_mul(WIDE_WINDOW_RATIO).max(WIDE_WINDOW_BYTES)
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, CompressionError> {
        loop {
            if self.between_frames {
                if self.at == self.data.len() && self.at > 0 {
                    return Ok(0);
                }
                self.wide |= window_bytes(&self.data[self.at..]).is_some_and(|bytes| bytes > WIDE_WINDOW_BYTES as u64);
            }
            let context = match &mut self.context {
                Some(context) => context,
                none => none.insert(take_context()?),
            };
            let mut input = InBuffer { src: self.data, pos: self.at };
            let mut output = OutBuffer::around(out);
            let hint = context.decompress_stream(&mut output, &mut input).map_err(failed)?;
            let (written, progress) = (output.pos(), input.pos() > self.at);
            self.at = input.pos();
            self.between_frames = hint == 0;
            if written > 0 {
                return Ok(written);
            }
            // There was room to write.
            match hint {
                0 => {}
                _ if self.at == self.data.len() => return Err(CompressionError::Truncated { codec: CODEC }),
                _ if !progress => return Err(CompressionError::corrupt(CODEC, "no progress")),
                _ => {}
            }
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.context.take()
            && context.sizeof() <= KEPT_CONTEXT_BYTES
        {
            DECOMPRESS.set(Some(context));
        }
    }
}

fn take_context() -> Result<DCtx<'static>, CompressionError> {
    let mut context = DECOMPRESS.take().unwrap_or_else(DCtx::create);
    context.reset(ResetDirective::SessionOnly).map_err(failed)?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
    Ok(context)
}

/// The window that the frame at the front of `data` asks for (RFC 8878, 3.1.1.1); `None` if it is no frame with data.
///
/// ```text
/// 0  magic u32 LE
/// 4  descriptor: 7-6 size of the content size, 5 single segment, 1-0 size of the dictionary id
/// 5  window: 7-3 exponent, 2-0 mantissa; absent in a single segment, whose window is its content size
/// .  dictionary id, content size LE
/// ```
fn window_bytes(data: &[u8]) -> Option<u64> {
    const FRAME_MAGIC: [u8; 4] = 0xfd2f_b528u32.to_le_bytes();
    let (descriptor, rest) = data.strip_prefix(&FRAME_MAGIC)?.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = *rest.first()?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let dictionary_id_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size_bytes = 1usize << (descriptor >> 6);
    let field = rest.get(dictionary_id_bytes..dictionary_id_bytes + content_size_bytes)?;
    let mut bytes = [0; 8];
    bytes[..field.len()].copy_from_slice(field);
    // A field of two bytes counts from 256; that is no matter here.
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::{Decompressor, compress, decompress};
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
        assert_eq!(decompress(CODEC, &packed, data.len()).unwrap(), data);
        assert!(decompress(CODEC, &packed, data.len() - 1).is_err());
    }

    #[test]
    fn a_failure_does_not_spoil_the_next_call() {
        let packed = compress(CODEC, b"hello").unwrap();
        for _ in 0..3 {
            assert!(decompress(CODEC, &packed[..packed.len() - 1], 100).is_err());
            assert_eq!(decompress(CODEC, &packed, 100).unwrap(), b"hello");
        }
    }

    #[test]
    fn an_empty_input_is_truncated() {
        assert_eq!(decompress(CODEC, &[], 100), Err(CompressionError::Truncated { codec: CODEC }));
    }

    fn frame(window_log: u32, content_bytes: usize) -> Vec<u8> {
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        for _ in 0..content_bytes / 4096 {
            encoder.write_all(&[7; 4096]).unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn the_window_is_what_the_frame_says() {
        for window_log in [10, 17, 23, 27] {
            assert_eq!(window_bytes(&frame(window_log, 1 << 20)), Some(1 << window_log));
        }
        assert_eq!(window_bytes(&compress(CODEC, &[1; 300_000]).unwrap()), Some(300_000), "a single segment");
        assert_eq!(window_bytes(b"no frame"), None);
    }

    #[test]
    fn a_wide_window_is_read_until_much_more_comes_out_than_arrived() {
        let limit = 1 << 30;
        assert_eq!(decompress(CODEC, &frame(27, 4 << 20), limit).unwrap().len(), 4 << 20);
        assert_eq!(decompress(CODEC, &frame(23, 16 << 20), limit).unwrap().len(), 16 << 20);
        let wide = frame(24, 16 << 20);
        let max_bytes = WIDE_WINDOW_BYTES;
        assert_eq!(decompress(CODEC, &wide, limit), Err(CompressionError::TooLarge { codec: CODEC, max_bytes }));
    }

    #[test]
    fn reading_piece_by_piece_holds_the_window_of_the_frame() {
        let packed = frame(17, 64 << 20);
        let mut reader = Decompressor::new(CODEC, &packed, 64 << 20);
        let mut piece = [0; 4096];
        while reader.read(&mut piece).unwrap() > 0 {}
        drop(reader);
        let context = DECOMPRESS.take().expect("the thread keeps a small context");
        assert!(context.sizeof() < 1 << 20, "{}", context.sizeof());
    }
}
