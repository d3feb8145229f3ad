//! What the configuration says about replication.

use std::time::Duration;

use weir_protocol::client::TlsConfig;

use crate::config::Settings;

/// How followers fetch, and how leaders judge them.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaSettings {
    /// `inter.broker.listener.name`: where other brokers are reached.
    pub(crate) listener: String,
    /// How connections there are encrypted.
    pub(crate) tls: Option<TlsConfig>,
    /// `num.replica.fetchers`.
    pub(crate) fetchers: usize,
    /// `replica.fetch.max.bytes`.
    pub(crate) max_partition_bytes: i32,
    /// `replica.fetch.response.max.bytes`.
    pub(crate) max_response_bytes: i32,
    /// `replica.fetch.min.bytes`.
    pub(crate) min_bytes: i32,
    /// `replica.fetch.wait.max.ms`.
    pub(crate) max_wait: Duration,
    /// `replica.fetch.backoff.ms`.
    pub(crate) max_backoff_ms: i64,
    /// `replica.socket.timeout.ms`.
    pub(crate) socket_timeout: Duration,
    /// `replica.lag.time.max.ms`.
    pub(crate) max_lag_ms: i64,
}

impl ReplicaSettings {
    /// What `settings` say; other brokers are reached at their `listener`.
    pub(crate) fn new(settings: &Settings, listener: String, tls: Option<TlsConfig>) -> Self {
        let number = |key| settings.number(key);
        let duration = |key| Duration::from_millis(number(key).max(0) as u64);
        Self {
            listener,
            tls,
            fetchers: number("num.replica.fetchers").max(1) as usize,
            max_partition_bytes: number("replica.fetch.max.bytes") as i32,
            max_response_bytes: number("replica.fetch.response.max.bytes") as i32,
            min_bytes: number("replica.fetch.min.bytes") as i32,
            max_wait: duration("replica.fetch.wait.max.ms"),
            max_backoff_ms: number("replica.fetch.backoff.ms"),
            socket_timeout: duration("replica.socket.timeout.ms"),
            max_lag_ms: number("replica.lag.time.max.ms"),
        }
    }
}
