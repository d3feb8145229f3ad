//! A stretch of a segment's file, to be sent or read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes of a file that hold batches; the first begins at `position`. The last may be cut off when the reader's limit fell
/// within it. Stays readable when its segment is deleted; a truncation may shorten the file under it.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The segment's file.
    pub file: Arc<File>,
    /// Where in the file.
    pub position: u64,
    /// How many bytes.
    pub length: u32,
}

impl FileSlice {
    /// Fills `out` from the slice's beginning.
    ///
    /// # Panics
    ///
    /// If `out` is longer than the slice.
    pub fn read_exact_into(&self, out: &mut [u8]) -> io::Result<()> {
        assert!(out.len() <= self.length as usize, "{} bytes wanted of a slice of {}", out.len(), self.length);
        self.file.read_exact_at(out, self.position)
    }

    /// Reads the whole slice.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.length as usize];
        self.read_exact_into(&mut bytes)?;
        Ok(bytes.into())
    }
}
