//! The settings of a node in typed form: what the server is built from.

use std::path::PathBuf;
use std::time::Duration;

use weir_protocol::ids::BrokerId;

use super::definition::{ConfigError, list};
use super::listener::{ListenerConfig, Listeners, listeners};
use super::quorum::QuorumConfig;
use super::roles::Roles;
use super::settings::Settings;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `process.roles`.
    pub roles: Roles,
    /// The metadata quorum; none for a node that is a cluster of its own.
    pub quorum: Option<QuorumConfig>,
    /// The zone.
    pub rack: Option<String>,
    /// `log.dirs`, or `log.dir`.
    pub log_dirs: Vec<PathBuf>,
    /// Where the metadata log lives.
    pub metadata_log_dir: PathBuf,
    /// The listeners for clients.
    pub listeners: Vec<ListenerConfig>,
    /// The name of the listener that brokers use among themselves.
    pub inter_broker_listener: String,
    /// Where metrics and health are served, as host:port.
    pub http_listener: Option<String>,
    /// How many threads serve connections.
    pub network_threads: usize,
    /// The largest frame taken.
    pub max_request_bytes: usize,
    /// How long a connection may be idle.
    pub connections_max_idle: Option<Duration>,
    /// Everything else, by key.
    pub settings: Settings,
}

impl BrokerConfig {
    /// Reads the typed form out of checked settings.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let log_dirs: Vec<PathBuf> =
            list(settings.value("log.dirs").unwrap_or_else(|| settings.text("log.dir"))).map(PathBuf::from).collect();
        let Some(first_dir) = log_dirs.first() else {
            let reason = "At least one log directory is needed".to_owned();
            return Err(ConfigError { key: "log.dirs".into(), value: settings.text("log.dirs").into(), reason });
        };
        let idle_ms = settings.number("connections.max.idle.ms");
        let http_listener = settings.text("http.listener").trim();
        let (node_id, roles) = (node_id(&settings)?, Roles::of(&settings));
        let Listeners { broker, controller, inter_broker } = listeners(&settings, roles)?;
        Ok(Self {
            node_id,
            roles,
            quorum: QuorumConfig::new(&settings, node_id, roles, &controller)?,
            rack: settings.value("broker.rack").map(str::to_owned),
            metadata_log_dir: settings.value("metadata.log.dir").map_or_else(|| first_dir.clone(), PathBuf::from),
            log_dirs,
            listeners: broker,
            inter_broker_listener: inter_broker,
            http_listener: (!http_listener.is_empty()).then(|| http_listener.to_owned()),
            network_threads: settings.number("num.network.threads") as usize,
            max_request_bytes: settings.number("socket.request.max.bytes") as usize,
            connections_max_idle: u64::try_from(idle_ms).ok().map(Duration::from_millis),
            settings,
        })
    }
}

/// `node.id` and `broker.id` are one setting under two names, each set by the other; both may stand if they agree.
fn node_id(settings: &Settings) -> Result<BrokerId, ConfigError> {
    let (id, older) = (settings.number("node.id"), settings.number("broker.id"));
    if older >= 0 && older != id {
        let reason = format!("broker.id is {older}; the two name the same thing and must agree");
        return Err(ConfigError { key: "node.id".into(), value: id.to_string(), reason });
    }
    Ok(BrokerId(id as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[&str]) -> Result<BrokerConfig, ConfigError> {
        let pairs: Vec<_> = pairs.iter().map(|s| (*s).to_owned()).collect();
        BrokerConfig::new(Settings::load(None, std::iter::empty(), &pairs).unwrap().0)
    }

    #[test]
    fn no_setting_at_all_is_a_working_node() {
        let config = config(&[]).unwrap();
        assert_eq!(config.log_dirs, [PathBuf::from("./weir-data")]);
        assert_eq!(config.node_id, BrokerId(1));
    }

    #[test]
    fn broker_id_is_the_older_name_of_node_id() {
        assert_eq!(config(&["broker.id=4"]).unwrap().node_id, BrokerId(4));
        assert!(config(&["broker.id=4", "node.id=5"]).unwrap_err().reason.contains("must agree"));
    }
}
