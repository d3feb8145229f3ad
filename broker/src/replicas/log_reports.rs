//! Telling the controller how far the logs reach of partitions that nobody can lead cleanly, for as long as that is so (KIP-966).
//!
//! Decides nothing: who leads is the controller's to say, which forgets what it was told when another node becomes the active one. So it is
//! told again and again.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use weir_controller::decide::{LogReport, ReportLogsRequest, awaits_reports};
use weir_controller::image::PartitionRegistration;
use weir_protocol::ids::{BrokerEpoch, LeaderEpoch};

use super::Surroundings;
use crate::partition::{FollowerLog, Partition, PartitionKey};
use crate::publisher::FileTask;
use crate::replication::LocalLog;

/// How long after one report the next follows.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most partitions in one report; the others have their turn once these have a leader.
const MAX_REPORTED: usize = 10_000;

/// The partitions of which the controller waits to hear.
#[derive(Default)]
pub(super) struct LogReports {
    waiting: AHashMap<PartitionKey, (Weak<Partition>, LeaderEpoch)>,
    due: Option<Instant>,
}

impl LogReports {
    /// The metadata tell this of a partition.
    pub(super) fn note(&mut self, partition: &Arc<Partition>, registration: &PartitionRegistration) {
        if awaits_reports(registration) {
            self.waiting.insert(partition.key(), (Arc::downgrade(partition), registration.leader_epoch));
            self.due = Some(Instant::now());
        } else if !self.waiting.is_empty() {
            self.waiting.remove(&partition.key());
        }
    }

    /// When the next report is due, if one is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Tells of every log that is open by now, and has the others opened.
    pub(super) fn report(&mut self, surroundings: &Surroundings) {
        let mut logs = Vec::new();
        self.waiting.retain(|_, (partition, leader_epoch)| {
            let Some(partition) = partition.upgrade() else { return false };
            match partition.opened_log() {
                Some(log) if logs.len() < MAX_REPORTED => logs.push(LogReport {
                    topic_id: partition.topic().id,
                    partition: partition.index(),
                    leader_epoch: *leader_epoch,
                    last_epoch: FollowerLog(&log).latest_epoch(),
                    log_end: log.log_end_offset(),
                }),
                Some(_) => {}
                // It is told of next time.
                None => drop(surroundings.files.send(FileTask::Open(partition))),
            }
            true
        });
        self.due = (!self.waiting.is_empty()).then(|| Instant::now() + INTERVAL);
        let local = surroundings.partitions.local();
        if logs.is_empty() || local.epoch() == BrokerEpoch::NONE {
            return;
        }
        let partitions = logs.len();
        let request = ReportLogsRequest {
            broker: local.id(),
            broker_epoch: local.epoch(),
            logs,
            others: Vec::new(),
            is_overdue: false,
        };
        let controller = surroundings.controller.clone();
        surroundings.runtime.spawn(async move {
            match controller.submit(request).await {
                Ok(_) => tracing::info!(partitions, "told the controller how far logs reach that nobody leads"),
                Err(error) => tracing::debug!(%error, "nobody took the report of logs that nobody leads"),
            }
        });
    }
}
