//! Every configuration key: name, type, default, range, documentation.
//!
//! One table each for brokers, topics, groups and client metrics yields the parsing of `server.properties`,
//! DescribeConfigs, the check of changes and the reference page. Names, meanings and defaults are Kafka's, and so is the
//! set of keys, for tools expect to see it: a key that nothing here acts on is marked so in its row. Where a default
//! differs, `docs/configuration.md` says so.

pub mod broker_config;
pub mod broker_keys;
pub mod catalog;
pub mod client_metrics_keys;
pub mod connection_limits;
pub mod definition;
pub mod effective;
pub mod group_keys;
pub mod listener;
pub mod properties;
pub mod quorum;
pub mod reference;
pub mod roles;
pub mod settings;
pub mod throttled_replicas;
pub mod topic_config;
pub mod topic_keys;

pub use broker_config::BrokerConfig;
pub use definition::{ConfigError, Definition};
pub use listener::ListenerConfig;
pub use quorum::QuorumConfig;
pub use roles::Roles;
pub use settings::{Settings, SettingsError, SettingsWarning};
pub use topic_config::TopicConfig;
