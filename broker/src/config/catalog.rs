//! Tells the controller what configs mean: the broker's tables behind its [`ConfigCatalog`].

use weir_controller::decide::{ApiError, ConfigCatalog};
use weir_controller::image::{ConfigResource, MetadataImage, ResourceConfigs};
use weir_controller::record::ConfigResourceType;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use super::broker_keys::{STORE_KEYS, broker_key};
use super::client_metrics_keys::{self, client_metrics_key};
use super::connection_limits::{OVERRIDES_KEY, overrides};
use super::definition::{Definition, Update};
use super::effective::Layers;
use super::group_keys::{self, group_key};
use super::settings::{Settings, listener_key, nearest};
use super::topic_keys::topic_key;
use crate::broker::min_insync_replicas;

/// The tables, over the settings this node was started with.
#[derive(Clone, Debug)]
pub struct Catalog {
    settings: Settings,
}

impl Catalog {
    /// A catalog whose defaults are these settings'.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl ConfigCatalog for Catalog {
    fn validate(
        &self,
        resource: &ConfigResource,
        configs: &ResourceConfigs,
        existing: &ResourceConfigs,
    ) -> Result<(), ApiError> {
        match resource.resource_type {
            ConfigResourceType::Topic => validate_topic(configs),
            ConfigResourceType::Broker => validate_broker(resource, configs, existing),
            ConfigResourceType::Group => group_keys::validate(configs, &self.settings),
            ConfigResourceType::ClientMetrics => client_metrics_keys::validate(&resource.name, configs),
            ConfigResourceType::BrokerLogger => {
                Err(invalid_request("The levels of loggers are set by WEIR_LOG when a broker starts."))
            }
        }
    }

    fn is_list(&self, resource_type: ConfigResourceType, key: &str) -> bool {
        definition(resource_type, key).is_some_and(Definition::is_list)
    }

    fn default_value(&self, resource_type: ConfigResourceType, key: &str) -> Option<String> {
        let unset = ResourceConfigs::new();
        let layers = Layers { broker: &unset, cluster: &unset, settings: &self.settings };
        match resource_type {
            ConfigResourceType::Topic => layers.topic_value(&unset, topic_key(key)?).value,
            ConfigResourceType::Broker => layers.broker_value(broker_key(key)?).value,
            ConfigResourceType::Group => layers.group_value(&unset, group_key(key)?).value,
            ConfigResourceType::ClientMetrics => client_metrics_key(key)?.default.map(str::to_owned),
            ConfigResourceType::BrokerLogger => None,
        }
    }

    /// As every broker reckons it.
    fn min_insync_replicas(&self, image: &MetadataImage, topic: &str) -> usize {
        min_insync_replicas(BrokerId::NONE, &self.settings, image, topic)
    }
}

fn definition(resource_type: ConfigResourceType, key: &str) -> Option<&'static Definition> {
    match resource_type {
        ConfigResourceType::Topic => topic_key(key).map(|key| &key.definition),
        ConfigResourceType::Broker => broker_key(key).or_else(|| listener_key(key)),
        // Kafka appends to no list of these.
        ConfigResourceType::Group | ConfigResourceType::ClientMetrics | ConfigResourceType::BrokerLogger => None,
    }
}

fn invalid(message: impl ToString) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message.to_string())
}

fn invalid_request(message: impl ToString) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message.to_string())
}

fn validate_topic(configs: &ResourceConfigs) -> Result<(), ApiError> {
    for (name, value) in configs {
        let key = topic_key(name).ok_or_else(|| invalid(format!("Unknown topic config name: {name}")))?;
        key.definition.check(value).map_err(invalid)?;
    }
    let number = |name: &str| configs.get(name).and_then(|value| value.trim().parse::<i64>().ok());
    if let (Some(min), Some(max)) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"))
        && min > max
    {
        return Err(invalid(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    if configs.get("remote.storage.enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Err(invalid("Tiered storage is not supported by this broker."));
    }
    Ok(())
}

/// Only what changes is checked for being dynamic: what stands was accepted before. Kafka's code for all of it is
/// INVALID_REQUEST (KAFKA-13609).
fn validate_broker(
    resource: &ConfigResource,
    configs: &ResourceConfigs,
    existing: &ResourceConfigs,
) -> Result<(), ApiError> {
    for (name, value) in configs.iter().filter(|(name, value)| existing.get(*name) != Some(value)) {
        let (definition, is_of_listener) = match (broker_key(name), listener_key(name)) {
            (Some(definition), _) => (definition, false),
            (None, Some(definition)) => (definition, true),
            (None, None) => {
                let meant = nearest(name).map_or(String::new(), |nearest| format!("; did you mean {nearest}?"));
                return Err(invalid_request(format!("Unknown broker config name: {name}{meant}")));
            }
        };
        match definition.update {
            Update::ReadOnly => {
                return Err(invalid_request(format!("Cannot update these configs dynamically: [{name}]")));
            }
            Update::PerBroker if !is_of_listener && STORE_KEYS.contains(&&**name) => {
                let message =
                    "These security configs can be dynamically updated only per-listener using the listener prefix";
                return Err(invalid_request(format!("{message}: [{name}]")));
            }
            Update::PerBroker if resource.name.is_empty() => {
                let message = "Cannot update these configs at default cluster level, broker id must be specified";
                return Err(invalid_request(format!("{message}: [{name}]")));
            }
            Update::PerBroker | Update::ClusterWide => {}
        }
        definition.check(value).map_err(invalid_request)?;
        if definition.name == OVERRIDES_KEY {
            overrides(value).map_err(invalid_request)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> ResourceConfigs {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[track_caller]
    fn refused(resource: ConfigResource, pairs: &[(&str, &str)], code: ErrorCode, words: &str) {
        let catalog = Catalog::new(Settings::default());
        let error = catalog.validate(&resource, &configs(pairs), &configs(&[])).unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.message.as_ref().is_some_and(|message| message.contains(words)), "{error}");
    }

    #[test]
    fn a_topic_takes_only_topic_keys_and_values_in_range() {
        let topic = || ConfigResource::topic("t");
        refused(topic(), &[("log.dirs", "x")], ErrorCode::InvalidConfig, "Unknown topic config name");
        refused(topic(), &[("segment.bytes", "1")], ErrorCode::InvalidConfig, "at least 1048576");
        let lags = [("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")];
        refused(topic(), &lags, ErrorCode::InvalidConfig, "conflict");
    }

    #[test]
    fn a_broker_key_that_is_read_at_start_does_not_change_while_it_runs() {
        let dirs = [("log.dirs", "/x")];
        refused(ConfigResource::default_broker(), &dirs, ErrorCode::InvalidRequest, "dynamically");
    }

    #[test]
    fn a_wrong_value_of_a_broker_is_an_invalid_request() {
        let messages = [("log.flush.interval.messages", "zero")];
        refused(ConfigResource::default_broker(), &messages, ErrorCode::InvalidRequest, "Not a number of type LONG");
        let unknown = [("log.retenton.ms", "1")];
        refused(
            ConfigResource::default_broker(),
            &unknown,
            ErrorCode::InvalidRequest,
            "did you mean log.retention.ms?",
        );
    }

    #[test]
    fn certificates_are_set_for_one_listener_of_one_broker() {
        let broker = || ConfigResource::broker(weir_protocol::ids::BrokerId(1));
        let store = [("ssl.keystore.location", "/a.pem")];
        refused(broker(), &store, ErrorCode::InvalidRequest, "only per-listener");
        let of_listener = [("listener.name.external.ssl.keystore.location", "/a.pem")];
        refused(
            ConfigResource::default_broker(),
            &of_listener,
            ErrorCode::InvalidRequest,
            "broker id must be specified",
        );
        let catalog = Catalog::new(Settings::default());
        catalog.validate(&broker(), &configs(&of_listener), &configs(&[])).unwrap();
    }
}
