//! TLS on rustls' unbuffered connection, so that it shares the thread's large buffers instead of owning small ones.
//!
//! Receiving: one `recv` fills the thread's buffer with many records, each is decrypted and copied once into the frame it
//! belongs to; only a record that is not whole stays with the connection. Sending: chunks, or file contents read into the
//! thread's buffer, are encrypted into another and sent at once; only what the socket did not take stays.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncReadExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::buffer_pool;
use super::super::cold_read::{Warmth, read_hot};
use super::super::frame_reader::FrameReader;
use super::super::open_sockets::OpenSocket;
use super::super::outbox::Outbox;
use super::super::response::Chunk;
use super::super::scratch::{self, MAX_RECORD_OVERHEAD_BYTES, PLAINTEXT_OUT_BYTES};
use super::Received;

/// What one connection sends before others have their turn.
const SEND_TURN_BYTES: u64 = 1024 * 1024;
/// The least that a TLS record costs beside its content counts against this content size.
const RECORD_CONTENT_BYTES: usize = 16 * 1024;
/// How long, and for how many bytes, a refused peer is listened to, so that it can read the alert.
const LINGER: Duration = Duration::from_millis(500);
const MAX_LINGER_BYTES: usize = 64 * 1024;
/// Key updates and tickets a peer may make us queue before it reads.
const MAX_UNSENT_BYTES: usize = 256 * 1024;

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum HandshakeError {
    #[error("what arrived is not TLS (a client set to PLAINTEXT?)")]
    NotTls,
    #[error("the peer closed the connection")]
    PeerClosed,
    #[error("the broker stops")]
    BrokerStops,
    #[error("it took too long")]
    TimedOut,
    #[error("{0}")]
    Tls(rustls::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A TLS connection's socket and session.
pub(in super::super) struct TlsTransport {
    _socket: OpenSocket,
    stream: TcpStream,
    session: UnbufferedServerConnection,
    /// A record that is not whole.
    incoming: BytesMut,
    /// Records the socket did not take.
    outgoing: BytesMut,
    warmth: Warmth,
    open: bool,
    peer_closed: bool,
    any_received: bool,
    /// An error has ended the session: it must not be used again.
    failed: bool,
}

impl TlsTransport {
    pub(in super::super) fn new(
        stream: TcpStream,
        socket: OpenSocket,
        config: Arc<ServerConfig>,
    ) -> Result<TlsTransport, rustls::Error> {
        let session = UnbufferedServerConnection::new(config)?;
        Ok(TlsTransport {
            _socket: socket,
            stream,
            session,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            warmth: Warmth::default(),
            open: false,
            peer_closed: false,
            any_received: false,
            failed: false,
        })
    }

    /// Drives the handshake. Requests that arrive with its end are in `reader` afterwards.
    pub(in super::super) fn poll_handshake(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut FrameReader,
    ) -> Poll<Result<(), HandshakeError>> {
        loop {
            let unsent = self.poll_outgoing(context)?.is_pending();
            if self.open && !unsent {
                return Poll::Ready(Ok(()));
            }
            if self.open {
                return Poll::Pending;
            }
            let first = !self.any_received;
            match ready!(self.poll_receive(context, reader)) {
                Ok(Received::End) => return Poll::Ready(Err(HandshakeError::PeerClosed)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(handshake_error(error, first))),
            }
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        self.session.peer_certificates().map(|chain| chain.to_vec()).unwrap_or_default()
    }

    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut FrameReader,
    ) -> Poll<io::Result<Received>> {
        if self.peer_closed {
            return Poll::Ready(Ok(Received::End));
        }
        if !reader.has_memory() {
            reader.memory().wait(context.waker());
            if !reader.has_memory() {
                return Poll::Ready(Ok(Received::NoMemory));
            }
        }
        scratch::ciphertext_in(|buffer| {
            let kept = self.incoming.len();
            if kept == buffer.len() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a TLS message without end")));
            }
            let mut room = ReadBuf::new(&mut buffer[kept..]);
            if Pin::new(&mut self.stream).poll_read(context, &mut room)?.is_pending() {
                reader.pause();
                return Poll::Pending;
            }
            let received = room.filled().len();
            if received == 0 {
                return Poll::Ready(Ok(Received::End));
            }
            self.any_received = true;
            buffer[..kept].copy_from_slice(&self.incoming);
            let filled = kept + received;
            let used = self.process(&mut buffer[..filled], reader)?;
            self.incoming = BytesMut::from(&buffer[used..filled]);
            Poll::Ready(Ok(Received::Bytes(received)))
        })
    }

    /// Takes whole records off the front of `records`, feeds their content to `reader`, and says how many bytes that were.
    fn process(&mut self, records: &mut [u8], reader: &mut FrameReader) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(&mut records[used..]);
            let more = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        reader.feed(record.map_err(io::Error::other)?.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |room| data.encode(room))?;
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // It will leave in order before anything else does.
                    data.done();
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.open = true;
                    false
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.peer_closed = true;
                    false
                }
                Ok(_) => false,
                Err(error) => {
                    self.failed = true;
                    self.send_alert();
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            };
            used += discard;
            if !more {
                break;
            }
        }
        if self.outgoing.len() > MAX_UNSENT_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer asks for answers and reads none"));
        }
        Ok(used)
    }

    /// After an error, rustls has an alert that says which. While it wants to write it looks at no input, which matters:
    /// after an error, input and session no longer agree.
    fn send_alert(&mut self) {
        while self.session.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut data)) = self.session.process_tls_records(&mut []).state else {
                break;
            };
            if encode(&mut self.outgoing, |room| data.encode(room)).is_err() {
                break;
            }
        }
        let _ = send(self.stream.as_fd(), &self.outgoing, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Lets a refused peer read why: closing a socket with unread bytes in it would take the alert back.
    pub(in super::super) async fn linger(mut self) {
        let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write);
        let mut discarded = 0;
        let _ = timeout(LINGER, async {
            while discarded < MAX_LINGER_BYTES {
                match self.stream.read(&mut [0; 1024]).await {
                    Ok(bytes) if bytes > 0 => discarded += bytes,
                    _ => break,
                }
            }
        })
        .await;
    }

    pub(super) fn is_sent(&self) -> bool {
        self.outgoing.is_empty()
    }

    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
        sent: &mut u64,
    ) -> Poll<io::Result<()>> {
        let turn_ends = *sent + SEND_TURN_BYTES;
        loop {
            ready!(self.poll_outgoing(context))?;
            if outbox.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if *sent >= turn_ends {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            *sent += ready!(self.poll_encrypt(context, outbox))? as u64;
        }
    }

    /// Encrypts up to a buffer of plaintext and offers it to the socket.
    fn poll_encrypt(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<io::Result<usize>> {
        scratch::ciphertext_out(|ciphertext| {
            let mut plaintext_bytes = 0;
            let mut filled = 0;
            while let Some(chunk) = outbox.front() {
                let room = (ciphertext.len() - filled).saturating_sub(MAX_RECORD_OVERHEAD_BYTES);
                let records = room.div_ceil(RECORD_CONTENT_BYTES + MAX_RECORD_OVERHEAD_BYTES);
                let most = room.saturating_sub(records * MAX_RECORD_OVERHEAD_BYTES).min(PLAINTEXT_OUT_BYTES);
                if most == 0 || plaintext_bytes >= PLAINTEXT_OUT_BYTES {
                    break;
                }
                let target = &mut ciphertext[filled..];
                let taken = match chunk {
                    Chunk::Bytes(bytes) => {
                        let part = &bytes[..bytes.len().min(most)];
                        filled += encrypt(&mut self.session, &mut self.incoming, part, target)?;
                        part.len()
                    }
                    Chunk::Records(slice) => {
                        let encrypted = scratch::plaintext_out(|plaintext| {
                            let read = match read_hot(slice, &mut plaintext[..most]) {
                                Ok(read) => read,
                                Err(Errno::AGAIN) => return Poll::Pending,
                                Err(error) => return Poll::Ready(Err(error.into())),
                            };
                            let part = &plaintext[..read];
                            Poll::Ready(
                                encrypt(&mut self.session, &mut self.incoming, part, target).map(|made| (read, made)),
                            )
                        });
                        match encrypted {
                            Poll::Ready(Ok((0, _))) => {
                                let reason = "the log was truncated while it was being sent";
                                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
                            }
                            Poll::Ready(Ok((read, made))) => {
                                filled += made;
                                read
                            }
                            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                            Poll::Pending if filled > 0 => break,
                            // Cold: once it has been read elsewhere, the connection comes back here.
                            Poll::Pending => {
                                ready!(self.warmth.poll_warm(context, slice))?;
                                return Poll::Ready(Ok(0));
                            }
                        }
                    }
                };
                plaintext_bytes += taken;
                outbox.advance(taken);
            }
            self.offer(&ciphertext[..filled])?;
            Poll::Ready(Ok(plaintext_bytes))
        })
    }

    /// Sends what the socket takes now and keeps the rest.
    fn offer(&mut self, records: &[u8]) -> io::Result<()> {
        let attempt = || Ok(send(self.stream.as_fd(), records, SendFlags::NOSIGNAL)?);
        let sent = match self.stream.try_io(Interest::WRITABLE, attempt) {
            Ok(sent) => sent,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        if sent < records.len() {
            self.outgoing = buffer_pool::take(records.len() - sent);
            self.outgoing.extend_from_slice(&records[sent..]);
        }
        Ok(())
    }

    fn poll_outgoing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            ready!(self.stream.poll_write_ready(context))?;
            let attempt = || Ok(send(self.stream.as_fd(), &self.outgoing, SendFlags::NOSIGNAL)?);
            match self.stream.try_io(Interest::WRITABLE, attempt) {
                Ok(sent) => self.outgoing.advance(sent),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.outgoing.capacity() > 0 {
            buffer_pool::give_back(std::mem::take(&mut self.outgoing));
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn close(&mut self) {
        if !self.open || self.failed || !self.outgoing.is_empty() {
            return;
        }
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) =
            self.session.process_tls_records(&mut self.incoming).state
        {
            let mut alert = [0; MAX_RECORD_OVERHEAD_BYTES];
            if let Ok(length) = traffic.queue_close_notify(&mut alert) {
                let _ = send(self.stream.as_fd(), &alert[..length], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
            }
        }
    }
}

/// Encrypts `plaintext` into `target`, behind whatever the session itself has to say (a key update). `incoming` is what is
/// left of the input: the session remembers places in it, so it must be shown exactly that.
fn encrypt(
    session: &mut UnbufferedServerConnection,
    incoming: &mut BytesMut,
    plaintext: &[u8],
    target: &mut [u8],
) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let UnbufferedStatus { discard, state } = session.process_tls_records(incoming);
        let done = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let written = traffic.encrypt(plaintext, &mut target[filled..]);
                filled += written.map_err(|error| io::Error::other(error.to_string()))?;
                true
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                filled += data.encode(&mut target[filled..]).map_err(|error| io::Error::other(error.to_string()))?;
                false
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                false
            }
            Ok(_) => return Err(io::Error::new(io::ErrorKind::NotConnected, "the TLS session is closed")),
            Err(error) => return Err(io::Error::other(error)),
        };
        incoming.advance(discard);
        if done {
            return Ok(filled);
        }
    }
}

fn encode(outgoing: &mut BytesMut, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) -> io::Result<()> {
    let start = outgoing.len();
    let mut room = 1024;
    loop {
        outgoing.resize(start + room, 0);
        match encode(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) => room = size.required_size,
            Err(error) => {
                outgoing.truncate(start);
                return Err(io::Error::other(error.to_string()));
            }
        }
    }
}

/// The first bytes of a stream that is not TLS fail as an invalid message.
fn handshake_error(error: io::Error, first: bool) -> HandshakeError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) if first => HandshakeError::NotTls,
        Some(error) => HandshakeError::Tls(error.clone()),
        None => HandshakeError::Io(error),
    }
}
