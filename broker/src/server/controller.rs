//! Brings this node's controller up: alone at once, or together with the others of its quorum.
//!
//! With others, members must be answered before this node can lead or follow, so its controller listeners are served first,
//! on a network thread that no data ever reaches; then it waits for its quorum. A node that is only a broker listens to no
//! controller: it opens sessions with them and is called over these.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use weir_controller::decide::Defaults;
use weir_controller::forward::MAX_FORWARDED_BYTES;
use weir_controller::quorum::{
    ConfiguredVoters, Controller, ControllerConfig, ControllerEndpoint, MAX_PEER_RPC_BYTES, MemberRecord, PeerConfig,
    StartError as ControllerError,
};
use weir_storage::manager::{LogManager, MetadataLogRecord};

use super::host_name::host_name;
use super::interrupt::StartInterrupt;
use super::{Secured, StartError, net_listeners, tls};
use crate::broker::FEATURES;
use crate::config::catalog::Catalog;
use crate::config::effective::Layers;
use crate::config::{BrokerConfig, QuorumConfig, Settings};
use crate::group::OFFSETS_TOPIC;
use crate::lifecycle::liveness_config;
use crate::net::{BoundNetwork, ConnectionLimits, Network, NetworkConfig, SecurityProtocol};
use crate::quorum::{ControllerListener, PeerLinks, SessionCalls, Sessions, TcpPeerTransport};

/// Connections to a controller listener: a few from each node, and tools.
const MAX_CONNECTIONS: usize = 16_384;

/// What requests being received or waiting on controller listeners may hold in all.
const MAX_QUEUED_BYTES: u64 = 256 << 20;

/// How many replicas a topic gets where nobody says, if there are as many brokers.
const MOST_REPLICAS_UNASKED: i16 = 3;

/// A frame's header, at most.
const HEADER_BYTES: usize = 64 * 1024;

/// A controller, and what connects it with others.
pub(super) struct RunningController {
    pub(super) controller: Arc<Controller>,
    /// With others.
    pub(super) network: Option<Network<ControllerListener>>,
    pub(super) links: Option<Arc<PeerLinks>>,
}

/// Binds the controller listeners of a node that has others.
pub(super) fn bind(config: &BrokerConfig, secured: &mut Secured) -> Result<Option<BoundNetwork>, StartError> {
    let Some(quorum) = config.quorum.as_ref().filter(|quorum| !quorum.listeners.is_empty()) else { return Ok(None) };
    let network = NetworkConfig {
        thread_name: "weir-peers",
        network_threads: 1,
        connection_limits: ConnectionLimits { max: MAX_CONNECTIONS, ..ConnectionLimits::default() },
        socket_send_buffer_bytes: None,
        socket_receive_buffer_bytes: None,
        socket_request_max_bytes: MAX_PEER_RPC_BYTES.max(MAX_FORWARDED_BYTES) + HEADER_BYTES,
        queued_max_request_bytes: MAX_QUEUED_BYTES,
        ..NetworkConfig::default()
    };
    let listeners = net_listeners(config, &quorum.listeners, secured)?;
    Ok(Some(BoundNetwork::bind(network, listeners)?))
}

/// Starts the controller; returns once it leads, or follows a leader, and its image is complete.
pub(super) fn start(
    config: &BrokerConfig,
    logs: &LogManager,
    bound: Option<BoundNetwork>,
    interrupt: &StartInterrupt,
) -> Result<RunningController, StartError> {
    let Some(quorum) = &config.quorum else {
        let controller = Controller::start(controller_config(config, logs))?;
        return Ok(RunningController { controller: Arc::new(controller), network: None, links: None });
    };
    let links = Arc::new(PeerLinks::new(tls(config, quorum)?));
    let session_calls = Arc::new(SessionCalls::default());
    let ports = bound.iter().flat_map(|bound| bound.local_addresses());
    let ports: Vec<u16> = ports.map(|(_, address)| address.port()).collect();
    let base = controller_config(config, logs);
    let starting = Controller::launch(ControllerConfig {
        endpoints: quorum.endpoints(config.node_id, &ports, &host_name().unwrap_or_else(|| "localhost".to_owned())),
        peers: Some(PeerConfig {
            transport: Arc::new(TcpPeerTransport::new(Arc::clone(&links), Arc::clone(&session_calls))),
            voters: quorum.voters.clone(),
            may_vote: config.roles.controller,
            timing: quorum.timing,
            liveness: config.roles.controller.then(|| liveness_config(&config.settings)),
            leader_rebalance_interval: leader_rebalance_interval(&config.settings),
        }),
        ..base
    })?;
    let member = starting.node_id();
    let service = starting.peer_service().ok_or(StartError::Controller(ControllerError::Stopped))?;
    let (mut network, mut sessions) = (None, None);
    match bound {
        Some(bound) => {
            let listener = Arc::new(ControllerListener::new(service, session_calls));
            network = Some(bound.start(listener).map_err(StartError::Thread)?);
        }
        None => {
            let _on_its_runtime = starting.runtime().enter();
            let sessions = sessions.insert(Sessions::new(member, Arc::clone(&links), service));
            sessions.open(configured_endpoints(&quorum.voters));
        }
    }
    interrupt.abort_with(starting.abort_handle());
    let ready = starting.ready();
    interrupt.quorum_found();
    let controller = match ready {
        Ok(controller) => Arc::new(controller),
        Err(error) => {
            network.into_iter().for_each(Network::shutdown);
            return Err(if interrupt.is_interrupted() { StartError::Interrupted } else { error.into() });
        }
    };
    if let Some(network) = &network {
        network.handler().set_controller(Arc::clone(&controller));
    }
    if let Some(sessions) = sessions {
        controller.runtime().spawn(sessions.follow(Arc::downgrade(&controller)));
    }
    Ok(RunningController { controller, network, links: Some(links) })
}

/// Where the configuration says that controllers are.
fn configured_endpoints(voters: &ConfiguredVoters) -> Vec<ControllerEndpoint> {
    match voters {
        ConfiguredVoters::Named(voters) => voters.values().flatten().cloned().collect(),
        ConfiguredVoters::Bootstrap(servers) => servers.clone(),
    }
}

/// What every controller is started with; one without others needs no more.
fn controller_config(config: &BrokerConfig, logs: &LogManager) -> ControllerConfig {
    let settings = &config.settings;
    let dirs = logs.dirs();
    let metadata_dir = dirs.iter().find(|dir| dir.path == config.metadata_log_dir).unwrap_or(&dirs[0]);
    let default_replication =
        settings.set("default.replication.factor").map(|_| settings.number("default.replication.factor") as i16);
    let supported = FEATURES.iter().map(|feature| (Arc::from(feature.name), (feature.min, feature.max)));
    ControllerConfig {
        node_id: config.node_id,
        directory_id: metadata_dir.id,
        member_record: logs.metadata_log_record(metadata_dir.id).map(|record| Arc::new(Recorded(record)) as _),
        directory: metadata_dir.path.clone(),
        cluster_id: logs.cluster_id().map(Arc::from),
        endpoints: Vec::new(),
        peers: None,
        catalog: Arc::new(Catalog::new(settings.clone())),
        defaults: Defaults {
            num_partitions: settings.number("num.partitions") as i32,
            replication_factor: default_replication.unwrap_or(MOST_REPLICAS_UNASKED),
            replication_follows_brokers: default_replication.is_none(),
            internal_replication: internal_replication(settings),
            delete_topic_enable: settings.flag("delete.topic.enable"),
            supported_features: supported.collect(),
        },
    }
}

/// `meta.properties` of the directory that holds the metadata log.
struct Recorded(MetadataLogRecord);

impl MemberRecord for Recorded {
    fn member(&self) -> Option<Uuid> {
        self.0.id()
    }

    fn set_member(&self, id: Uuid) -> io::Result<()> {
        self.0.set_id(id)
    }
}

/// How many replicas internal topics get once that many brokers serve.
fn internal_replication(settings: &Settings) -> BTreeMap<Arc<str>, i16> {
    let offsets = settings.number("offsets.topic.replication.factor") as i16;
    BTreeMap::from([(OFFSETS_TOPIC.into(), offsets)])
}

fn leader_rebalance_interval(settings: &Settings) -> Option<Duration> {
    let seconds = settings.number("leader.imbalance.check.interval.seconds").unsigned_abs();
    settings.flag("auto.leader.rebalance.enable").then(|| Duration::from_secs(seconds))
}

/// How other controllers' listeners are dialled.
fn tls(config: &BrokerConfig, quorum: &QuorumConfig) -> Result<Option<weir_protocol::client::TlsConfig>, StartError> {
    match quorum.protocol {
        SecurityProtocol::Plaintext => Ok(None),
        SecurityProtocol::Ssl => tls::dialling(Layers::of_settings(&config.settings), &quorum.listener_name).map(Some),
    }
}
