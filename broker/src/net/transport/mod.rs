//! How bytes travel between a socket and frames or chunks: as they are, or through TLS.
//!
//! A transport receives into the connection's [`FrameReader`] and sends from its [`Outbox`]; it holds no request and
//! decides nothing. Each call does a bounded amount of work.

mod plaintext;
mod tls;

use std::io;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::pki_types::CertificateDer;

use super::frame_reader::FrameReader;
use super::outbox::Outbox;

pub(super) use plaintext::PlaintextTransport;
pub(super) use tls::{HandshakeError, TlsTransport};

/// What a call to [`Transport::poll_receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// This many bytes from the socket.
    Bytes(usize),
    /// The peer sends no more.
    End,
    /// Nothing: the memory for requests is used up. The waker is registered for when it is not.
    NoMemory,
}

/// A connection's transport.
pub(super) enum Transport {
    Plaintext(PlaintextTransport),
    Tls(Box<TlsTransport>),
}

impl Transport {
    /// Receives once from the socket.
    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut FrameReader,
    ) -> Poll<io::Result<Received>> {
        match self {
            Transport::Plaintext(transport) => transport.poll_receive(context, reader),
            Transport::Tls(transport) => transport.poll_receive(context, reader),
        }
    }

    /// Sends until the outbox is empty (ready), the socket is full (pending), or a fair share has been sent, after which
    /// the waker is called. Adds what it sent to `sent`.
    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
        sent: &mut u64,
    ) -> Poll<io::Result<()>> {
        match self {
            Transport::Plaintext(transport) => transport.poll_send(context, outbox, sent),
            Transport::Tls(transport) => transport.poll_send(context, outbox, sent),
        }
    }

    /// Whether `poll_send` would have nothing to do.
    pub(super) fn is_sent(&self, outbox: &Outbox) -> bool {
        outbox.is_empty()
            && match self {
                Transport::Plaintext(_) => true,
                Transport::Tls(transport) => transport.is_sent(),
            }
    }

    /// Whether the peer has ended or cut the connection, told without receiving what it may have sent before.
    pub(super) fn is_hung_up(&self) -> bool {
        let stream = match self {
            Transport::Plaintext(transport) => transport.stream(),
            Transport::Tls(transport) => transport.stream(),
        };
        // Errors and the end of both directions are told unasked.
        let mut asked = [PollFd::new(stream, PollFlags::RDHUP)];
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Says goodbye as far as the socket takes it at once.
    pub(super) fn close(&mut self) {
        if let Transport::Tls(transport) = self {
            transport.close();
        }
    }

    /// The peer's certificates, leaf first.
    pub(super) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        match self {
            Transport::Plaintext(_) => Vec::new(),
            Transport::Tls(transport) => transport.peer_certificates(),
        }
    }
}
