//! Why a broker does not start, each in a sentence that says what to do.

use std::io;

use weir_controller::quorum::StartError as ControllerError;
use weir_storage::identity::IdentityError;
use weir_storage::manager::OpenError;

use crate::config::ConfigError;
use crate::net::{BindError, TlsConfigError};

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A listener's keys or certificates cannot be used.
    #[error("listener {listener}: {source}")]
    Tls {
        /// The listener.
        listener: String,
        /// Why not.
        source: TlsConfigError,
    },
    /// A file of a listener's cannot be read.
    #[error("listener {listener}: cannot read {key}={path}: {source}")]
    TlsFile {
        /// The listener.
        listener: String,
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Other nodes cannot be dialled with a listener's keys or certificates.
    #[error("listener {listener}, for dialling other nodes: {source}")]
    TlsDialling {
        /// The listener.
        listener: String,
        /// Why not.
        source: weir_protocol::client::TlsConfigError,
    },
    /// A listener lacks a setting that TLS needs.
    #[error("listener {listener} needs {keys} for SSL")]
    TlsIncomplete {
        /// The listener.
        listener: String,
        /// What is missing.
        keys: &'static str,
    },
    /// The address of the HTTP listener cannot be bound.
    #[error(
        "cannot serve metrics and health on http.listener={address}: {source}; set another, or none with http.listener="
    )]
    Http {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The log directories cannot be opened.
    #[error(transparent)]
    Logs(#[from] OpenError),
    /// `meta.properties` cannot be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The metadata log cannot be opened or led.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// The controller refused this broker.
    #[error("the controller refused to register this broker: {0}")]
    Registration(String),
    /// It was told to stop before it was up.
    #[error("stopped before the broker was up")]
    Interrupted,
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}; raise the limit of processes (ulimit -u)")]
    Thread(#[source] io::Error),
}
