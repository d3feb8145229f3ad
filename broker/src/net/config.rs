//! What the network must be told, with Kafka's names and defaults.

use std::sync::Arc;
use std::time::Duration;

use super::connection_quota::ConnectionLimits;
use super::tls_config::TlsServerConfig;

/// How a listener protects its bytes.
#[derive(Debug, Clone)]
pub enum ListenerSecurity {
    /// Plain TCP.
    Plaintext,
    /// TLS.
    Tls(Arc<TlsServerConfig>),
}

/// One entry of `listeners`.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its name, `PLAINTEXT` say.
    pub name: Arc<str>,
    /// Host name or address to bind; empty binds every address.
    pub host: String,
    /// Port to bind; 0 takes a free one.
    pub port: u16,
    /// How it protects its bytes.
    pub security: ListenerSecurity,
}

/// The network's settings. `Default` is Kafka's defaults.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// What its threads are called, a number behind it.
    pub thread_name: &'static str,
    /// `num.network.threads`.
    pub network_threads: usize,
    /// `max.connections` and its like, as they are at the start.
    pub connection_limits: ConnectionLimits,
    /// `connections.max.idle.ms`; `None` for no limit.
    pub connections_max_idle: Option<Duration>,
    /// `socket.listen.backlog.size`; less than 1024 is taken as 1024.
    pub socket_listen_backlog_size: i32,
    /// `socket.send.buffer.bytes`; `None` (-1) leaves it to the kernel, which then tunes it.
    pub socket_send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` (-1) leaves it to the kernel, which then tunes it.
    pub socket_receive_buffer_bytes: Option<usize>,
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: usize,
    /// `queued.max.request.bytes`: what requests being received or waiting may hold in all. Kafka's default is no
    /// bound; ours is [`NetworkConfig::DEFAULT_QUEUED_MAX_REQUEST_BYTES`].
    pub queued_max_request_bytes: u64,
    /// How long a peer may leave an answer unread before its connection is closed.
    pub write_stall_timeout: Duration,
    /// How long a TLS handshake may take.
    pub tls_handshake_timeout: Duration,
}

impl NetworkConfig {
    /// Requests being received or waiting hold at most this in all, unless the configuration says otherwise.
    pub const DEFAULT_QUEUED_MAX_REQUEST_BYTES: u64 = 1 << 30;
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            thread_name: "weir-net",
            network_threads: 3,
            connection_limits: ConnectionLimits::default(),
            connections_max_idle: Some(Duration::from_millis(600_000)),
            socket_listen_backlog_size: 50,
            socket_send_buffer_bytes: Some(102_400),
            socket_receive_buffer_bytes: Some(102_400),
            socket_request_max_bytes: 104_857_600,
            queued_max_request_bytes: NetworkConfig::DEFAULT_QUEUED_MAX_REQUEST_BYTES,
            write_stall_timeout: Duration::from_secs(120),
            tls_handshake_timeout: Duration::from_secs(10),
        }
    }
}
