//! Tells the controller what configs mean: the broker's tables behind its [`ConfigCatalog`].

use weir_controller::decide::{ApiError, ConfigCatalog};
use weir_controller::image::{ConfigResource, ResourceConfigs};
use weir_controller::record::ConfigResourceType;
use weir_protocol::error_code::ErrorCode;

use super::broker_keys::broker_key;
use super::definition::{Definition, Update};
use super::effective::Layers;
use super::settings::Settings;
use super::topic_keys::topic_key;

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
            ConfigResourceType::Broker => validate_broker(configs, existing),
            other => Err(ApiError::new(
                ErrorCode::InvalidRequest,
                format!("Resources of type {other:?} cannot be configured by this broker."),
            )),
        }
    }

    fn is_list(&self, resource_type: ConfigResourceType, key: &str) -> bool {
        definition(resource_type, key).is_some_and(Definition::is_list)
    }

    fn default_value(&self, resource_type: ConfigResourceType, key: &str) -> Option<String> {
        let unset = |_: &str| None;
        let layers = Layers { broker: &unset, cluster: &unset, settings: &self.settings };
        match resource_type {
            ConfigResourceType::Topic => layers.topic_value(&unset, topic_key(key)?).value,
            ConfigResourceType::Broker => layers.broker_value(broker_key(key)?).value,
            _ => None,
        }
    }
}

fn definition(resource_type: ConfigResourceType, key: &str) -> Option<&'static Definition> {
    match resource_type {
        ConfigResourceType::Topic => topic_key(key).map(|key| &key.definition),
        ConfigResourceType::Broker => broker_key(key),
        _ => None,
    }
}

fn invalid(message: impl ToString) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message.to_string())
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

/// Only what changes is checked for being dynamic: what stands was accepted before.
fn validate_broker(configs: &ResourceConfigs, existing: &ResourceConfigs) -> Result<(), ApiError> {
    for (name, value) in configs.iter().filter(|(name, value)| existing.get(*name) != Some(value)) {
        let definition = broker_key(name).ok_or_else(|| invalid(format!("Unknown broker config name: {name}")))?;
        if definition.update == Update::ReadOnly {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                format!("Cannot update these configs dynamically: [{name}]"),
            ));
        }
        definition.check(value).map_err(invalid)?;
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
}
