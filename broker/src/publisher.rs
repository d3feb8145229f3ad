//! What the broker does when the metadata changes.
//!
//! On the controller's thread only the table of partitions is brought up to date, so that an answered change is visible
//! here. Files and groups follow on a thread of their own, in the order of the changes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use weir_controller::image::{ConfigResource, MetadataDelta, MetadataImage};
use weir_controller::quorum::MetadataPublisher;
use weir_controller::record::ConfigResourceType;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::StrBytes;
use weir_storage::manager::{DeleteError, LogManager};

use crate::broker::topic_config;
use crate::config::Settings;
use crate::group::{DeletedTopic, GroupCoordinator, OFFSETS_TOPIC};
use crate::group_log;
use crate::partition::{Partition, PartitionTable};
use crate::server::reconfigure::Reconfigurer;

/// What is to be done on disk after a change of the metadata.
pub(crate) enum FileTask {
    /// Open or create a partition's log.
    Open(Arc<Partition>),
    /// Delete a partition's log.
    Delete(Arc<Partition>),
    /// Drop the committed offsets of topics that are gone.
    ForgetOffsets(Vec<DeletedTopic>),
    /// Read the certificates of the listeners again.
    ReloadCertificates(Arc<Reconfigurer>, Arc<MetadataImage>),
}

/// Follows the metadata.
pub(crate) struct Publisher {
    pub(crate) id: BrokerId,
    pub(crate) settings: Settings,
    pub(crate) partitions: Arc<PartitionTable>,
    pub(crate) reconfigurer: Arc<Reconfigurer>,
    pub(crate) files: Sender<FileTask>,
}

impl MetadataPublisher for Publisher {
    fn on_delta(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let config_of = |topic: &str| topic_config(self.id, &self.settings, image, topic);
        let change = self.partitions.apply(delta, image, config_of);
        self.apply_configs(delta, image);
        let deleted: Vec<_> = delta
            .deleted_topics()
            .map(|topic| DeletedTopic { name: StrBytes::from_string(topic.name.to_string()), id: topic.id })
            .collect();
        let removed = change.removed.into_iter().map(FileTask::Delete);
        let forget = (!deleted.is_empty()).then_some(FileTask::ForgetOffsets(deleted));
        let created = change.created.into_iter().map(FileTask::Open);
        for task in removed.chain(forget).chain(created) {
            // The receiver ends only when the broker stops; the next start does what is left.
            let _ = self.files.send(task);
        }
    }
}

impl Publisher {
    fn apply_configs(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let is_for_brokers = |resource: &ConfigResource| resource.resource_type == ConfigResourceType::Broker;
        let topics: Vec<_> = match delta.configs.iter().any(is_for_brokers) {
            // A broker's setting may be behind any topic's.
            true => {
                self.apply_to_broker(image);
                image.topics().map(|topic| topic.name.clone()).collect()
            }
            false => {
                let topics =
                    delta.configs.iter().filter(|resource| resource.resource_type == ConfigResourceType::Topic);
                topics.map(|resource| resource.name.clone()).collect()
            }
        };
        for name in topics {
            if let Some(id) = image.topic_id(&name) {
                self.partitions.set_config(id, topic_config(self.id, &self.settings, image, &name));
            }
        }
    }

    fn apply_to_broker(&self, image: &Arc<MetadataImage>) {
        self.reconfigurer.apply_limits(image);
        if self.reconfigurer.has_certificates() {
            let task = FileTask::ReloadCertificates(self.reconfigurer.clone(), image.clone());
            // As above: there is a receiver until the broker stops.
            let _ = self.files.send(task);
        }
    }
}

/// Does file tasks until there is nobody left to send them.
pub(crate) fn work(tasks: &Receiver<FileTask>, logs: &LogManager, groups: &GroupCoordinator) {
    for task in tasks {
        match task {
            FileTask::Open(partition) => {
                if let Err(error) = partition.log() {
                    let name = partition.topic_partition();
                    tracing::error!(partition = %name, message = ?error.message, "a partition cannot be opened");
                } else if *partition.topic().name == *OFFSETS_TOPIC {
                    group_log::load(groups, &partition);
                }
            }
            FileTask::Delete(partition) => delete(logs, groups, &partition),
            FileTask::ReloadCertificates(reconfigurer, image) => reconfigurer.reload_certificates(&image),
            FileTask::ForgetOffsets(topics) => groups.on_topics_deleted(&topics),
        }
    }
}

fn delete(logs: &LogManager, groups: &GroupCoordinator, partition: &Partition) {
    if *partition.topic().name == *OFFSETS_TOPIC {
        groups.unload(partition.index(), partition.registration().leader_epoch);
    }
    match logs.delete(&partition.topic_partition(), partition.topic().id) {
        Ok(()) | Err(DeleteError::Absent(_)) => {}
        Err(error) => tracing::error!(%error, "a deleted partition stays on disk until the next start"),
    }
}
