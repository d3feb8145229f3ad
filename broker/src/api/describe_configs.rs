//! DescribeConfigs (32): every key with its value, source, synonyms, type and documentation (KIP-133, KIP-226, KIP-569).

use std::borrow::Cow;

use weir_controller::image::{ConfigResource, MetadataImage};
use weir_controller::record::ConfigResourceType;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::describe_configs_request::DescribeConfigsResource;
use weir_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use weir_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse, StrBytes};

use super::call::Call;
use super::topics::is_valid_topic_name;
use crate::administration::Administration;
use crate::config::client_metrics_keys::CLIENT_METRICS_KEYS;
use crate::config::definition::{Kind, Update};
use crate::config::effective::{Effective, Source, client_metrics_value};
use crate::net::Dispatch;
use crate::partition::PartitionError;

const TOPIC: i8 = ConfigResourceType::Topic.code();
const BROKER: i8 = ConfigResourceType::Broker.code();
const BROKER_LOGGER: i8 = ConfigResourceType::BrokerLogger.code();
const CLIENT_METRICS: i8 = ConfigResourceType::ClientMetrics.code();
const GROUP: i8 = ConfigResourceType::Group.code();

pub(super) fn handle(call: Call<Administration>, request: DescribeConfigsRequest) -> Dispatch {
    let image = call.image();
    let results = request.resources.iter().map(|resource| {
        let described = describe(&call, &image, resource);
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(StrBytes::from_string(resource.resource_name.to_string()));
        match described {
            Ok(values) => {
                let asked = values.into_iter().filter(|value| is_asked(resource, &value.name));
                result.with_configs(asked.map(|value| config(value, &request)).collect())
            }
            Err(error) => result
                .with_error_code(error.code.code())
                .with_error_message(Some(StrBytes::from_string(error.message.unwrap_or_default()))),
        }
    });
    let response = DescribeConfigsResponse::default().with_results(results.collect());
    call.ready(&response)
}

fn is_asked(resource: &DescribeConfigsResource, name: &str) -> bool {
    resource.configuration_keys.as_ref().is_none_or(|keys| keys.iter().any(|key| **key == *name))
}

fn describe(
    call: &Call<Administration>,
    image: &MetadataImage,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Effective>, PartitionError> {
    let name: &str = &resource.resource_name;
    match resource.resource_type {
        TOPIC if !is_valid_topic_name(name) => {
            Err(PartitionError::new(ErrorCode::InvalidTopicException, format!("The topic name {name:?} is not valid.")))
        }
        TOPIC if image.topic_by_name(name).is_none() => Err(ErrorCode::UnknownTopicOrPartition.into()),
        TOPIC => Ok(call.node.topic_values(image, name)),
        BROKER if name.is_empty() => Ok(cluster_values(call, image)),
        BROKER if is_this_broker(call, name) => Ok(call.node.broker_values(image)),
        BROKER => {
            let message = format!("Unexpected broker id, expected {} or empty, but received {name}", call.node.id());
            Err(PartitionError::new(ErrorCode::InvalidRequest, message))
        }
        BROKER_LOGGER if is_this_broker(call, name) => Ok(Vec::new()),
        GROUP if name.is_empty() => Err(PartitionError::new(ErrorCode::InvalidRequest, "Group name must not be empty")),
        GROUP => Ok(call.node.group_values(image, name)),
        CLIENT_METRICS if name.is_empty() => {
            Err(PartitionError::new(ErrorCode::InvalidRequest, "Client metrics subscription name must not be empty"))
        }
        CLIENT_METRICS => Ok(client_metrics_values(image, name)),
        other => {
            let message = format!("Resource type {other} cannot be described by this broker.");
            Err(PartitionError::new(ErrorCode::InvalidRequest, message))
        }
    }
}

fn client_metrics_values(image: &MetadataImage, subscription: &str) -> Vec<Effective> {
    let set = image.configs(&ConfigResource::new(ConfigResourceType::ClientMetrics, subscription));
    let set = set.cloned().unwrap_or_default();
    CLIENT_METRICS_KEYS.iter().map(|definition| client_metrics_value(&set, definition)).collect()
}

fn is_this_broker(call: &Call<Administration>, name: &str) -> bool {
    name.parse().is_ok_and(|id| BrokerId(id) == call.node.id())
}

/// For the cluster's defaults only what was set for all brokers is shown, as in Kafka.
fn cluster_values(call: &Call<Administration>, image: &MetadataImage) -> Vec<Effective> {
    let set = image.configs(&ConfigResource::default_broker());
    let values = call.node.broker_values(image);
    values
        .into_iter()
        .filter(|value| set.is_some_and(|set| set.contains_key(&*value.name)))
        .filter_map(|mut value| {
            value.synonyms.retain(|entry| entry.source == Source::DynamicDefaultBroker);
            let entry = value.synonyms.first()?;
            value.value = Some(entry.value.clone());
            value.source = Source::DynamicDefaultBroker;
            Some(value)
        })
        .collect()
}

fn config(effective: Effective, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let Effective { name, definition, value, source, synonyms } = effective;
    let is_sensitive = definition.is_sensitive();
    let shown = |value: Option<String>| value.filter(|_| !is_sensitive).map(StrBytes::from_string);
    let synonyms = synonyms.into_iter().filter(|_| request.include_synonyms).map(|entry| {
        DescribeConfigsSynonym::default()
            .with_name(wire_name(entry.name))
            .with_value(shown(Some(entry.value)))
            .with_source(entry.source as i8)
    });
    let documentation = request.include_documentation.then(|| StrBytes::from_string(definition.documentation()));
    DescribeConfigsResourceResult::default()
        .with_name(wire_name(name))
        .with_value(shown(value))
        .with_read_only(definition.update == Update::ReadOnly)
        .with_config_source(source as i8)
        .with_is_sensitive(is_sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(type_number(definition.kind))
        .with_documentation(documentation)
}

fn wire_name(name: Cow<'static, str>) -> StrBytes {
    match name {
        Cow::Borrowed(name) => StrBytes::from_static_str(name),
        Cow::Owned(name) => StrBytes::from_string(name),
    }
}

/// Kafka's `ConfigType`.
fn type_number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String | Kind::OneOf(_) | Kind::OneOfAnyCase(_) | Kind::ShareOffsetReset => 2,
        Kind::Int(..) | Kind::IntOr(..) => 3,
        Kind::Short(..) => 4,
        Kind::Long(..) => 5,
        Kind::Double(..) => 6,
        Kind::List | Kind::ListOf(_) | Kind::ThrottledReplicas => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}
