//! CreateTopics: names, counts, assignments and configs are checked topic by topic; one refusal does not touch the others.
//!
//! Answers to Kafka's `ReplicationControlManager.createTopics` and the checks that `ControllerApis` makes before it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{PartitionIndex, TopicId};

use super::config_changes::{self, Existence};
use super::placement::ReplicaPlacer;
use super::topic_name::{CLUSTER_METADATA_TOPIC, check_topic_name};
use super::{ApiError, Context, Decision, Defaults, MAX_PARTITIONS_PER_REQUEST, ReplicaAssignment, manual_assignment};
use crate::image::{ConfigResource, MetadataImage, ResourceConfigs};
use crate::record::{ConfigRecord, MetadataRecord, PartitionRecord, TopicRecord};

/// Creates topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopicsRequest {
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions, -1 for `num.partitions` or if they are assigned.
    pub num_partitions: i32,
    /// How many replicas, -1 for `default.replication.factor` or if they are assigned.
    pub replication_factor: i16,
    /// The replicas of each partition, or empty for the controller to place them.
    pub assignments: Vec<ReplicaAssignment>,
    /// Its configs.
    pub configs: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// What became of each topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopicsResponse {
    /// The topics, in the order of the request; a name that came more than once is answered once.
    pub topics: Vec<CreateTopicResult>,
}

/// What became of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopicResult {
    /// Its name.
    pub name: Arc<str>,
    /// What was created, or why nothing was.
    pub outcome: Result<CreatedTopic, ApiError>,
}

/// A topic that was, or with `validate_only` would have been, created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedTopic {
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub num_partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
    /// What is set on it; the effective configs follow from this and the broker's table.
    pub configs: ResourceConfigs,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &CreateTopicsRequest,
    context: &mut Context<'_>,
) -> Decision<CreateTopicsResponse> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let excessive = claimed_partitions(request, context.defaults.num_partitions) > MAX_PARTITIONS_PER_REQUEST;
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut answered = BTreeSet::new();
    let mut placer = None;
    for topic in &request.topics {
        let outcome = if counts[&*topic.name] > 1 {
            if !answered.insert(&*topic.name) {
                continue;
            }
            Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else if excessive {
            let message = "Excessively large number of partitions per request.";
            Err(ApiError::new(ErrorCode::PolicyViolation, message))
        } else {
            let placer = placer.get_or_insert_with(|| ReplicaPlacer::new(image, context.seed));
            create_topic(image, topic, context, placer, &mut records)
        };
        topics.push(CreateTopicResult { name: topic.name.clone(), outcome });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: CreateTopicsResponse { topics } }
}

/// How many partitions the request asks for, counting what later checks may refuse.
fn claimed_partitions(request: &CreateTopicsRequest, default_partitions: i32) -> usize {
    let claimed = request.topics.iter().map(|topic| match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => usize::try_from(default_partitions).unwrap_or(0),
        (0, partitions) => usize::try_from(partitions).unwrap_or(0),
        (assigned, _) => assigned,
    });
    claimed.fold(0, usize::saturating_add)
}

fn create_topic(
    image: &MetadataImage,
    topic: &NewTopic,
    context: &mut Context<'_>,
    placer: &mut ReplicaPlacer,
    records: &mut Vec<MetadataRecord>,
) -> Result<CreatedTopic, ApiError> {
    check_name(image, &topic.name)?;
    let configs = check_configs(image, topic, context)?;
    // The id is needed in the records alone; it is drawn once nothing can be refused any more.
    let mut partitions = if topic.assignments.is_empty() {
        place_partitions(image, topic, context, placer)?
    } else {
        assign_partitions(image, topic)?
    };
    let topic_id = (context.fresh_topic_id)();
    let created = CreatedTopic {
        topic_id,
        num_partitions: partitions.len() as i32,
        replication_factor: partitions.first().map_or(0, |partition| partition.replicas.len() as i16),
        configs,
    };
    records.push(TopicRecord { name: topic.name.clone(), topic_id }.into());
    // Configs come before partitions, so that who sees a partition sees its configs.
    records.extend(created.configs.iter().map(|(name, value)| {
        let resource = ConfigResource::topic(topic.name.clone());
        MetadataRecord::Config(ConfigRecord {
            resource_type: resource.resource_type,
            resource_name: resource.name,
            name: name.clone(),
            value: Some(value.clone()),
        })
    }));
    for partition in &mut partitions {
        partition.topic_id = topic_id;
    }
    records.extend(partitions.into_iter().map(MetadataRecord::Partition));
    Ok(created)
}

fn check_name(image: &MetadataImage, name: &str) -> Result<(), ApiError> {
    if name == CLUSTER_METADATA_TOPIC {
        let message = format!("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    if image.topic_id(name).is_some() {
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    check_topic_name(name)?;
    match image.colliding_topic(name) {
        Some(existing) => Err(ApiError::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {existing}"),
        )),
        None => Ok(()),
    }
}

fn check_configs(image: &MetadataImage, topic: &NewTopic, context: &Context<'_>) -> Result<ResourceConfigs, ApiError> {
    let nulls: Vec<&str> = topic.configs.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| &**key).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let configs: ResourceConfigs =
        topic.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    if !configs.is_empty() {
        let resource = ConfigResource::topic(topic.name.clone());
        config_changes::check(image, &resource, &configs, Existence::Created, context)?;
    }
    Ok(configs)
}

fn assign_partitions(image: &MetadataImage, topic: &NewTopic) -> Result<Vec<PartitionRecord>, ApiError> {
    if topic.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but replication factor was not set to -1.";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    if topic.num_partitions != -1 {
        let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    let mut replication_factor = None;
    let mut seen = BTreeSet::new();
    let mut partitions = Vec::with_capacity(topic.assignments.len());
    for assignment in &topic.assignments {
        if !seen.insert(assignment.partition) {
            return Err(ApiError::new(
                ErrorCode::InvalidReplicaAssignment,
                format!("Found multiple manual partition assignments for partition {}", assignment.partition),
            ));
        }
        manual_assignment::check(image, &assignment.brokers, replication_factor)?;
        replication_factor = Some(assignment.brokers.len());
        let (partition, brokers) = (assignment.partition, &assignment.brokers);
        partitions.push(manual_assignment::partition(image, TopicId::nil(), partition, brokers)?);
    }
    if !seen.iter().zip(0..).all(|(partition, expected)| *partition == PartitionIndex(expected)) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    partitions.sort_by_key(|partition| partition.partition);
    Ok(partitions)
}

fn place_partitions(
    image: &MetadataImage,
    topic: &NewTopic,
    context: &Context<'_>,
    placer: &mut ReplicaPlacer,
) -> Result<Vec<PartitionRecord>, ApiError> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        let message = "Number of partitions was set to an invalid non-positive value.";
        return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    }
    let num_partitions = or_default(topic.num_partitions, context.defaults.num_partitions);
    let replication_factor = or_default(topic.replication_factor, default_replication(image, context.defaults));
    let unable = |reason: &str| {
        let message = format!("Unable to replicate the partition {replication_factor} time(s): {reason}");
        ApiError::new(ErrorCode::InvalidReplicationFactor, message)
    };
    let mut partitions = Vec::with_capacity(num_partitions.max(0) as usize);
    for index in (0..num_partitions).map(PartitionIndex) {
        let placement =
            placer.place(replication_factor).map_err(|error| unable(error.message.as_deref().unwrap_or_default()))?;
        let (replicas, directories) = (placement.replicas, placement.directories);
        let partition = manual_assignment::new_partition(image, TopicId::nil(), index, replicas, directories);
        partitions
            .push(partition.ok_or_else(|| unable("All brokers are currently fenced or in controlled shutdown."))?);
    }
    Ok(partitions)
}

fn or_default<T: PartialEq + From<i8>>(value: T, default: T) -> T {
    if value == T::from(-1) { default } else { value }
}

/// How many replicas a topic gets that does not say.
fn default_replication(image: &MetadataImage, defaults: &Defaults) -> i16 {
    let brokers = i16::try_from(image.broker_count()).unwrap_or(i16::MAX).max(1);
    match defaults.replication_follows_brokers {
        true => defaults.replication_factor.min(brokers),
        false => defaults.replication_factor,
    }
}
