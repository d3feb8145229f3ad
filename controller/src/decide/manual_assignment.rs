//! Partitions whose replicas the request names, rather than the placement.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId};

use super::ApiError;
use super::placement::default_directory;
use crate::image::MetadataImage;
use crate::record::{LeaderRecoveryState, PartitionRecord};

/// The replicas that a request wants for a new partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaAssignment {
    /// The partition; ignored when partitions are added to a topic, whose order says it.
    pub partition: PartitionIndex,
    /// Its replicas, the preferred leader first.
    pub brokers: Vec<BrokerId>,
}

/// Checks one assignment, as Kafka's `validateManualPartitionAssignment` does.
pub(super) fn check(
    image: &MetadataImage,
    brokers: &[BrokerId],
    replication_factor: Option<usize>,
) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    if brokers.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut sorted = brokers.to_vec();
    sorted.sort();
    for (position, broker) in sorted.iter().enumerate() {
        if image.broker(*broker).is_none() {
            return refuse(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if position > 0 && sorted[position - 1] == *broker {
            return refuse(format!("The manual partition assignment includes the broker {broker} more than once."));
        }
    }
    match replication_factor {
        Some(expected) if expected != brokers.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {expected} replica(s).",
            brokers.len()
        )),
        _ => Ok(()),
    }
}

/// The record of a new partition whose replicas a request named.
pub(super) fn partition(
    image: &MetadataImage,
    topic_id: TopicId,
    partition: PartitionIndex,
    brokers: &[BrokerId],
) -> Result<PartitionRecord, ApiError> {
    let directories = brokers.iter().map(|broker| default_directory(image, *broker)).collect();
    new_partition(image, topic_id, partition, brokers.to_vec(), directories).ok_or_else(|| {
        ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
                 controlled shutdown."
            ),
        )
    })
}

/// The record of a new partition, in sync on every replica that is active; `None` if none is.
pub(super) fn new_partition(
    image: &MetadataImage,
    topic_id: TopicId,
    partition: PartitionIndex,
    replicas: Vec<BrokerId>,
    directories: Vec<Uuid>,
) -> Option<PartitionRecord> {
    let isr: Vec<_> = replicas.iter().copied().filter(|replica| image.is_active(*replica)).collect();
    Some(PartitionRecord {
        partition,
        topic_id,
        leader: *isr.first()?,
        replicas,
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories,
        leader_recovery_state: LeaderRecoveryState::Recovered,
        eligible_leader_replicas: None,
        last_known_elr: None,
    })
}
