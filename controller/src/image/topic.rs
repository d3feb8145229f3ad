//! A topic and its partitions, as the image holds them.

use std::sync::Arc;

use imbl::Vector;
use weir_protocol::ids::{PartitionIndex, TopicId};

use super::PartitionRegistration;

/// A topic (Kafka's `TopicImage`).
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its id, never used again.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Its partitions, by index.
    pub(super) partitions: Vector<Arc<PartitionRegistration>>,
}

impl Topic {
    pub(super) fn new(id: TopicId, name: Arc<str>) -> Self {
        Self { id, name, partitions: Vector::new() }
    }

    /// One of its partitions.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<PartitionRegistration>> {
        self.partitions.get(usize::try_from(index.get()).ok()?)
    }

    /// How many partitions it has.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// Its partitions in order.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionIndex, &Arc<PartitionRegistration>)> {
        self.partitions.iter().zip(0..).map(|(partition, index)| (PartitionIndex(index), partition))
    }

    /// Whether partitions that are equal are also the same memory, which spares comparing them.
    pub(super) fn same_partitions(&self, other: &Self) -> bool {
        self.partitions.ptr_eq(&other.partitions)
    }
}

/// Whether metrics would mangle this name.
pub(super) fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// The name as metrics mangle it.
pub(super) fn unify_collision_chars(name: &str) -> String {
    name.replace('.', "_")
}
