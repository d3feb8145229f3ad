//! Takes connections off a listener's backlog and hands each to a network thread.
//!
//! Does as little as it can per connection: a count and a choice of thread; socket options are inherited. When handles run out it waits
//! instead of spinning, and says so once.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::connection_quota::ConnectionQuota;
use super::listener::Listener;
use super::metrics::NetworkThreadMetrics;
use super::network_thread::Accepted;
use super::open_sockets::OpenSockets;
use super::placement::{self, ThreadView};
use super::thread_load::ThreadLoad;

/// How long to wait when the process or the host has no handles or memory for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long a thread may leave a connection waiting before another is looked for.
const HAND_OVER_LOOK: Duration = Duration::from_millis(250);

/// Ids of connections, unique in the process.
static NEXT_CONNECTION_ID: AtomicU64 = AtomicU64::new(1);

/// A thread that connections can be handed to.
#[derive(Clone)]
pub(super) struct ThreadHandle {
    pub(super) accepted: mpsc::Sender<Accepted>,
    pub(super) metrics: Arc<NetworkThreadMetrics>,
    pub(super) load: Arc<ThreadLoad>,
    pub(super) sockets: Arc<OpenSockets>,
}

/// One listener's acceptor.
pub(super) struct Acceptor {
    pub(super) listener: Arc<Listener>,
    pub(super) quota: Arc<ConnectionQuota>,
    pub(super) threads: Arc<ArcSwap<Vec<ThreadHandle>>>,
    pub(super) stop: watch::Receiver<Option<Instant>>,
}

impl Acceptor {
    /// Accepts until the broker stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(Option::is_some) => {}
            done = self.accept() => if let Err(error) = done {
                tracing::error!(listener = &*self.listener.name, %error, "no more connections are accepted");
            }
        }
    }

    async fn accept(&mut self) -> io::Result<()> {
        let socket = TcpListener::from_std(self.listener.socket.try_clone()?)?;
        let mut exhausted = false;
        loop {
            self.quota.room().await;
            let accepted = socket.accept().await;
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer_address)) => {
                    exhausted = false;
                    self.admit(stream, peer_address).await;
                }
                Err(error) if is_exhaustion(&error) => {
                    if !exhausted {
                        tracing::error!(
                            listener = &*self.listener.name, %error,
                            "cannot accept connections for lack of file handles or memory (see ulimit -n); trying on"
                        );
                    }
                    exhausted = true;
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // The peer gave up while it waited, or a network error of its own that accept reports: the next, please.
                Err(error) => tracing::debug!(listener = &*self.listener.name, %error, "a connection was not accepted"),
            }
        }
    }

    async fn admit(&mut self, stream: TcpStream, peer_address: SocketAddr) {
        let listener = Arc::clone(&self.listener);
        let slot = match self.quota.enter(peer_address.ip()) {
            Ok(slot) => slot,
            Err(error) => {
                listener.metrics.refused.fetch_add(1, Ordering::Relaxed);
                tracing::info!(listener = &*listener.name, %error, "connection refused");
                return;
            }
        };
        listener.metrics.accepted.fetch_add(1, Ordering::Relaxed);
        let view = |thread: &ThreadHandle| ThreadView {
            load_permille: thread.load.permille(),
            connections: thread.metrics.connections.load(Ordering::Relaxed),
        };
        let id = NEXT_CONNECTION_ID.fetch_add(1, Ordering::Relaxed);
        loop {
            let threads = self.threads.load_full();
            let thread = &threads[placement::choose(&threads.iter().map(view).collect::<Vec<_>>())];
            // A thread that takes nothing over may be replaced meanwhile.
            match tokio::time::timeout(HAND_OVER_LOOK, thread.accepted.reserve()).await {
                Err(_) => continue,
                Ok(Err(_)) => return,
                Ok(Ok(place)) => {
                    thread.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    let socket = thread.sockets.enter(&stream);
                    return place.send(Accepted { id, socket, stream, peer_address, listener, slot });
                }
            }
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
