//! What a plan is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_protocol::ids::{BrokerId, TopicPartition};

/// A cluster, as far as balancing goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterLoad {
    /// The brokers that are registered.
    pub brokers: BTreeMap<BrokerId, BrokerCapacity>,
    /// Every partition.
    pub partitions: Vec<PartitionLoad>,
}

/// What a broker can take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerCapacity {
    /// Its zone.
    pub rack: Option<Arc<str>>,
    /// Whether it may be given replicas: it serves, and nobody has cordoned it.
    pub takes_replicas: bool,
    /// What is free on its disks, in bytes, if that is known.
    pub free_bytes: Option<u64>,
}

/// What a partition costs whoever has a replica of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLoad {
    /// Which.
    pub partition: TopicPartition,
    /// Its replicas, the preferred leader first; those that a move adds, not those that it removes.
    pub replicas: Vec<BrokerId>,
    /// The bytes of one replica.
    pub size_bytes: u64,
    /// The bytes that producers write in a second.
    pub write_bytes_per_s: u64,
    /// Whether a move is under way already: then it counts and stays as it is.
    pub is_moving: bool,
}
