//! Cuts a connection's byte stream into frames, receiving each big one straight into the buffer it is handled in.
//!
//! ```text
//!  0        4                4 + length
//!  | length | request ...    | length | request ...
//! ```
//!
//! Small frames arrive in the thread's scratch buffer, several at a time, and are copied out. Once the length of a big
//! frame is known, reads go directly into a buffer of its own, up to its end *and the four length bytes of the next one*,
//! so that a stream of big frames costs one system call and no copy a frame.
//!
//! Memory follows what arrived, never what a length claims: a first step of [`FIRST_STEP_BYTES`] from the thread's pool,
//! doubled whenever it is full, and cut to what arrived when the peer pauses. An idle connection holds no buffer.

use std::collections::VecDeque;

use bytes::buf::Limit;
use bytes::{BufMut, BytesMut};
use weir_protocol::frame::{self, FRAME_LENGTH_BYTES, FrameError};

use super::buffer_pool;
use super::frame::Frame;
use super::memory_budget::Reservation;

/// Frames from this size on are received directly into a buffer of their own.
const DIRECT_BYTES: usize = 8 * 1024;
/// What a big frame gets before more of it than that has arrived.
const FIRST_STEP_BYTES: usize = 256 * 1024;
/// The least a started frame's buffer holds while its peer pauses.
const MIN_PAUSED_BYTES: usize = 256;
/// Complete frames that wait for dispatch beyond which the queue's room is given back once it is empty.
const MAX_KEPT_QUEUE: usize = 16;

/// Where the next bytes should be received.
pub(super) enum Want<'a> {
    /// Anywhere: hand them to [`FrameReader::feed`].
    Scratch,
    /// At most this many, then [`FrameReader::feed`]: a big frame is likely to follow, and its bytes must not be read early.
    Prefix(usize),
    /// Straight into this buffer, then [`FrameReader::received_directly`].
    Direct(Limit<&'a mut BytesMut>),
}

/// One connection's frames, as far as they have arrived.
#[derive(Debug)]
pub(super) struct FrameReader {
    max_frame_bytes: usize,
    prefix: [u8; FRAME_LENGTH_BYTES],
    prefix_bytes: usize,
    /// Of the frame being received; known once the prefix is whole.
    length: usize,
    body: BytesMut,
    memory: Reservation,
    last_was_big: bool,
    complete: VecDeque<Frame>,
    failed: Option<(FrameError, [u8; FRAME_LENGTH_BYTES])>,
}

impl FrameReader {
    pub(super) fn new(max_frame_bytes: usize, memory: Reservation) -> FrameReader {
        FrameReader {
            max_frame_bytes,
            prefix: [0; FRAME_LENGTH_BYTES],
            prefix_bytes: 0,
            length: 0,
            body: BytesMut::new(),
            memory,
            last_was_big: false,
            complete: VecDeque::new(),
            failed: None,
        }
    }

    /// The next whole frame.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let frame = self.complete.pop_front();
        if self.complete.is_empty() && self.complete.capacity() > MAX_KEPT_QUEUE {
            self.complete = VecDeque::new();
        }
        frame
    }

    /// Whether a whole frame waits.
    pub(super) fn has_frame(&self) -> bool {
        !self.complete.is_empty()
    }

    /// A length that cannot be, with its bytes: nothing after it can be read. Frames before it are still to be had.
    pub(super) fn failure(&self) -> Option<&(FrameError, [u8; FRAME_LENGTH_BYTES])> {
        self.failed.as_ref()
    }

    /// Whether a frame has begun to arrive and is not whole.
    pub(super) fn is_mid_frame(&self) -> bool {
        self.prefix_bytes > 0
    }

    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        self.body.capacity()
    }

    /// Where to receive next; `None` while the total memory for requests is used up (see [`FrameReader::memory`]).
    pub(super) fn want(&mut self) -> Option<Want<'_>> {
        if self.prefix_bytes < FRAME_LENGTH_BYTES {
            return Some(match self.last_was_big {
                true => Want::Prefix(FRAME_LENGTH_BYTES - self.prefix_bytes),
                false => Want::Scratch,
            });
        }
        if self.length < DIRECT_BYTES {
            return Some(Want::Scratch);
        }
        if !self.make_room() {
            return None;
        }
        let missing = self.length + FRAME_LENGTH_BYTES - self.body.len();
        let spare = self.body.capacity() - self.body.len();
        Some(Want::Direct((&mut self.body).limit(missing.min(spare))))
    }

    /// Whether bytes for an unfinished frame may be fed now. New frames may always begin.
    pub(super) fn has_memory(&mut self) -> bool {
        !self.is_mid_frame() || !self.memory.is_exhausted()
    }

    /// The memory all connections share: where to wait when [`FrameReader::want`] gives nothing.
    pub(super) fn memory(&mut self) -> &mut Reservation {
        &mut self.memory
    }

    /// Bytes have been received into [`Want::Direct`].
    pub(super) fn received_directly(&mut self) {
        if self.body.len() < self.length {
            return;
        }
        let mut next = [0; FRAME_LENGTH_BYTES];
        let next_bytes = self.body.len() - self.length;
        next[..next_bytes].copy_from_slice(&self.body[self.length..]);
        self.body.truncate(self.length);
        self.last_was_big = true;
        self.finish();
        self.feed(&next[..next_bytes]);
    }

    /// Takes bytes received elsewhere: scratch or decrypted.
    pub(super) fn feed(&mut self, mut input: &[u8]) {
        while !input.is_empty() && self.failed.is_none() {
            if self.prefix_bytes < FRAME_LENGTH_BYTES {
                let part =
                    input.split_off(..input.len().min(FRAME_LENGTH_BYTES - self.prefix_bytes)).unwrap_or_default();
                self.prefix[self.prefix_bytes..][..part.len()].copy_from_slice(part);
                self.prefix_bytes += part.len();
                self.begin();
                continue;
            }
            let missing = self.length - self.body.len();
            if self.body.is_empty() && input.len() >= missing {
                // The common small frame: one exact copy.
                self.body =
                    if missing < DIRECT_BYTES { BytesMut::with_capacity(missing) } else { buffer_pool::take(missing) };
            } else {
                self.make_room_for(input.len().min(missing));
            }
            let part = input.split_off(..input.len().min(missing)).unwrap_or_default();
            self.body.extend_from_slice(part);
            if self.body.len() == self.length {
                self.last_was_big = false;
                self.finish();
            }
        }
    }

    /// The peer pauses: hold no more than a small multiple of what it has sent.
    pub(super) fn pause(&mut self) {
        let arrived = self.body.len();
        if self.body.capacity() == 0 || (arrived > self.body.capacity() / 4 && arrived >= MIN_PAUSED_BYTES) {
            return;
        }
        let mut kept = BytesMut::new();
        if arrived > 0 {
            kept.reserve((arrived * 2).max(MIN_PAUSED_BYTES));
            kept.extend_from_slice(&self.body);
        }
        if kept.capacity() < self.body.capacity() {
            buffer_pool::give_back(std::mem::replace(&mut self.body, kept));
            self.memory.resize(self.body.capacity());
        }
    }

    fn begin(&mut self) {
        match frame::length(&self.prefix[..self.prefix_bytes], self.max_frame_bytes) {
            Ok(None) => {}
            Ok(Some(length)) => {
                self.length = length;
                if length == 0 {
                    self.finish();
                }
            }
            Err(error) => self.failed = Some((error, self.prefix)),
        }
    }

    fn finish(&mut self) {
        self.complete.push_back(Frame::from(std::mem::take(&mut self.body)));
        self.memory.resize(0);
        self.prefix_bytes = 0;
        self.length = 0;
    }

    /// Room for a direct read. False if the shared memory for requests is used up.
    fn make_room(&mut self) -> bool {
        let whole = self.length + FRAME_LENGTH_BYTES;
        let step = whole.min(FIRST_STEP_BYTES);
        let capacity = self.body.capacity();
        if capacity < step {
            if !self.memory.try_resize(step) {
                return false;
            }
            let mut body = buffer_pool::take(step);
            body.extend_from_slice(&self.body);
            self.body = body;
        } else if self.body.len() == capacity {
            let next = whole.min(capacity * 2);
            if !self.memory.try_resize(next) {
                return false;
            }
            self.body.reserve(next - capacity);
        }
        true
    }

    /// Room for bytes that are here already: they were bounded when they were received.
    fn make_room_for(&mut self, bytes: usize) {
        let needed = self.body.len() + bytes;
        if needed <= self.body.capacity() {
            return;
        }
        let ample = self.length.min(FIRST_STEP_BYTES.max(needed * 2));
        let capacity = if self.memory.try_resize(ample) { ample } else { needed };
        let mut body =
            if capacity < DIRECT_BYTES { BytesMut::with_capacity(capacity) } else { buffer_pool::take(capacity) };
        body.extend_from_slice(&self.body);
        buffer_pool::give_back(std::mem::replace(&mut self.body, body));
        self.memory.resize(self.body.capacity());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::memory_budget::MemoryBudget;
    use super::*;

    fn reader(max: usize) -> FrameReader {
        FrameReader::new(max, Reservation::new(Arc::new(MemoryBudget::new(1 << 30))))
    }

    fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
        bodies.iter().flat_map(|body| [&(body.len() as u32).to_be_bytes()[..], body].concat()).collect()
    }

    /// Receives `stream` in steps of at most `step` bytes as a socket would, pausing after each if asked.
    fn receive(reader: &mut FrameReader, mut stream: &[u8], step: usize, pausing: bool) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while !stream.is_empty() && reader.failure().is_none() {
            let here = stream.len().min(step);
            match reader.want().unwrap() {
                Want::Scratch => reader.feed(stream.split_off(..here).unwrap()),
                Want::Prefix(most) => reader.feed(stream.split_off(..here.min(most)).unwrap()),
                Want::Direct(mut room) => {
                    let most = here.min(room.remaining_mut());
                    room.put_slice(stream.split_off(..most).unwrap());
                    reader.received_directly();
                }
            }
            if pausing {
                reader.pause();
                let arrived = reader.body.len();
                assert!(reader.held_bytes() <= (4 * arrived).max(MIN_PAUSED_BYTES), "{arrived} arrived");
            }
            while let Some(frame) = reader.next() {
                frames.push(frame.as_slice().to_vec());
            }
        }
        frames
    }

    #[test]
    fn frames_are_the_same_however_they_arrive() {
        let sizes = [1, 0, 9, 100, 7000, 8192, 65_700, 65_699, 3, 300_000, 1_200_000, 12, 70_000, 4];
        let bodies: Vec<Vec<u8>> =
            sizes.iter().map(|&size| (0..size).map(|n| (n * 7 + size) as u8).collect()).collect();
        let stream = framed(&bodies);
        for step in [1, 2, 3, 5, 4096, 65_536, 100_000, 10_000_000] {
            for pausing in [false, true] {
                if step < 100 && pausing {
                    continue;
                }
                assert!(receive(&mut reader(2_000_000), &stream, step, pausing) == bodies, "step {step} {pausing}");
            }
        }
    }

    #[test]
    fn decrypted_bytes_make_the_same_frames() {
        let bodies: Vec<Vec<u8>> = [10, 65_700, 20_000, 5].iter().map(|&size| vec![size as u8; size]).collect();
        let mut reader = reader(1_000_000);
        framed(&bodies).chunks(16_384).for_each(|record| reader.feed(record));
        let frames: Vec<Vec<u8>> =
            std::iter::from_fn(|| reader.next()).map(|frame| frame.as_slice().to_vec()).collect();
        assert!(frames == bodies);
    }

    #[test]
    fn a_frame_that_only_claims_to_be_big_holds_little() {
        let mut reader = reader(100_000_000);
        reader.feed(&100_000_000u32.to_be_bytes());
        reader.feed(&[1; 100]);
        reader.pause();
        assert!(reader.held_bytes() <= 400, "{}", reader.held_bytes());
    }

    #[test]
    fn an_impossible_length_ends_the_stream_after_the_frames_before_it() {
        for bad in [-1i32, i32::MIN, 1001] {
            let mut reader = reader(1000);
            let mut stream = framed(&[vec![1; 3]]);
            stream.extend(bad.to_be_bytes());
            reader.feed(&stream);
            assert_eq!(reader.next().unwrap().as_slice(), [1, 1, 1]);
            assert!(reader.next().is_none() && reader.failure().is_some());
        }
    }

    #[test]
    fn beyond_the_shared_memory_a_big_frame_waits() {
        let budget = Arc::new(MemoryBudget::new(FIRST_STEP_BYTES as u64));
        let mut readers: Vec<_> =
            (0..2).map(|_| FrameReader::new(1 << 20, Reservation::new(Arc::clone(&budget)))).collect();
        for reader in &mut readers {
            reader.feed(&(1u32 << 20).to_be_bytes());
        }
        assert!(readers[0].want().is_some());
        assert!(readers[1].want().is_none());
        readers.remove(0);
        assert!(readers[0].want().is_some());
    }
}
