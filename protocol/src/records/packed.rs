//! Compressed records, walked through a window of fixed size.
//!
//! A record that fits the window is checked where it lies in it. Of a longer one only the lengths are read, and what they
//! count is passed over as it comes out of the codec: a record of any size is checked in the same memory.

use super::batch::{BatchHeader, TimestampType};
use super::record::{MAX_LENGTH_BYTES, RecordError, RecordView, Walk};
use super::skim::SkimmedRecord;
use super::varint;
use crate::compression::{Codec, CompressionError, Decompressor};

/// What is held of the decompressed bytes.
const WINDOW_BYTES: usize = 16 * 1024;

/// The bytes of a batch's records as they come out of the codec.
#[derive(Debug)]
pub(super) struct PackedRecords<'a> {
    stream: Decompressor<'a>,
    window: Box<[u8]>,
    /// What of the window is not yet walked.
    at: usize,
    end: usize,
}

/// Why a record cannot be taken.
enum Stop {
    Field(&'static str),
    Compression(CompressionError),
}

impl From<CompressionError> for Stop {
    fn from(error: CompressionError) -> Self {
        Self::Compression(error)
    }
}

impl From<&'static str> for Stop {
    fn from(field: &'static str) -> Self {
        Self::Field(field)
    }
}

impl<'a> PackedRecords<'a> {
    pub(super) fn new(codec: Codec, body: &'a [u8], max_bytes: usize) -> Self {
        let stream = Decompressor::new(codec, body, max_bytes);
        Self { stream, window: vec![0; WINDOW_BYTES].into_boxed_slice(), at: 0, end: 0 }
    }

    /// The next record, as `walk` allows it.
    #[inline]
    pub(super) fn next(&mut self, walk: &mut Walk, header: &BatchHeader) -> Option<Result<SkimmedRecord, RecordError>> {
        if walk.has_ended() {
            return None;
        }
        let at_end = match self.hold(1) {
            Ok(held) => held == 0,
            Err(error) => return Some(Err(walk.fail(error))),
        };
        let index = match walk.begin(at_end)? {
            Ok(index) => index,
            Err(error) => return Some(Err(error)),
        };
        Some(match self.take(header) {
            Ok(record) => walk.check(index, record.offset_delta).map(|()| record),
            Err(Stop::Field(field)) => Err(walk.invalid(index, field)),
            Err(Stop::Compression(error)) => Err(walk.fail(error)),
        })
    }

    #[inline]
    fn take(&mut self, header: &BatchHeader) -> Result<SkimmedRecord, Stop> {
        self.hold(MAX_LENGTH_BYTES)?;
        let before = self.end - self.at;
        let mut rest = &self.window[self.at..self.end];
        let length = varint::take_i32(&mut rest).and_then(|length| usize::try_from(length).ok()).ok_or("length")?;
        let prefix_bytes = before - rest.len();
        if prefix_bytes + length > self.window.len() {
            self.at += prefix_bytes;
            return LongRecord { packed: self, left: length }.take(header);
        }
        if self.hold(prefix_bytes + length)? < prefix_bytes + length {
            return Err(Stop::Field("length beyond the batch"));
        }
        let mut record = &self.window[self.at..self.at + prefix_bytes + length];
        let view = RecordView::take(&mut record)?;
        self.at += prefix_bytes + length;
        Ok(SkimmedRecord::of(&view, header))
    }

    /// Has `wanted` bytes side by side in the window, or all that are left, and says how many it has.
    #[inline]
    fn hold(&mut self, wanted: usize) -> Result<usize, CompressionError> {
        if self.end - self.at < wanted {
            self.refill(wanted)?;
        }
        Ok(self.end - self.at)
    }

    fn refill(&mut self, wanted: usize) -> Result<(), CompressionError> {
        self.window.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        while self.end < wanted {
            match self.stream.read(&mut self.window[self.end..])? {
                0 => break,
                read => self.end += read,
            }
        }
        Ok(())
    }

    /// Passes over `count` bytes; says whether there were as many.
    fn pass_over(&mut self, mut count: usize) -> Result<bool, CompressionError> {
        loop {
            let held = count.min(self.end - self.at);
            self.at += held;
            count -= held;
            if count == 0 || self.hold(1)? == 0 {
                return Ok(count == 0);
            }
        }
    }
}

/// A record that is longer than the window: `left` of its bytes are still to come. Laid out as [`RecordView`] says.
struct LongRecord<'p, 'a> {
    packed: &'p mut PackedRecords<'a>,
    left: usize,
}

impl LongRecord<'_, '_> {
    fn take(mut self, header: &BatchHeader) -> Result<SkimmedRecord, Stop> {
        self.pass_over(1, "attributes")?;
        let timestamp_delta = self.number(varint::take_i64, "timestamp delta")?;
        let offset_delta = self.number(varint::take_i32, "offset delta")?;
        if offset_delta < 0 {
            return Err(Stop::Field("offset delta"));
        }
        let key_bytes = self.pass_over_nullable("key")?;
        let value_bytes = self.pass_over_nullable("value")?;
        let headers_count = self.number(varint::take_i32, "headers count")?;
        for _ in 0..u32::try_from(headers_count).map_err(|_| "headers count")? {
            self.pass_over_nullable("header")?.ok_or("header")?;
            self.pass_over_nullable("header")?;
        }
        if self.left > 0 {
            return Err(Stop::Field("length longer than the fields"));
        }
        let timestamp = match header.timestamp_type() {
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => header.max_timestamp,
        };
        Ok(SkimmedRecord { offset_delta, timestamp, key_bytes, value_bytes })
    }

    fn number<T>(&mut self, take: impl Fn(&mut &[u8]) -> Option<T>, field: &'static str) -> Result<T, Stop> {
        let held = self.packed.hold(varint::MAX_BYTES_64)?.min(self.left);
        let mut rest = &self.packed.window[self.packed.at..self.packed.at + held];
        let number = take(&mut rest).ok_or(field)?;
        let taken = held - rest.len();
        self.packed.at += taken;
        self.left -= taken;
        Ok(number)
    }

    fn pass_over(&mut self, count: usize, field: &'static str) -> Result<(), Stop> {
        self.left = self.left.checked_sub(count).ok_or(field)?;
        if !self.packed.pass_over(count)? {
            return Err(Stop::Field("length beyond the batch"));
        }
        Ok(())
    }

    fn pass_over_nullable(&mut self, field: &'static str) -> Result<Option<u32>, Stop> {
        let length = self.number(varint::take_i32, field)?;
        if length == -1 {
            return Ok(None);
        }
        let length = u32::try_from(length).map_err(|_| field)?;
        self.pass_over(length as usize, field)?;
        Ok(Some(length))
    }
}
