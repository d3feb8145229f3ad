//! AlterConfigs: replace all configs of a resource; what the request does not name is unset.
//!
//! Answers to Kafka's `ConfigurationControlManager.legacyAlterConfigs`, which old clients still call.

use std::sync::Arc;

use super::config_changes::{self, AlterConfigsResponse, Existence};
use super::{ApiError, Context, Decision, config_effects};
use crate::image::{ConfigResource, MetadataImage, ResourceConfigs};
use crate::record::ConfigRecord;
use serde::{Deserialize, Serialize};

/// Replaces all configs of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterConfigsRequest {
    /// The resources.
    pub resources: Vec<ResourceConfigValues>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// All that should be set on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceConfigValues {
    /// The resource.
    pub resource: ConfigResource,
    /// Key and value, each key once.
    pub configs: Vec<(Arc<str>, Option<Arc<str>>)>,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &AlterConfigsRequest,
    context: &mut Context<'_>,
) -> Decision<AlterConfigsResponse> {
    let context = &*context;
    let decision = config_changes::decide_each(
        &request.resources,
        |resource| &resource.resource,
        request.validate_only,
        |resource| replace(image, resource, context),
    );
    config_effects::followed(image, decision, context)
}

fn replace(
    image: &MetadataImage,
    request: &ResourceConfigValues,
    context: &Context<'_>,
) -> Result<Vec<ConfigRecord>, ApiError> {
    let nulls = request.configs.iter().filter(|(_, value)| value.is_none());
    config_changes::check_keys(request.configs.iter().map(|(key, _)| key), nulls.map(|(key, _)| key))?;
    let resource = &request.resource;
    let existing = config_changes::existing(image, resource);
    let configs: ResourceConfigs =
        request.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    config_changes::check(image, resource, &configs, Existence::Required, context)?;
    let set =
        configs.iter().filter(|(key, value)| config_changes::must_record(resource, existing.get(&**key), Some(*value)));
    let set = set.map(|(key, value)| config_changes::record(resource, key, Some(value.clone())));
    let unset = existing.keys().filter(|key| !configs.contains_key(&**key));
    let records: Vec<_> = set.chain(unset.map(|key| config_changes::record(resource, key, None))).collect();
    config_effects::check(image, resource, &records)?;
    Ok(records)
}
