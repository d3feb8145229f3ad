//! Every partition with a replica on this broker.
//!
//! Follows the metadata: a delta creates, changes and removes entries, in order, before the change is answered. Files
//! are made when a partition is first needed or by [`PartitionTable::open_all`], whichever comes first, so that a delta
//! of a thousand topics is taken in at once.

use std::sync::Arc;

use ahash::AHashMap;
use arc_swap::ArcSwap;
use parking_lot::RwLock;
use weir_controller::image::{MetadataDelta, MetadataImage, PartitionRegistration, TopicChange};
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicId};
use weir_storage::manager::LogManager;

use super::{Partition, TopicState};
use crate::config::TopicConfig;

/// Where a partition is led, as far as this broker knows.
#[derive(Clone, Debug)]
pub enum Placement {
    /// A replica is here.
    Local(Arc<Partition>),
    /// All replicas are elsewhere.
    Elsewhere(Arc<PartitionRegistration>),
    /// There is no such partition.
    Unknown,
}

/// The table.
#[derive(Debug)]
pub struct PartitionTable {
    local: BrokerId,
    logs: Arc<LogManager>,
    topics: RwLock<AHashMap<TopicId, Arc<TopicEntry>>>,
}

#[derive(Debug)]
struct TopicEntry {
    state: Arc<TopicState>,
    /// By index; a partition without a replica here is `None`.
    partitions: Box<[Option<Arc<Partition>>]>,
}

impl PartitionTable {
    /// An empty table for the broker `local`.
    pub fn new(local: BrokerId, logs: Arc<LogManager>) -> Self {
        Self { local, logs, topics: RwLock::default() }
    }

    /// The broker whose table it is.
    pub fn local(&self) -> BrokerId {
        self.local
    }

    /// A partition with a replica here.
    pub fn get(&self, topic: TopicId, index: PartitionIndex) -> Option<Arc<Partition>> {
        let index = usize::try_from(index.get()).ok()?;
        self.topics.read().get(&topic)?.partitions.get(index)?.clone()
    }

    /// Finds a partition by its topic's name.
    pub fn find(&self, image: &MetadataImage, topic: &str, index: PartitionIndex) -> Placement {
        match image.topic_by_name(topic) {
            Some(topic) => self.find_by_id(image, topic.id, index),
            None => Placement::Unknown,
        }
    }

    /// Finds a partition by its topic's id.
    pub fn find_by_id(&self, image: &MetadataImage, topic: TopicId, index: PartitionIndex) -> Placement {
        match self.get(topic, index) {
            Some(partition) => Placement::Local(partition),
            None => image
                .partition(topic, index)
                .map_or(Placement::Unknown, |registration| Placement::Elsewhere(registration.clone())),
        }
    }

    /// Every partition, in no order.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        topics.values().flat_map(|entry| entry.partitions.iter().flatten().cloned()).collect()
    }

    /// How many partitions have a replica here.
    pub fn len(&self) -> usize {
        self.topics.read().values().map(|entry| entry.partitions.iter().flatten().count()).sum()
    }

    /// Whether no partition has a replica here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in a change of the metadata. `config_of` yields the settings of a topic. Returns the partitions that are
    /// new here, to be opened, and those that are gone.
    pub fn apply(
        &self,
        delta: &MetadataDelta,
        image: &MetadataImage,
        config_of: impl Fn(&str) -> TopicConfig,
    ) -> TableChange {
        let mut change = TableChange::default();
        for topic in delta.deleted_topics() {
            let entry = self.topics.write().remove(&topic.id);
            change.removed.extend(entry.iter().flat_map(|entry| entry.partitions.iter().flatten().cloned()));
        }
        for (&id, topic) in &delta.topics {
            if !matches!(topic.change, TopicChange::Deleted(_)) {
                self.apply_topic(id, image, &config_of, &mut change);
            }
        }
        change
    }

    fn apply_topic(
        &self,
        id: TopicId,
        image: &MetadataImage,
        config_of: &impl Fn(&str) -> TopicConfig,
        change: &mut TableChange,
    ) {
        let Some(topic) = image.topic(id) else { return };
        let before = self.topics.read().get(&id).cloned();
        let state = before.as_ref().map_or_else(
            || {
                let config = ArcSwap::from_pointee(config_of(&topic.name));
                Arc::new(TopicState { id, name: topic.name.clone(), config })
            },
            |entry| entry.state.clone(),
        );
        let partitions = topic.partitions().map(|(index, registration)| {
            let known = before.as_ref().and_then(|entry| entry.partitions.get(index.get() as usize)?.as_ref());
            let is_here = registration.replicas.contains(&self.local);
            match (known, is_here) {
                (Some(known), true) => {
                    known.set_registration(registration.clone());
                    Some(known.clone())
                }
                (None, true) => {
                    let partition =
                        Partition::new(state.clone(), index, self.local, self.logs.clone(), registration.clone());
                    let partition = Arc::new(partition);
                    change.created.push(partition.clone());
                    Some(partition)
                }
                (Some(known), false) => {
                    change.removed.push(known.clone());
                    None
                }
                (None, false) => None,
            }
        });
        let entry = TopicEntry { partitions: partitions.collect(), state };
        self.topics.write().insert(id, Arc::new(entry));
    }

    /// Settings of a topic have changed.
    pub fn set_config(&self, topic: TopicId, config: TopicConfig) {
        let Some(entry) = self.topics.read().get(&topic).cloned() else { return };
        let log_config = Arc::new(config.log.clone());
        entry.state.config.store(Arc::new(config));
        for partition in entry.partitions.iter().flatten().filter(|partition| partition.opened_log().is_some()) {
            self.logs.set_config(&partition.topic_partition(), log_config.clone());
        }
    }

    /// The settings of a topic with a replica here.
    pub fn topic_state(&self, topic: TopicId) -> Option<Arc<TopicState>> {
        self.topics.read().get(&topic).map(|entry| entry.state.clone())
    }
}

/// What a delta changed in the table.
#[derive(Debug, Default)]
pub struct TableChange {
    /// Partitions that are new here.
    pub created: Vec<Arc<Partition>>,
    /// Partitions that are gone from here.
    pub removed: Vec<Arc<Partition>>,
}
