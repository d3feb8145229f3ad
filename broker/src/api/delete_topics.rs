//! DeleteTopics (20): by name, or by id (KIP-516).

use weir_controller::decide::{ControllerResponse, DeleteTopicResult, DeleteTopicsRequest as Decide, TopicRef};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::delete_topics_response::DeletableTopicResult;
use weir_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, StrBytes};

use super::call::Call;
use super::wire::{error_fields, owned, topic_name};
use crate::administration::Administration;
use crate::net::Dispatch;

/// From this version on topics are structs with a name or an id.
const FIRST_VERSION_WITH_IDS: i16 = 6;

pub(super) fn handle(call: Call<Administration>, request: DeleteTopicsRequest) -> Dispatch {
    let topics: Vec<TopicRef> = match call.version() >= FIRST_VERSION_WITH_IDS {
        true => {
            let topics = request.topics.iter();
            topics
                .map(|t| TopicRef { name: t.name.as_ref().map(|name| owned(&name.0)), topic_id: t.topic_id })
                .collect()
        }
        false => {
            let names = request.topic_names.iter();
            names.map(|name| TopicRef { name: Some(owned(&name.0)), topic_id: uuid::Uuid::nil() }).collect()
        }
    };
    call.later(async move |call| {
        let responses = match call.node.submit(Decide { topics: topics.clone() }).await {
            Ok(ControllerResponse::DeleteTopics(response)) => response.topics.into_iter().map(answer).collect(),
            Ok(_) => topics.iter().map(|topic| refused(topic, ErrorCode::UnknownServerError)).collect(),
            Err(code) => topics.iter().map(|topic| refused(topic, code)).collect(),
        };
        DeleteTopicsResponse::default().with_responses(responses)
    })
}

fn refused(topic: &TopicRef, code: ErrorCode) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(topic.name.as_deref().map(topic_name))
        .with_topic_id(topic.topic_id)
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(code.message())))
}

fn answer(result: DeleteTopicResult) -> DeletableTopicResult {
    let (code, message) = error_fields(&result.outcome);
    let (name, id) = match result.outcome {
        Ok(deleted) => (Some(deleted.name), deleted.topic_id),
        Err(_) => (result.topic.name, result.topic.topic_id),
    };
    DeletableTopicResult::default()
        .with_name(name.as_deref().map(topic_name))
        .with_topic_id(id)
        .with_error_code(code)
        .with_error_message(message)
}
