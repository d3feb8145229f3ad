//! What changed between two images, for those who act on changes.
//!
//! Owns [`MetadataDelta`]: kept beside an image while records are replayed, or computed between two images when a snapshot
//! replaces one. It names what changed and holds what was there before; what is there now is in the new image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_protocol::ids::{BrokerId, PartitionIndex, TopicId};

use super::{ConfigResource, MetadataImage, PartitionRegistration, ReplayError, Topic};
use crate::record::MetadataRecord;

/// What a run of records changed (Kafka's `MetadataDelta`).
///
/// Topics are keyed by id, so that a topic that was deleted and created again under its name is two entries; act on
/// [`MetadataDelta::deleted_topics`] first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataDelta {
    /// Every topic that was created, changed or deleted.
    pub topics: BTreeMap<TopicId, TopicDelta>,
    /// Every resource of which a config was set or unset, be it by the deletion of its topic.
    pub configs: BTreeSet<ConfigResource>,
    /// Every broker that registered, changed or left.
    pub brokers: BTreeSet<BrokerId>,
    /// Whether a feature level changed.
    pub features_changed: bool,
    /// Whether producer ids were handed out.
    pub producer_ids_changed: bool,
    /// Whether the cluster got its id.
    pub cluster_id_changed: bool,
}

/// What happened to one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicDelta {
    /// Its name.
    pub name: Arc<str>,
    /// What happened to it as a whole.
    pub change: TopicChange,
    /// Its partitions that are new or changed; empty for a deleted topic.
    pub partitions: BTreeMap<PartitionIndex, PartitionDelta>,
}

/// What happened to a topic as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum TopicChange {
    /// It is new.
    Created,
    /// Some of its partitions are new or changed.
    Changed,
    /// It is gone; this is what it was before the delta's first record.
    Deleted(Arc<Topic>),
}

/// A partition that is new or changed.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionDelta {
    /// What it was before; `None` if it is new.
    pub before: Option<Arc<PartitionRegistration>>,
}

impl MetadataDelta {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Applies a record to an image and notes what it changes.
    pub fn apply(&mut self, image: &mut MetadataImage, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Partition(partition) => {
                let before = image.partition(partition.topic_id, partition.partition).cloned();
                image.apply(record)?;
                self.note_partition(image, partition.topic_id, partition.partition, before);
            }
            MetadataRecord::PartitionChange(change) => {
                let before = image.partition(change.topic_id, change.partition).cloned();
                image.apply(record)?;
                self.note_partition(image, change.topic_id, change.partition, before);
            }
            MetadataRecord::RemoveTopic(removed) => {
                let before = image.topic(removed.topic_id).cloned();
                let configured = before.as_ref().is_some_and(|topic| image.topic_configs(&topic.name).is_some());
                image.apply(record)?;
                if let Some(before) = before {
                    self.configs.extend(configured.then(|| ConfigResource::topic(before.name.clone())));
                    self.note_deleted(before);
                }
            }
            _ => {
                image.apply(record)?;
                self.note_other(record);
            }
        }
        Ok(())
    }

    /// What lies between two images that share no history, as when a snapshot is installed.
    pub fn between(before: &MetadataImage, after: &MetadataImage) -> Self {
        let mut delta = Self {
            features_changed: before.features != after.features,
            producer_ids_changed: before.next_producer_id != after.next_producer_id,
            cluster_id_changed: before.cluster_id != after.cluster_id,
            ..Self::default()
        };
        for topic in before.topics.values().filter(|topic| !after.topics.contains_key(&topic.id)) {
            delta.note_deleted(topic.clone());
        }
        for topic in after.topics.values() {
            delta.note_topic_between(before.topics.get(&topic.id), topic);
        }
        let ids = before.brokers.keys().chain(after.brokers.keys()).copied();
        delta.brokers.extend(ids.filter(|id| before.broker(*id) != after.broker(*id)));
        let configured = before.configs.iter().chain(after.configs.iter()).map(|(resource, _)| resource);
        let changed = configured.filter(|resource| before.configs(resource) != after.configs(resource));
        delta.configs.extend(changed);
        delta
    }

    /// The topics that are gone, as they were.
    pub fn deleted_topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values().filter_map(|topic| match &topic.change {
            TopicChange::Deleted(before) => Some(before),
            _ => None,
        })
    }

    /// The partitions that are new or changed, and what they were before.
    pub fn changed_partitions(
        &self,
    ) -> impl Iterator<Item = (TopicId, &Arc<str>, PartitionIndex, Option<&Arc<PartitionRegistration>>)> {
        self.topics.iter().flat_map(|(id, topic)| {
            let partitions = topic.partitions.iter();
            partitions.map(move |(index, partition)| (*id, &topic.name, *index, partition.before.as_ref()))
        })
    }

    fn note_other(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Topic(record) => {
                let name = record.name.clone();
                let created = TopicDelta { name, change: TopicChange::Created, partitions: BTreeMap::new() };
                self.topics.insert(record.topic_id, created);
            }
            MetadataRecord::Config(record) => {
                self.configs.insert(ConfigResource::new(record.resource_type, record.resource_name.clone()));
            }
            MetadataRecord::RegisterBroker(record) => drop(self.brokers.insert(record.broker)),
            MetadataRecord::UnregisterBroker(record) => drop(self.brokers.insert(record.broker)),
            MetadataRecord::FenceBroker(record) => drop(self.brokers.insert(record.broker)),
            MetadataRecord::UnfenceBroker(record) => drop(self.brokers.insert(record.broker)),
            MetadataRecord::BrokerRegistrationChange(record) => drop(self.brokers.insert(record.broker)),
            MetadataRecord::FeatureLevel(_) => self.features_changed = true,
            MetadataRecord::ProducerIds(_) => self.producer_ids_changed = true,
            MetadataRecord::ClusterId(_) => self.cluster_id_changed = true,
            MetadataRecord::NoOp(_)
            | MetadataRecord::Partition(_)
            | MetadataRecord::PartitionChange(_)
            | MetadataRecord::RemoveTopic(_) => {}
        }
    }

    fn note_partition(
        &mut self,
        image: &MetadataImage,
        topic_id: TopicId,
        index: PartitionIndex,
        before: Option<Arc<PartitionRegistration>>,
    ) {
        let Some(topic) = image.topic(topic_id) else { return };
        let delta = self.topics.entry(topic_id).or_insert_with(|| TopicDelta {
            name: topic.name.clone(),
            change: TopicChange::Changed,
            partitions: BTreeMap::new(),
        });
        delta.partitions.entry(index).or_insert(PartitionDelta { before });
    }

    /// Notes that a topic is gone; one that came and went within the delta was never there.
    fn note_deleted(&mut self, topic: Arc<Topic>) {
        let earlier = self.topics.remove(&topic.id);
        let topic = match earlier {
            Some(TopicDelta { change: TopicChange::Created, .. }) => return,
            Some(earlier) => Arc::new(as_before(&topic, &earlier)),
            None => topic,
        };
        let (id, name) = (topic.id, topic.name.clone());
        let deleted = TopicDelta { name, change: TopicChange::Deleted(topic), partitions: BTreeMap::new() };
        self.topics.insert(id, deleted);
    }

    fn note_topic_between(&mut self, before: Option<&Arc<Topic>>, after: &Arc<Topic>) {
        if before.is_some_and(|before| Arc::ptr_eq(before, after) || before.same_partitions(after)) {
            return;
        }
        let mut partitions = BTreeMap::new();
        for (index, partition) in after.partitions() {
            let earlier = before.and_then(|before| before.partition(index));
            if earlier != Some(partition) {
                partitions.insert(index, PartitionDelta { before: earlier.cloned() });
            }
        }
        let change = if before.is_some() { TopicChange::Changed } else { TopicChange::Created };
        if before.is_none() || !partitions.is_empty() {
            self.topics.insert(after.id, TopicDelta { name: after.name.clone(), change, partitions });
        }
    }
}

/// The topic as it was before the changes that a delta noted.
fn as_before(topic: &Topic, delta: &TopicDelta) -> Topic {
    let mut before = Topic::new(topic.id, topic.name.clone());
    for (index, partition) in topic.partitions() {
        match delta.partitions.get(&index) {
            None => before.partitions.push_back(partition.clone()),
            Some(PartitionDelta { before: Some(earlier) }) => before.partitions.push_back(earlier.clone()),
            Some(PartitionDelta { before: None }) => {}
        }
    }
    before
}
