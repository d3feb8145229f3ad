//! An image as records: what a snapshot holds.
//!
//! Invariant: replaying the records on an empty image gives an equal image, apart from how far the log was applied, which
//! the snapshot's own name says. Features come first, for they say how to read the rest.

use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::{METADATA_VERSION_FEATURE, MetadataImage};
use crate::record::{
    ClusterIdRecord, ConfigRecord, FeatureLevelRecord, MetadataRecord, ProducerIdsRecord, TopicRecord,
};

impl MetadataImage {
    /// Records that rebuild this image, one at a time: the caller need not hold them all.
    pub fn to_records(&self) -> impl Iterator<Item = MetadataRecord> {
        let cluster_id = self.cluster_id.iter().map(|id| ClusterIdRecord { cluster_id: id.clone() }.into());
        let producer_ids = (self.next_producer_id.get() > 0).then(|| {
            let next_producer_id = self.next_producer_id;
            ProducerIdsRecord { broker: BrokerId::NONE, broker_epoch: BrokerEpoch::NONE, next_producer_id }.into()
        });
        cluster_id
            .chain(self.feature_records())
            .chain(self.brokers.values().map(|broker| broker.to_record().into()))
            .chain(self.topic_records())
            .chain(self.config_records())
            .chain(producer_ids)
    }

    /// `metadata.version` before all others, as Kafka's snapshots have it.
    fn feature_records(&self) -> impl Iterator<Item = MetadataRecord> {
        let metadata_version = self.features.get_key_value(METADATA_VERSION_FEATURE);
        let others = self.features.iter().filter(|(name, _)| &***name != METADATA_VERSION_FEATURE);
        (metadata_version.into_iter().chain(others))
            .map(|(name, level)| FeatureLevelRecord { name: name.clone(), level: *level }.into())
    }

    fn topic_records(&self) -> impl Iterator<Item = MetadataRecord> {
        self.topics().flat_map(|topic| {
            let record = TopicRecord { name: topic.name.clone(), topic_id: topic.id };
            let partitions = topic.partitions().map(|(index, partition)| partition.to_record(topic.id, index).into());
            std::iter::once(record.into()).chain(partitions)
        })
    }

    fn config_records(&self) -> impl Iterator<Item = MetadataRecord> {
        self.configs.iter().flat_map(|(resource, configs)| {
            configs.iter().map(move |(name, value)| {
                MetadataRecord::Config(ConfigRecord {
                    resource_type: resource.resource_type,
                    resource_name: resource.name.clone(),
                    name: name.clone(),
                    value: Some(value.clone()),
                })
            })
        })
    }
}
