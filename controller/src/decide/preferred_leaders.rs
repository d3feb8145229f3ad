//! Which leaderships should return to their preferred replicas.
//!
//! Answers to Kafka's `ReplicationControlManager.maybeBalancePartitionLeaders`: only partitions that have a leader, and whose
//! preferred replica is in sync and serves. The caller asks for them with ElectLeaders, some at a time.

use weir_protocol::ids::TopicPartition;

use super::election::is_acceptable_leader;
use crate::image::MetadataImage;

/// Some partitions that another than the preferred replica leads although that one could, `limit` at most.
pub fn returnable_leaderships(image: &MetadataImage, limit: usize) -> Vec<TopicPartition> {
    let partitions = image.topics().flat_map(|topic| topic.partitions().map(move |entry| (topic, entry)));
    let returnable = partitions.filter(|(_, (_, partition))| {
        let preferred = partition.preferred_leader();
        partition.has_leader()
            && partition.leader != preferred
            && partition.isr.contains(&preferred)
            && is_acceptable_leader(image, partition, preferred)
    });
    returnable.map(|(topic, (index, _))| TopicPartition::new(topic.name.clone(), index)).take(limit).collect()
}
