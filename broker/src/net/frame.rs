//! One received request, in the buffer it was received into.
//!
//! The codec wants `Bytes` that share the buffer; the produce path wants to patch base offset and leader epoch into the
//! record batches where they lie; the network wants the buffer back. All three are met when the frame owns its
//! allocation alone, which it does: no other request ever lies in it. So the produce path is
//!
//! 1. [`Frame::share`] for the codec, which slices records out of it without copying;
//! 2. [`Frame::range_of`] of each batch it found, then drop what the codec made;
//! 3. [`Frame::unshare`] for `&mut [u8]`, patch and append those ranges;
//! 4. drop the frame: its buffer returns to the thread's pool if nobody kept a slice.
//!
//! A slice that is kept (a group member's metadata, say) keeps the whole buffer alive: copy what outlives the request.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::buffer_pool;

/// Someone still holds a slice of the frame, so it cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame is still shared: a slice of it has not been dropped")]
pub struct FrameShared;

/// A request without its length bytes. See the module's text for how to use it without copying.
#[derive(Debug)]
pub struct Frame(Held);

#[derive(Debug)]
enum Held {
    Owned(BytesMut),
    Shared(Bytes),
}

impl Frame {
    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The request's bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Held::Owned(bytes) => bytes,
            Held::Shared(bytes) => bytes,
        }
    }

    /// The whole request as shared bytes, for a codec that slices.
    pub fn share(&mut self) -> Bytes {
        if let Held::Owned(bytes) = &mut self.0 {
            self.0 = Held::Shared(std::mem::take(bytes).freeze());
        }
        match &self.0 {
            Held::Shared(bytes) => bytes.clone(),
            Held::Owned(_) => unreachable!("it was made shared above"),
        }
    }

    /// The request's bytes for changing in place. Fails while a slice of [`Frame::share`] lives.
    pub fn unshare(&mut self) -> Result<&mut [u8], FrameShared> {
        if let Held::Shared(bytes) = &mut self.0 {
            match std::mem::take(bytes).try_into_mut() {
                Ok(owned) => self.0 = Held::Owned(owned),
                Err(still_shared) => {
                    *bytes = still_shared;
                    return Err(FrameShared);
                }
            }
        }
        match &mut self.0 {
            Held::Owned(bytes) => Ok(bytes),
            Held::Shared(_) => Err(FrameShared),
        }
    }

    /// Where `part`, a slice of this frame, lies in it; `None` if it lies elsewhere.
    pub fn range_of(&self, part: &[u8]) -> Option<Range<usize>> {
        let start = (part.as_ptr() as usize).checked_sub(self.as_slice().as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        (end <= self.len()).then_some(start..end)
    }
}

impl From<BytesMut> for Frame {
    /// Takes a buffer that must hold this one request and be shared with nobody.
    fn from(bytes: BytesMut) -> Frame {
        Frame(Held::Owned(bytes))
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Frame {
        Frame(Held::Owned(BytesMut::from(bytes)))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if self.unshare().is_ok()
            && let Held::Owned(bytes) = &mut self.0
        {
            buffer_pool::give_back(std::mem::take(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_patched_in_place_once_its_slices_are_dropped() {
        let mut frame = Frame::from(&b"header-records-tail"[..]);
        let address = frame.as_slice().as_ptr();
        let shared = frame.share();
        let records = shared.slice(7..14);
        let range = frame.range_of(&records).unwrap();
        assert_eq!(range, 7..14);
        assert_eq!(frame.unshare(), Err(FrameShared));
        drop((shared, records));
        frame.unshare().unwrap()[range].copy_from_slice(b"RECORDS");
        assert_eq!(frame.as_slice(), b"header-RECORDS-tail");
        assert_eq!(frame.as_slice().as_ptr(), address);
        assert_eq!(&frame.share()[..], b"header-RECORDS-tail");
    }

    #[test]
    fn a_slice_from_elsewhere_has_no_range() {
        let frame = Frame::from(&b"frame"[..]);
        assert_eq!(frame.range_of(b"other"), None);
    }
}
