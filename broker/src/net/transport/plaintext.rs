//! Plain TCP: `recv` into frames, one `sendmsg` for bytes in memory and the few records among them, `sendfile` for many records.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use tokio::io::{AsyncRead, AsyncReadExt, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::super::cold_read::{Warmth, read_hot};
use super::super::frame_reader::{FrameReader, Want};
use super::super::open_sockets::OpenSocket;
use super::super::outbox::Outbox;
use super::super::response::{Chunk, FileSlice};
use super::super::scratch;
use super::Received;

/// Chunks of memory written by one system call.
const MAX_VECTORS: usize = 32;
/// Slices of files up to this size are copied: a read costs less than the probes and the pipe that `sendfile` needs, and the answer around
/// them leaves in the same system call.
const MAX_COPIED_SLICE_BYTES: u32 = 16 * 1024;
/// What one connection sends before others have their turn.
const SEND_TURN_BYTES: u64 = 1024 * 1024;

/// A plaintext connection's socket.
#[derive(Debug)]
pub(in super::super) struct PlaintextTransport {
    _socket: OpenSocket,
    stream: TcpStream,
    warmth: Warmth,
}

impl PlaintextTransport {
    pub(in super::super) fn new(stream: TcpStream, socket: OpenSocket) -> PlaintextTransport {
        PlaintextTransport { _socket: socket, stream, warmth: Warmth::default() }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
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
                Chunk::Records(slice) if slice.length > MAX_COPIED_SLICE_BYTES => {
                    let hot = ready!(self.warmth.poll_hot(context, slice))?;
                    ready!(self.poll_try(context, |stream| send_file(stream, slice, hot)))?
                }
                _ => ready!(self.poll_send_gathered(context, outbox))?,
            };
            *sent += bytes as u64;
            outbox.advance(bytes);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what [`gather`] finds at the front of the outbox. Zero bytes if a cold slice there has just been read from disk.
    fn poll_send_gathered(&mut self, context: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        // A socket that is full is not worth a read.
        ready!(self.stream.poll_write_ready(context))?;
        let sent = scratch::plaintext_out(|room| {
            let gathered = gather(outbox, room)?;
            if gathered.count == 0 {
                return Poll::Ready(Ok(None));
            }
            self.poll_try(context, |stream| gathered.send(stream)).map_ok(Some)
        });
        match (ready!(sent)?, outbox.front()) {
            (None, Some(Chunk::Records(slice))) => self.warmth.poll_warm(context, slice).map_ok(|()| 0),
            (sent, _) => Poll::Ready(Ok(sent.unwrap_or(0))),
        }
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

/// What leaves in one system call.
struct Gathered<'a> {
    vectors: [IoSlice<'a>; MAX_VECTORS],
    count: usize,
    /// Whether records follow: the kernel then holds the last part back for them.
    more: bool,
}

impl<'a> Gathered<'a> {
    fn add(&mut self, bytes: &'a [u8]) {
        self.vectors[self.count] = IoSlice::new(bytes);
        self.count += 1;
    }

    fn send(&self, stream: &TcpStream) -> io::Result<usize> {
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, self.more);
        let sent = match self.count {
            1 => send(stream.as_fd(), &self.vectors[0], flags),
            _ => sendmsg(stream.as_fd(), &self.vectors[..self.count], &mut SendAncillaryBuffer::default(), flags),
        };
        sent.map_err(io::Error::from)
    }
}

/// Gathers the chunks at the front: memory as it is, small slices of files read into `room`. Nothing if the first is a slice whose
/// bytes are not in the page cache.
fn gather<'a>(outbox: &'a Outbox, mut room: &'a mut [u8]) -> io::Result<Gathered<'a>> {
    let mut gathered = Gathered { vectors: [IoSlice::new(&[]); MAX_VECTORS], count: 0, more: false };
    for chunk in outbox.iter() {
        let bytes = match chunk {
            _ if gathered.count == MAX_VECTORS => {
                gathered.more = true;
                break;
            }
            Chunk::Bytes(bytes) => &bytes[..],
            Chunk::Records(slice) if slice.length <= MAX_COPIED_SLICE_BYTES && slice.length as usize <= room.len() => {
                let (part, rest) = room.split_at_mut(slice.length as usize);
                room = rest;
                match read_hot(slice, part) {
                    Ok(0) => return Err(truncated()),
                    Ok(read) if read < part.len() => {
                        // The rest is cold, or gone: the next look tells.
                        gathered.add(&part[..read]);
                        break;
                    }
                    Ok(_) => part,
                    Err(Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            Chunk::Records(_) => {
                gathered.more = true;
                break;
            }
        };
        gathered.add(bytes);
    }
    Ok(gathered)
}

/// Sends at most `most` bytes of a file from the page cache. A file that ends before its slice has been truncated: the
/// length promised to the peer can no longer be kept.
fn send_file(stream: &TcpStream, slice: &FileSlice, most: u32) -> io::Result<usize> {
    let mut position = slice.position;
    match sendfile(stream.as_fd(), &slice.file, Some(&mut position), most as usize)? {
        0 => Err(truncated()),
        sent => Ok(sent),
    }
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the log was truncated while it was being sent")
}
