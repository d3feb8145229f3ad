//! Configs that were set, by the resource they belong to. Knows no key's meaning or default.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use weir_protocol::ids::BrokerId;

use crate::record::{ConfigRecord, ConfigResourceType};

/// What a config belongs to (Kafka's `ConfigResource`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConfigResource {
    /// The kind of thing.
    pub resource_type: ConfigResourceType,
    /// Its name; for brokers the node id, or empty for the default of every broker.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// Names a resource.
    pub fn new(resource_type: ConfigResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { resource_type, name: name.into() }
    }

    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Topic, name)
    }

    /// One broker.
    pub fn broker(id: BrokerId) -> Self {
        Self::new(ConfigResourceType::Broker, id.to_string())
    }

    /// The default of every broker.
    pub fn default_broker() -> Self {
        Self::new(ConfigResourceType::Broker, "")
    }
}

impl fmt::Display for ConfigResource {
    /// As Kafka prints it: `ConfigResource(type=TOPIC, name='orders')`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource_type = match self.resource_type {
            ConfigResourceType::Topic => "TOPIC",
            ConfigResourceType::Broker => "BROKER",
            ConfigResourceType::BrokerLogger => "BROKER_LOGGER",
            ConfigResourceType::ClientMetrics => "CLIENT_METRICS",
            ConfigResourceType::Group => "GROUP",
        };
        write!(f, "ConfigResource(type={resource_type}, name='{}')", self.name)
    }
}

/// What was set on one resource: value by key. Never empty inside an image.
pub type ResourceConfigs = BTreeMap<Arc<str>, Arc<str>>;

/// The resources of one type.
type Resources = OrdMap<Arc<str>, Arc<ResourceConfigs>>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ConfigsImage {
    pub(super) topics: Resources,
    brokers: Resources,
    client_metrics: Resources,
    groups: Resources,
}

impl ConfigsImage {
    /// The resources of a type; none for log levels, which are never stored.
    pub(super) fn of(&self, resource_type: ConfigResourceType) -> Option<&Resources> {
        match resource_type {
            ConfigResourceType::Topic => Some(&self.topics),
            ConfigResourceType::Broker => Some(&self.brokers),
            ConfigResourceType::ClientMetrics => Some(&self.client_metrics),
            ConfigResourceType::Group => Some(&self.groups),
            ConfigResourceType::BrokerLogger => None,
        }
    }

    /// Applies one record; false if its type of resource is never stored.
    pub(super) fn apply(&mut self, record: &ConfigRecord) -> bool {
        let resources = match record.resource_type {
            ConfigResourceType::Topic => &mut self.topics,
            ConfigResourceType::Broker => &mut self.brokers,
            ConfigResourceType::ClientMetrics => &mut self.client_metrics,
            ConfigResourceType::Group => &mut self.groups,
            ConfigResourceType::BrokerLogger => return false,
        };
        match &record.value {
            Some(value) => {
                let configs = resources.entry(record.resource_name.clone()).or_default();
                Arc::make_mut(configs).insert(record.name.clone(), value.clone());
            }
            None => {
                if let Some(configs) = resources.get_mut(&*record.resource_name) {
                    Arc::make_mut(configs).remove(&record.name);
                    if configs.is_empty() {
                        resources.remove(&*record.resource_name);
                    }
                }
            }
        }
        true
    }

    /// Every resource of every type, in a fixed order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConfigResource, &Arc<ResourceConfigs>)> {
        const STORED: [ConfigResourceType; 4] = [
            ConfigResourceType::Topic,
            ConfigResourceType::Broker,
            ConfigResourceType::ClientMetrics,
            ConfigResourceType::Group,
        ];
        STORED.into_iter().flat_map(|resource_type| {
            let resources = self.of(resource_type).into_iter().flat_map(|resources| resources.iter());
            resources.map(move |(name, configs)| (ConfigResource::new(resource_type, name.clone()), configs))
        })
    }
}
