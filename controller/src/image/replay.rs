//! Replay: the only way in which an image changes.
//!
//! Never asserts and never validates a decision: a record that contradicts the image is a [`ReplayError`] that names it,
//! upon which the node stops applying and fences itself, rather than dying at each restart.

use std::sync::Arc;

use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionIndex, ProducerId};

use super::topic::{has_collision_chars, unify_collision_chars};
use super::{BrokerRegistration, MetadataImage, PartitionRegistration, Topic};
use crate::record::{
    BrokerRegistrationChangeRecord, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};

/// A record that contradicts what came before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The cluster has another id.
    #[error("ClusterIdRecord names cluster {found}, but this is cluster {expected}")]
    OtherCluster {
        /// The id there was.
        expected: Arc<str>,
        /// The id in the record.
        found: Arc<str>,
    },
    /// A topic of that name exists.
    #[error("TopicRecord for '{name}' with id {topic_id}, but that name belongs to topic id {existing}")]
    DuplicateTopicName {
        /// The name.
        name: Arc<str>,
        /// The id in the record.
        topic_id: Uuid,
        /// The id of the topic that exists.
        existing: Uuid,
    },
    /// A topic of that id exists.
    #[error("TopicRecord for '{name}' with id {topic_id}, but that id belongs to topic '{existing}'")]
    DuplicateTopicId {
        /// The name in the record.
        name: Arc<str>,
        /// The id.
        topic_id: Uuid,
        /// The name of the topic that exists.
        existing: Arc<str>,
    },
    /// No topic has that id.
    #[error("{record} for unknown topic id {topic_id}")]
    UnknownTopic {
        /// The record's name.
        record: &'static str,
        /// The id.
        topic_id: Uuid,
    },
    /// A partition was created before the one below it.
    #[error("PartitionRecord for partition {partition} of topic id {topic_id}, which has only {count} partitions")]
    PartitionGap {
        /// The topic.
        topic_id: Uuid,
        /// The partition in the record.
        partition: PartitionIndex,
        /// How many partitions there are.
        count: usize,
    },
    /// No such partition.
    #[error("PartitionChangeRecord for unknown partition {partition} of topic id {topic_id}")]
    UnknownPartition {
        /// The topic.
        topic_id: Uuid,
        /// The partition in the record.
        partition: PartitionIndex,
    },
    /// A partition with a directory too many or too few.
    #[error(
        "{record} for partition {partition} of topic id {topic_id} names {directories} directories for {replicas} replicas"
    )]
    DirectoryCount {
        /// The record's name.
        record: &'static str,
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: PartitionIndex,
        /// How many directories it names.
        directories: usize,
        /// How many replicas there are.
        replicas: usize,
    },
    /// No such broker.
    #[error("{record} for unregistered broker {broker}")]
    UnknownBroker {
        /// The record's name.
        record: &'static str,
        /// The broker.
        broker: BrokerId,
    },
    /// The record speaks of another registration of the broker.
    #[error("{record} for epoch {found} of broker {broker}, whose epoch is {expected}")]
    StaleBrokerEpoch {
        /// The record's name.
        record: &'static str,
        /// The broker.
        broker: BrokerId,
        /// The epoch of its registration.
        expected: BrokerEpoch,
        /// The epoch in the record.
        found: BrokerEpoch,
    },
    /// Producer ids would be handed out twice.
    #[error("ProducerIdsRecord goes back from {expected} to {found}")]
    ProducerIdsRegressed {
        /// The next producer id there was.
        expected: ProducerId,
        /// The next producer id in the record.
        found: ProducerId,
    },
    /// A config of something that has none in the log.
    #[error("ConfigRecord for a resource of type {resource_type}, which is never stored")]
    UnstoredConfig {
        /// Kafka's number of the type.
        resource_type: i8,
    },
}

impl MetadataImage {
    /// Applies one record. After an error the image is as it was before the record.
    pub fn apply(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        let name = record.type_name();
        match record {
            MetadataRecord::RegisterBroker(record) => {
                self.brokers.insert(record.broker, Arc::new(BrokerRegistration::from_record(record)));
                Ok(())
            }
            MetadataRecord::UnregisterBroker(record) => self.unregister_broker(record),
            MetadataRecord::Topic(record) => self.create_topic(record),
            MetadataRecord::Partition(record) => self.put_partition(record),
            MetadataRecord::PartitionChange(record) => self.change_partition(record),
            MetadataRecord::RemoveTopic(record) => self.remove_topic(record),
            MetadataRecord::FenceBroker(record) => self.fence(name, record.broker, record.broker_epoch, true),
            MetadataRecord::UnfenceBroker(record) => self.fence(name, record.broker, record.broker_epoch, false),
            MetadataRecord::BrokerRegistrationChange(record) => self.change_broker(record),
            MetadataRecord::Config(record) => match self.configs.apply(record) {
                true => Ok(()),
                false => Err(ReplayError::UnstoredConfig { resource_type: record.resource_type.code() }),
            },
            MetadataRecord::FeatureLevel(record) => {
                self.set_feature(record);
                Ok(())
            }
            MetadataRecord::ProducerIds(record) => self.advance_producer_ids(record),
            MetadataRecord::ClusterId(record) => match &self.cluster_id {
                Some(id) if *id != record.cluster_id => {
                    Err(ReplayError::OtherCluster { expected: id.clone(), found: record.cluster_id.clone() })
                }
                _ => {
                    self.cluster_id = Some(record.cluster_id.clone());
                    Ok(())
                }
            },
            MetadataRecord::NoOp(_) => Ok(()),
        }
    }

    fn create_topic(&mut self, record: &TopicRecord) -> Result<(), ReplayError> {
        let topic_id = record.topic_id;
        if let Some(existing) = self.topic_ids.get(&record.name) {
            let name = record.name.clone();
            return Err(ReplayError::DuplicateTopicName { name, topic_id, existing: *existing });
        }
        if let Some(existing) = self.topics.get(&topic_id) {
            let name = record.name.clone();
            return Err(ReplayError::DuplicateTopicId { name, topic_id, existing: existing.name.clone() });
        }
        self.topic_ids.insert(record.name.clone(), topic_id);
        self.topics.insert(topic_id, Arc::new(Topic::new(topic_id, record.name.clone())));
        if has_collision_chars(&record.name) {
            let names =
                self.colliding_names.entry(unify_collision_chars(&record.name).into()).or_insert_with(|| [].into());
            let mut sorted: Vec<_> = names.iter().cloned().chain([record.name.clone()]).collect();
            sorted.sort();
            *names = sorted.into();
        }
        Ok(())
    }

    fn put_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let (topic_id, partition) = (record.topic_id, record.partition);
        let topic =
            self.topics.get(&topic_id).ok_or(ReplayError::UnknownTopic { record: "PartitionRecord", topic_id })?;
        let count = topic.partition_count();
        let index = usize::try_from(partition.get()).ok().filter(|index| *index <= count);
        let index = index.ok_or(ReplayError::PartitionGap { topic_id, partition, count })?;
        if !record.directories.is_empty() {
            let (directories, replicas) = (record.directories.len(), record.replicas.len());
            check_directories("PartitionRecord", topic_id, partition, directories, replicas)?;
        }
        let registration = Arc::new(PartitionRegistration::from_record(record));
        if let Some(topic) = self.topics.get_mut(&topic_id) {
            let partitions = &mut Arc::make_mut(topic).partitions;
            if index == count {
                partitions.push_back(registration);
            } else {
                partitions.set(index, registration);
            }
        }
        Ok(())
    }

    fn change_partition(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let (topic_id, partition) = (record.topic_id, record.partition);
        let topic = self
            .topics
            .get(&topic_id)
            .ok_or(ReplayError::UnknownTopic { record: "PartitionChangeRecord", topic_id })?;
        let before = topic.partition(partition).ok_or(ReplayError::UnknownPartition { topic_id, partition })?;
        if let Some(directories) = record.directories.as_ref().filter(|directories| !directories.is_empty()) {
            let replicas = record.replicas.as_ref().map_or(before.replicas.len(), Vec::len);
            check_directories("PartitionChangeRecord", topic_id, partition, directories.len(), replicas)?;
        }
        let after = Arc::new(before.after(record));
        if let (Some(topic), Ok(index)) = (self.topics.get_mut(&topic_id), usize::try_from(partition.get())) {
            Arc::make_mut(topic).partitions.set(index, after);
        }
        Ok(())
    }

    fn remove_topic(&mut self, record: &RemoveTopicRecord) -> Result<(), ReplayError> {
        let topic_id = record.topic_id;
        let unknown = ReplayError::UnknownTopic { record: "RemoveTopicRecord", topic_id };
        let topic = self.topics.remove(&topic_id).ok_or(unknown)?;
        self.topic_ids.remove(&topic.name);
        self.configs.topics.remove(&topic.name);
        if has_collision_chars(&topic.name) {
            let unified = unify_collision_chars(&topic.name);
            let names = self.colliding_names.get(unified.as_str()).map_or(&[][..], |names| names);
            let names: Arc<[_]> = names.iter().filter(|name| **name != topic.name).cloned().collect();
            if names.is_empty() {
                self.colliding_names.remove(unified.as_str());
            } else {
                self.colliding_names.insert(unified.into(), names);
            }
        }
        Ok(())
    }

    fn unregister_broker(&mut self, record: &UnregisterBrokerRecord) -> Result<(), ReplayError> {
        self.check_broker("UnregisterBrokerRecord", record.broker, record.broker_epoch)?;
        self.brokers.remove(&record.broker);
        Ok(())
    }

    fn fence(
        &mut self,
        record: &'static str,
        broker: BrokerId,
        epoch: BrokerEpoch,
        fenced: bool,
    ) -> Result<(), ReplayError> {
        self.check_broker(record, broker, epoch)?;
        if let Some(broker) = self.brokers.get_mut(&broker) {
            Arc::make_mut(broker).fenced = fenced;
        }
        Ok(())
    }

    fn change_broker(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<(), ReplayError> {
        self.check_broker("BrokerRegistrationChangeRecord", record.broker, record.broker_epoch)?;
        let Some(broker) = self.brokers.get_mut(&record.broker) else { return Ok(()) };
        let broker = Arc::make_mut(broker);
        broker.fenced = record.fenced.unwrap_or(broker.fenced);
        broker.in_controlled_shutdown |= record.in_controlled_shutdown;
        if !record.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&record.log_dirs);
        }
        if record.cordoned_log_dirs.is_some() {
            broker.cordoned_log_dirs.clone_from(&record.cordoned_log_dirs);
        }
        Ok(())
    }

    fn check_broker(&self, record: &'static str, broker: BrokerId, found: BrokerEpoch) -> Result<(), ReplayError> {
        match self.brokers.get(&broker) {
            None => Err(ReplayError::UnknownBroker { record, broker }),
            Some(registration) if registration.epoch != found => {
                Err(ReplayError::StaleBrokerEpoch { record, broker, expected: registration.epoch, found })
            }
            Some(_) => Ok(()),
        }
    }

    fn set_feature(&mut self, record: &FeatureLevelRecord) {
        if record.level == 0 {
            self.features.remove(&record.name);
        } else {
            self.features.insert(record.name.clone(), record.level);
        }
    }

    fn advance_producer_ids(&mut self, record: &ProducerIdsRecord) -> Result<(), ReplayError> {
        let (expected, found) = (self.next_producer_id, record.next_producer_id);
        if found < expected {
            return Err(ReplayError::ProducerIdsRegressed { expected, found });
        }
        self.next_producer_id = found;
        Ok(())
    }
}

fn check_directories(
    record: &'static str,
    topic_id: Uuid,
    partition: PartitionIndex,
    directories: usize,
    replicas: usize,
) -> Result<(), ReplayError> {
    if directories == replicas {
        Ok(())
    } else {
        Err(ReplayError::DirectoryCount { record, topic_id, partition, directories, replicas })
    }
}
