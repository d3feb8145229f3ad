//! AlterConfigs (33) and IncrementalAlterConfigs (44): replace a resource's settings, or change some (KIP-133, KIP-339).

use std::sync::Arc;

use weir_controller::decide::{
    AlterConfigsRequest as DecideReplace, ApiError, ConfigOperation, ConfigOperationType, ControllerRequest,
    ControllerResponse, IncrementalAlterConfigsRequest as DecideChange, ResourceConfigOperations, ResourceConfigValues,
};
use weir_controller::image::{ConfigResource, MetadataImage, ResourceConfigs};
use weir_controller::record::ConfigResourceType;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use weir_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse;
use weir_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::call::Call;
use super::registry::ListenerKind;
use super::wire::{error_fields, owned, text};
use crate::administration::Administration;
use crate::net::Dispatch;
use crate::server::reconfigure::{CORDONED_LOG_DIRS, is_judged_by_the_broker};

/// A resource as the request names it.
type Named = (i8, Arc<str>);

/// A resource's outcome, in the order of the request.
type Outcome = (Named, Result<(), ApiError>);

pub(super) fn replace(call: Call<Administration>, request: AlterConfigsRequest) -> Dispatch {
    let mut work = Work::default();
    for asked in &request.resources {
        if let Some(resource) = work.take(&call, asked.resource_type, owned(&asked.resource_name)) {
            let configs = asked.configs.iter().map(|config| (owned(&config.name), config.value.as_ref().map(owned)));
            work.items.push(ResourceConfigValues { resource, configs: configs.collect() });
        }
    }
    let validate_only = request.validate_only;
    call.later(async move |call| {
        work.check_on_broker(&call, replaced).await;
        let outcomes = work.submit(&call, |resources| DecideReplace { resources, validate_only }.into()).await;
        let responses = outcomes.into_iter().map(|((kind, name), outcome)| {
            let (code, message) = error_fields(&outcome);
            AlterConfigsResourceResponse::default()
                .with_resource_type(kind)
                .with_resource_name(text(&*name))
                .with_error_code(code)
                .with_error_message(message)
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    })
}

pub(super) fn change(call: Call<Administration>, request: IncrementalAlterConfigsRequest) -> Dispatch {
    let mut work = Work::default();
    for asked in &request.resources {
        let name = owned(&asked.resource_name);
        let operations: Result<Vec<ConfigOperation>, ApiError> = asked
            .configs
            .iter()
            .map(|config| {
                let operation = operation_type(config.config_operation)?;
                Ok(ConfigOperation { key: owned(&config.name), operation, value: config.value.as_ref().map(owned) })
            })
            .collect();
        match operations {
            Err(error) => work.refuse((asked.resource_type, name), error),
            Ok(operations) => {
                if let Some(resource) = work.take(&call, asked.resource_type, name) {
                    work.items.push(ResourceConfigOperations { resource, operations });
                }
            }
        }
    }
    let validate_only = request.validate_only;
    call.later(async move |call| {
        work.check_on_broker(&call, changed).await;
        let outcomes = work.submit(&call, |resources| DecideChange { resources, validate_only }.into()).await;
        let responses = outcomes.into_iter().map(|((kind, name), outcome)| {
            let (code, message) = error_fields(&outcome);
            IncrementalResponse::default()
                .with_resource_type(kind)
                .with_resource_name(text(&*name))
                .with_error_code(code)
                .with_error_message(message)
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    })
}

/// What would be set on a broker, if that is about its certificates or its directories.
type Proposal = (ConfigResource, ResourceConfigs);

fn replaced(_: &MetadataImage, asked: &ResourceConfigValues) -> Option<Proposal> {
    let is_asked = asked.configs.iter().any(|(key, _)| is_judged_by_the_broker(key));
    let configs = asked.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    is_asked.then(|| (asked.resource.clone(), configs.collect()))
}

fn changed(image: &MetadataImage, asked: &ResourceConfigOperations) -> Option<Proposal> {
    if !asked.operations.iter().any(|operation| is_judged_by_the_broker(&operation.key)) {
        return None;
    }
    let mut configs = image.configs(&asked.resource).map(|set| ResourceConfigs::clone(set)).unwrap_or_default();
    for operation in &asked.operations {
        match (&operation.value, operation.operation) {
            (Some(value), ConfigOperationType::Set) => drop(configs.insert(operation.key.clone(), value.clone())),
            (_, ConfigOperationType::Delete) => drop(configs.remove(&operation.key)),
            (Some(value), ConfigOperationType::Append) if *operation.key == *CORDONED_LOG_DIRS => {
                let before = configs.get(&operation.key).map_or("", |set| set);
                let longer = if before.is_empty() { value.to_string() } else { format!("{before},{value}") };
                configs.insert(operation.key.clone(), longer.into());
            }
            // No other list among these keys can be made wrong by an element.
            _ => {}
        }
    }
    Some((asked.resource.clone(), configs))
}

/// The resources of a request: those that go to the controller, and the outcomes that are known without it.
struct Work<T> {
    items: Vec<T>,
    /// One for each resource of the request; `None` is for the controller to say.
    outcomes: Vec<(Named, Option<Result<(), ApiError>>)>,
}

impl<T> Default for Work<T> {
    fn default() -> Self {
        Self { items: Vec::new(), outcomes: Vec::new() }
    }
}

impl<T> Work<T> {
    /// The resource, if the controller is to be asked about it.
    fn take(&mut self, call: &Call<Administration>, kind: i8, name: Arc<str>) -> Option<ConfigResource> {
        match resource(call, kind, &name) {
            Ok(resource) => {
                self.outcomes.push(((kind, name), None));
                Some(resource)
            }
            Err(error) => {
                self.refuse((kind, name), error);
                None
            }
        }
    }

    fn refuse(&mut self, named: Named, error: ApiError) {
        self.outcomes.push((named, Some(Err(error))));
    }

    /// Takes out the changes that would leave a listener without certificates it can use, or cordon directories that are none of
    /// this broker's. Both are its own, so that no controller can judge them.
    async fn check_on_broker(
        &mut self,
        call: &Call<Administration>,
        proposed: fn(&MetadataImage, &T) -> Option<Proposal>,
    ) {
        let image = call.image();
        let mut at = 0;
        while let Some(item) = self.items.get(at) {
            let Some((resource, configs)) = proposed(&image, item) else {
                at += 1;
                continue;
            };
            let is_this_broker = resource == ConfigResource::broker(call.node.id());
            let judge = call.node.reconfigurer.clone().filter(|_| is_this_broker);
            let image = image.clone();
            let check = move || judge.map_or(Ok(()), |judge| judge.check(&image, &configs));
            match if is_this_broker { tokio::task::spawn_blocking(check).await } else { Ok(Ok(())) } {
                Ok(Ok(())) => at += 1,
                refused => {
                    let message =
                        refused.map_or_else(|error| error.to_string(), |checked| checked.err().unwrap_or_default());
                    self.items.remove(at);
                    let outcome = self.outcomes.iter_mut().filter(|(_, outcome)| outcome.is_none()).nth(at);
                    if let Some((_, outcome)) = outcome {
                        *outcome = Some(Err(ApiError::new(ErrorCode::InvalidRequest, message)));
                    }
                }
            }
        }
    }

    async fn submit(
        self,
        call: &Call<Administration>,
        request: impl FnOnce(Vec<T>) -> ControllerRequest,
    ) -> Vec<Outcome> {
        let mut decided = Vec::new();
        let mut failure = ErrorCode::UnknownServerError;
        if !self.items.is_empty() {
            match call.node.submit(request(self.items)).await {
                Ok(ControllerResponse::AlterConfigs(response))
                | Ok(ControllerResponse::IncrementalAlterConfigs(response)) => {
                    decided = response.resources.into_iter().map(|result| result.outcome).collect();
                }
                Ok(_) => {}
                Err(code) => failure = code,
            }
        }
        let mut decided = decided.into_iter();
        let outcomes = self.outcomes.into_iter().map(|(named, known)| {
            let outcome = known.or_else(|| decided.next()).unwrap_or_else(|| Err(failure.into()));
            (named, outcome)
        });
        outcomes.collect()
    }
}

fn resource(call: &Call<Administration>, kind: i8, name: &str) -> Result<ConfigResource, ApiError> {
    let resource_type = ConfigResourceType::from_code(kind)
        .ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest, format!("Unknown resource type {kind}.")))?;
    if resource_type == ConfigResourceType::Broker && !name.is_empty() {
        let id: Option<i32> = name.parse().ok();
        if id.is_none() {
            let message = format!("Node id must be an integer, but it is: {name}");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        // A broker knows what it can take; a controller is told of any.
        if id != Some(call.node.id().get()) && call.listener_kind == ListenerKind::Broker {
            let message = format!("Unexpected broker id, expected {}, but received {name}", call.node.id());
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
    }
    Ok(ConfigResource::new(resource_type, name))
}

fn operation_type(number: i8) -> Result<ConfigOperationType, ApiError> {
    match number {
        0 => Ok(ConfigOperationType::Set),
        1 => Ok(ConfigOperationType::Delete),
        2 => Ok(ConfigOperationType::Append),
        3 => Ok(ConfigOperationType::Subtract),
        _ => Err(ApiError::new(ErrorCode::InvalidRequest, format!("Unknown operation type {number}."))),
    }
}
