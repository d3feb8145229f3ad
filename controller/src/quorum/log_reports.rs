//! What brokers have said of their logs, while this node is the active controller: soft state behind [`ReportLogsRequest`].
//!
//! Decides nothing. What is over is forgotten with the next report; brokers say it again for as long as it matters.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionIndex, TopicId};

use crate::decide::{LogReport, ReportLogsRequest, awaits_reports};
use crate::image::MetadataImage;

/// The most reports that are remembered; one that finds no room is made again.
const MAX_REPORTS: usize = 1_000_000;

/// How long replicas that are away are waited for although nothing says that they have anything of their own: machines that lost
/// power together come back one after the other.
const GRACE: Duration = Duration::from_secs(30);

/// What was said of one partition.
#[derive(Debug)]
struct Reports {
    since: Instant,
    /// Who said what, each in which of its lives.
    logs: Vec<(BrokerId, BrokerEpoch, LogReport)>,
}

/// The last report of each replica.
#[derive(Debug, Default)]
pub(super) struct LogReports {
    reports: HashMap<(TopicId, PartitionIndex), Reports>,
    count: usize,
}

impl LogReports {
    /// Takes note of a request's reports, and adds to it what others have said of the same partitions.
    pub(super) fn complete(&mut self, now: Instant, image: &MetadataImage, request: &mut ReportLogsRequest) {
        self.forget_what_is_over(image);
        // Only the controller knows what others said.
        request.others.clear();
        request.is_overdue = true;
        for log in &request.logs {
            let waits = image.partition(log.topic_id, log.partition).is_some_and(|partition| awaits_reports(partition));
            if !waits || self.count >= MAX_REPORTS {
                continue;
            }
            let reports = self.reports.entry((log.topic_id, log.partition));
            let Reports { since, logs: reports } = reports.or_insert_with(|| Reports { since: now, logs: Vec::new() });
            request.is_overdue &= now.saturating_duration_since(*since) >= GRACE;
            request.others.extend(reports.iter().filter(|(broker, ..)| *broker != request.broker).copied());
            let before = reports.len();
            reports.retain(|(broker, ..)| *broker != request.broker);
            reports.push((request.broker, request.broker_epoch, *log));
            self.count += reports.len() - before;
        }
    }

    /// Another node leads now, or this one begins to.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget_what_is_over(&mut self, image: &MetadataImage) {
        self.reports.retain(|(topic, index), _| image.partition(*topic, *index).is_some_and(|p| awaits_reports(p)));
        self.count = self.reports.values().map(|reports| reports.logs.len()).sum();
    }
}
