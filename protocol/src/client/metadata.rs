//! What a client knows of a cluster: brokers, topics, leaders. Pure; [`super::Client`] fills and refreshes it.

use super::Address;
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use crate::messages::MetadataResponse;
use crate::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A snapshot of a cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The broker that takes admin requests; with KRaft any broker forwards them.
    pub controller: Option<BrokerId>,
    /// The live brokers.
    pub brokers: BTreeMap<BrokerId, BrokerMetadata>,
    /// The topics that were asked for and exist.
    pub topics: BTreeMap<Arc<str>, TopicMetadata>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerMetadata {
    /// `node.id`.
    pub id: BrokerId,
    /// Where it listens, as it advertises itself.
    pub address: Address,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Why nothing more is known of it, or none.
    pub error: ErrorCode,
    /// Its id, from brokers that tell.
    pub id: Option<TopicId>,
    /// Whether it belongs to the brokers themselves.
    pub is_internal: bool,
    /// Its partitions by index.
    pub partitions: BTreeMap<PartitionIndex, PartitionMetadata>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Why it cannot be used, or none.
    pub error: ErrorCode,
    /// Its leader, if it has one.
    pub leader: Option<BrokerId>,
    /// The leader's epoch, or -1.
    pub leader_epoch: LeaderEpoch,
    /// Brokers with a replica, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync.
    pub isr: Vec<BrokerId>,
    /// Replicas that are offline.
    pub offline_replicas: Vec<BrokerId>,
}

impl Metadata {
    /// Takes in an answer. `all_topics`: it lists every topic, so that others are gone.
    pub(super) fn merge(&mut self, response: &MetadataResponse, all_topics: bool) {
        self.cluster_id = response.cluster_id.as_ref().map(|id| id.to_string());
        self.controller = Some(BrokerId(response.controller_id.0)).filter(|&id| id != BrokerId::NONE);
        self.brokers = response
            .brokers
            .iter()
            .filter_map(|broker| {
                let id = BrokerId(broker.node_id.0);
                let address = Address::new(broker.host.to_string(), u16::try_from(broker.port).ok()?);
                let rack = broker.rack.as_ref().map(|rack| rack.to_string());
                Some((id, BrokerMetadata { id, address, rack }))
            })
            .collect();
        if all_topics {
            self.topics.clear();
        }
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            match ErrorCode::from_code(topic.error_code) {
                ErrorCode::UnknownTopicOrPartition => self.topics.remove(&***name),
                error => self.topics.insert(Arc::from(&***name), topic_metadata(error, topic)),
            };
        }
    }

    /// A topic's partition.
    pub fn partition(&self, topic: &str, partition: PartitionIndex) -> Option<&PartitionMetadata> {
        self.topics.get(topic)?.partitions.get(&partition)
    }
}

fn topic_metadata(error: ErrorCode, topic: &MetadataResponseTopic) -> TopicMetadata {
    TopicMetadata {
        error,
        id: Some(topic.topic_id).filter(|id| !id.is_nil()),
        is_internal: topic.is_internal,
        partitions: topic
            .partitions
            .iter()
            .map(|it| (PartitionIndex(it.partition_index), partition_metadata(it)))
            .collect(),
    }
}

fn partition_metadata(partition: &MetadataResponsePartition) -> PartitionMetadata {
    let ids = |ids: &[crate::messages::BrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
    PartitionMetadata {
        error: ErrorCode::from_code(partition.error_code),
        leader: Some(BrokerId(partition.leader_id.0)).filter(|&id| id != BrokerId::NONE),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        replicas: ids(&partition.replica_nodes),
        isr: ids(&partition.isr_nodes),
        offline_replicas: ids(&partition.offline_replicas),
    }
}
