//! CreateTopics (19): KIP-4, KIP-464 (defaults), KIP-525 (effective configs in the answer).

use weir_controller::decide::{
    ControllerResponse, CreateTopicResult, CreateTopicsRequest as Decide, CreatedTopic, NewTopic, ReplicaAssignment,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::PartitionIndex;
use weir_protocol::messages::create_topics_request::CreatableTopic;
use weir_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use weir_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, StrBytes};

use super::call::Call;
use super::wire::{our_broker_ids, owned, text, topic_name};
use crate::administration::Administration;
use crate::config::definition::Update;
use crate::net::Dispatch;

/// From this version on the answer tells what was created.
const FIRST_VERSION_WITH_DETAILS: i16 = 5;

pub(super) fn handle(call: Call<Administration>, request: CreateTopicsRequest) -> Dispatch {
    let names: Vec<_> = request.topics.iter().map(|topic| owned(&topic.name.0)).collect();
    let decide =
        Decide { topics: request.topics.iter().map(new_topic).collect(), validate_only: request.validate_only };
    let validate_only = request.validate_only;
    call.later(async move |call| {
        let topics = match call.node.submit(decide).await {
            Ok(ControllerResponse::CreateTopics(response)) => {
                if !validate_only {
                    let created = response.topics.iter().filter(|topic| topic.outcome.is_ok());
                    call.node.warn_of_zones(created.map(|topic| &*topic.name));
                }
                response.topics.into_iter().map(|result| answer(&call, result)).collect()
            }
            Ok(_) => names.iter().map(|name| refused(name, ErrorCode::UnknownServerError)).collect(),
            Err(code) => names.iter().map(|name| refused(name, code)).collect(),
        };
        CreateTopicsResponse::default().with_topics(topics)
    })
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| ReplicaAssignment {
        partition: PartitionIndex(assignment.partition_index),
        brokers: our_broker_ids(&assignment.broker_ids),
    });
    let configs = topic.configs.iter().map(|config| (owned(&config.name), config.value.as_ref().map(owned)));
    NewTopic {
        name: owned(&topic.name.0),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
    }
}

fn refused(name: &str, code: ErrorCode) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(topic_name(name))
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(code.message())))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_configs(None)
}

fn answer(call: &Call<Administration>, result: CreateTopicResult) -> CreatableTopicResult {
    let CreateTopicResult { name, outcome } = result;
    let created = match outcome {
        Ok(created) => created,
        Err(error) => {
            return refused(&name, error.code).with_error_message(error.message.map(StrBytes::from_string));
        }
    };
    let answer = CreatableTopicResult::default().with_name(topic_name(&name));
    if call.version() < FIRST_VERSION_WITH_DETAILS {
        return answer;
    }
    answer
        .with_topic_id(created.topic_id)
        .with_num_partitions(created.num_partitions)
        .with_replication_factor(created.replication_factor)
        .with_configs(Some(effective_configs(call, &created)))
}

fn effective_configs(call: &Call<Administration>, created: &CreatedTopic) -> Vec<CreatableTopicConfigs> {
    let values = call.node.topic_values_with(&call.image(), &created.configs);
    let configs = values.into_iter().map(|value| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(value.definition.name))
            .with_value(value.value.map(text))
            .with_read_only(value.definition.update == Update::ReadOnly)
            .with_config_source(value.source as i8)
            .with_is_sensitive(value.definition.is_sensitive())
    });
    configs.collect()
}
