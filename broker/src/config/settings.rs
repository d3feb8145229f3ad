//! The static settings of a node: file, then environment, then command line, the later winning.
//!
//! Owns how a setting is found and what is said of one that is not known. Knows no cluster state: dynamic settings are
//! laid over these by [`super::effective`].

use std::collections::BTreeMap;
use std::path::Path;

use super::broker_keys::{BROKER_KEYS, broker_key, is_inapplicable};
use super::definition::ConfigError;
use super::properties;

/// The prefix of environment variables that set keys: `WEIR_LOG_RETENTION_MS` sets `log.retention.ms`.
pub const ENVIRONMENT_PREFIX: &str = "WEIR_";

/// Broker keys with the values this node was started with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
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
    #[error(transparent)]
    Invalid(#[from] ConfigError),
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
    /// Keys of Kafka's that have nothing to act on here.
    Inapplicable(Vec<String>),
}

impl std::fmt::Display for SettingsWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { key, nearest: Some(nearest) } => {
                write!(f, "unknown configuration key {key} is ignored; did you mean {nearest}?")
            }
            Self::Unknown { key, nearest: None } => write!(f, "unknown configuration key {key} is ignored"),
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
        let mut inapplicable = Vec::new();
        for (key, value) in pairs {
            match definition_of(&key) {
                Some(definition) => {
                    let value = definition.check(&value).map_err(|error| ConfigError { key: key.clone(), ..error })?;
                    settings.values.insert(key, value.to_owned());
                }
                None if is_inapplicable(&key) => inapplicable.push(key),
                None => warnings.push(SettingsWarning::Unknown { nearest: nearest(&key), key }),
            }
        }
        inapplicable.sort();
        inapplicable.dedup();
        if !inapplicable.is_empty() {
            warnings.push(SettingsWarning::Inapplicable(inapplicable));
        }
        Ok((settings, warnings))
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
        self.optional_number(key).unwrap_or_else(|| panic!("configuration key {key} has no default"))
    }

    /// A number, if it was set or has a default.
    pub fn optional_number(&self, key: &str) -> Option<i64> {
        self.value(key).map(|value| value.parse().expect("values are checked when they are set"))
    }

    /// A switch that has a default.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).eq_ignore_ascii_case("true")
    }
}

/// The definition behind a key; `listener.name.<listener>.<key>` is checked as `<key>` (KIP-103).
fn definition_of(key: &str) -> Option<&'static super::Definition> {
    broker_key(key).or_else(|| {
        let (_, key) = key.strip_prefix("listener.name.")?.split_once('.')?;
        broker_key(key).filter(|definition| definition.name.starts_with("ssl."))
    })
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
fn nearest(key: &str) -> Option<&'static str> {
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
    fn an_unknown_key_names_its_nearest() {
        let (_, warnings) = load(&[], &["log.retenton.ms=1"]).unwrap();
        assert_eq!(
            warnings[0].to_string(),
            "unknown configuration key log.retenton.ms is ignored; did you mean log.retention.ms?"
        );
    }

    #[test]
    fn a_wrong_value_names_key_value_and_range() {
        let error = load(&[], &["num.partitions=0"]).unwrap_err();
        assert_eq!(error.to_string(), "Invalid value 0 for configuration num.partitions: Value must be at least 1");
    }

    #[test]
    fn keys_that_do_not_apply_are_named_once() {
        let (_, warnings) = load(&[], &["zookeeper.connect=a:1", "sasl.enabled.mechanisms=PLAIN"]).unwrap();
        assert_eq!(
            warnings,
            [SettingsWarning::Inapplicable(vec!["sasl.enabled.mechanisms".into(), "zookeeper.connect".into()])]
        );
    }

    #[test]
    fn a_listener_can_have_its_own_tls_keys() {
        let (settings, warnings) = load(&[], &["listener.name.external.ssl.client.auth=required"]).unwrap();
        assert_eq!(settings.set("listener.name.external.ssl.client.auth"), Some("required"));
        assert_eq!(warnings, []);
    }
}
