//! Where replicas are and who leads: moves of replicas (KIP-455) and elections (KIP-460).

use super::admin::retry_code;
use super::cluster::topic_name;
use super::{Admin, ClientError, PerItem};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex, TopicPartition};
use crate::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use crate::messages::elect_leaders_request::TopicPartitions;
use crate::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ApiKey, BrokerId as WireBrokerId,
    ElectLeadersRequest, ElectLeadersResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use std::collections::BTreeMap;

/// A move of a partition's replicas that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which partition.
    pub partition: TopicPartition,
    /// Everyone who has a replica or gets one.
    pub replicas: Vec<BrokerId>,
    /// Who gets one.
    pub adding: Vec<BrokerId>,
    /// Who loses one in the end.
    pub removing: Vec<BrokerId>,
}

/// Who may be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Whoever is alive where no replica in sync is: records can be lost.
    Unclean,
}

impl Admin {
    /// AlterPartitionReassignments: each partition gets these replicas; none ends the move that is under way.
    pub async fn move_partitions(
        &self,
        moves: &[(TopicPartition, Option<Vec<BrokerId>>)],
    ) -> Result<PerItem<TopicPartition, ()>, ClientError> {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for (partition, replicas) in moves {
            let replicas = replicas.as_ref().map(|ids| ids.iter().map(|id| WireBrokerId(id.get())).collect());
            let asked = ReassignablePartition::default()
                .with_partition_index(partition.partition.get())
                .with_replicas(replicas);
            topics.entry(&partition.topic).or_default().push(asked);
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            ReassignableTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        });
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(self.timeout_ms())
            .with_topics(topics.collect());
        let code = |response: &AlterPartitionReassignmentsResponse| retry_code([response.error_code]);
        let response = self.client().ask_controller(&request, code).await?;
        let api = ApiKey::AlterPartitionReassignments;
        self.item(api, "the moves", response.error_code, response.error_message.as_ref())?;
        let mut results = Vec::new();
        for topic in response.responses {
            for answer in topic.partitions {
                let partition = TopicPartition::new(&**topic.name, PartitionIndex(answer.partition_index));
                let subject = partition.to_string();
                let done = self.item(api, &subject, answer.error_code, answer.error_message.as_ref());
                results.push((partition, done));
            }
        }
        Ok(results)
    }

    /// ListPartitionReassignments: every move that is under way.
    pub async fn list_moves(&self) -> Result<Vec<Move>, ClientError> {
        let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(self.timeout_ms()).with_topics(None);
        let code = |response: &ListPartitionReassignmentsResponse| retry_code([response.error_code]);
        let response = self.client().ask_controller(&request, code).await?;
        let message = response.error_message.as_ref();
        self.item(ApiKey::ListPartitionReassignments, "the moves", response.error_code, message)?;
        let ids = |ids: &[WireBrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
        let moves = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| Move {
                partition: TopicPartition::new(&**topic.name, PartitionIndex(partition.partition_index)),
                replicas: ids(&partition.replicas),
                adding: ids(&partition.adding_replicas),
                removing: ids(&partition.removing_replicas),
            })
        });
        Ok(moves.collect())
    }

    /// ElectLeaders, for these partitions or for all. Partitions that need no election are not told.
    pub async fn elect_leaders(
        &self,
        election: Election,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<PerItem<TopicPartition, ()>, ClientError> {
        let topics = partitions.map(|partitions| {
            let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
            for partition in partitions {
                topics.entry(&partition.topic).or_default().push(partition.partition.get());
            }
            let topic = |(name, partitions)| {
                TopicPartitions::default().with_topic(topic_name(name)).with_partitions(partitions)
            };
            topics.into_iter().map(topic).collect()
        });
        let kind = match election {
            Election::Preferred => 0,
            Election::Unclean => 1,
        };
        let request = ElectLeadersRequest::default()
            .with_election_type(kind)
            .with_topic_partitions(topics)
            .with_timeout_ms(self.timeout_ms());
        let code = |response: &ElectLeadersResponse| retry_code([response.error_code]);
        let response = self.client().ask_controller(&request, code).await?;
        self.item(ApiKey::ElectLeaders, "the elections", response.error_code, None)?;
        let mut results = Vec::new();
        for topic in response.replica_election_results {
            for answer in topic.partition_result {
                if ErrorCode::from_code(answer.error_code) == ErrorCode::ElectionNotNeeded {
                    continue;
                }
                let partition = TopicPartition::new(&**topic.topic, PartitionIndex(answer.partition_id));
                let subject = partition.to_string();
                let done = self.item(ApiKey::ElectLeaders, &subject, answer.error_code, answer.error_message.as_ref());
                results.push((partition, done));
            }
        }
        Ok(results)
    }
}
