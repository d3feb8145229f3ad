//! Reads lines on a thread of its own and hands them over in chunks.
//!
//! ```text
//! stdin ─► reader thread ─► channel of CHUNKS_AHEAD chunks ─► sender
//! ```
//!
//! A chunk ends where the next read might wait, so that a line typed by a person goes at once, and a file goes in large
//! pieces. Lines keep every byte but their line feed; the last needs none.

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::line::InputError;

/// The longest line.
pub(super) const MAX_LINE_BYTES: usize = 256 << 20;
/// A chunk is handed over once its lines have more bytes.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks read before the sender takes them.
const CHUNKS_AHEAD: usize = 2;
/// One read.
const READ_BYTES: usize = 256 << 10;

/// Why no further lines come.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// A line does not end.
    #[error(transparent)]
    TooLong(InputError),
    /// The system's word.
    #[error(transparent)]
    Read(io::Error),
}

type Chunk = Result<Vec<Bytes>, LineError>;

/// The lines of `source`; the channel closes after the last, or after an error.
pub(super) fn read(source: Box<dyn Read + Send>) -> mpsc::Receiver<Chunk> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        let read = read_chunks(source, MAX_LINE_BYTES, |chunk| sender.blocking_send(Ok(chunk)).is_ok());
        if let Err(error) = read {
            // Whoever sends may have failed first.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

/// Calls `take` with chunks until it refuses one or the source ends.
fn read_chunks(
    source: impl Read,
    max_line_bytes: usize,
    mut take: impl FnMut(Vec<Bytes>) -> bool,
) -> Result<(), LineError> {
    let mut reader = BufReader::with_capacity(READ_BYTES, source);
    let mut chunk = Vec::new();
    let mut chunk_bytes = 0;
    loop {
        let mut line = Vec::new();
        let allowed = max_line_bytes as u64 + 1;
        let read = (&mut reader).take(allowed).read_until(b'\n', &mut line);
        let (ended, failure) = match read {
            Ok(0) => (true, None),
            Ok(_) if line.last() == Some(&b'\n') => (false, None),
            Ok(_) if line.len() > max_line_bytes => (true, Some(LineError::TooLong(InputError::TooLong))),
            Ok(_) => (false, None),
            Err(error) => (true, Some(LineError::Read(error))),
        };
        if !ended {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            chunk_bytes += line.len();
            chunk.push(Bytes::from(line));
        }
        let may_wait = !reader.buffer().contains(&b'\n');
        if !chunk.is_empty() && (ended || may_wait || chunk_bytes >= CHUNK_BYTES) {
            chunk_bytes = 0;
            if !take(std::mem::take(&mut chunk)) {
                return Ok(());
            }
        }
        match failure {
            Some(error) => return Err(error),
            None if ended => return Ok(()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one piece a read.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn chunks(pieces: &[&'static [u8]], max_line_bytes: usize) -> (Vec<Vec<Bytes>>, Result<(), LineError>) {
        let mut chunks = Vec::new();
        let read = read_chunks(Pieces(pieces.to_vec()), max_line_bytes, |chunk| {
            chunks.push(chunk);
            true
        });
        (chunks, read)
    }

    #[test]
    fn lines_that_came_together_go_together_and_nothing_waits_for_more() {
        let (chunks, read) = chunks(&[b"a\nb\nc", b"d\n", b"e"], 100);
        assert_eq!(chunks, [vec!["a", "b"], vec!["cd"], vec!["e"]]);
        assert!(read.is_ok());
    }

    #[test]
    fn every_byte_but_the_line_feed_is_kept() {
        assert_eq!(chunks(&[b"\n\xff\r\n"], 100).0, [[&b""[..], b"\xff\r"]]);
        assert!(chunks(&[], 100).0.is_empty());
    }

    #[test]
    fn a_line_over_the_limit_ends_the_reading_after_what_came_before() {
        let (found, read) = chunks(&[b"abc\nabcd\n"], 3);
        assert_eq!(found, [["abc"]]);
        assert!(matches!(read, Err(LineError::TooLong(_))));
        assert!(chunks(&[b"abc"], 3).1.is_ok());
    }
}
