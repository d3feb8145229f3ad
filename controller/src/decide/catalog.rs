//! What configs mean, as far as decisions need to know. The broker's table of configs answers; this crate knows no key but
//! the few that its own decisions read.

use std::sync::Arc;

use super::ApiError;
use super::eligible::MIN_INSYNC_REPLICAS;
use crate::image::{ConfigResource, MetadataImage, ResourceConfigs};
use crate::record::ConfigResourceType;

/// The config that says whether data may be lost so that a partition has a leader.
pub(super) const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";

/// The broker's table of configs, asked by decisions.
pub trait ConfigCatalog: Send + Sync {
    /// Checks all that would be set on a resource after a change, against what is set now: unknown keys, values that do not
    /// parse or are out of range, configs that contradict each other. Kafka's code for most of these is `INVALID_CONFIG`.
    fn validate(
        &self,
        resource: &ConfigResource,
        configs: &ResourceConfigs,
        existing: &ResourceConfigs,
    ) -> Result<(), ApiError>;

    /// Whether a key holds a list, so that it can be appended to.
    fn is_list(&self, resource_type: ConfigResourceType, key: &str) -> bool;

    /// What a key is worth where nothing was set dynamically: the controller's own configuration, else Kafka's default.
    fn default_value(&self, resource_type: ConfigResourceType, key: &str) -> Option<String>;

    /// How many replicas of a topic's partitions must be in sync before acks=all is answered (`min.insync.replicas`).
    fn min_insync_replicas(&self, image: &MetadataImage, topic: &str) -> usize {
        let set = set_on_topic(image, topic, MIN_INSYNC_REPLICAS).map(|value| value.to_string());
        let value = set.or_else(|| self.default_value(ConfigResourceType::Topic, MIN_INSYNC_REPLICAS));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(1)
    }
}

/// The catalog of a controller that runs without brokers: it knows no key and refuses no value.
#[derive(Clone, Copy, Debug)]
pub struct AnyConfig;

impl ConfigCatalog for AnyConfig {
    fn validate(&self, _: &ConfigResource, _: &ResourceConfigs, _: &ResourceConfigs) -> Result<(), ApiError> {
        Ok(())
    }

    fn is_list(&self, _: ConfigResourceType, _: &str) -> bool {
        false
    }

    fn default_value(&self, _: ConfigResourceType, _: &str) -> Option<String> {
        None
    }
}

/// Whether a replica outside the ISR may be elected leader of a topic's partitions: the topic's own config, else the
/// brokers' dynamic default, else the static one.
pub(super) fn unclean_election_enabled(image: &MetadataImage, topic: &str, catalog: &dyn ConfigCatalog) -> bool {
    let set = set_on_topic(image, topic, UNCLEAN_ELECTION);
    match set {
        Some(value) => value.eq_ignore_ascii_case("true"),
        None => (catalog.default_value(ConfigResourceType::Topic, UNCLEAN_ELECTION))
            .is_some_and(|value| value.eq_ignore_ascii_case("true")),
    }
}

/// What was set on a topic, or else on every broker.
fn set_on_topic<'a>(image: &'a MetadataImage, topic: &str, key: &str) -> Option<&'a Arc<str>> {
    let set = image.topic_configs(topic).and_then(|configs| configs.get(key));
    set.or_else(|| image.configs(&ConfigResource::default_broker())?.get(key))
}
