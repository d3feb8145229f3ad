//! Makes this broker known to the controller: where it listens, what it can, and how it was left.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;
use weir_controller::decide::{ControllerResponse, LogState, RegisterBrokerRequest};
use weir_controller::record::{BrokerEndpoint, BrokerFeature};
use weir_protocol::ids::BrokerEpoch;
use weir_storage::identity::LastStop;
use weir_storage::manager::LogManager;

use super::StartError;
use crate::broker::FEATURES;
use crate::config::{BrokerConfig, ListenerConfig};
use crate::controller_client::ControllerClient;
use crate::net::SecurityProtocol;

/// Registers, unfenced: the metadata of a combined node is complete before it asks.
pub(super) fn register(
    config: &BrokerConfig,
    controller: &ControllerClient,
    cluster_id: &Arc<str>,
    logs: &LogManager,
    addresses: &[(Arc<str>, SocketAddr)],
) -> Result<BrokerEpoch, StartError> {
    let endpoints = config.listeners.iter().zip(addresses);
    let features = FEATURES.iter().map(|feature| BrokerFeature {
        name: feature.name.into(),
        min_supported_level: feature.min,
        max_supported_level: feature.max,
    });
    let online = logs.dirs().into_iter().filter(|dir| dir.offline.is_none());
    let request = RegisterBrokerRequest {
        broker: config.node_id,
        cluster_id: cluster_id.clone(),
        incarnation_id: Uuid::new_v4(),
        endpoints: endpoints.map(|(listener, (_, bound))| endpoint(listener, *bound)).collect(),
        features: features.collect(),
        rack: config.rack.as_deref().map(Arc::from),
        log_dirs: online.map(|dir| dir.id).collect(),
        fenced: false,
        log_state: match logs.last_stop() {
            LastStop::Unclean => LogState::TailsMayBeLost,
            LastStop::New | LastStop::Clean(_) | LastStop::SameBoot => LogState::Intact,
        },
        earlier_session_open: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(StartError::Thread)?;
    match runtime.block_on(controller.submit(request)) {
        Ok(ControllerResponse::RegisterBroker(Ok(epoch))) => Ok(epoch),
        Ok(ControllerResponse::RegisterBroker(Err(error))) => Err(StartError::Registration(error.to_string())),
        Ok(other) => Err(StartError::Registration(format!("it answered {other:?}"))),
        Err(error) => Err(StartError::Registration(error.to_string())),
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
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = if name.is_empty() { bound.ip().to_string() } else { name };
    tracing::warn!(
        listener = %listener.name, host,
        "the listener is bound to every address and advertised.listeners does not name it: clients are told to connect \
         to this host's name; set advertised.listeners if they cannot reach it by that"
    );
    host
}
