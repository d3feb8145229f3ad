//! CreatePartitions: topics grow, never shrink.
//!
//! Answers to Kafka's `ReplicationControlManager.createPartitions`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, PartitionIndex};

use super::placement::ReplicaPlacer;
use super::{ApiError, Context, Decision, MAX_PARTITIONS_PER_REQUEST, manual_assignment};
use crate::image::{MetadataImage, Topic};
use crate::record::{MetadataRecord, PartitionRecord};

/// Adds partitions to topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePartitionsRequest {
    /// The topics.
    pub topics: Vec<NewPartitions>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// A topic that should grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPartitions {
    /// The topic's name.
    pub name: Arc<str>,
    /// How many partitions it should have afterwards.
    pub count: i32,
    /// The replicas of each new partition, or none for the controller to place them.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// What became of each topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePartitionsResponse {
    /// The topics, in the order of the request; a name that came more than once is answered once.
    pub topics: Vec<CreatePartitionsResult>,
}

/// What became of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePartitionsResult {
    /// Its name.
    pub name: Arc<str>,
    /// Why it did not grow, if it did not.
    pub outcome: Result<(), ApiError>,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &CreatePartitionsRequest,
    context: &mut Context<'_>,
) -> Decision<CreatePartitionsResponse> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let mut answered = BTreeSet::new();
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut placer = None;
    for topic in &request.topics {
        let outcome = if counts[&*topic.name] > 1 {
            if !answered.insert(&*topic.name) {
                continue;
            }
            Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            let room = MAX_PARTITIONS_PER_REQUEST - records.len();
            let placer = placer.get_or_insert_with(|| ReplicaPlacer::new(image, context.seed));
            new_partitions(image, topic, placer, room)
        };
        let outcome = outcome.map(|partitions| records.extend(partitions.into_iter().map(MetadataRecord::Partition)));
        topics.push(CreatePartitionsResult { name: topic.name.clone(), outcome });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: CreatePartitionsResponse { topics } }
}

fn new_partitions(
    image: &MetadataImage,
    request: &NewPartitions,
    placer: &mut ReplicaPlacer,
    room: usize,
) -> Result<Vec<PartitionRecord>, ApiError> {
    let topic = image.topic_by_name(&request.name).ok_or_else(|| ApiError::bare(ErrorCode::UnknownTopicOrPartition))?;
    let additional = additional_partitions(topic, request.count)?;
    if let Some(assignments) = request.assignments.as_ref().filter(|given| given.len() != additional) {
        let message = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    if additional > room {
        let message = "Excessively large number of partitions per request.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    let Some(first) = topic.partition(PartitionIndex(0)) else {
        let message = format!("Invalid state: topic {} appears to have no partitions.", topic.name);
        return Err(ApiError::new(ErrorCode::UnknownServerError, message));
    };
    let indexes = (topic.partition_count() as i32..request.count).map(PartitionIndex);
    match &request.assignments {
        Some(assignments) => {
            let assigned = indexes.zip(assignments).map(|(index, brokers)| {
                manual_assignment::check(image, brokers, Some(first.replicas.len()))?;
                manual_assignment::partition(image, topic.id, index, brokers)
            });
            assigned.collect()
        }
        None => {
            let replication_factor = i16::try_from(first.replicas.len()).unwrap_or(i16::MAX);
            let placed = indexes.map(|index| {
                let placement = placer.place(replication_factor)?;
                let (replicas, directories) = (placement.replicas, placement.directories);
                manual_assignment::new_partition(image, topic.id, index, replicas, directories).ok_or_else(|| {
                    let message = format!(
                        "Unable to replicate the partition {replication_factor} time(s): All brokers are currently \
                         fenced or in controlled shutdown."
                    );
                    ApiError::new(ErrorCode::InvalidReplicationFactor, message)
                })
            });
            placed.collect()
        }
    }
}

fn additional_partitions(topic: &Topic, count: i32) -> Result<usize, ApiError> {
    let existing = topic.partition_count();
    let wanted = usize::try_from(count).unwrap_or(0);
    if wanted == existing {
        let message = format!("Topic already has {existing} partition(s).");
        Err(ApiError::new(ErrorCode::InvalidPartitions, message))
    } else if wanted < existing {
        let message = format!(
            "The topic {} currently has {existing} partition(s); {count} would not be an increase.",
            topic.name
        );
        Err(ApiError::new(ErrorCode::InvalidPartitions, message))
    } else {
        Ok(wanted - existing)
    }
}
