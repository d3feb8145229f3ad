//! `__consumer_offsets` as the group coordinator's log, and its loading.
//!
//! Joins two things that know nothing of each other: partitions, which append, and the coordinator, which replays.

use std::io;
use std::sync::{Arc, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use weir_controller::image::MetadataImage;
use weir_controller::quorum::Controller;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_storage::log::{FileSlice, Log, ReadUpperBound};

use crate::api::now_ms;
use crate::group::{GroupCoordinator, OFFSETS_TOPIC, OffsetsLog, ReplicatedCallback};
use crate::partition::{Partition, PartitionKey, PartitionTable, ProduceOrigin};
use crate::purgatory::{Purgatory, Wake};

/// How much of the log is read at a time (`offsets.load.buffer.size`).
const LOAD_BYTES: u32 = 5 * 1024 * 1024;

/// The partitions of `__consumer_offsets` led here.
pub(crate) struct GroupLog {
    controller: Arc<Controller>,
    partitions: Arc<PartitionTable>,
    arrivals: Arc<Purgatory<PartitionKey>>,
    /// Where a wait for replicas runs.
    runtime: Handle,
    /// Set once the coordinator exists; it owns this log.
    coordinator: OnceLock<Weak<GroupCoordinator>>,
}

impl GroupLog {
    pub(crate) fn new(
        controller: Arc<Controller>,
        partitions: Arc<PartitionTable>,
        arrivals: Arc<Purgatory<PartitionKey>>,
        runtime: Handle,
    ) -> Self {
        Self { controller, partitions, arrivals, runtime, coordinator: OnceLock::new() }
    }

    pub(crate) fn set_coordinator(&self, coordinator: &Arc<GroupCoordinator>) {
        // Called once, by the server that made both.
        let _ = self.coordinator.set(Arc::downgrade(coordinator));
    }

    fn partition(&self, index: PartitionIndex) -> Result<Arc<Partition>, ErrorCode> {
        let image: Arc<MetadataImage> = self.controller.image();
        let topic = image.topic_id(OFFSETS_TOPIC).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.partitions.get(topic, index).ok_or(ErrorCode::NotLeaderOrFollower)
    }
}

impl OffsetsLog for GroupLog {
    fn append(
        &self,
        partition: PartitionIndex,
        leader_epoch: LeaderEpoch,
        mut batch: BytesMut,
    ) -> Result<Offset, ErrorCode> {
        let partition = self.partition(partition)?;
        partition.check_leadership(leader_epoch).map_err(|error| error.code)?;
        let appended = partition.append(&mut batch, ProduceOrigin::Coordinator, true, now_ms());
        let appended = appended.map_err(|error| error.code)?;
        if appended.leader_epoch != leader_epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if appended.info.needs_fsync {
            // A failed flush is told by the high watermark, which does not move.
            partition.flush_then(appended.required_offset, |_: io::Result<()>| {});
        }
        Ok(appended.info.first_offset)
    }

    fn max_batch_bytes(&self, partition: PartitionIndex) -> usize {
        self.partition(partition).map_or(0, |partition| {
            let config = partition.topic().config.load();
            config.log.max_message_bytes.min(config.log.segment_bytes) as usize
        })
    }

    fn is_replicated(&self, partition: PartitionIndex, leader_epoch: LeaderEpoch, end: Offset) -> bool {
        // In this order: while the leadership holds, nothing but it moves the high watermark.
        self.partition(partition).is_ok_and(|partition| {
            partition.opened_log().is_some_and(|log| log.high_watermark() >= end)
                && partition.check_leadership(leader_epoch).is_ok()
        })
    }

    fn on_replicated(
        &self,
        partition: PartitionIndex,
        leader_epoch: LeaderEpoch,
        end: Offset,
        callback: ReplicatedCallback,
    ) {
        let partition = match self.partition(partition) {
            Ok(partition) => partition,
            Err(code) => return callback(Err(code)),
        };
        let arrivals = self.arrivals.clone();
        self.runtime.spawn(async move { callback(replicated(&arrivals, &partition, leader_epoch, end).await) });
    }

    fn is_cut_off(&self, partition: PartitionIndex) -> bool {
        self.partition(partition).is_ok_and(|partition| partition.is_cut_off())
    }

    fn request_load(&self, index: PartitionIndex, leader_epoch: LeaderEpoch) {
        let Some(coordinator) = self.coordinator.get().and_then(Weak::upgrade) else { return };
        let partition = self.partition(index);
        self.runtime.spawn_blocking(move || match partition {
            Ok(partition) => load(&coordinator, &partition),
            Err(_) => coordinator.unload(index, leader_epoch),
        });
    }
}

async fn replicated(
    arrivals: &Arc<Purgatory<PartitionKey>>,
    partition: &Arc<Partition>,
    leader_epoch: LeaderEpoch,
    end: Offset,
) -> Result<(), ErrorCode> {
    let mut watch = arrivals.watch([partition.key()], None);
    loop {
        if partition.is_committed(end, leader_epoch).map_err(|error| error.code)? {
            return Ok(());
        }
        partition.refuse_if_cut_off().map_err(|error| error.code)?;
        if watch.wake().await != Wake::Notified {
            return Err(ErrorCode::RequestTimedOut);
        }
    }
}

/// Has the coordinator take over the groups of a partition that is led here.
pub(crate) fn load(coordinator: &GroupCoordinator, partition: &Partition) {
    let leader_epoch = match partition.check_leadership(LeaderEpoch::NONE) {
        Ok(leader_epoch) => leader_epoch,
        Err(_) => return coordinator.unload(partition.index(), partition.registration().leader_epoch),
    };
    if !coordinator.begin_load(partition.index(), leader_epoch) {
        return;
    }
    let log = match partition.log() {
        Ok(log) => log.clone(),
        Err(error) => {
            tracing::error!(partition = %partition.topic_partition(), code = ?error.code, "groups cannot be loaded");
            return coordinator.unload(partition.index(), leader_epoch);
        }
    };
    match coordinator.load(partition.index(), leader_epoch, Chunks::new(log)) {
        Ok(summary) if summary.records > 0 => {
            tracing::info!(partition = %partition.topic_partition(), groups = summary.groups, records = summary.records, "groups loaded");
        }
        Ok(_) => {}
        Err(error) => {
            tracing::error!(partition = %partition.topic_partition(), %error, "groups cannot be loaded");
        }
    }
}

/// A log's batches from its start to its end, some megabytes at a time.
struct Chunks {
    log: Arc<Log>,
    next: Offset,
}

impl Chunks {
    fn new(log: Arc<Log>) -> Self {
        Self { next: log.log_start_offset(), log }
    }

    fn read(&mut self) -> Result<Option<Bytes>, String> {
        let end = self.log.log_end_offset();
        let read =
            self.log.read(self.next, LOAD_BYTES, ReadUpperBound(end), true).map_err(|error| error.to_string())?;
        let Some(slice) = read.slice else { return Ok(None) };
        let bytes = FileSlice::to_bytes(&slice).map_err(|error| error.to_string())?;
        let mut whole = 0;
        for found in weir_protocol::records::batch::batches(&bytes) {
            // The last batch may be cut off where the limit fell.
            let Ok((header, batch)) = found else { break };
            whole += batch.len();
            self.next = Offset(header.next_offset());
        }
        match whole {
            0 => Err(format!("no whole batch at offset {}", self.next)),
            whole => Ok(Some(bytes.slice(..whole))),
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
