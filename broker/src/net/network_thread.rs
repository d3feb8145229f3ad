//! A network thread: one OS thread, one current-thread runtime, the connections pinned to it.
//!
//! A connection never leaves its thread, so its state needs no lock and a wake-up from its own thread costs no system
//! call. Busy time is measured where the runtime parks and unparks.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout};

use super::cold_read::COLD_READ_THREADS;
use super::config::{ListenerSecurity, NetworkConfig};
use super::connection::{CloseReason, Connection};
use super::connection_quota::ConnectionSlot;
use super::context::ConnectionContext;
use super::frame_reader::FrameReader;
use super::handler::Handler;
use super::listener::Listener;
use super::memory_budget::{MemoryBudget, Reservation};
use super::metrics::NetworkThreadMetrics;
use super::open_sockets::OpenSocket;
use super::thread_load::ThreadLoad;
use super::transport::{HandshakeError, PlaintextTransport, TlsTransport, Transport};

/// Accepted connections that a thread has not yet taken over.
pub(super) const MAX_HANDED_OVER: usize = 256;
/// Stack of a network thread.
const STACK_BYTES: usize = 1024 * 1024;
/// Blocking threads end when they have been idle for this long.
const COLD_READER_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A socket on its way from an acceptor to its thread.
pub(super) struct Accepted {
    pub(super) id: u64,
    pub(super) socket: OpenSocket,
    pub(super) stream: std::net::TcpStream,
    pub(super) peer_address: SocketAddr,
    pub(super) listener: Arc<Listener>,
    pub(super) slot: ConnectionSlot,
}

/// What the connections of a thread share. Never leaves the thread.
pub(super) struct ThreadShared {
    pub(super) config: Arc<NetworkConfig>,
    pub(super) metrics: Arc<NetworkThreadMetrics>,
    /// Set when the broker stops: nothing more is received.
    pub(super) draining: Cell<bool>,
    memory: Arc<MemoryBudget>,
    /// One per open connection, to wake them all when the broker stops.
    wakers: RefCell<Slab<Waker>>,
    /// Notified when a connection has left.
    left: Notify,
}

/// A connection's place among its thread's: entered when its task begins, left when it is dropped.
struct Membership {
    thread: Rc<ThreadShared>,
    listener: Arc<Listener>,
    key: usize,
}

impl Membership {
    fn enter(thread: Rc<ThreadShared>, listener: Arc<Listener>, waker: Waker) -> Membership {
        let key = thread.wakers.borrow_mut().insert(waker);
        listener.metrics.connections.fetch_add(1, Ordering::Relaxed);
        Membership { thread, listener, key }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.thread.wakers.borrow_mut().remove(self.key);
        self.thread.metrics.connections.fetch_sub(1, Ordering::Relaxed);
        self.listener.metrics.connections.fetch_sub(1, Ordering::Relaxed);
        self.thread.left.notify_one();
    }
}

/// What a thread is started with.
pub(super) struct ThreadSetup<H> {
    pub(super) index: usize,
    pub(super) config: Arc<NetworkConfig>,
    pub(super) handler: Arc<H>,
    pub(super) metrics: Arc<NetworkThreadMetrics>,
    pub(super) load: Arc<ThreadLoad>,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) accepted: mpsc::Receiver<Accepted>,
    /// When connections must be gone, once the broker stops.
    pub(super) stop: watch::Receiver<Option<Instant>>,
}

/// Starts a network thread. `also` runs on its runtime beside the connections (the acceptors, on one of them).
pub(super) fn spawn<H: Handler>(
    setup: ThreadSetup<H>,
    also: impl FnOnce() + Send + 'static,
) -> io::Result<std::thread::JoinHandle<()>> {
    let (parked, unparked) = (Arc::clone(&setup.load), Arc::clone(&setup.load));
    let metrics = Arc::clone(&setup.metrics);
    let runtime = move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(COLD_READ_THREADS)
            .thread_keep_alive(COLD_READER_KEEP_ALIVE)
            .on_thread_park(move || parked.parks(&metrics))
            .on_thread_unpark(move || unparked.unparks())
            .build_local(Default::default())
    };
    let (started, start) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("{}-{}", setup.config.thread_name, setup.index))
        .stack_size(STACK_BYTES)
        .spawn(move || match runtime() {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                runtime.block_on(async {
                    also();
                    serve(setup).await;
                });
                runtime.shutdown_background();
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        })?;
    start.recv().map_err(io::Error::other)??;
    Ok(thread)
}

async fn serve<H: Handler>(mut setup: ThreadSetup<H>) {
    let shared = Rc::new(ThreadShared {
        config: setup.config,
        metrics: setup.metrics,
        draining: Cell::new(false),
        memory: setup.memory,
        wakers: RefCell::new(Slab::new()),
        left: Notify::new(),
    });
    let deadline = loop {
        tokio::select! {
            accepted = setup.accepted.recv() => match accepted {
                Some(accepted) => {
                    let (shared, handler) = (Rc::clone(&shared), Arc::clone(&setup.handler));
                    tokio::task::spawn_local(connection_task(accepted, shared, handler));
                }
                None => break Instant::now(),
            },
            stopping = setup.stop.wait_for(Option::is_some) => {
                break stopping.ok().and_then(|deadline| *deadline).unwrap_or_else(Instant::now);
            }
        }
    };
    shared.draining.set(true);
    shared.wakers.borrow().iter().for_each(|(_, waker)| waker.wake_by_ref());
    let gone = async {
        while !shared.wakers.borrow().is_empty() {
            shared.left.notified().await;
        }
    };
    if timeout(deadline - Instant::now(), gone).await.is_err() {
        let left = shared.wakers.borrow().len();
        tracing::info!(connections = left, "connections were cut off by the stop");
    }
}

async fn connection_task<H: Handler>(accepted: Accepted, thread: Rc<ThreadShared>, handler: Arc<H>) {
    let Accepted { id, socket, stream, peer_address, listener, slot: _slot } = accepted;
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    let _membership = Membership::enter(Rc::clone(&thread), Arc::clone(&listener), waker);
    let mut reader =
        FrameReader::new(thread.config.socket_request_max_bytes, Reservation::new(Arc::clone(&thread.memory)));
    let local_address = stream.local_addr().unwrap_or(listener.local_address);
    // It is closed if it cannot be taken over.
    let sockets = Arc::clone(socket.sockets());
    drop(socket);
    let transport = match TcpStream::from_std(stream) {
        Ok(stream) => {
            let socket = sockets.enter(&stream);
            establish((stream, socket), &listener, &thread, &mut reader).await
        }
        Err(error) => Err(error.into()),
    };
    let transport = match transport {
        Ok(transport) => transport,
        Err(error @ (HandshakeError::PeerClosed | HandshakeError::BrokerStops)) => {
            tracing::debug!(listener = &*listener.name, peer = %peer_address, %error, "TLS handshake not completed");
            return;
        }
        Err(error) => {
            tracing::info!(listener = &*listener.name, peer = %peer_address, %error, "TLS handshake failed");
            return;
        }
    };
    let context = Rc::new(ConnectionContext {
        id,
        listener: Arc::clone(&listener.name),
        security_protocol: listener.security_protocol(),
        local_address,
        peer_address,
        peer_certificates: transport.peer_certificates(),
        client_software: OnceCell::new(),
        has_asked_for_metadata: Cell::new(false),
        alarm: RefCell::default(),
    });
    let reason = Box::pin(Connection::new(transport, reader, handler, Rc::clone(&context), thread).run()).await;
    log_closed(&context, &reason);
}

async fn establish(
    (stream, socket): (TcpStream, OpenSocket),
    listener: &Listener,
    thread: &ThreadShared,
    reader: &mut FrameReader,
) -> Result<Transport, HandshakeError> {
    let ListenerSecurity::Tls(config) = &listener.security else {
        return Ok(Transport::Plaintext(PlaintextTransport::new(stream, socket)));
    };
    let mut transport = Box::new(TlsTransport::new(stream, socket, config.current()).map_err(HandshakeError::Tls)?);
    let handshake = poll_fn(|context| match thread.draining.get() {
        true => Poll::Ready(Err(HandshakeError::BrokerStops)),
        false => transport.poll_handshake(context, reader),
    });
    let done = timeout(thread.config.tls_handshake_timeout, handshake).await;
    match done.unwrap_or(Err(HandshakeError::TimedOut)) {
        Ok(()) => Ok(Transport::Tls(transport)),
        Err(error @ (HandshakeError::PeerClosed | HandshakeError::BrokerStops)) => Err(error),
        Err(error) => {
            listener.metrics.handshake_failures.fetch_add(1, Ordering::Relaxed);
            if matches!(error, HandshakeError::NotTls | HandshakeError::Tls(_)) {
                transport.linger().await;
            }
            Err(error)
        }
    }
}

fn log_closed(context: &ConnectionContext, reason: &CloseReason) {
    let (listener, peer) = (&*context.listener, context.peer_address);
    match reason {
        CloseReason::Frame(_, [0x16, 0x03, ..]) => {
            tracing::info!(listener, %peer, "closed: a TLS client on a listener that is not TLS");
        }
        CloseReason::Frame(_, prefix)
            if prefix.is_ascii() && prefix.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') =>
        {
            tracing::info!(listener, %peer, "closed: the client does not speak Kafka's protocol (an HTTP client?)");
        }
        CloseReason::Frame(..) | CloseReason::WriteStalled(_) | CloseReason::MemoryStalled(_) => {
            tracing::info!(listener, %peer, %reason, "closed");
        }
        _ => tracing::debug!(listener, %peer, %reason, "closed"),
    }
}
