//! AlterPartitionReassignments: an operator gives partitions other replicas, or calls such a move off (KIP-455, KIP-860).
//!
//! ```text
//! replicas 1 2 3            asked: 1 2 4        replicas 1 2 4 3, adding 4, removing 3
//! replicas 1 2 4 3, 4 joins the ISR             replicas 1 2 4: the leader's own AlterPartition ends the move
//! replicas 1 2 4 3          called off          replicas 1 2 3
//! ```
//!
//! Answers to Kafka's `ReplicationControlManager.alterPartitionReassignments`. A move that replaces another keeps waiting for
//! whom the earlier one added, if it still wants them (Kafka forgets who was added, or waits for who is not wanted any more).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

use super::catalog::unclean_election_enabled;
use super::election::{self, Election, Target, Terms};
use super::placement::default_directory;
use super::{ApiError, Context, Decision, manual_assignment};
use crate::image::{MetadataImage, PartitionRegistration, Topic};
use crate::record::{MetadataRecord, PartitionChangeRecord};

/// Moves replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterPartitionReassignmentsRequest {
    /// The partitions.
    pub partitions: Vec<PartitionReassignment>,
    /// Whether a partition may come to have more or fewer replicas (KIP-860).
    pub allow_replication_factor_change: bool,
}

/// The replicas that one partition should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReassignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Its replicas, the preferred leader first; none calls off the move under way.
    pub replicas: Option<Vec<BrokerId>>,
}

/// What became of each partition, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterPartitionReassignmentsResponse {
    /// The partitions.
    pub partitions: Vec<PartitionReassignmentResult>,
}

/// What became of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReassignmentResult {
    /// The partition.
    pub partition: TopicPartition,
    /// Why nothing was changed, if nothing was.
    pub outcome: Result<(), ApiError>,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &AlterPartitionReassignmentsRequest,
    context: &mut Context<'_>,
) -> Decision<AlterPartitionReassignmentsResponse> {
    let mut records = Vec::new();
    let mut seen = BTreeSet::new();
    let may_resize = request.allow_replication_factor_change;
    let results = request.partitions.iter().map(|asked| {
        let outcome = match seen.insert(&asked.partition) {
            true => reassign(image, asked, may_resize, context),
            false => Err(ApiError::new(ErrorCode::InvalidRequest, format!("{} is named twice.", asked.partition))),
        };
        let outcome = outcome.map(|change| records.extend(change.map(MetadataRecord::from)));
        PartitionReassignmentResult { partition: asked.partition.clone(), outcome }
    });
    let response = AlterPartitionReassignmentsResponse { partitions: results.collect() };
    Decision { records, response }
}

fn reassign(
    image: &MetadataImage,
    asked: &PartitionReassignment,
    may_resize: bool,
    context: &Context<'_>,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    let TopicPartition { topic: name, partition: index } = &asked.partition;
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let topic = image.topic_by_name(name);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition = topic.partition(*index);
    let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    let (target, election) = match &asked.replicas {
        None => call_off(image, topic, *index, partition, context)?,
        Some(replicas) => {
            manual_assignment::check(image, replicas, None)?;
            check_size(partition, replicas.len(), may_resize)?;
            (aim(image, partition, replicas), Election::Online)
        }
    };
    let acceptable = |id: BrokerId| election::is_acceptable_leader(image, partition, id);
    let terms = Terms { election, ..election::terms_of(image, &topic.name, context.catalog) };
    Ok(election::partition_change(partition, (topic.id, *index), target, terms, &acceptable))
}

/// What the partition becomes at once: it has the replicas of before and of after until those who are added are in sync.
fn aim(image: &MetadataImage, partition: &PartitionRegistration, wanted: &[BrokerId]) -> Target {
    let is_original = |id: &BrokerId| partition.replicas.contains(id) && !partition.adding_replicas().contains(id);
    let mut removing = without(&partition.replicas, wanted);
    let mut adding: Vec<_> = wanted.iter().copied().filter(|id| !is_original(id)).collect();
    removing.sort();
    adding.sort();
    let joining = adding.iter().filter(|id| !partition.replicas.contains(id));
    Target {
        replicas: wanted.iter().chain(&removing).copied().collect(),
        directories: joining.map(|id| (*id, default_directory(image, *id))).collect(),
        removing,
        adding,
        ..Target::unchanged(partition)
    }
}

/// What the partition was before the move. If nobody of that is in sync, its first replica leads without what it missed,
/// where that is allowed.
fn call_off(
    image: &MetadataImage,
    topic: &Topic,
    index: PartitionIndex,
    partition: &PartitionRegistration,
    context: &Context<'_>,
) -> Result<(Target, Election), ApiError> {
    if !partition.is_reassigning() {
        return Err(ApiError::new(ErrorCode::NoReassignmentInProgress, "No partition reassignment is in progress."));
    }
    let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    let replicas = without(&partition.replicas, partition.adding_replicas());
    let mut isr = without(&partition.isr, partition.adding_replicas());
    let Some(first) = replicas.first() else {
        return refuse("Invalid replica assignment: addingReplicas contains all replicas.".to_owned());
    };
    let mut election = Election::Online;
    if isr.is_empty() {
        if !unclean_election_enabled(image, &topic.name, context.catalog) {
            return refuse(format!(
                "Unable to revert partition assignment for {}:{index} because it would require an unclean leader election.",
                topic.name
            ));
        }
        isr.push(*first);
        election = Election::Unclean;
    }
    let target = Target { isr, replicas, removing: Vec::new(), adding: Vec::new(), ..Target::unchanged(partition) };
    Ok((target, election))
}

fn check_size(partition: &PartitionRegistration, wanted: usize, may_resize: bool) -> Result<(), ApiError> {
    let present = without(&partition.replicas, partition.removing_replicas()).len();
    if may_resize || present == wanted {
        return Ok(());
    }
    let message = format!("The replication factor is changed from {present} to {wanted}");
    Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message))
}

fn without(ids: &[BrokerId], removed: &[BrokerId]) -> Vec<BrokerId> {
    ids.iter().copied().filter(|id| !removed.contains(id)).collect()
}
