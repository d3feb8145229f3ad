//! A response on its way to a socket: bytes in memory, and slices of log files that never enter memory on plaintext.
//!
//! The chunks are the whole response as it goes out, its four length bytes included. Nothing here reads a file.

use std::fs::File;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use weir_protocol::fetch_response::{self, RecordsLength};

/// A range of a log file to be sent as it lies on disk: storage's slice, of which the network moves the beginning as it
/// sends.
#[derive(Debug, Clone)]
pub struct FileSlice {
    /// The segment's file.
    pub file: Arc<File>,
    /// Where the slice begins.
    pub position: u64,
    /// How many bytes it has.
    pub length: u32,
}

impl From<weir_storage::log::FileSlice> for FileSlice {
    fn from(slice: weir_storage::log::FileSlice) -> FileSlice {
        FileSlice { file: slice.file, position: slice.position, length: slice.length }
    }
}

/// A part of a response.
#[derive(Debug, Clone)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Record batches in a segment file.
    Records(FileSlice),
}

impl Chunk {
    /// How many bytes it puts on the wire.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::Records(slice) => slice.length as usize,
        }
    }

    /// Whether it puts nothing on the wire.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Chunk {
        Chunk::Bytes(bytes)
    }
}

impl From<FileSlice> for Chunk {
    fn from(slice: FileSlice) -> Chunk {
        Chunk::Records(slice)
    }
}

/// A Fetch response as its encoder yields it, whatever holds its records.
impl<R: Into<Chunk>> From<fetch_response::Chunk<R>> for Chunk {
    fn from(chunk: fetch_response::Chunk<R>) -> Chunk {
        match chunk {
            fetch_response::Chunk::Bytes(bytes) => Chunk::Bytes(bytes),
            fetch_response::Chunk::Records(records) => records.into(),
        }
    }
}

impl RecordsLength for Chunk {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// A whole response, or the fact that there is none.
#[derive(Debug, Default)]
pub struct Response {
    pub(super) first: Option<Chunk>,
    pub(super) rest: Vec<Chunk>,
    pub(super) then_close: bool,
}

impl Response {
    /// No response at all: the waiting form of [`Dispatch::None`](super::Dispatch::None).
    pub fn none() -> Response {
        Response::default()
    }

    /// No response, and the connection closes after the answers before it: what Kafka does on a failed `acks=0` produce.
    pub fn close() -> Response {
        Response { then_close: true, ..Response::default() }
    }

    /// Closes the connection once this response has left (a failed authentication).
    #[must_use]
    pub fn then_close(mut self) -> Response {
        self.then_close = true;
        self
    }

    /// How many bytes it puts on the wire.
    pub fn len(&self) -> usize {
        self.first.iter().chain(&self.rest).map(Chunk::len).sum()
    }

    /// Whether it puts nothing on the wire.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Response {
    fn from(bytes: Bytes) -> Response {
        Response { first: Some(Chunk::Bytes(bytes)), ..Response::default() }
    }
}

impl From<BytesMut> for Response {
    fn from(bytes: BytesMut) -> Response {
        bytes.freeze().into()
    }
}

impl From<Vec<Chunk>> for Response {
    fn from(chunks: Vec<Chunk>) -> Response {
        Response { first: None, rest: chunks, then_close: false }
    }
}

impl FromIterator<Chunk> for Response {
    fn from_iter<I: IntoIterator<Item = Chunk>>(chunks: I) -> Response {
        let mut chunks = chunks.into_iter();
        Response { first: chunks.next(), rest: chunks.collect(), then_close: false }
    }
}
