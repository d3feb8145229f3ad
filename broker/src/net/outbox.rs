//! Response chunks on their way out, in order, with how far the first of them has gone.

use std::collections::VecDeque;

use bytes::Buf;

use super::response::{Chunk, Response};

/// Room kept by an empty outbox.
const MAX_KEPT_CHUNKS: usize = 16;

/// What a connection has yet to write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Chunk>,
    memory_bytes: usize,
}

impl Outbox {
    /// Appends a response. Empty chunks are dropped here, so the first chunk always has bytes to send.
    pub(super) fn push(&mut self, response: Response) {
        for chunk in response.first.into_iter().chain(response.rest) {
            if chunk.is_empty() {
                continue;
            }
            if let Chunk::Bytes(bytes) = &chunk {
                self.memory_bytes += bytes.len();
            }
            self.chunks.push_back(chunk);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Chunks that wait.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes held in memory; slices of files count nothing.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub(super) fn front(&self) -> Option<&Chunk> {
        self.chunks.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter()
    }

    /// `bytes` have been sent.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let Some(chunk) = self.chunks.front_mut() else { break };
            let here = bytes.min(chunk.len());
            match chunk {
                Chunk::Bytes(rest) => {
                    rest.advance(here);
                    self.memory_bytes -= here;
                }
                Chunk::Records(rest) => {
                    rest.position += here as u64;
                    rest.length -= here as u32;
                }
            }
            bytes -= here;
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        if self.chunks.is_empty() && self.chunks.capacity() > MAX_KEPT_CHUNKS {
            self.chunks = VecDeque::new();
        }
    }
}
