//! What this broker tells the controller of itself: where it listens, what it can, and how it was left.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;
use weir_controller::decide::{LogState, RegisterBrokerRequest};
use weir_controller::record::{BrokerEndpoint, BrokerFeature};
use weir_storage::identity::LastStop;
use weir_storage::manager::LogManager;

use crate::broker::FEATURES;
use crate::config::{BrokerConfig, ListenerConfig};
use crate::net::SecurityProtocol;
use crate::server::host_name::host_name;

/// The registration of a process that starts, fenced.
pub(super) fn registration(
    config: &BrokerConfig,
    cluster_id: &Arc<str>,
    incarnation_id: Uuid,
    logs: &LogManager,
    addresses: &[(Arc<str>, SocketAddr)],
) -> RegisterBrokerRequest {
    let endpoints = config.listeners.iter().zip(addresses);
    let features = FEATURES.iter().map(|feature| BrokerFeature {
        name: feature.name.into(),
        min_supported_level: feature.min,
        max_supported_level: feature.max,
    });
    RegisterBrokerRequest {
        broker: config.node_id,
        cluster_id: cluster_id.clone(),
        incarnation_id,
        endpoints: endpoints.map(|(listener, (_, bound))| endpoint(listener, *bound)).collect(),
        features: features.collect(),
        rack: config.rack.as_deref().map(Arc::from),
        log_dirs: logs.online_directories(),
        fenced: true,
        log_state: match logs.last_stop() {
            LastStop::Unclean => LogState::TailsMayBeLost,
            LastStop::New | LastStop::Clean(_) | LastStop::SameBoot => LogState::Intact,
        },
        previous_broker_epoch: match logs.last_stop() {
            LastStop::Clean(epoch) => epoch,
            LastStop::New | LastStop::SameBoot | LastStop::Unclean => None,
        },
        // The controller knows.
        earlier_session_open: false,
    }
}

fn endpoint(listener: &ListenerConfig, bound: SocketAddr) -> BrokerEndpoint {
    let (host, port) = match &listener.advertised {
        Some((host, port)) => (host.clone(), *port),
        None => (advertised_host(listener, bound), 0),
    };
    BrokerEndpoint {
        name: listener.name.as_str().into(),
        host: host.into(),
        // Port 0 asked the system for a free one; what it gave is what clients need.
        port: if port == 0 { bound.port() } else { port },
        security_protocol: match listener.protocol {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
        },
    }
}

/// A listener on every address has none to tell: the host's name stands in, as in Kafka, and the operator is told.
fn advertised_host(listener: &ListenerConfig, bound: SocketAddr) -> String {
    if !listener.is_wildcard() {
        return listener.host.clone();
    }
    let host = host_name().unwrap_or_else(|| bound.ip().to_string());
    tracing::warn!(
        listener = %listener.name, host,
        "the listener is bound to every address and advertised.listeners does not name it: clients are told to connect \
         to this host's name; set advertised.listeners if they cannot reach it by that"
    );
    host
}
