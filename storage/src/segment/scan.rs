//! A walk over the batch headers of a file, from one batch's beginning to the end.
//!
//! Reads small batches many at a time and large ones by their header only, into the caller's buffer. Never reads beyond
//! `end`, never looks into a batch, never checks a CRC. A header that makes no sense or a batch that is cut off stops the
//! walk with its position, from which the caller decides what that means (a torn tail, corruption).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use weir_protocol::records::batch::{BatchError, BatchHeader};

/// A buffer on the stack for walks of an index interval or two.
pub(crate) const SHORT_WALK_BYTES: usize = 4096;
/// A buffer on the heap for walks of a whole segment.
pub(crate) const LONG_WALK_BYTES: usize = 64 * 1024;

/// A batch that was passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanned {
    pub(crate) position: u32,
    pub(crate) header: BatchHeader,
}

impl Scanned {
    pub(crate) fn size(&self) -> u32 {
        self.header.size_bytes() as u32
    }
}

/// Why a walk stopped before the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The file ends within the batch at this position.
    #[error("the batch at position {position} is cut off")]
    Torn { position: u32 },
    /// What is at this position is not a batch.
    #[error("no batch at position {position}: {error}")]
    Corrupt { position: u32, error: BatchError },
    /// The file does not read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The walk.
#[derive(Debug)]
pub(crate) struct BatchScanner<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    buffer: &'a mut [u8],
    /// The file position of `buffer[0]`, and how much of the buffer holds the file's bytes.
    buffer_at: u64,
    filled: usize,
    last_size: usize,
}

impl<'a> BatchScanner<'a> {
    /// Walks from the batch that begins at `position` up to `end`. The buffer holds two headers at least.
    pub(crate) fn new(file: &'a File, position: u32, end: u32, buffer: &'a mut [u8]) -> Self {
        assert!(buffer.len() >= 2 * BatchHeader::LEN);
        let (position, end) = (u64::from(position), u64::from(end));
        Self { file, position, end, buffer, buffer_at: position, filled: 0, last_size: 0 }
    }

    /// The next batch, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Scanned>, ScanError> {
        let position = self.position as u32;
        if self.position >= self.end {
            return Ok(None);
        }
        let left = self.end - self.position;
        if left < BatchHeader::LEN as u64 {
            return Err(ScanError::Torn { position });
        }
        let at = self.window()?;
        let header = BatchHeader::parse(&self.buffer[at..self.filled])
            .map_err(|error| ScanError::Corrupt { position, error })?;
        if header.size_bytes() as u64 > left {
            return Err(ScanError::Torn { position });
        }
        self.last_size = header.size_bytes();
        self.position += self.last_size as u64;
        Ok(Some(Scanned { position, header }))
    }

    /// Makes the buffer hold the header at `position`; returns where.
    fn window(&mut self) -> io::Result<usize> {
        let ahead = self.position - self.buffer_at;
        if ahead + BatchHeader::LEN as u64 <= self.filled as u64 {
            return Ok(ahead as usize);
        }
        // Batches that come several to a buffer are read together; of larger ones only the header is.
        let want = if self.last_size * 4 <= self.buffer.len() { self.buffer.len() } else { BatchHeader::LEN };
        let want = want.min((self.end - self.position) as usize);
        self.file.read_exact_at(&mut self.buffer[..want], self.position)?;
        (self.buffer_at, self.filled) = (self.position, want);
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use weir_protocol::compression::Codec;
    use weir_protocol::records::BatchBuilder;

    use super::*;

    fn batch(base_offset: i64, value_bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Codec::None).base_offset(base_offset);
        builder.append(0, None, Some(&vec![7; value_bytes]), &[]).unwrap();
        builder.build().unwrap().to_vec()
    }

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn offsets(bytes: &[u8], buffer_bytes: usize) -> (Vec<i64>, Option<ScanError>) {
        let file = file_of(bytes);
        let mut buffer = vec![0; buffer_bytes];
        let mut scanner = BatchScanner::new(&file, 0, bytes.len() as u32, &mut buffer);
        let mut offsets = Vec::new();
        loop {
            match scanner.next() {
                Ok(Some(scanned)) => offsets.push(scanned.header.base_offset),
                Ok(None) => return (offsets, None),
                Err(error) => return (offsets, Some(error)),
            }
        }
    }

    #[test]
    fn batches_of_any_size_are_passed_with_any_buffer() {
        let sizes = [1, 5000, 10, 10, 10, 300, 70_000, 3, 3, 200_000, 1];
        let bytes: Vec<u8> = sizes.iter().enumerate().flat_map(|(n, size)| batch(n as i64, *size)).collect();
        for buffer_bytes in [122, 200, SHORT_WALK_BYTES, LONG_WALK_BYTES] {
            let (found, error) = offsets(&bytes, buffer_bytes);
            assert_eq!(found, (0..11).collect::<Vec<_>>());
            assert!(error.is_none());
        }
    }

    #[test]
    fn a_cut_batch_stops_the_walk_at_its_beginning() {
        let whole = [batch(0, 100), batch(1, 100)].concat();
        let second = batch(0, 100).len();
        for len in [second + 1, second + 61, whole.len() - 1] {
            let (found, error) = offsets(&whole[..len], 200);
            assert_eq!(found, [0]);
            assert!(matches!(error, Some(ScanError::Torn { position }) if position as usize == second));
        }
    }

    #[test]
    fn zeros_are_corrupt() {
        let bytes = [batch(0, 100), vec![0; 500]].concat();
        let (found, error) = offsets(&bytes, SHORT_WALK_BYTES);
        assert_eq!(found, [0]);
        assert!(matches!(error, Some(ScanError::Corrupt { .. })));
    }
}
