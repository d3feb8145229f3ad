//! What the loss of one zone would do to a topic, as far as the wire tells.

use weir_controller::zones::{ZoneRisk, Zones};
use weir_protocol::client::{Admin, PartitionMetadata, TopicMetadata};
use weir_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;

/// Set on the topic, or for one broker or all while they run (Kafka: `ConfigEntry.ConfigSource`).
const SOURCES_OF_PEOPLE: std::ops::RangeInclusive<i8> = 1..=3;

/// How many replicas must be in sync for a write with acks=all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MinInsyncReplicas {
    count: usize,
    /// Nobody has set it while brokers run: then it is never as many as the partition has replicas.
    is_default: bool,
}

/// What a topic's configs say of that.
pub(super) fn min_insync_replicas(configs: &[DescribeConfigsResourceResult]) -> MinInsyncReplicas {
    let config = configs.iter().find(|config| &*config.name == "min.insync.replicas");
    let count = config.and_then(|config| config.value.as_ref()?.parse().ok()).unwrap_or(1);
    MinInsyncReplicas {
        count,
        is_default: config.is_none_or(|config| !SOURCES_OF_PEOPLE.contains(&config.config_source)),
    }
}

/// The worst that the loss of one zone can do to the topic. Nothing is said of one with replicas on brokers that are away, whose
/// zones nobody tells.
pub(super) fn zone_risk(admin: &Admin, topic: &TopicMetadata, required: MinInsyncReplicas) -> Option<ZoneRisk> {
    let metadata = admin.client().metadata();
    let zones = Zones::new(metadata.brokers.values().map(|broker| broker.rack.as_deref()));
    let risk = |partition: &PartitionMetadata| {
        let zone = |id| metadata.brokers.get(id).map(|broker| broker.rack.as_deref());
        let replicas = partition.replicas.iter().map(zone).collect::<Option<Vec<_>>>()?;
        zones.risk(&replicas, required.of(replicas.len()))
    };
    topic.partitions.values().filter_map(risk).max()
}

impl MinInsyncReplicas {
    fn of(self, replicas: usize) -> usize {
        if self.is_default { self.count.min(replicas.saturating_sub(1)).max(1) } else { self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_never_asks_for_every_replica_and_what_was_set_is_taken_as_it_is() {
        let required = |is_default| MinInsyncReplicas { count: 2, is_default };
        assert_eq!([required(true).of(1), required(true).of(2), required(true).of(3)], [1, 1, 2]);
        assert_eq!(required(false).of(2), 2);
    }
}
