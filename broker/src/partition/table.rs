//! Every partition with a replica on this broker.
//!
//! Follows the metadata: a delta creates and removes entries, in order, before the change is answered. What it changes of those that
//! stay is handed on, for taking another role waits for appends under way, and the controller's thread waits for no disk. Files are made
//! when a partition is first needed or by the files thread, whichever comes first, so that a delta of a thousand topics is taken in
//! at once.

use std::sync::{Arc, Weak};

use ahash::AHashMap;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use weir_controller::image::{MetadataDelta, MetadataImage, PartitionRegistration, TopicChange, TopicDelta};
use weir_protocol::ids::{BrokerEpoch, PartitionIndex, TopicId};

use super::{LocalBroker, Partition, PartitionKey, TopicState};
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
    local: Arc<LocalBroker>,
    topics: RwLock<AHashMap<TopicId, Arc<TopicEntry>>>,
    /// Replicas that are no longer here, until their logs are deleted.
    gone: Mutex<AHashMap<PartitionKey, Weak<Partition>>>,
}

#[derive(Debug)]
struct TopicEntry {
    state: Arc<TopicState>,
    /// By index; a partition without a replica here is `None`.
    partitions: Box<[Option<Arc<Partition>>]>,
}

impl PartitionTable {
    /// An empty table for the broker `local`.
    pub fn new(local: LocalBroker) -> Self {
        Self { local: Arc::new(local), topics: RwLock::default(), gone: Mutex::default() }
    }

    /// The broker whose table it is.
    pub fn local(&self) -> &Arc<LocalBroker> {
        &self.local
    }

    /// The broker is registered in `epoch`: it acts on metadata that tells so. Before the first delta this is all there is to do; later
    /// every role is to be taken again.
    pub fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.local.set_epoch(epoch);
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

    /// Takes in a change of the metadata. `config_of` yields the settings of a topic. Returns what is to be done about partitions
    /// that are new here, that are gone, and of which the metadata says something new.
    pub fn apply(
        &self,
        delta: &MetadataDelta,
        image: &MetadataImage,
        config_of: impl Fn(&str) -> TopicConfig,
    ) -> TableChange {
        let mut change = TableChange::default();
        for topic in delta.deleted_topics() {
            let entry = self.topics.write().remove(&topic.id);
            for partition in entry.iter().flat_map(|entry| entry.partitions.iter().flatten()) {
                self.remove(partition, &mut change);
            }
        }
        for (&id, topic) in &delta.topics {
            if !matches!(topic.change, TopicChange::Deleted(_)) {
                self.apply_topic((id, topic), image, &config_of, &mut change);
            }
        }
        if !delta.brokers.is_empty() {
            // Who may be in sync has changed, or whether this broker acts at all.
            change.changed = self.registered(image);
        }
        self.gone.lock().retain(|_, partition| partition.strong_count() > 0);
        change
    }

    /// Every partition with what `image` says of it.
    pub(crate) fn registered(&self, image: &MetadataImage) -> Vec<(Arc<Partition>, Arc<PartitionRegistration>)> {
        let with_registration = |partition: Arc<Partition>| {
            let registration = image.partition(partition.topic().id, partition.index())?.clone();
            Some((partition, registration))
        };
        self.all().into_iter().filter_map(with_registration).collect()
    }

    fn remove(&self, partition: &Arc<Partition>, change: &mut TableChange) {
        partition.retire();
        self.gone.lock().insert(partition.key(), Arc::downgrade(partition));
        change.removed.push(partition.clone());
    }

    fn apply_topic(
        &self,
        (id, delta): (TopicId, &TopicDelta),
        image: &MetadataImage,
        config_of: &impl Fn(&str) -> TopicConfig,
        change: &mut TableChange,
    ) {
        let Some(topic) = image.topic(id) else { return };
        let acts = self.local.acts(image);
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
            let is_here = registration.replicas.contains(&self.local.id());
            match (known, is_here) {
                (Some(known), true) => {
                    if delta.partitions.contains_key(&index) {
                        change.changed.push((known.clone(), registration.clone()));
                    }
                    Some(known.clone())
                }
                (None, true) => {
                    let before = self.gone.lock().remove(&(id, index)).and_then(|gone| gone.upgrade());
                    let (local, registration) = (self.local.clone(), registration.clone());
                    let partition = Partition::new(state.clone(), index, local, registration, acts, before);
                    let partition = Arc::new(partition);
                    change.created.push(partition.clone());
                    Some(partition)
                }
                (Some(known), false) => {
                    self.remove(known, change);
                    None
                }
                (None, false) => None,
            }
        });
        let entry = TopicEntry { partitions: partitions.collect(), state };
        self.topics.write().insert(id, Arc::new(entry));
    }

    /// Settings of a topic have changed. Returns the partitions whose leadership may go by them.
    pub fn set_config(&self, topic: TopicId, config: TopicConfig) -> Vec<Arc<Partition>> {
        let Some(entry) = self.topics.read().get(&topic).cloned() else { return Vec::new() };
        let log_config = Arc::new(config.log.clone());
        entry.state.config.store(Arc::new(config));
        for partition in entry.partitions.iter().flatten().filter(|partition| partition.opened_log().is_some()) {
            self.local.logs.set_config(&partition.topic_partition(), log_config.clone());
        }
        entry.partitions.iter().flatten().cloned().collect()
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
    /// Partitions of which the metadata says something new.
    pub changed: Vec<(Arc<Partition>, Arc<PartitionRegistration>)>,
}

impl TableChange {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.created.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}
