//! The settings of a client, with Kafka's names and defaults where Kafka has them.

use super::{Address, TlsConfig};
use std::time::Duration;

/// How a client reaches a cluster.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `bootstrap.servers`: asked in order until one answers.
    pub bootstrap: Vec<Address>,
    /// `client.id`, for the broker's logs and quotas.
    pub client_id: String,
    /// TLS for every connection; plaintext without.
    pub tls: Option<TlsConfig>,
    /// How long a dial, the TLS handshake included, may take.
    pub connect_timeout: Duration,
    /// `request.timeout.ms`: after this the connection is closed, since answers come in order.
    pub request_timeout: Duration,
    /// Requests on their way on one connection; further ones wait.
    pub max_in_flight: usize,
    /// The largest response that is read.
    pub max_response_bytes: usize,
    /// Attempts for what Kafka calls retriable.
    pub max_attempts: u32,
    /// `retry.backoff.ms`: the first pause; it doubles.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest pause.
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`: after this, metadata is asked for again.
    pub metadata_max_age: Duration,
}

impl ClientConfig {
    /// Defaults, with this bootstrap list.
    pub fn new(bootstrap: Vec<Address>) -> Self {
        Self {
            bootstrap,
            client_id: "weir".to_owned(),
            tls: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_in_flight: 32,
            max_response_bytes: 256 << 20,
            max_attempts: 10,
            retry_backoff: Duration::from_millis(50),
            retry_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
        }
    }
}
