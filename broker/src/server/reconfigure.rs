//! What changes of a broker's configuration mean while it runs (KIP-226): limits of connections, certificates of
//! listeners, how long producers are remembered, the rates of throttled replicas. The defaults of topics follow by [`crate::publisher`].

use std::sync::Arc;

use weir_controller::image::{MetadataImage, ResourceConfigs};
use weir_protocol::ids::BrokerId;
use weir_storage::manager::LogManager;

use super::StartError;
use super::tls::tls_config;
use crate::broker::layers;
use crate::config::broker_keys::{STORE_KEYS, broker_key};
use crate::config::connection_limits::connection_limits;
use crate::config::effective::Layers;
use crate::config::settings::listener_key;
use crate::config::{ListenerConfig, Settings};
use crate::lifecycle::check_cordon;
use crate::net::{ConnectionQuota, TlsServerConfig};
use crate::partition::{PartitionTable, ReplicaSide};

/// Applies what a broker's configuration says now.
#[derive(Debug)]
pub(crate) struct Reconfigurer {
    pub(super) id: BrokerId,
    pub(super) settings: Settings,
    pub(super) quota: Arc<ConnectionQuota>,
    pub(super) logs: Arc<LogManager>,
    pub(super) partitions: Arc<PartitionTable>,
    /// The listeners that speak TLS, with what new handshakes take.
    pub(super) secured: Vec<(ListenerConfig, Arc<TlsServerConfig>)>,
}

impl Reconfigurer {
    /// Applies everything that needs no file. A value that does not parse was not accepted by this version: the one
    /// before it stays.
    pub(crate) fn apply_limits(&self, image: &MetadataImage) {
        let layers = layers(self.id, &self.settings, image);
        match connection_limits(layers) {
            Ok(limits) => self.quota.set_limits(limits),
            Err(error) => tracing::warn!(%error, "the limits of connections stay as they are"),
        }
        if let Ok(expiration_ms) = layers.text("producer.id.expiration.ms").parse() {
            self.logs.set_producer_id_expiration_ms(expiration_ms);
        }
        let local = self.partitions.local();
        for (side, key) in [
            (ReplicaSide::Leader, "leader.replication.throttled.rate"),
            (ReplicaSide::Follower, "follower.replication.throttled.rate"),
        ] {
            // Where nothing is set there is no limit.
            local.throttles().of(side).set_limit(local.now_ms(), layers.text(key).parse().ok());
        }
    }

    /// Reads the certificates of every listener again, for they may have changed under the same name. Those that cannot
    /// be used leave the listener with what it has.
    pub(crate) fn reload_certificates(&self, image: &MetadataImage) {
        for (listener, current) in &self.secured {
            match tls_config(layers(self.id, &self.settings, image), listener) {
                Ok(new) => current.replace(&new),
                Err(error) => tracing::error!(%error, "the certificates stay as they are"),
            }
        }
    }

    /// Whether certificates can be read again at all.
    pub(crate) fn has_certificates(&self) -> bool {
        !self.secured.is_empty()
    }

    /// Judges what would be set on this broker: whether every listener could use its certificates, and whether the directories that
    /// would be cordoned are there. Reads files.
    pub(crate) fn check(&self, image: &MetadataImage, set: &ResourceConfigs) -> Result<(), String> {
        let layers = Layers { broker: set, ..layers(self.id, &self.settings, image) };
        let checked: Result<(), StartError> =
            self.secured.iter().try_for_each(|(listener, _)| tls_config(layers, listener).map(drop));
        checked.map_err(|error| error.to_string())?;
        let cordoned = set.get(CORDONED_LOG_DIRS).map_or("", |value| value);
        check_cordon(cordoned, &self.logs).map_err(|error| error.to_string())
    }
}

/// The directories of a broker that take no new replicas (KIP-1066).
pub(crate) const CORDONED_LOG_DIRS: &str = "cordoned.log.dirs";

/// Whether only the broker itself can say if a value is any good.
pub(crate) fn is_judged_by_the_broker(key: &str) -> bool {
    key == CORDONED_LOG_DIRS || is_about_certificates(key)
}

/// Whether a key, if it is taken, decides what a listener's handshakes take.
fn is_about_certificates(key: &str) -> bool {
    let everybodys = || broker_key(key).filter(|key| !STORE_KEYS.contains(&key.name));
    listener_key(key).or_else(everybodys).is_some_and(|definition| definition.name.starts_with("ssl."))
}
