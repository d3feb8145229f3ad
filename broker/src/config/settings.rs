//! The static settings of a node: file, then environment, then command line, the later winning.
//!
//! Owns how a setting is found and what is said of one that is not known. Knows no cluster state: dynamic settings are
//! laid over these by [`super::effective`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::broker_keys::{BROKER_KEYS, broker_key, is_inapplicable};
use super::definition::{ConfigError, Definition, Effect, Kind};
use super::properties;

/// The prefix of environment variables that set keys: `WEIR_LOG_RETENTION_MS` sets `log.retention.ms`.
const ENVIRONMENT_PREFIX: &str = "WEIR_";

/// Broker keys with the values this node was started with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
    /// Whether `min.insync.replicas` is what follows from others, and not what somebody asked for.
    derives_min_insync_replicas: bool,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a properties file.
    #[error("{path}, {source}")]
    Malformed {
        /// The file.
        path: String,
        /// Where and why.
        source: properties::PropertiesError,
    },
    /// A value that its key does not take.
    #[error("{error} (allowed: {allowed})")]
    Invalid {
        /// The key, the value and why not.
        error: ConfigError,
        /// What the key takes.
        allowed: Kind,
    },
    /// `-o` without an equals sign.
    #[error("-o {0}: expected key=value")]
    NotAPair(String),
}

/// Something the operator should know of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsWarning {
    /// Nobody knows the key; the nearest known one may be meant.
    Unknown {
        /// The key as given.
        key: String,
        /// The nearest known key.
        nearest: Option<&'static str>,
    },
    /// Keys of Kafka's that are shown and change nothing.
    WithoutEffect {
        /// The keys.
        keys: Vec<String>,
        /// Why nothing acts on them.
        why: String,
    },
    /// Keys of other versions and of plugins, which Kafka itself does not list.
    Inapplicable(Vec<String>),
}

impl std::fmt::Display for SettingsWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { key, nearest: Some(nearest) } => {
                write!(f, "unknown configuration key {key} is ignored; did you mean {nearest}?")
            }
            Self::Unknown { key, nearest: None } => write!(f, "unknown configuration key {key} is ignored"),
            Self::WithoutEffect { keys, why } => {
                write!(f, "these configuration keys have no effect, for {why}: {}", keys.join(", "))
            }
            Self::Inapplicable(keys) => {
                write!(
                    f,
                    "these configuration keys of Kafka's do not apply to Weir and are ignored: {}",
                    keys.join(", ")
                )
            }
        }
    }
}

impl Settings {
    /// Reads the three sources, checks every value, and tells what is not known.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        overrides: &[String],
    ) -> Result<(Self, Vec<SettingsWarning>), SettingsError> {
        let mut pairs = file.map(read_file).transpose()?.unwrap_or_default();
        let mut from_environment: Vec<_> =
            environment.filter_map(|(name, value)| Some((environment_key(&name)?, value))).collect();
        from_environment.sort();
        pairs.extend(from_environment);
        for pair in overrides {
            let (key, value) = pair.split_once('=').ok_or_else(|| SettingsError::NotAPair(pair.clone()))?;
            pairs.push((key.trim().to_owned(), value.to_owned()));
        }
        Self::from_pairs(pairs)
    }

    fn from_pairs(pairs: Vec<(String, String)>) -> Result<(Self, Vec<SettingsWarning>), SettingsError> {
        let mut settings = Self::default();
        let mut warnings = Vec::new();
        let mut inapplicable = BTreeSet::new();
        let mut without_effect: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (key, value) in pairs {
            match definition_of(&key) {
                Some(definition) => {
                    let allowed = definition.kind;
                    let value = definition.check(&value).map_err(|error| SettingsError::Invalid {
                        error: ConfigError { key: key.clone(), ..error },
                        allowed,
                    })?;
                    if let Effect::None(why) = definition.effect {
                        without_effect.entry(why).or_default().insert(key.clone());
                    }
                    settings.values.insert(key, value.to_owned());
                }
                None if is_inapplicable(&key) => drop(inapplicable.insert(key)),
                None => warnings.push(SettingsWarning::Unknown { nearest: nearest(&key), key }),
            }
        }
        settings.name_node_in_both_ways();
        settings.derive_min_insync_replicas();
        let without_effect = without_effect.into_iter().map(|(why, keys)| SettingsWarning::WithoutEffect {
            keys: keys.into_iter().collect(),
            why: why.to_owned(),
        });
        warnings.extend(without_effect);
        if !inapplicable.is_empty() {
            warnings.push(SettingsWarning::Inapplicable(inapplicable.into_iter().collect()));
        }
        Ok((settings, warnings))
    }

    /// `node.id` and `broker.id` are one setting: whichever is set sets the other, as in Kafka.
    fn name_node_in_both_ways(&mut self) {
        for (set, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
            if let Some(id) = self.values.get(set).filter(|id| !id.starts_with('-')).cloned() {
                self.values.entry(other.to_owned()).or_insert(id);
            }
        }
    }

    /// Where topics get three replicas, two must have a record: set so, or left open in a cluster of several nodes.
    fn derive_min_insync_replicas(&mut self) {
        let several = |key| self.set(key).is_some_and(|nodes| nodes.contains(','));
        let replicated = match self.set("default.replication.factor") {
            Some(_) => self.number("default.replication.factor") >= 3,
            None => several("controller.quorum.voters") || several("controller.quorum.bootstrap.servers"),
        };
        if replicated && self.set("min.insync.replicas").is_none() {
            self.values.insert("min.insync.replicas".to_owned(), "2".to_owned());
            self.derives_min_insync_replicas = true;
        }
    }

    /// Whether nobody asked for the `min.insync.replicas` that these settings have.
    pub fn derives_min_insync_replicas(&self) -> bool {
        self.derives_min_insync_replicas
    }

    /// Every key that was set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// What the key was set to, if it was.
    pub fn set(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// What the key was set to, or its default.
    ///
    /// # Panics
    /// If there is no such key: names are literals of this crate.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.set(key).or_else(|| definition_of(key).unwrap_or_else(|| panic!("no configuration key {key}")).default)
    }

    /// A value that has a default, as text.
    pub fn text(&self, key: &str) -> &str {
        self.value(key).unwrap_or_default()
    }

    /// A number that has a default.
    pub fn number(&self, key: &str) -> i64 {
        let value = self.value(key).unwrap_or_else(|| panic!("configuration key {key} has no default"));
        value.parse().expect("values are checked when they are set")
    }

    /// A switch that has a default.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).eq_ignore_ascii_case("true")
    }
}

/// The definition behind a key, be it everybody's or one listener's.
fn definition_of(key: &str) -> Option<&'static Definition> {
    broker_key(key).or_else(|| listener_key(key))
}

/// The definition behind `listener.name.<listener>.<key>` (KIP-103).
pub fn listener_key(key: &str) -> Option<&'static Definition> {
    let (_, key) = key.strip_prefix("listener.name.")?.split_once('.')?;
    // A mechanism may stand between, as in `listener.name.external.plain.sasl.jaas.config`.
    let of_mechanism = || broker_key(key.split_once('.')?.1).filter(|key| key.name.starts_with("sasl."));
    let definition = broker_key(key).or_else(of_mechanism)?;
    (definition.name.starts_with("ssl.") || definition.effect != Effect::Acts).then_some(definition)
}

fn read_file(path: &Path) -> Result<Vec<(String, String)>, SettingsError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable { path: shown(), source })?;
    properties::parse(&text).map_err(|source| SettingsError::Malformed { path: shown(), source })
}

/// `WEIR_A_B` names `a.b`; two underscores stand for one in the key, three for a hyphen.
fn environment_key(name: &str) -> Option<String> {
    let name = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase();
    if name == "log" || name == "bootstrap" {
        return None; // `WEIR_LOG` is the log filter, `WEIR_BOOTSTRAP` where the other commands find a broker.
    }
    Some(name.replace("___", "-").replace("__", "\0").replace('_', ".").replace('\0', "_"))
}

/// The known key that differs least from `key`, if it differs little.
pub fn nearest(key: &str) -> Option<&'static str> {
    BROKER_KEYS
        .iter()
        .map(|known| (edit_distance(key, known.name), known.name))
        .filter(|&(distance, _)| distance <= key.len() / 4 + 1)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or replaced to make one word of the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        environment: &[(&str, &str)],
        overrides: &[&str],
    ) -> Result<(Settings, Vec<SettingsWarning>), SettingsError> {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let overrides: Vec<_> = overrides.iter().map(|s| (*s).to_owned()).collect();
        Settings::load(None, environment, &overrides)
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let (settings, warnings) =
            load(&[("WEIR_NUM_PARTITIONS", "3"), ("WEIR_NODE_ID", "7"), ("PATH", "/")], &["num.partitions=5"]).unwrap();
        assert_eq!((settings.number("num.partitions"), settings.number("node.id")), (5, 7));
        assert_eq!(warnings, []);
    }

    #[test]
    fn two_replicas_must_have_a_record_where_topics_get_three() {
        let required = |overrides: &[&str]| load(&[], overrides).unwrap().0.number("min.insync.replicas");
        let voters = "controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093";
        assert_eq!(required(&[]), 1);
        assert_eq!(required(&["default.replication.factor=3"]), 2);
        assert_eq!(required(&[voters]), 2);
        assert_eq!(required(&["controller.quorum.voters=1@a:9093"]), 1);
        assert_eq!(required(&[voters, "default.replication.factor=1"]), 1);
        assert_eq!(required(&[voters, "min.insync.replicas=1"]), 1);
    }

    #[test]
    fn an_unknown_key_names_its_nearest() {
        let (_, warnings) = load(&[], &["log.retenton.ms=1"]).unwrap();
        assert_eq!(
            warnings[0].to_string(),
            "unknown configuration key log.retenton.ms is ignored; did you mean log.retention.ms?"
        );
    }

    #[test]
    fn a_slip_of_the_pen_in_a_family_of_many_keys_is_not_taken_for_a_foreign_key() {
        let (_, warnings) = load(&[], &["log.cleaner.enabel=true"]).unwrap();
        let nearest = Some("log.cleaner.enable");
        assert_eq!(warnings, [SettingsWarning::Unknown { key: "log.cleaner.enabel".into(), nearest }]);
    }

    #[test]
    fn a_wrong_value_names_key_value_and_range() {
        let error = load(&[], &["num.partitions=0"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid value 0 for configuration num.partitions: Value must be at least 1 (allowed: 1 or more)"
        );
    }

    #[test]
    fn keys_that_do_not_apply_are_named_once_with_the_reason() {
        let file = ["zookeeper.connect=a:1", "transaction.max.timeout.ms=5", "transaction.max.timeout.ms=6"];
        let (settings, warnings) = load(&[], &file).unwrap();
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "these configuration keys have no effect, for transactions are not built: transaction.max.timeout.ms",
                "these configuration keys of Kafka's do not apply to Weir and are ignored: zookeeper.connect",
            ]
        );
        assert_eq!(settings.set("transaction.max.timeout.ms"), Some("6"));
    }

    #[test]
    fn a_node_that_is_named_by_one_key_is_named_by_both() {
        let id = |pair: &str, key: &str| load(&[], &[pair]).unwrap().0.set(key).map(str::to_owned);
        assert_eq!(id("node.id=4", "broker.id").as_deref(), Some("4"));
        assert_eq!(id("broker.id=4", "node.id").as_deref(), Some("4"));
        assert_eq!(id("broker.id=-1", "node.id"), None);
    }

    #[test]
    fn a_listener_can_have_its_own_tls_keys() {
        let (settings, warnings) = load(&[], &["listener.name.external.ssl.client.auth=required"]).unwrap();
        assert_eq!(settings.set("listener.name.external.ssl.client.auth"), Some("required"));
        assert_eq!(warnings, []);
    }
}
