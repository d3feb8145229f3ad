//! ReportLogs (Weir's own): a broker says how far its logs reach of partitions that nobody can lead without losing something.
//!
//! ```text
//!   ISR and eligible leaders are empty: every member restarted uncleanly
//!     the last known ones have answered, and serve, and so has whoever else serves; for a while all others are waited for too
//!       --> the longest log of the newest epoch leads
//! ```
//!
//! This is KIP-966's unclean recovery: nothing is lost that any one of them had flushed. Kafka's controller would ask (GetReplicaLogInfo), where it
//! does so; here brokers, which see in the metadata that they are needed, tell, again and again until there is a leader. Who said what is soft
//! state, and the active controller's.

use serde::{Deserialize, Serialize};
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::election::{self, Election, Target, Terms};
use super::register_broker::check_broker_epoch;
use super::{ApiError, Context, Decision};
use crate::image::{MetadataImage, PartitionRegistration};
use crate::record::MetadataRecord;

/// A broker tells of its logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLogsRequest {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// Its logs.
    pub logs: Vec<LogReport>,
    /// What other brokers have said of the same partitions; the controller knows, not the broker.
    #[serde(default)]
    pub others: Vec<(BrokerId, BrokerEpoch, LogReport)>,
    /// Whether replicas that are away and not among the last known ones have been waited for long enough; the controller knows too.
    #[serde(default)]
    pub is_overdue: bool,
}

/// How far a replica's log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The leader epoch of the partition when this was so; while nobody leads, nobody writes.
    pub leader_epoch: LeaderEpoch,
    /// The leader epoch of its last record, or none.
    pub last_epoch: LeaderEpoch,
    /// Where it ends.
    pub log_end: Offset,
}

/// How many partitions got a leader, or why nothing was looked at.
pub type ReportLogsResponse = Result<usize, ApiError>;

/// Whether a partition waits for reports: nobody can lead it cleanly, and not one replica alone may have what was committed.
pub fn awaits_reports(partition: &PartitionRegistration) -> bool {
    let nobody_holds_all = partition.isr.is_empty() && partition.eligible_leader_replicas().is_empty();
    !partition.has_leader() && nobody_holds_all && partition.last_known_elr().len() > 1
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &ReportLogsRequest,
    context: &mut Context<'_>,
) -> Decision<ReportLogsResponse> {
    if let Err(error) = check_broker_epoch(image, request.broker, request.broker_epoch) {
        return Decision::unchanged(Err(error));
    }
    let elected = request.logs.iter().filter_map(|log| elect(image, request, log, context));
    let records: Vec<_> = elected.collect();
    let count = records.len();
    Decision { records, response: Ok(count) }
}

fn elect(
    image: &MetadataImage,
    request: &ReportLogsRequest,
    log: &LogReport,
    context: &Context<'_>,
) -> Option<MetadataRecord> {
    let topic = image.topic(log.topic_id)?;
    let partition = topic.partition(log.partition).filter(|partition| awaits_reports(partition))?;
    let own = [(request.broker, request.broker_epoch, *log)];
    let counts = |(broker, epoch, report): &&(BrokerId, BrokerEpoch, LogReport)| {
        (report.topic_id, report.partition, report.leader_epoch)
            == (log.topic_id, log.partition, partition.leader_epoch)
            && image.broker(*broker).is_some_and(|registered| registered.epoch == *epoch)
    };
    let reports: Vec<_> = own.iter().chain(&request.others).filter(counts).collect();
    let acceptable = |id: BrokerId| election::is_acceptable_leader(image, partition, id);
    let has_reported = |id: BrokerId| reports.iter().any(|(broker, ..)| *broker == id);
    let last_known = partition.last_known_elr();
    // Whoever was found dead before the last ones were may have more than they kept.
    let may_return = |id: BrokerId| !request.is_overdue && image.broker(id).is_some();
    let awaited =
        partition.replicas.iter().filter(|id| last_known.contains(id) || acceptable(**id) || may_return(**id));
    if !awaited.copied().all(|id| acceptable(id) && has_reported(id)) {
        return None;
    }
    let candidates = reports.iter().filter(|(broker, ..)| partition.replicas.contains(broker) && acceptable(*broker));
    // Of equals the one that led last, which is named first.
    let length = |(broker, _, report): &&&(BrokerId, BrokerEpoch, LogReport)| {
        (report.last_epoch, report.log_end, last_known.first() == Some(broker))
    };
    let (longest, ..) = candidates.max_by_key(length)?;
    let terms = election::terms_of(image, &topic.name, context.catalog);
    let terms = Terms { election: Election::Appointed(*longest), ..terms };
    let id = (log.topic_id, log.partition);
    election::partition_change(partition, id, Target::unchanged(partition), terms, &acceptable)
        .map(MetadataRecord::from)
}
