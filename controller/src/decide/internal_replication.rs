//! Which partitions of internal topics should get more replicas, for there are more brokers by now.
//!
//! An internal topic is made when somebody first needs it, with as many replicas as there are brokers, if that is fewer than the
//! configuration asks for: one node just works. Once more have joined it is raised, so that three are safe. Replicas are only added,
//! first in zones that have none, then where the topic has the fewest; the preferred leaders are spread in the same stroke.
//! Kafka refuses to make the topic before there are enough brokers, and never raises it.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

use super::PartitionReassignment;
use crate::image::{BrokerRegistration, MetadataImage, PartitionRegistration, Topic};

/// Moves that raise partitions to the replicas that are `wanted` of their topics, or as near as the brokers allow. At most
/// `in_progress` partitions of internal topics move at a time, those that do already counted.
pub fn internal_replication_raises(
    image: &MetadataImage,
    wanted: &BTreeMap<Arc<str>, i16>,
    in_progress: usize,
) -> Vec<PartitionReassignment> {
    let brokers: Vec<&BrokerRegistration> =
        image.brokers().map(|broker| &**broker).filter(|broker| takes_replicas(broker)).collect();
    let topics = || wanted.iter().filter_map(|(name, count)| Some((image.topic_by_name(name)?, *count)));
    let moving = topics().flat_map(|(topic, _)| topic.partitions()).filter(|(_, it)| it.is_reassigning()).count();
    let mut room = in_progress.saturating_sub(moving);
    let mut raises = Vec::new();
    for (topic, count) in topics() {
        let count = usize::try_from(count).unwrap_or(0).min(brokers.len());
        let mut spread = Spread::of(topic);
        for (index, partition) in topic.partitions() {
            if room == 0 {
                return raises;
            }
            if partition.replicas.len() >= count || partition.is_reassigning() || !partition.has_leader() {
                continue;
            }
            room -= 1;
            let replicas = spread.raise(image, &brokers, partition, count);
            raises.push(reassignment(topic, index, replicas));
        }
    }
    raises
}

fn takes_replicas(broker: &BrokerRegistration) -> bool {
    broker.is_active() && (broker.log_dirs.is_empty() || broker.uncordoned_log_dirs().next().is_some())
}

fn reassignment(topic: &Topic, index: PartitionIndex, replicas: Vec<BrokerId>) -> PartitionReassignment {
    let partition = TopicPartition::new(topic.name.clone(), index);
    PartitionReassignment { partition, replicas: Some(replicas) }
}

/// How many replicas, and how many preferred leaders, each broker has of one topic.
struct Spread {
    replicas: BTreeMap<BrokerId, usize>,
    preferred: BTreeMap<BrokerId, usize>,
}

impl Spread {
    fn of(topic: &Topic) -> Self {
        let mut spread = Self { replicas: BTreeMap::new(), preferred: BTreeMap::new() };
        for (_, partition) in topic.partitions() {
            *spread.preferred.entry(partition.preferred_leader()).or_default() += 1;
            for replica in &partition.replicas {
                *spread.replicas.entry(*replica).or_default() += 1;
            }
        }
        spread
    }

    fn raise(
        &mut self,
        image: &MetadataImage,
        brokers: &[&BrokerRegistration],
        partition: &PartitionRegistration,
        count: usize,
    ) -> Vec<BrokerId> {
        let mut replicas = partition.replicas.to_vec();
        while replicas.len() < count {
            let rack_of = |id: BrokerId| image.broker(id).and_then(|broker| broker.rack.clone());
            let in_zone = |rack: &Option<Arc<str>>| replicas.iter().filter(|id| rack_of(**id) == *rack).count();
            let candidates = brokers.iter().filter(|broker| !replicas.contains(&broker.id));
            let key = |broker: &&&BrokerRegistration| (in_zone(&broker.rack), self.has(broker.id), broker.id);
            let Some(next) = candidates.min_by_key(key).map(|broker| broker.id) else { break };
            *self.replicas.entry(next).or_default() += 1;
            replicas.push(next);
        }
        let before = partition.preferred_leader();
        let prefers = |id: &BrokerId| self.preferred.get(id).copied().unwrap_or(0) - usize::from(*id == before);
        let first = replicas.iter().enumerate().min_by_key(|(place, id)| (prefers(id), *place));
        if let Some((place, &id)) = first {
            *self.preferred.entry(before).or_default() -= 1;
            *self.preferred.entry(id).or_default() += 1;
            replicas[..=place].rotate_right(1);
        }
        replicas
    }

    fn has(&self, broker: BrokerId) -> usize {
        self.replicas.get(&broker).copied().unwrap_or(0)
    }
}
