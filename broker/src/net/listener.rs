//! A bound listener: its socket before and while connections are accepted, and why it could not be bound.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::config::{ListenerConfig, ListenerSecurity, NetworkConfig};
use super::context::SecurityProtocol;
use super::metrics::ListenerMetrics;
use super::port_holder;

/// Connections that wait to be accepted, at least: beyond it the kernel drops attempts, which are repeated a second later.
/// Kafka's default of 50 is too few for the reconnects of a restart, and a longer queue costs nothing.
const MIN_BACKLOG: i32 = 1024;

/// When the kernel begins to ask a silent peer whether it lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(7200);

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error("listener {listener} cannot listen on {address}: the port is in use{holder}")]
    InUse {
        /// The listener's name.
        listener: Arc<str>,
        /// What it should have bound.
        address: SocketAddr,
        /// " by process 1234 (java)", as far as it can be found out.
        holder: String,
    },
    /// The host name means nothing here.
    #[error("listener {listener} cannot listen on {host}:{port}: the host name has no address ({source})")]
    NoAddress {
        /// The listener's name.
        listener: Arc<str>,
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// What the resolver said.
        source: io::Error,
    },
    /// Anything else: no permission for a low port, an address of another host.
    #[error("listener {listener} cannot listen on {address}: {source}")]
    Refused {
        /// The listener's name.
        listener: Arc<str>,
        /// What it should have bound.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A listener that is bound. Connections wait in the backlog until acceptors start.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) name: Arc<str>,
    pub(super) local_address: SocketAddr,
    pub(super) security: ListenerSecurity,
    pub(super) socket: TcpListener,
    pub(super) metrics: Arc<ListenerMetrics>,
}

impl Listener {
    pub(super) fn bind(listener: ListenerConfig, config: &NetworkConfig) -> Result<Listener, BindError> {
        let ListenerConfig { name, host, port, security } = listener;
        let address = resolve(&host, port).map_err(|source| BindError::NoAddress {
            listener: Arc::clone(&name),
            host,
            port,
            source,
        })?;
        let socket = listen(address, config).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                listener: Arc::clone(&name),
                address,
                holder: port_holder::of(address.port()).map_or(String::new(), |holder| format!(" by {holder}")),
            },
            _ => BindError::Refused { listener: Arc::clone(&name), address, source },
        })?;
        let local_address = socket.local_addr().unwrap_or(address);
        let metrics = Arc::new(ListenerMetrics::new(Arc::clone(&name)));
        Ok(Listener { name, local_address, security, socket, metrics })
    }

    pub(super) fn security_protocol(&self) -> SecurityProtocol {
        match self.security {
            ListenerSecurity::Plaintext => SecurityProtocol::Plaintext,
            ListenerSecurity::Tls(_) => SecurityProtocol::Ssl,
        }
    }
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host.is_empty() {
        return Ok(wildcard(port));
    }
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    // "localhost" often lists ::1 first, while clients configured with it try 127.0.0.1 too: take the IPv4 one.
    let preferred = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    preferred.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))
}

/// Both families where the host has IPv6, as a Kafka broker on an empty host name does.
fn wildcard(port: u16) -> SocketAddr {
    match Socket::new(Domain::IPV6, Type::STREAM, None) {
        Ok(_) => SocketAddr::from(([0u16; 8], port)),
        Err(_) => SocketAddr::from(([0, 0, 0, 0], port)),
    }
}

/// Options set here are inherited by every accepted connection.
fn listen(address: SocketAddr, config: &NetworkConfig) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
    if let Some(bytes) = config.socket_send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = config.socket_receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(config.socket_listen_backlog_size.max(MIN_BACKLOG))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(host: &str, port: u16) -> Result<Listener, BindError> {
        let security = ListenerSecurity::Plaintext;
        let config = ListenerConfig { name: Arc::from("PLAINTEXT"), host: host.to_owned(), port, security };
        Listener::bind(config, &NetworkConfig::default())
    }

    #[test]
    fn a_port_in_use_names_listener_address_and_holder() {
        let first = listener("127.0.0.1", 0).unwrap();
        let error = listener("127.0.0.1", first.local_address.port()).unwrap_err().to_string();
        let expected = format!(
            "listener PLAINTEXT cannot listen on {}: the port is in use by process {}",
            first.local_address,
            std::process::id()
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn an_address_of_another_host_is_refused_in_words() {
        let error = listener("192.0.2.1", 0).unwrap_err().to_string();
        assert!(error.starts_with("listener PLAINTEXT cannot listen on 192.0.2.1:0: "), "{error}");
    }

    #[test]
    fn an_empty_host_takes_connections_on_every_address() {
        let listener = listener("", 0).unwrap();
        std::net::TcpStream::connect(("127.0.0.1", listener.local_address.port())).unwrap();
    }
}
