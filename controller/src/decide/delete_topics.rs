//! DeleteTopics: by name or by id (KIP-516).
//!
//! Answers to Kafka's `ControllerApis.deleteTopics` and `ReplicationControlManager.deleteTopics`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::TopicId;

use super::{ApiError, Context, Decision};
use crate::image::MetadataImage;
use crate::record::{MetadataRecord, RemoveTopicRecord};

/// Deletes topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTopicsRequest {
    /// The topics.
    pub topics: Vec<TopicRef>,
}

/// A topic, by name or by id; what has both or neither is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicRef {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its id, or zero.
    pub topic_id: TopicId,
}

impl TopicRef {
    /// A topic by name.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), topic_id: Uuid::nil() }
    }

    /// A topic by id.
    pub fn id(topic_id: TopicId) -> Self {
        Self { name: None, topic_id }
    }
}

/// What became of each topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTopicsResponse {
    /// The topics, in the order of the request; what came more than once is answered once.
    pub topics: Vec<DeleteTopicResult>,
}

/// What became of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTopicResult {
    /// How the request named it.
    pub topic: TopicRef,
    /// What was deleted, or why nothing was.
    pub outcome: Result<DeletedTopic, ApiError>,
}

/// A topic that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub topic_id: TopicId,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &DeleteTopicsRequest,
    context: &mut Context<'_>,
) -> Decision<DeleteTopicsResponse> {
    let mut counts: HashMap<&TopicRef, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(topic).or_default() += 1;
    }
    let ids = request.topics.iter().filter(|topic| topic.name.is_none() && counts[topic] == 1);
    let by_id: BTreeSet<TopicId> = ids.map(|topic| topic.topic_id).collect();
    let mut answered = BTreeSet::new();
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        if counts[topic] > 1 && !answered.insert(topic) {
            continue;
        }
        let outcome = if !context.defaults.delete_topic_enable {
            Err(ApiError::bare(ErrorCode::TopicDeletionDisabled))
        } else {
            resolve(image, topic, counts[topic] > 1, &by_id)
        };
        if let Ok(deleted) = &outcome {
            records.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: deleted.topic_id }));
        }
        topics.push(DeleteTopicResult { topic: topic.clone(), outcome });
    }
    Decision { records, response: DeleteTopicsResponse { topics } }
}

/// The topic that a reference means. A name that means a topic also given by id is refused: the id is enough.
fn resolve(
    image: &MetadataImage,
    topic: &TopicRef,
    duplicate: bool,
    by_id: &BTreeSet<TopicId>,
) -> Result<DeletedTopic, ApiError> {
    let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    match (&topic.name, topic.topic_id.is_nil()) {
        (None, true) => invalid("Neither topic name nor id were specified."),
        (Some(_), false) => invalid("You may not specify both topic name and topic id."),
        (Some(_), true) if duplicate => invalid("Duplicate topic name."),
        (None, false) if duplicate => invalid("Duplicate topic id."),
        (Some(name), true) => match image.topic_by_name(name) {
            None => Err(ErrorCode::UnknownTopicOrPartition.into()),
            Some(found) if by_id.contains(&found.id) => {
                invalid("The provided topic name maps to an ID that was already supplied.")
            }
            Some(found) => Ok(DeletedTopic { name: found.name.clone(), topic_id: found.id }),
        },
        (None, false) => match image.topic(topic.topic_id) {
            None => Err(ErrorCode::UnknownTopicId.into()),
            Some(found) => Ok(DeletedTopic { name: found.name.clone(), topic_id: found.id }),
        },
    }
}
