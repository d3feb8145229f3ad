//! A node that is only a controller: it votes and leads in the metadata quorum, answers administrators (KIP-919), and holds no partition.
//!
//! Its start and stop are the broker's without everything that serves data. Of its directories it needs the one of the
//! metadata log.

use std::net::SocketAddr;
use std::sync::Arc;

use weir_protocol::ids::BrokerEpoch;
use weir_storage::manager::{LogManager, LogManagerConfig};

use super::controller::{self, RunningController};
use super::{Secured, SideThread, StartError, StartInterrupt, log_manager_config};
use crate::administration::Administration;
use crate::api::ControllerApis;
use crate::config::BrokerConfig;
use crate::controller_client::ControllerClient;
use crate::http::{self, Monitored};
use crate::metrics::{RequestMetrics, render_controller};
use crate::net::Network;
use crate::quorum::ControllerListener;

/// A running controller without a broker.
pub struct ControllerNode {
    administration: Arc<Administration>,
    network: Option<Network<ControllerListener>>,
    logs: Arc<LogManager>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    http_address: Option<SocketAddr>,
    side: SideThread,
}

impl ControllerNode {
    /// Starts it; returns once it leads or follows.
    pub(super) fn start(config: &BrokerConfig, interrupt: &StartInterrupt) -> Result<Self, StartError> {
        let bound = controller::bind(config, &mut Secured::new())?;
        let addresses = bound.iter().flat_map(|bound| bound.local_addresses()).collect();
        let http_listener = http::bind(config)?;
        let metadata_dir = vec![config.metadata_log_dir.clone()];
        let logs = LogManagerConfig { dirs: metadata_dir, ..log_manager_config(config) };
        let logs = Arc::new(LogManager::open(logs)?);
        let RunningController { controller, network, links } = controller::start(config, &logs, bound, interrupt)?;
        logs.record_cluster_id(controller.cluster_id())?;
        let administration = Arc::new(Administration {
            id: config.node_id,
            settings: config.settings.clone(),
            controller_client: Arc::new(ControllerClient::new(controller.clone(), links)),
            controller,
            reconfigurer: None,
            requests: RequestMetrics::default(),
        });
        if let Some(network) = &network {
            network.handler().set_apis(ControllerApis::new(administration.clone()));
        }
        let side = SideThread::spawn()?;
        let http_address = http_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = http_listener {
            side.handle.spawn(http::serve(listener, Arc::new(Monitor(administration.clone()))));
        }
        Ok(Self { administration, network, logs, addresses, http_address, side })
    }

    pub(super) fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    pub(super) fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    pub(super) fn cluster_id(&self) -> Arc<str> {
        Arc::clone(self.administration.controller.cluster_id())
    }

    /// Stops: hands over if it leads, then ends.
    pub(super) fn shutdown(self) {
        self.side.stop();
        // A leader hands over before it goes, for which it is still reached.
        self.administration.controller.shutdown();
        self.network.into_iter().for_each(Network::shutdown);
        self.logs.close(true, BrokerEpoch::NONE);
    }
}

/// What a controller tells over HTTP.
struct Monitor(Arc<Administration>);

impl Monitored for Monitor {
    fn unreadiness(&self) -> Option<String> {
        if let Some(failure) = self.0.controller.failure() {
            return Some(format!("the controller has stopped: {failure}"));
        }
        if let Some(full) = self.0.controller.disk_full() {
            return Some(full);
        }
        self.0.controller.active_controller().is_none().then(|| "no active controller is known".to_owned())
    }

    fn exposition(self: Arc<Self>) -> String {
        render_controller(&self.0)
    }
}
