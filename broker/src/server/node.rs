//! What `weir serve` runs: a broker, with or without a controller in it, or a controller alone (`process.roles`).

use std::net::SocketAddr;
use std::sync::Arc;

use super::controller_node::ControllerNode;
use super::{Server, StartError, StartInterrupt};
use crate::config::BrokerConfig;

/// A running node.
pub enum Node {
    /// It serves clients, and may be a controller too.
    Broker(Box<Server>),
    /// It is a controller and nothing else.
    Controller(Box<ControllerNode>),
}

impl Node {
    /// Starts what the configuration says, and returns once it is up. `interrupt` ends a start that waits for others.
    pub fn start(config: BrokerConfig, interrupt: &StartInterrupt) -> Result<Self, StartError> {
        match config.roles.is_controller_only() {
            true => ControllerNode::start(&config, interrupt).map(|node| Self::Controller(Box::new(node))),
            false => Server::start(config, interrupt).map(|server| Self::Broker(Box::new(server))),
        }
    }

    /// Each listener's name and the address it is bound to.
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        match self {
            Self::Broker(server) => server.addresses(),
            Self::Controller(node) => node.addresses(),
        }
    }

    /// Where metrics and health are served.
    pub fn http_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Broker(server) => server.http_address(),
            Self::Controller(node) => node.http_address(),
        }
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Arc<str> {
        match self {
            Self::Broker(server) => server.cluster_id(),
            Self::Controller(node) => node.cluster_id(),
        }
    }

    /// Stops in order.
    pub fn shutdown(self) {
        match self {
            Self::Broker(server) => server.shutdown(),
            Self::Controller(node) => node.shutdown(),
        }
    }
}
