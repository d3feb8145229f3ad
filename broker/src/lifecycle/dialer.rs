//! How the active controller finds out which brokers live: how long it waits, and dials to their listeners.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use weir_controller::liveness::DialOutcome;
use weir_controller::quorum::{BrokerDialer, LivenessConfig, PeerFuture};

use crate::config::Settings;

/// What the settings say of it.
pub(crate) fn liveness_config(settings: &Settings) -> LivenessConfig {
    let session_timeout_ms = settings.number("broker.session.timeout.ms").unsigned_abs();
    LivenessConfig {
        session_timeout: Duration::from_millis(session_timeout_ms),
        listener: settings.value("inter.broker.listener.name").map(Arc::from),
        dialer: Arc::new(TcpDialer),
    }
}

/// Dials over TCP, and hangs up at once.
struct TcpDialer;

impl BrokerDialer for TcpDialer {
    fn dial(&self, host: &str, port: u16) -> PeerFuture<DialOutcome> {
        let host: Arc<str> = host.into();
        Box::pin(async move { dial(&host, port).await })
    }
}

/// Whether anybody listens there; hangs up at once.
pub(crate) async fn dial(host: &str, port: u16) -> DialOutcome {
    match TcpStream::connect((host, port)).await {
        Ok(_) => DialOutcome::Answered,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => DialOutcome::Refused,
        Err(error) => DialOutcome::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(host: &str, port: u16) -> DialOutcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(TcpDialer.dial(host, port))
    }

    #[test]
    fn a_listener_answers_even_if_nobody_accepts_and_a_closed_one_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(dialled("127.0.0.1", port), DialOutcome::Answered);
        drop(listener);
        assert_eq!(dialled("127.0.0.1", port), DialOutcome::Refused);
    }

    #[test]
    fn a_name_that_nobody_knows_says_nothing_of_the_broker() {
        assert!(matches!(dialled("no-such-host.invalid", 9092), DialOutcome::Unknown(_)));
    }
}
