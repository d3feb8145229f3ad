//! Every configuration key: name, type, default, range, documentation.
//!
//! One table for brokers and one for topics yield the parsing of `server.properties`, DescribeConfigs, `--help` and the
//! reference page. Names, meanings and defaults are Kafka's; where a default differs, `docs/configuration.md` says so.

pub mod broker_config;
pub mod broker_keys;
pub mod catalog;
pub mod definition;
pub mod effective;
pub mod listener;
pub mod properties;
pub mod reference;
pub mod settings;
pub mod topic_config;

pub mod topic_keys;

pub use broker_config::BrokerConfig;
pub use definition::{ConfigError, Definition};
pub use listener::ListenerConfig;
pub use settings::{Settings, SettingsError, SettingsWarning};
pub use topic_config::TopicConfig;
