//! The metadata quorum that a node forms with others or joins: who votes, where, and how it keeps time (KIP-595, KIP-853).
//!
//! Owns the reading of `controller.quorum.*` and the checks that Kafka makes of it. Without voters and bootstrap servers a
//! node is a cluster of its own and has none of this.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_controller::quorum::{ConfiguredVoters, ControllerEndpoint, QuorumTiming};
use weir_protocol::ids::BrokerId;

use super::definition::{ConfigError, list};
use super::listener::{ListenerConfig, security_protocol};
use super::roles::Roles;
use super::settings::Settings;
use crate::net::SecurityProtocol;

/// What a node needs to know to be part of a quorum of several.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// The listeners that other nodes reach this controller by; none on a node that is only a broker.
    pub listeners: Vec<ListenerConfig>,
    /// The listener's name by which controllers are reached, the first of `controller.listener.names`.
    pub listener_name: String,
    /// How that listener is secured.
    pub protocol: SecurityProtocol,
    /// Whom the configuration names.
    pub voters: ConfiguredVoters,
    /// How the quorum keeps time.
    pub timing: QuorumTiming,
}

impl QuorumConfig {
    /// Reads it; none for a node that is a cluster of its own.
    pub(super) fn new(
        settings: &Settings,
        node_id: BrokerId,
        roles: Roles,
        controller_listeners: &[ListenerConfig],
    ) -> Result<Option<Self>, ConfigError> {
        let names: Vec<String> =
            list(settings.text("controller.listener.names")).map(str::to_ascii_uppercase).collect();
        let Some(voters) = configured_voters(settings, names.first().map_or("CONTROLLER", |name| name))? else {
            if roles.broker && roles.controller {
                return Ok(None);
            }
            let reason = "controller.quorum.voters or controller.quorum.bootstrap.servers must name the controllers, \
                          unless one node is both broker and controller";
            return Err(wrong(settings, "process.roles", reason));
        };
        let Some(listener_name) = names.first().cloned() else {
            let reason = match roles.controller {
                true => {
                    "It must contain at least one value appearing in the 'listeners' configuration when running the \
                     KRaft controller role"
                }
                false => "It must contain at least one value when running KRaft with just the broker role",
            };
            return Err(wrong(settings, "controller.listener.names", reason));
        };
        check_own_id(settings, node_id, roles, &voters)?;
        if roles.controller && controller_listeners.is_empty() {
            let reason = "It must contain at least one value appearing in the 'listeners' configuration when running \
                          the KRaft controller role";
            return Err(wrong(settings, "controller.listener.names", reason));
        }
        Ok(Some(Self {
            listeners: controller_listeners.to_vec(),
            protocol: security_protocol(settings, &listener_name, true)?,
            listener_name,
            voters,
            timing: timing(settings)?,
        }))
    }

    /// Where others reach this node's controller, given where its listeners are bound. The voters' list has the last word
    /// on its own entries, for everybody else goes by it.
    pub fn endpoints(&self, node_id: BrokerId, bound_ports: &[u16], host_name: &str) -> Vec<ControllerEndpoint> {
        if let ConfiguredVoters::Named(voters) = &self.voters
            && let Some(endpoints) = voters.get(&node_id)
        {
            return endpoints.clone();
        }
        let listeners = self.listeners.iter().zip(bound_ports);
        let endpoint = |(listener, bound_port): (&ListenerConfig, &u16)| {
            let host = if listener.is_wildcard() { host_name.to_owned() } else { listener.host.clone() };
            let (host, port) = listener.advertised.clone().unwrap_or((host, 0));
            let port = if port == 0 { *bound_port } else { port };
            ControllerEndpoint { listener: listener.name.clone(), host, port }
        };
        listeners.map(endpoint).collect()
    }
}

fn configured_voters(settings: &Settings, listener: &str) -> Result<Option<ConfiguredVoters>, ConfigError> {
    const VOTERS: &str = "controller.quorum.voters";
    const SERVERS: &str = "controller.quorum.bootstrap.servers";
    let endpoint = |text: &str| {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| ControllerEndpoint { listener: listener.to_owned(), host: host.to_owned(), port })
    };
    let mut voters = BTreeMap::new();
    for text in list(settings.text(VOTERS)) {
        let entry = text.split_once('@').and_then(|(id, at)| Some((id.parse::<i32>().ok()?, endpoint(at)?)));
        let Some((id, endpoint)) = entry.filter(|(id, _)| *id >= 0) else {
            return Err(wrong(settings, VOTERS, &format!("\"{text}\" is not of the form id@host:port")));
        };
        if voters.insert(BrokerId(id), vec![endpoint]).is_some() {
            return Err(wrong(settings, VOTERS, &format!("Voter {id} is given twice")));
        }
    }
    if !voters.is_empty() {
        return Ok(Some(ConfiguredVoters::Named(voters)));
    }
    let mut servers = Vec::new();
    for text in list(settings.text(SERVERS)) {
        let not_an_address = || wrong(settings, SERVERS, &format!("\"{text}\" is not of the form host:port"));
        servers.push(endpoint(text).ok_or_else(not_an_address)?);
    }
    Ok((!servers.is_empty()).then_some(ConfiguredVoters::Bootstrap(servers)))
}

fn check_own_id(
    settings: &Settings,
    node_id: BrokerId,
    roles: Roles,
    voters: &ConfiguredVoters,
) -> Result<(), ConfigError> {
    let ConfiguredVoters::Named(voters) = voters else { return Ok(()) };
    let listed = settings.text("controller.quorum.voters");
    let reason = match (roles.controller, voters.contains_key(&node_id)) {
        (true, false) => format!(
            "If process.roles contains the 'controller' role, the node id {node_id} must be included in the set of \
             voters controller.quorum.voters={listed}"
        ),
        (false, true) => format!(
            "If process.roles contains just the 'broker' role, the node id {node_id} must not be included in the set of \
             voters controller.quorum.voters={listed}"
        ),
        _ => return Ok(()),
    };
    Err(ConfigError { key: "node.id".into(), value: node_id.to_string(), reason })
}

/// Kafka's followers wait `fetch.timeout.ms` for their leader before they stand for election, which is what ours do; the
/// leader's heartbeats are spaced so that two are late before anybody loses patience, and three before anybody stands.
fn timing(settings: &Settings) -> Result<QuorumTiming, ConfigError> {
    const HEARTBEATS_WITHIN_PATIENCE: f64 = 2.1;
    let millis = |key| Duration::from_millis(settings.number(key).unsigned_abs());
    let (patience, random_part) =
        (millis("controller.quorum.fetch.timeout.ms"), millis("controller.quorum.election.timeout.ms"));
    if patience < MIN_PATIENCE {
        let reason = format!("Value must be at least {}", MIN_PATIENCE.as_millis());
        return Err(wrong(settings, "controller.quorum.fetch.timeout.ms", &reason));
    }
    Ok(QuorumTiming {
        // In whole milliseconds, as openraft counts.
        heartbeat_interval: Duration::from_millis((patience.as_millis() as f64 / HEARTBEATS_WITHIN_PATIENCE) as u64),
        // Longer than a heartbeat takes, and shorter than the patience.
        election_timeout_min: random_part.clamp(patience.mul_f64(0.5), patience.mul_f64(0.9)),
        election_timeout_max: patience,
        ..QuorumTiming::default()
    })
}

/// A shorter patience would take a loaded host for a dead one.
const MIN_PATIENCE: Duration = Duration::from_millis(50);

fn wrong(settings: &Settings, key: &str, reason: &str) -> ConfigError {
    ConfigError { key: key.to_owned(), value: settings.text(key).to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrokerConfig;

    /// As Kafka's own file for three combined nodes has it.
    const THREE: [&str; 5] = [
        "process.roles=broker,controller",
        "node.id=2",
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
        "controller.listener.names=CONTROLLER",
        "controller.quorum.voters=1@one:9093,2@two:9093,3@[::3]:9093",
    ];

    fn config(pairs: &[&str]) -> Result<BrokerConfig, ConfigError> {
        let pairs: Vec<_> = pairs.iter().map(|s| (*s).to_owned()).collect();
        BrokerConfig::new(Settings::load(None, std::iter::empty(), &pairs).unwrap().0)
    }

    fn quorum(pairs: &[&str]) -> QuorumConfig {
        config(pairs).unwrap().quorum.unwrap()
    }

    fn at(host: &str, port: u16) -> ControllerEndpoint {
        ControllerEndpoint { listener: "CONTROLLER".into(), host: host.into(), port }
    }

    #[test]
    fn a_node_without_voters_is_a_cluster_of_its_own() {
        assert!(config(&[]).unwrap().quorum.is_none());
        assert!(config(&["process.roles=controller,broker"]).unwrap().quorum.is_none());
        let error = config(&["process.roles=broker"]).unwrap_err();
        assert!(error.reason.contains("must name the controllers"), "{error}");
    }

    #[test]
    fn a_file_of_three_nodes_names_its_voters_and_where_each_is() {
        let quorum = quorum(&THREE);
        let named = [(1, at("one", 9093)), (2, at("two", 9093)), (3, at("::3", 9093))];
        let named = named.map(|(id, endpoint)| (BrokerId(id), vec![endpoint]));
        assert_eq!(quorum.voters, ConfiguredVoters::Named(named.into()));
        assert_eq!((quorum.listeners.len(), quorum.protocol), (1, SecurityProtocol::Plaintext));
        // The list has the last word on where this node is.
        assert_eq!(quorum.endpoints(BrokerId(2), &[4000], "host"), [at("two", 9093)]);
    }

    #[test]
    fn a_node_that_is_not_listed_says_where_it_is() {
        let servers = "controller.quorum.bootstrap.servers=one:9093,two:9093";
        let listeners = "listeners=PLAINTEXT://:9092,CONTROLLER://:0";
        let base = [listeners, "controller.listener.names=CONTROLLER", servers];
        let found = quorum(&base);
        assert_eq!(found.voters, ConfiguredVoters::Bootstrap(vec![at("one", 9093), at("two", 9093)]));
        assert_eq!(found.endpoints(BrokerId(1), &[4000], "host"), [at("host", 4000)]);
        let advertised = quorum(&[&base[..], &["advertised.listeners=PLAINTEXT://a:1,CONTROLLER://b:2"]].concat());
        assert_eq!(advertised.endpoints(BrokerId(1), &[4000], "host"), [at("b", 2)]);
    }

    #[test]
    fn what_cannot_be_is_said_in_words() {
        let check = |more: &[&str], words: &str| {
            let error = config(&[&THREE[..], more].concat()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(&["node.id=4"], "the node id 4 must be included in the set of voters");
        let broker = ["process.roles=broker", "listeners=PLAINTEXT://:9092"];
        check(&broker, "the node id 2 must not be included in the set of voters");
        check(&["controller.quorum.voters=1@one"], "id@host:port");
        check(&["controller.quorum.voters=one:9093"], "id@host:port");
        check(&["controller.quorum.voters=2@a:1,2@b:1"], "given twice");
        let without = ["listeners=PLAINTEXT://:9092", "controller.listener.names="];
        check(&without, "at least one value appearing in the 'listeners'");
        check(&without[..1], "at least one value appearing in the 'listeners'");
        check(&["controller.quorum.voters=", "controller.quorum.bootstrap.servers=one"], "host:port");
        check(&["controller.quorum.fetch.timeout.ms=10"], "at least 50");
    }

    #[test]
    fn a_follower_is_as_patient_as_the_file_says() {
        let default = quorum(&THREE).timing;
        assert_eq!(default, QuorumTiming::default());
        let patient = ["controller.quorum.fetch.timeout.ms=2000", "controller.quorum.election.timeout.ms=1000"];
        let timing = quorum(&[&THREE[..], &patient[..]].concat()).timing;
        assert_eq!(timing.election_timeout_max, Duration::from_secs(2));
        assert_eq!(timing.election_timeout_min, Duration::from_secs(1));
        assert!(timing.heartbeat_interval * 2 < timing.election_timeout_max);
        assert!(timing.heartbeat_interval * 3 < timing.election_timeout_max + timing.election_timeout_min);
        let uneven = ["controller.quorum.fetch.timeout.ms=2000", "controller.quorum.election.timeout.ms=10"];
        let timing = quorum(&[&THREE[..], &uneven[..]].concat()).timing;
        assert!(timing.heartbeat_interval < timing.election_timeout_min, "{timing:?}");
    }
}
