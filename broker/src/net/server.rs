//! The network as a whole: bound first, started when the broker is ready to answer, stopped in bounded time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::config::{ListenerConfig, NetworkConfig};
use super::connection_quota::ConnectionQuota;
use super::handler::Handler;
use super::listener::{BindError, Listener};
use super::memory_budget::MemoryBudget;
use super::metrics::{NetworkMetrics, NetworkThreadMetrics};
use super::open_files;
use super::threads::{NetworkThreads, Parts, SuperviseThreads};

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
        let threads = NetworkThreads::start(Parts {
            config: Arc::new(config),
            handler: Arc::clone(&handler),
            listeners,
            quota,
            metrics: Arc::clone(&metrics),
            memory,
            stop: stopping,
        })?;
        Ok(Network { handler, metrics, threads: Arc::new(threads), stop })
    }
}

/// The running network.
pub struct Network<H> {
    handler: Arc<H>,
    metrics: Arc<NetworkMetrics>,
    threads: Arc<NetworkThreads<H>>,
    stop: watch::Sender<Option<Instant>>,
}

impl<H: Handler> Network<H> {
    /// The network's counters.
    pub fn metrics(&self) -> Arc<NetworkMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Whoever looks after its threads.
    pub fn supervisor(&self) -> Arc<dyn SuperviseThreads> {
        Arc::clone(&self.threads) as Arc<dyn SuperviseThreads>
    }

    /// Whoever answers requests.
    pub fn handler(&self) -> &Arc<H> {
        &self.handler
    }

    /// Accepts and receives no more, asks the handler to answer what waits, sends answers for at most
    /// [`SHUTDOWN_BOUND`], closes every connection and joins the threads. Blocks: not for a thread that runs futures.
    pub fn shutdown(self) {
        self.stop.send_replace(Some(Instant::now() + SHUTDOWN_BOUND));
        self.handler.shutting_down();
        self.threads.join();
    }
}

impl<H> std::fmt::Debug for Network<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}
