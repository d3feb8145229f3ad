//! What a handler may know about the connection a request came over.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::alarm::Alarm;

/// Kafka's `SecurityProtocol`, as `listener.security.protocol.map` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Plain TCP.
    Plaintext,
    /// TLS.
    Ssl,
}

impl SecurityProtocol {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
        }
    }
}

/// What a client said of itself in ApiVersions (KIP-511).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSoftware {
    /// `client_software_name`.
    pub name: String,
    /// `client_software_version`.
    pub version: String,
}

/// One connection, as the handler sees it. Lives on the connection's thread, behind an `Rc`.
#[derive(Debug)]
pub struct ConnectionContext {
    /// Unique in this process.
    pub id: u64,
    /// The listener's name, `PLAINTEXT` unless the configuration says otherwise.
    pub listener: Arc<str>,
    /// How the bytes are protected.
    pub security_protocol: SecurityProtocol,
    /// The address the client reached.
    pub local_address: SocketAddr,
    /// The client's address.
    pub peer_address: SocketAddr,
    /// The certificate chain a TLS client gave, leaf first; empty if it gave none.
    pub peer_certificates: Vec<CertificateDer<'static>>,
    /// Set by the ApiVersions handler.
    pub client_software: OnceCell<ClientSoftware>,
    /// Whether metadata have been asked for over it.
    pub has_asked_for_metadata: Cell<bool>,
    /// What the last waiting request of the connection left of its deadline, for the next one.
    pub alarm: RefCell<Alarm>,
}

impl ConnectionContext {
    /// A context for handler tests: a loopback plaintext connection.
    pub fn for_tests(id: u64) -> ConnectionContext {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        ConnectionContext {
            id,
            listener: Arc::from("PLAINTEXT"),
            security_protocol: SecurityProtocol::Plaintext,
            local_address: loopback,
            peer_address: loopback,
            peer_certificates: Vec::new(),
            client_software: OnceCell::new(),
            has_asked_for_metadata: Cell::new(false),
            alarm: RefCell::default(),
        }
    }
}
