//! IncrementalAlterConfigs: set, delete, append to or subtract from single configs (KIP-339).
//!
//! Answers to Kafka's `ConfigurationControlManager.incrementalAlterConfigs`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;

use super::config_changes::{self, AlterConfigsResponse, Existence};
use super::{ApiError, Context, Decision, config_effects};
use crate::image::{ConfigResource, MetadataImage, ResourceConfigs};
use crate::record::ConfigRecord;

/// Alters single configs of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementalAlterConfigsRequest {
    /// The resources.
    pub resources: Vec<ResourceConfigOperations>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// What to do to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceConfigOperations {
    /// The resource.
    pub resource: ConfigResource,
    /// What to do, each key once.
    pub operations: Vec<ConfigOperation>,
}

/// What to do to one config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigOperation {
    /// The config's key.
    pub key: Arc<str>,
    /// What to do.
    pub operation: ConfigOperationType,
    /// With what; not looked at by `Delete`.
    pub value: Option<Arc<str>>,
}

/// What can be done to one config (Kafka's `AlterConfigOp.OpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOperationType {
    /// Set it to the value.
    Set,
    /// Unset it.
    Delete,
    /// Add the value's elements that a list lacks.
    Append,
    /// Take the value's elements out of a list.
    Subtract,
}

impl ConfigOperationType {
    /// The operation with this number in requests.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &IncrementalAlterConfigsRequest,
    context: &mut Context<'_>,
) -> Decision<AlterConfigsResponse> {
    let context = &*context;
    let decision = config_changes::decide_each(
        &request.resources,
        |resource| &resource.resource,
        request.validate_only,
        |resource| alter(image, resource, context),
    );
    config_effects::followed(image, decision, context)
}

fn alter(
    image: &MetadataImage,
    request: &ResourceConfigOperations,
    context: &Context<'_>,
) -> Result<Vec<ConfigRecord>, ApiError> {
    let operations = &request.operations;
    let nulls = operations.iter().filter(|op| op.operation != ConfigOperationType::Delete && op.value.is_none());
    config_changes::check_keys(operations.iter().map(|op| &op.key), nulls.map(|op| &op.key))?;
    let resource = &request.resource;
    let existing = config_changes::existing(image, resource);
    let mut configs = ResourceConfigs::clone(&existing);
    let mut records = Vec::new();
    for operation in operations {
        let before = existing.get(&operation.key);
        let after = apply(resource, operation, before, context)?;
        match &after {
            Some(value) => drop(configs.insert(operation.key.clone(), value.clone())),
            None => drop(configs.remove(&operation.key)),
        }
        if config_changes::must_record(resource, before, after.as_ref()) {
            records.push(config_changes::record(resource, &operation.key, after));
        }
    }
    config_effects::check(image, resource, &records)?;
    config_changes::check(image, resource, &configs, Existence::Required, context)?;
    Ok(records)
}

fn apply(
    resource: &ConfigResource,
    operation: &ConfigOperation,
    before: Option<&Arc<str>>,
    context: &Context<'_>,
) -> Result<Option<Arc<str>>, ApiError> {
    let append = match operation.operation {
        ConfigOperationType::Set => return Ok(operation.value.clone()),
        ConfigOperationType::Delete => return Ok(None),
        ConfigOperationType::Append => true,
        ConfigOperationType::Subtract => false,
    };
    let key = &operation.key;
    if !context.catalog.is_list(resource.resource_type, key) {
        let name = operation.operation.name();
        let message = format!("Can't {name} to key {key} because its type is not LIST.");
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let default = || context.catalog.default_value(resource.resource_type, key);
    let list = before.map(|value| value.to_string()).or_else(default).unwrap_or_default();
    let mut elements: Vec<&str> = elements(&list).collect();
    for element in self::elements(operation.value.as_deref().unwrap_or_default()) {
        let position = elements.iter().position(|existing| *existing == element);
        match (append, position) {
            (true, None) => elements.push(element),
            (false, Some(position)) => drop(elements.remove(position)),
            _ => {}
        }
    }
    Ok(Some(elements.join(",").into()))
}

fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|element| !element.is_empty())
}
