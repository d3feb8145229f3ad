//! The connections of this node to the controller listeners of others.
//!
//! A connection answers in the order of its requests, so what must not wait for the rest has one of its own: see [`Lane`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;
use weir_controller::forward::MAX_FORWARDED_BYTES;
use weir_controller::quorum::{ControllerEndpoint, MAX_PEER_RPC_BYTES, PeerError};
use weir_protocol::client::{Address, ClientConfig, PrivateCallError, TlsConfig};
use weir_protocol::private_api::PrivateApi;

use super::link::{LONGEST_PAUSE, Link};

/// Endpoints and lanes that are remembered; beyond that, those that are idle are forgotten.
const MAX_LINKS: usize = 4_096;

/// How long a connection may take to be made, the TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Requests on their way on one connection; further ones wait.
const MAX_IN_FLIGHT: usize = 64;

/// The kinds of traffic that do not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Entries, heartbeats and votes of the quorum.
    Raft,
    /// Snapshots, and whatever else may take long between members.
    Bulk,
    /// What brokers ask for themselves: registrations, heartbeats, in-sync sets.
    Life,
    /// Changes of the metadata that clients ask for.
    Changes,
    /// Calls that this node takes because nobody can dial it.
    Session,
}

/// Connections to controllers. All of them live on one runtime.
pub(crate) struct PeerLinks {
    config: ClientConfig,
    links: Mutex<BTreeMap<(String, u16, Lane), Link>>,
}

impl PeerLinks {
    pub(crate) fn new(tls: Option<TlsConfig>) -> Self {
        let mut config = ClientConfig::new(Vec::new());
        config.tls = tls;
        config.connect_timeout = CONNECT_TIMEOUT;
        config.max_in_flight = MAX_IN_FLIGHT;
        config.max_response_bytes = MAX_PEER_RPC_BYTES.max(MAX_FORWARDED_BYTES);
        Self { config, links: Mutex::default() }
    }

    /// Asks whoever listens at `endpoint`. Must be awaited on the runtime that drives the links.
    pub(crate) async fn call(
        &self,
        endpoint: &ControllerEndpoint,
        lane: Lane,
        api: PrivateApi,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Bytes, PeerError> {
        const VERSION: i16 = 0;
        let deadline = Instant::now() + timeout;
        let link = self.link(endpoint, lane);
        let connection = tokio::time::timeout(timeout, link.connection()).await.map_err(|_| PeerError::TimedOut)??;
        let left = deadline.saturating_duration_since(Instant::now());
        connection.call_private(api, VERSION, body, left).await.map_err(|error| match error {
            PrivateCallError::TimedOut => PeerError::TimedOut,
            other => PeerError::Unreachable(other.to_string()),
        })
    }

    /// Resolves once the connection to `endpoint` broke, which is made if there is none, and at once if it is refused. Must be
    /// awaited on the runtime that drives the links.
    pub(crate) async fn until_broken(&self, endpoint: &ControllerEndpoint, lane: Lane) {
        let link = self.link(endpoint, lane);
        loop {
            match link.connection().await {
                Ok(connection) => return connection.until_closed().await,
                Err(PeerError::Refused) => return,
                Err(_) => tokio::time::sleep(LONGEST_PAUSE).await,
            }
        }
    }

    /// [`PeerLinks::call`] from anywhere: the call is made on `runtime`.
    pub(crate) async fn call_on(
        self: &Arc<Self>,
        runtime: &Handle,
        endpoint: ControllerEndpoint,
        lane: Lane,
        api: PrivateApi,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, PeerError> {
        let links = Arc::clone(self);
        let call = runtime.spawn(async move { links.call(&endpoint, lane, api, &body, timeout).await });
        call.await.unwrap_or_else(|_| Err(PeerError::Unreachable("the node is stopping".to_owned())))
    }

    fn link(&self, endpoint: &ControllerEndpoint, lane: Lane) -> Link {
        let mut links = self.links.lock();
        if links.len() >= MAX_LINKS {
            links.retain(|_, link| link.is_open());
        }
        let key = (endpoint.host.clone(), endpoint.port, lane);
        let new = || Link::new(Address::new(&endpoint.host, endpoint.port), self.config.clone());
        links.entry(key).or_insert_with(new).clone()
    }
}
