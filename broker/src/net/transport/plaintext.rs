//! Plain TCP: `recv` into frames, `writev` for bytes in memory, `sendfile` for records.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use rustix::fs::sendfile;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use tokio::io::{AsyncRead, AsyncReadExt, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::super::cold_read::Warmth;
use super::super::frame_reader::{FrameReader, Want};
use super::super::outbox::Outbox;
use super::super::response::{Chunk, FileSlice};
use super::super::scratch;
use super::Received;

/// Chunks of memory written by one system call.
const MAX_VECTORS: usize = 32;
/// What one connection sends before others have their turn.
const SEND_TURN_BYTES: u64 = 1024 * 1024;

/// A plaintext connection's socket.
#[derive(Debug)]
pub(in super::super) struct PlaintextTransport {
    stream: TcpStream,
    warmth: Warmth,
}

impl PlaintextTransport {
    pub(in super::super) fn new(stream: TcpStream) -> PlaintextTransport {
        PlaintextTransport { stream, warmth: Warmth::default() }
    }

    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut FrameReader,
    ) -> Poll<io::Result<Received>> {
        let received = match reader.want() {
            None => {
                reader.memory().wait(context.waker());
                // Memory given back between the look and the wait woke nobody.
                match reader.want() {
                    None => return Poll::Ready(Ok(Received::NoMemory)),
                    Some(_) => return self.poll_receive(context, reader),
                }
            }
            Some(Want::Scratch) => ready!(scratch::receive(|buffer| self.poll_feed(context, buffer, reader)))?,
            Some(Want::Prefix(most)) => ready!(self.poll_feed(context, &mut [0; 4][..most], reader))?,
            Some(Want::Direct(mut room)) => {
                let received = match pin!(self.stream.read_buf(&mut room)).poll(context) {
                    Poll::Ready(received) => received?,
                    Poll::Pending => {
                        reader.pause();
                        return Poll::Pending;
                    }
                };
                reader.received_directly();
                received
            }
        };
        Poll::Ready(Ok(if received == 0 { Received::End } else { Received::Bytes(received) }))
    }

    fn poll_feed(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        reader: &mut FrameReader,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        reader.feed(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
        sent: &mut u64,
    ) -> Poll<io::Result<()>> {
        let turn_ends = *sent + SEND_TURN_BYTES;
        while let Some(chunk) = outbox.front() {
            if *sent >= turn_ends {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let bytes = match chunk {
                Chunk::Bytes(_) => ready!(self.poll_try(context, |stream| send_memory(stream, outbox)))?,
                Chunk::Records(slice) => {
                    let hot = ready!(self.warmth.poll_hot(context, slice))?;
                    ready!(self.poll_try(context, |stream| send_file(stream, slice, hot)))?
                }
            };
            *sent += bytes as u64;
            outbox.advance(bytes);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_try(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_io(Interest::WRITABLE, || attempt(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

/// Writes the chunks of memory at the front. If records follow, the kernel is told to hold the last part back for them.
fn send_memory(stream: &TcpStream, outbox: &Outbox) -> io::Result<usize> {
    let mut vectors = [IoSlice::new(&[]); MAX_VECTORS];
    let mut count = 0;
    let mut flags = SendFlags::NOSIGNAL;
    for chunk in outbox.iter() {
        match chunk {
            Chunk::Bytes(bytes) if count < MAX_VECTORS => {
                vectors[count] = IoSlice::new(bytes);
                count += 1;
            }
            _ => {
                flags |= SendFlags::MORE;
                break;
            }
        }
    }
    let sent = match count {
        1 => send(stream.as_fd(), &vectors[0], flags),
        _ => sendmsg(stream.as_fd(), &vectors[..count], &mut SendAncillaryBuffer::default(), flags),
    };
    sent.map_err(io::Error::from)
}

/// Sends at most `most` bytes of a file from the page cache. A file that ends before its slice has been truncated: the
/// length promised to the peer can no longer be kept.
fn send_file(stream: &TcpStream, slice: &FileSlice, most: u32) -> io::Result<usize> {
    let mut position = slice.position;
    match sendfile(stream.as_fd(), &slice.file, Some(&mut position), most as usize)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log was truncated while it was being sent")),
        sent => Ok(sent),
    }
}
