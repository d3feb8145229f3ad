//! The network as a whole: bound first, started when the broker is ready to answer, stopped in bounded time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::acceptor::{Acceptor, ThreadHandle};
use super::config::{ListenerConfig, NetworkConfig};
use super::connection_quota::ConnectionQuota;
use super::handler::Handler;
use super::listener::{BindError, Listener};
use super::memory_budget::MemoryBudget;
use super::metrics::{NetworkMetrics, NetworkThreadMetrics};
use super::network_thread::{self, Accepted, MAX_HANDED_OVER, ThreadSetup};
use super::open_files;
use super::thread_load::ThreadLoad;

/// How long answers may take to leave once the broker stops.
pub const SHUTDOWN_BOUND: Duration = Duration::from_millis(200);

/// Listeners that are bound and not yet served: clients connect and wait.
#[derive(Debug)]
pub struct BoundNetwork {
    config: NetworkConfig,
    listeners: Vec<Arc<Listener>>,
    metrics: Arc<NetworkMetrics>,
    quota: Arc<ConnectionQuota>,
}

impl BoundNetwork {
    /// Binds every listener, or none.
    pub fn bind(config: NetworkConfig, listeners: Vec<ListenerConfig>) -> Result<BoundNetwork, BindError> {
        open_files::raise_limit();
        let bound = listeners.into_iter().map(|listener| Listener::bind(listener, &config).map(Arc::new));
        let listeners = bound.collect::<Result<Vec<_>, _>>()?;
        let threads = config.network_threads.max(1);
        let metrics = Arc::new(NetworkMetrics {
            listeners: listeners.iter().map(|listener| Arc::clone(&listener.metrics)).collect(),
            threads: (0..threads).map(|_| Arc::new(NetworkThreadMetrics::default())).collect(),
        });
        let quota = Arc::new(ConnectionQuota::new(config.connection_limits.clone()));
        Ok(BoundNetwork { config, listeners, metrics, quota })
    }

    /// Each listener's name and the address it is bound to (the port, where 0 was asked for).
    pub fn local_addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.listeners.iter().map(|listener| (Arc::clone(&listener.name), listener.local_address)).collect()
    }

    /// The network's counters.
    pub fn metrics(&self) -> Arc<NetworkMetrics> {
        Arc::clone(&self.metrics)
    }

    /// What limits connections, now and while they run.
    pub fn connection_quota(&self) -> Arc<ConnectionQuota> {
        Arc::clone(&self.quota)
    }

    /// Starts the network threads and accepts connections.
    pub fn start<H: Handler>(self, handler: Arc<H>) -> io::Result<Network<H>> {
        let BoundNetwork { config, listeners, metrics, quota } = self;
        let (stop, stopping) = watch::channel(None);
        let memory = Arc::new(MemoryBudget::new(config.queued_max_request_bytes));
        let config = Arc::new(config);
        let (handles, receivers) = thread_handles(&metrics);
        let acceptors = listeners.iter().map(|listener| Acceptor {
            listener: Arc::clone(listener),
            quota: Arc::clone(&quota),
            threads: handles.clone(),
            stop: stopping.clone(),
        });
        // Connections fill the threads from the first; the acceptors disturb them least on the last.
        let mut acceptors: Vec<_> = acceptors.collect();
        let mut network = Network { handler, metrics: Arc::clone(&metrics), threads: Vec::new(), stop };
        let last = receivers.len() - 1;
        for (index, accepted) in receivers.into_iter().enumerate() {
            let setup = ThreadSetup {
                index,
                config: Arc::clone(&config),
                handler: Arc::clone(&network.handler),
                metrics: Arc::clone(&metrics.threads[index]),
                load: Arc::clone(&handles[index].load),
                memory: Arc::clone(&memory),
                accepted,
                stop: stopping.clone(),
            };
            let here = if index == last { std::mem::take(&mut acceptors) } else { Vec::new() };
            let also = move || here.into_iter().for_each(|acceptor| drop(tokio::task::spawn_local(acceptor.run())));
            network.threads.push(network_thread::spawn(setup, also)?);
        }
        Ok(network)
    }
}

fn thread_handles(metrics: &NetworkMetrics) -> (Vec<ThreadHandle>, Vec<mpsc::Receiver<Accepted>>) {
    let handle = |metrics: &Arc<NetworkThreadMetrics>| {
        let (accepted, receiver) = mpsc::channel(MAX_HANDED_OVER);
        let load = Arc::new(ThreadLoad::new());
        (ThreadHandle { accepted, metrics: Arc::clone(metrics), load }, receiver)
    };
    metrics.threads.iter().map(handle).unzip()
}

/// The running network.
#[derive(Debug)]
pub struct Network<H> {
    handler: Arc<H>,
    metrics: Arc<NetworkMetrics>,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<Option<Instant>>,
}

impl<H: Handler> Network<H> {
    /// The network's counters.
    pub fn metrics(&self) -> Arc<NetworkMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Whoever answers requests.
    pub fn handler(&self) -> &Arc<H> {
        &self.handler
    }

    /// Accepts and receives no more, asks the handler to answer what waits, sends answers for at most
    /// [`SHUTDOWN_BOUND`], closes every connection and joins the threads. Blocks: not for a thread that runs futures.
    pub fn shutdown(mut self) {
        self.stop.send_replace(Some(Instant::now() + SHUTDOWN_BOUND));
        self.handler.shutting_down();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a network thread panicked");
            }
        }
    }
}
