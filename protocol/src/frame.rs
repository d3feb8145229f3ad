//! Frames: a length, then that many bytes.
//!
//! ```text
//!  0        4                4 + length
//!  +--------+----------------+
//!  | length | header, body   |      length: signed 32 bits, big endian, itself not counted
//!  +--------+----------------+
//! ```
//!
//! Owns the reading of the length and nothing else: buffers belong to whoever holds the socket. A length is checked
//! before a byte of the frame is waited for or allocated (`socket.request.max.bytes`).

use thiserror::Error;

/// Bytes of the length in front of every frame.
pub const FRAME_LENGTH_BYTES: usize = 4;

/// Why a frame cannot be taken. The connection cannot be read any further: where the next frame begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is below zero.
    #[error("frame length {length} is negative")]
    Negative {
        /// As read.
        length: i32,
    },
    /// The length is over the limit of this listener.
    #[error("frame of {length} bytes is larger than the limit of {max}")]
    TooLarge {
        /// As read.
        length: usize,
        /// The limit it was compared with.
        max: usize,
    },
}

/// The length of the frame that begins at `bytes`, without its own four bytes; `None` until these four have arrived.
pub fn length(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<FRAME_LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*prefix);
    match usize::try_from(length) {
        Err(_) => Err(FrameError::Negative { length }),
        Ok(length) if length > max => Err(FrameError::TooLarge { length, max }),
        Ok(length) => Ok(Some(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_four_bytes_say_nothing() {
        assert_eq!(length(&[], 10), Ok(None));
        assert_eq!(length(&[0, 0, 0], 10), Ok(None));
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert_eq!(length(&[0, 0, 0, 10], 10), Ok(Some(10)));
        assert_eq!(length(&[0, 0, 0, 11], 10), Err(FrameError::TooLarge { length: 11, max: 10 }));
    }

    #[test]
    fn a_negative_length_is_refused() {
        assert_eq!(length(&[0xff, 0xff, 0xff, 0xff], 10), Err(FrameError::Negative { length: -1 }));
    }

    #[test]
    fn what_follows_the_length_does_not_matter() {
        assert_eq!(length(&[0, 0, 0, 2, 9, 9, 9], 10), Ok(Some(2)));
    }
}
