//! ElectLeaders: an operator asks for the preferred leader back, or for any leader at all (KIP-183, KIP-460).
//!
//! Answers to Kafka's `ReplicationControlManager.electLeaders`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

use super::election::{self, Election, Target, Terms};
use super::{ApiError, Context, Decision};
use crate::image::MetadataImage;
use crate::record::{MetadataRecord, PartitionChangeRecord};

/// Elects leaders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectLeadersRequest {
    /// Which leader is wanted.
    pub election_type: ElectionType,
    /// The partitions, or none for every one there is.
    pub partitions: Option<Vec<TopicPartition>>,
}

/// Which leader is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElectionType {
    /// The first of the replicas.
    Preferred,
    /// Any that lives, at the price of records that only others have.
    Unclean,
}

impl ElectionType {
    /// The type with this number in requests.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Preferred),
            1 => Some(Self::Unclean),
            _ => None,
        }
    }
}

/// What became of each partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectLeadersResponse {
    /// The partitions in the order of the request; if it named none, those that needed an election.
    pub partitions: Vec<PartitionElectionResult>,
}

/// What became of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionElectionResult {
    /// The partition.
    pub partition: TopicPartition,
    /// Why no leader was elected, if none was.
    pub outcome: Result<(), ApiError>,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &ElectLeadersRequest,
    context: &mut Context<'_>,
) -> Decision<ElectLeadersResponse> {
    let mut records = Vec::new();
    let mut partitions = Vec::new();
    let mut elect_one = |topic: &Arc<str>, index: PartitionIndex| {
        let elected = elect(image, topic, index, request.election_type, context);
        let outcome = elected.map(|change| records.push(MetadataRecord::from(change)));
        PartitionElectionResult { partition: TopicPartition { topic: topic.clone(), partition: index }, outcome }
    };
    match &request.partitions {
        Some(named) => {
            // A partition that is named twice is elected once: the second time the leader would be there already.
            let mut seen = std::collections::BTreeSet::new();
            for partition in named.iter().filter(|partition| seen.insert(*partition)) {
                partitions.push(elect_one(&partition.topic, partition.partition));
            }
        }
        None => {
            let all = image.topics().flat_map(|topic| topic.partitions().map(move |(index, _)| (&topic.name, index)));
            let results = all.map(|(topic, index)| elect_one(topic, index));
            partitions.extend(results.filter(|result| !is_not_needed(&result.outcome)));
        }
    }
    Decision { records, response: ElectLeadersResponse { partitions } }
}

fn is_not_needed(outcome: &Result<(), ApiError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.code == ErrorCode::ElectionNotNeeded)
}

fn elect(
    image: &MetadataImage,
    topic: &str,
    index: PartitionIndex,
    election_type: ElectionType,
    context: &Context<'_>,
) -> Result<PartitionChangeRecord, ApiError> {
    let unknown = |what: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, what);
    let topic_id = image.topic_id(topic).ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
    let partition =
        image.partition(topic_id, index).ok_or_else(|| unknown(format!("No such partition as {topic}-{index}")))?;
    let acceptable = |id: BrokerId| election::is_acceptable_leader(image, partition, id);
    let (settled, election, unavailable) = match election_type {
        ElectionType::Preferred => (
            partition.has_leader() && partition.leader == partition.preferred_leader(),
            Election::Preferred,
            ErrorCode::PreferredLeaderNotAvailable,
        ),
        // A leader that is away with its logs intact keeps its partition, but it does not serve.
        ElectionType::Unclean => (
            partition.has_leader() && acceptable(partition.leader),
            Election::Unclean,
            ErrorCode::EligibleLeadersNotAvailable,
        ),
    };
    if settled {
        return Err(ErrorCode::ElectionNotNeeded.into());
    }
    let terms = Terms { election, ..election::terms_of(image, topic, context.catalog) };
    election::partition_change(partition, (topic_id, index), Target::unchanged(partition), terms, &acceptable)
        .filter(|change| change.leader != Some(BrokerId::NONE))
        .ok_or_else(|| unavailable.into())
}
