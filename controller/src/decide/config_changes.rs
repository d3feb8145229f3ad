//! What both ways of altering configs share: duplicates, null values, the check of the result, and the records.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use super::topic_name::check_topic_name;
use super::{ApiError, Context, Decision};
use crate::image::{ConfigResource, MetadataImage, ResourceConfigs};
use crate::record::{ConfigRecord, ConfigResourceType, MAX_STRING_BYTES, MetadataRecord};

/// What became of each resource, for both ways of altering configs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterConfigsResponse {
    /// The resources, in the order of the request, one for each.
    pub resources: Vec<ResourceResult>,
}

/// What became of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceResult {
    /// The resource.
    pub resource: ConfigResource,
    /// Why nothing of it changed, if nothing did.
    pub outcome: Result<(), ApiError>,
}

/// Whether the resource must be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existence {
    /// It must.
    Required,
    /// The same decision creates it.
    Created,
}

/// Decides resource by resource: all changes of a resource are made, or none. A resource named twice is refused twice.
pub(super) fn decide_each<'r, T>(
    requests: &'r [T],
    resource: impl Fn(&'r T) -> &'r ConfigResource,
    validate_only: bool,
    decide: impl Fn(&'r T) -> Result<Vec<ConfigRecord>, ApiError>,
) -> Decision<AlterConfigsResponse> {
    let mut counts: HashMap<&ConfigResource, usize> = HashMap::new();
    for request in requests {
        *counts.entry(resource(request)).or_default() += 1;
    }
    let mut records = Vec::new();
    let resources = requests.iter().map(|request| {
        let resource = resource(request);
        let outcome = if counts[resource] > 1 {
            Err(ApiError::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
        } else {
            decide(request).map(|changes| records.extend(changes.into_iter().map(MetadataRecord::Config)))
        };
        ResourceResult { resource: resource.clone(), outcome }
    });
    let resources = resources.collect();
    if validate_only {
        records.clear();
    }
    Decision { records, response: AlterConfigsResponse { resources } }
}

/// Refuses keys that come twice, and the keys in `nulls`, which have no value but need one.
pub(super) fn check_keys<'a>(
    keys: impl Iterator<Item = &'a Arc<str>>,
    nulls: impl Iterator<Item = &'a Arc<str>>,
) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(ApiError::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
        }
    }
    let nulls: Vec<&str> = nulls.map(|key| &**key).collect();
    if nulls.is_empty() {
        Ok(())
    } else {
        let message = format!("Null value not supported for : {}", nulls.join(", "));
        Err(ApiError::new(ErrorCode::InvalidRequest, message))
    }
}

/// What is set on a resource now.
pub(super) fn existing(image: &MetadataImage, resource: &ConfigResource) -> Arc<ResourceConfigs> {
    image.configs(resource).cloned().unwrap_or_default()
}

/// The record that sets or deletes one config.
pub(super) fn record(resource: &ConfigResource, key: &Arc<str>, value: Option<Arc<str>>) -> ConfigRecord {
    ConfigRecord {
        resource_type: resource.resource_type,
        resource_name: resource.name.clone(),
        name: key.clone(),
        value,
    }
}

/// Whether a change must be recorded: always on brokers, which reload what a value points to (KAFKA-14136).
pub(super) fn must_record(resource: &ConfigResource, before: Option<&Arc<str>>, after: Option<&Arc<str>>) -> bool {
    before != after || resource.resource_type == ConfigResourceType::Broker
}

/// Checks all that would be set on a resource.
pub(super) fn check(
    image: &MetadataImage,
    resource: &ConfigResource,
    configs: &ResourceConfigs,
    existence: Existence,
    context: &Context<'_>,
) -> Result<(), ApiError> {
    if configs.values().any(|value| value.len() > MAX_STRING_BYTES) {
        let message = format!(
            "The configuration value cannot be added because it exceeds the maximum value size of {MAX_STRING_BYTES} bytes."
        );
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    if resource.name.len() > MAX_STRING_BYTES || configs.keys().any(|key| key.len() > MAX_STRING_BYTES) {
        let message = format!("A name exceeds the maximum size of {MAX_STRING_BYTES} bytes.");
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    check_resource_name(resource)?;
    context.catalog.validate(resource, configs, &existing(image, resource))?;
    match existence {
        Existence::Required => check_exists(image, resource),
        Existence::Created => Ok(()),
    }
}

fn check_resource_name(resource: &ConfigResource) -> Result<(), ApiError> {
    let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    match resource.resource_type {
        ConfigResourceType::Topic if resource.name.is_empty() => invalid("Default topic resources are not allowed."),
        ConfigResourceType::Topic => check_topic_name(&resource.name),
        ConfigResourceType::Broker if resource.name.is_empty() => Ok(()),
        ConfigResourceType::Broker => match resource.name.parse::<i32>() {
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
            Ok(id) if id < 0 => invalid("Invalid negative broker ID."),
            Ok(_) => Ok(()),
        },
        ConfigResourceType::Group if resource.name.is_empty() => invalid("Default group resources are not allowed."),
        ConfigResourceType::Group | ConfigResourceType::ClientMetrics => Ok(()),
        ConfigResourceType::BrokerLogger => invalid("Unknown resource type BROKER_LOGGER"),
    }
}

/// Topics and brokers must exist; groups and client metrics subscriptions come into being by being configured.
fn check_exists(image: &MetadataImage, resource: &ConfigResource) -> Result<(), ApiError> {
    match resource.resource_type {
        ConfigResourceType::Topic if image.topic_id(&resource.name).is_none() => {
            let message = format!("The topic '{}' does not exist.", resource.name);
            Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message))
        }
        ConfigResourceType::Broker if !resource.name.is_empty() => {
            let id = resource.name.parse().map_or(BrokerId::NONE, BrokerId);
            if image.broker(id).is_some() {
                return Ok(());
            }
            Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, format!("No node with id {id} found.")))
        }
        _ => Ok(()),
    }
}
