//! AlterPartition: a leader asks for another ISR (KIP-497, KIP-704, KIP-841, KIP-903).
//!
//! Answers to Kafka's `ReplicationControlManager.alterPartition`. A request speaks of one leader epoch and one partition
//! epoch, and each member of the ISR it asks for is named with its broker epoch: who restarted since must catch up first.

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId};

use super::election::{self, Target};
use super::register_broker::check_broker_epoch;
use super::{ApiError, Context, Decision};
use crate::image::{MetadataImage, PartitionRegistration, Topic};
use crate::record::{LeaderRecoveryState, MetadataRecord, PartitionChangeRecord};

/// A leader asks for other ISRs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterPartitionRequest {
    /// The broker that leads.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// The partitions, by topic.
    pub topics: Vec<TopicIsrChanges>,
}

/// The partitions of one topic whose ISR should change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicIsrChanges {
    /// The topic.
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<PartitionIsrChange>,
}

/// The ISR that one partition should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionIsrChange {
    /// The partition.
    pub partition: PartitionIndex,
    /// The leader epoch in which the broker leads it.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the broker knows.
    pub partition_epoch: PartitionEpoch,
    /// The ISR it asks for.
    pub new_isr: Vec<IsrMember>,
    /// Whether it still recovers from an unclean election.
    pub leader_recovery_state: LeaderRecoveryState,
}

/// A member of an ISR, in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsrMember {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch when it fetched, or -1 if the leader does not know it.
    pub broker_epoch: BrokerEpoch,
}

/// What became of each partition, or why nothing was looked at.
pub type AlterPartitionResponse = Result<Vec<TopicIsrResults>, ApiError>;

/// What became of the partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicIsrResults {
    /// The topic.
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<PartitionIsrResult>,
}

/// What became of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionIsrResult {
    /// The partition.
    pub partition: PartitionIndex,
    /// What it is now, or why it did not change; this API has codes only.
    pub outcome: Result<AlteredPartition, ErrorCode>,
}

/// A partition after its ISR changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlteredPartition {
    /// Its leader.
    pub leader: BrokerId,
    /// Its leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// Its ISR.
    pub isr: Vec<BrokerId>,
    /// Who else holds all that is committed (KIP-966).
    #[serde(default)]
    pub eligible_leader_replicas: Vec<BrokerId>,
    /// Whether the leader still recovers.
    pub leader_recovery_state: LeaderRecoveryState,
    /// Its partition epoch.
    pub partition_epoch: PartitionEpoch,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &AlterPartitionRequest,
    context: &mut Context<'_>,
) -> Decision<AlterPartitionResponse> {
    if let Err(error) = check_broker_epoch(image, request.broker, request.broker_epoch) {
        return Decision::unchanged(Err(error));
    }
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for changes in &request.topics {
        let topic = image.topic(changes.topic_id);
        let results = changes.partitions.iter().map(|change| {
            let outcome = match topic {
                None => Err(ErrorCode::UnknownTopicId),
                Some(topic) => alter(image, topic, request.broker, change, context),
            };
            let outcome = outcome.and_then(|(altered, record)| {
                records.extend(record.map(MetadataRecord::from));
                altered
            });
            PartitionIsrResult { partition: change.partition, outcome }
        });
        topics.push(TopicIsrResults { topic_id: changes.topic_id, partitions: results.collect() });
    }
    Decision { records, response: Ok(topics) }
}

fn alter(
    image: &MetadataImage,
    topic: &Topic,
    broker: BrokerId,
    change: &PartitionIsrChange,
    context: &Context<'_>,
) -> Result<(Result<AlteredPartition, ErrorCode>, Option<PartitionChangeRecord>), ErrorCode> {
    let partition = topic.partition(change.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epochs(partition, broker, change)?;
    check_isr(image, partition, change)?;
    let target = Target {
        isr: change.new_isr.iter().map(|member| member.broker).collect(),
        leader_recovery_state: change.leader_recovery_state,
        ..Target::unchanged(partition)
    };
    let terms = election::terms_of(image, &topic.name, context.catalog);
    let acceptable = |id: BrokerId| election::is_acceptable_leader(image, partition, id);
    let id = (topic.id, change.partition);
    let record = election::partition_change(partition, id, target, terms, &acceptable);
    let now = record.as_ref().map_or_else(|| PartitionRegistration::clone(partition), |record| partition.after(record));
    if now.leader != broker {
        // The end of a reassignment takes the leader away: it is told so although the change was made.
        return Ok((Err(ErrorCode::NewLeaderElected), record));
    }
    let altered = AlteredPartition {
        leader: now.leader,
        leader_epoch: now.leader_epoch,
        isr: now.isr.to_vec(),
        eligible_leader_replicas: now.eligible_leader_replicas().to_vec(),
        leader_recovery_state: now.leader_recovery_state,
        partition_epoch: now.partition_epoch,
    };
    Ok((Ok(altered), record))
}

/// Who asks must be the leader, and know the partition as it is. One who knows more has asked an old controller.
fn check_epochs(
    partition: &PartitionRegistration,
    broker: BrokerId,
    change: &PartitionIsrChange,
) -> Result<(), ErrorCode> {
    if change.leader_epoch > partition.leader_epoch || change.partition_epoch > partition.partition_epoch {
        Err(ErrorCode::NotController)
    } else if change.leader_epoch < partition.leader_epoch {
        Err(ErrorCode::FencedLeaderEpoch)
    } else if broker != partition.leader {
        Err(ErrorCode::InvalidRequest)
    } else if change.partition_epoch < partition.partition_epoch {
        Err(ErrorCode::InvalidUpdateVersion)
    } else {
        Ok(())
    }
}

fn check_isr(
    image: &MetadataImage,
    partition: &PartitionRegistration,
    change: &PartitionIsrChange,
) -> Result<(), ErrorCode> {
    let members = &change.new_isr;
    let is_replica = |member: &IsrMember| partition.replicas.contains(&member.broker);
    let twice = members.iter().enumerate().any(|(at, member)| members[..at].iter().any(|m| m.broker == member.broker));
    let recovering = change.leader_recovery_state == LeaderRecoveryState::Recovering;
    if twice
        || !members.iter().all(is_replica)
        || !members.iter().any(|member| member.broker == partition.leader)
        || (recovering && members.len() > 1)
        || (recovering && partition.leader_recovery_state == LeaderRecoveryState::Recovered)
    {
        return Err(ErrorCode::InvalidRequest);
    }
    let is_eligible = |member: &IsrMember| {
        image.broker(member.broker).is_some_and(|broker| {
            broker.is_active() && (member.broker_epoch == BrokerEpoch::NONE || member.broker_epoch == broker.epoch)
        })
    };
    if members.iter().all(is_eligible) { Ok(()) } else { Err(ErrorCode::IneligibleReplica) }
}
