//! What the broker does when the metadata changes.
//!
//! On the controller's thread only the table of partitions is brought up to date, so that an answered change is visible
//! here. Roles follow on the replicas' thread, files and groups on one of their own, each in the order of the changes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use weir_controller::image::{ConfigResource, MetadataDelta, MetadataImage};
use weir_controller::quorum::MetadataPublisher;
use weir_controller::record::ConfigResourceType;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::StrBytes;

use crate::broker::{layers, topic_config};
use crate::config::Settings;
use crate::departures::Departures;
use crate::group::{DeletedTopic, GroupCoordinator, OFFSETS_TOPIC};
use crate::group_log;
use crate::log_dir_moves::{LogDirMoves, copy_bytes_per_second};
use crate::partition::{Partition, PartitionTable};
use crate::replicas::Replicas;
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
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) moves: Arc<LogDirMoves>,
    pub(crate) departures: Arc<Departures>,
}

impl MetadataPublisher for Publisher {
    fn on_delta(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.departures.on_delta(delta, image, Instant::now());
        let config_of = |topic: &str| topic_config(self.id, &self.settings, image, topic);
        let change = self.partitions.apply(delta, image, config_of);
        self.apply_configs(delta, image);
        let deleted: Vec<_> = delta
            .deleted_topics()
            .map(|topic| DeletedTopic { name: StrBytes::from_string(topic.name.to_string()), id: topic.id })
            .collect();
        let removed = change.removed.iter().cloned().map(FileTask::Delete);
        let forget = (!deleted.is_empty()).then_some(FileTask::ForgetOffsets(deleted));
        let created = change.created.iter().cloned().map(FileTask::Open);
        for task in removed.chain(forget).chain(created) {
            // The receiver ends only when the broker stops; the next start does what is left.
            let _ = self.files.send(task);
        }
        self.replicas.on_metadata(change, image);
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
                let changed = self.partitions.set_config(id, topic_config(self.id, &self.settings, image, &name));
                self.replicas.on_settings(changed, image);
            }
        }
    }

    fn apply_to_broker(&self, image: &Arc<MetadataImage>) {
        self.reconfigurer.apply_limits(image);
        if let Ok(count) = layers(self.id, &self.settings, image).text("num.replica.fetchers").parse() {
            self.replicas.set_fetchers(count);
        }
        self.moves.set_bytes_per_second(copy_bytes_per_second(layers(self.id, &self.settings, image)));
        if self.reconfigurer.has_certificates() {
            let task = FileTask::ReloadCertificates(self.reconfigurer.clone(), image.clone());
            // As above: there is a receiver until the broker stops.
            let _ = self.files.send(task);
        }
    }
}

/// Does file tasks until there is nobody left to send them.
pub(crate) fn work(tasks: &Receiver<FileTask>, groups: &GroupCoordinator) {
    for task in tasks {
        match task {
            FileTask::Open(partition) => {
                if let Err(error) = partition.open() {
                    if partition.is_gone() {
                        // Deleted before its turn came.
                        continue;
                    }
                    let name = partition.topic_partition();
                    if let Some(directory) = partition.awaited_directory() {
                        tracing::warn!(partition = %name, %directory, "the replica's log directory is not online here: it waits to be placed anew");
                    } else {
                        tracing::error!(partition = %name, code = ?error.code, message = ?error.message, "a partition cannot be opened");
                    }
                    if *partition.topic().name == *OFFSETS_TOPIC {
                        groups.unload(partition.index(), partition.registration().leader_epoch);
                    }
                } else if *partition.topic().name == *OFFSETS_TOPIC {
                    group_log::load(groups, &partition);
                }
            }
            FileTask::Delete(partition) => delete(groups, &partition),
            FileTask::ReloadCertificates(reconfigurer, image) => reconfigurer.reload_certificates(&image),
            FileTask::ForgetOffsets(topics) => groups.on_topics_deleted(&topics),
        }
    }
}

fn delete(groups: &GroupCoordinator, partition: &Partition) {
    if *partition.topic().name == *OFFSETS_TOPIC {
        groups.unload(partition.index(), partition.registration().leader_epoch);
    }
    if let Err(error) = partition.delete() {
        tracing::error!(%error, "a deleted partition stays on disk until the next start");
    }
}
