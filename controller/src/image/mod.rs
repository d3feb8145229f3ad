//! The metadata image: what all records so far add up to.
//!
//! Owns [`MetadataImage`], an immutable-by-sharing picture of the cluster: a clone costs nothing, and a change costs what
//! it changes, for every collection is a persistent map. Only [`MetadataImage::apply`] changes it, record by record, and
//! never asserts: a record that cannot be applied is a [`ReplayError`] that names it. [`MetadataImage::to_records`] gives
//! back records that rebuild it (Kafka's `MetadataImage`, `MetadataDelta`; KIP-631).
//!
//! Invariants: the partitions of a topic are numbered from nought without gaps; a topic is found by id if and only if it
//! is found by name; configs of a topic die with it.

mod broker;
mod configs;
mod delta;
mod partition;
mod replay;
mod snapshot;
mod topic;

use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use weir_protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};

pub use broker::BrokerRegistration;
pub use configs::{ConfigResource, ResourceConfigs};
pub use delta::{MetadataDelta, PartitionDelta, TopicChange, TopicDelta};
pub use partition::{DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, PartitionRegistration};
pub use replay::ReplayError;
pub use topic::Topic;

use configs::ConfigsImage;

/// The name of the feature that clients see as the cluster's version.
pub const METADATA_VERSION_FEATURE: &str = "metadata.version";

/// The name of the feature that gates Weir's own records.
pub const WEIR_METADATA_VERSION_FEATURE: &str = "weir.metadata.version";

/// The name of the feature that keeps eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_FEATURE: &str = "eligible.leader.replicas.version";

/// How far the metadata log has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedPosition {
    /// The offset of the last entry that was applied.
    pub offset: Offset,
    /// The term in which it was written.
    pub epoch: LeaderEpoch,
}

/// The cluster as the records so far tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataImage {
    applied: Option<AppliedPosition>,
    cluster_id: Option<Arc<str>>,
    features: OrdMap<Arc<str>, i16>,
    brokers: OrdMap<BrokerId, Arc<BrokerRegistration>>,
    topics: HashMap<TopicId, Arc<Topic>>,
    topic_ids: OrdMap<Arc<str>, TopicId>,
    /// The topics whose names hold `.` or `_`, by their name with every `.` made `_`, sorted: metrics
    /// cannot tell these apart.
    colliding_names: OrdMap<Arc<str>, Arc<[Arc<str>]>>,
    configs: ConfigsImage,
    next_producer_id: ProducerId,
}

impl MetadataImage {
    /// How far the log has been applied; nothing before the first entry.
    pub fn applied(&self) -> Option<AppliedPosition> {
        self.applied
    }

    /// Notes that the entry at `offset` has been applied.
    pub fn set_applied(&mut self, offset: Offset, epoch: LeaderEpoch) {
        self.applied = Some(AppliedPosition { offset, epoch });
    }

    /// The cluster's id, once there is a cluster.
    pub fn cluster_id(&self) -> Option<&Arc<str>> {
        self.cluster_id.as_ref()
    }

    /// The finalized level of a feature; nought if it is off.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Every finalized feature, by name.
    pub fn features(&self) -> impl Iterator<Item = (&Arc<str>, i16)> {
        self.features.iter().map(|(name, level)| (name, *level))
    }

    /// A registered broker, fenced or not.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// Every registered broker, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// How many brokers are registered.
    pub fn broker_count(&self) -> usize {
        self.brokers.len()
    }

    /// Whether a broker is registered and serves: neither fenced nor in controlled shutdown.
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| broker.is_active())
    }

    /// A topic by id.
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// A topic's id by name.
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topic_ids.get(name).copied()
    }

    /// A topic by name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    /// A partition by topic id.
    pub fn partition(&self, id: TopicId, partition: PartitionIndex) -> Option<&Arc<PartitionRegistration>> {
        self.topics.get(&id)?.partition(partition)
    }

    /// A partition by topic name.
    pub fn partition_by_name(&self, topic: &str, partition: PartitionIndex) -> Option<&Arc<PartitionRegistration>> {
        self.topic_by_name(topic)?.partition(partition)
    }

    /// Every topic, ordered by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topic_ids.values().filter_map(|id| self.topics.get(id))
    }

    /// Every topic whose name is `after` or greater, ordered by name.
    pub fn topics_from<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a Arc<Topic>> + use<'a> {
        self.topic_ids
            .range::<_, str>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topic_ids.len()
    }

    /// A topic whose name metrics cannot tell from `name`: equal once every `.` is made `_`.
    pub fn colliding_topic(&self, name: &str) -> Option<&Arc<str>> {
        if !topic::has_collision_chars(name) {
            return None;
        }
        self.colliding_names.get(topic::unify_collision_chars(name).as_str())?.first()
    }

    /// What was set on a resource; nothing if nothing ever was.
    pub fn configs(&self, resource: &ConfigResource) -> Option<&Arc<ResourceConfigs>> {
        self.configs.of(resource.resource_type)?.get(&*resource.name)
    }

    /// What was set on a topic.
    pub fn topic_configs(&self, topic: &str) -> Option<&Arc<ResourceConfigs>> {
        self.configs.topics.get(topic)
    }

    /// Every resource of a type on which something is set.
    pub fn configured(
        &self,
        resource_type: crate::record::ConfigResourceType,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<ResourceConfigs>)> {
        self.configs.of(resource_type).into_iter().flat_map(|resources| resources.iter())
    }

    /// The first producer id that has not been handed out in a block.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}
