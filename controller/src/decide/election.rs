//! Who leads a partition, and who is in its ISR, after brokers come and go.
//!
//! Owns [`partition_change`] (Kafka's `PartitionChangeBuilder`, without eligible leader replicas, which are not built) and
//! [`leader_and_isr_updates`] (`ReplicationControlManager.generateLeaderAndIsrUpdates`). A leader is elected from the ISR
//! among brokers that are active and whose log directory is online; from outside it only where that is allowed, and then
//! the partition is marked as recovering. Never empties an ISR: its last members hold everything that was committed.

use weir_protocol::ids::{BrokerId, PartitionIndex, TopicId};

use super::catalog::{ConfigCatalog, unclean_election_enabled};
use crate::image::{DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, MetadataImage, PartitionRegistration};
use crate::record::{LeaderRecoveryState, MetadataRecord, PartitionChangeRecord};

/// Which replica is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The preferred one if it can lead, else any that can.
    Preferred,
    /// The present one if it can lead, else any that can.
    Online,
    /// The same, and if none can, one outside the ISR.
    Unclean,
}

/// What a partition should become.
pub(super) struct Target {
    pub(super) isr: Vec<BrokerId>,
    pub(super) leader_recovery_state: LeaderRecoveryState,
}

impl Target {
    /// What it is.
    pub(super) fn unchanged(partition: &PartitionRegistration) -> Self {
        Self { isr: partition.isr.to_vec(), leader_recovery_state: partition.leader_recovery_state }
    }
}

/// The leader that an election gives, and whether it comes from outside the ISR.
fn elect(
    partition: &PartitionRegistration,
    isr: &[BrokerId],
    election: Election,
    is_acceptable: &dyn Fn(BrokerId) -> bool,
) -> (BrokerId, bool) {
    let can_lead = |replica: &BrokerId| isr.contains(replica) && is_acceptable(*replica);
    let preferred = [partition.preferred_leader()];
    let preferred = if election == Election::Preferred { &preferred[..] } else { &[] };
    let candidates = preferred.iter().chain([&partition.leader]).chain(&partition.replicas);
    if let Some(leader) = candidates.copied().find(can_lead) {
        return (leader, false);
    }
    let outsider = partition.replicas.iter().copied().find(|replica| is_acceptable(*replica));
    match outsider {
        Some(leader) if election == Election::Unclean => (leader, true),
        _ => (BrokerId::NONE, false),
    }
}

/// The record that takes a partition to its target and gives it a leader; `None` if nothing changes.
pub(super) fn partition_change(
    partition: &PartitionRegistration,
    (topic_id, index): (TopicId, PartitionIndex),
    target: Target,
    election: Election,
    is_acceptable: &dyn Fn(BrokerId) -> bool,
) -> Option<PartitionChangeRecord> {
    let mut change = PartitionChangeRecord::new(topic_id, index);
    let (leader, unclean) = elect(partition, &target.isr, election, is_acceptable);
    if leader != partition.leader {
        change.leader = Some(leader);
        if unclean {
            change.isr = Some(vec![leader]);
            if partition.leader_recovery_state != LeaderRecoveryState::Recovering {
                change.leader_recovery_state = Some(LeaderRecoveryState::Recovering);
            }
        }
    }
    if change.isr.is_none() && !target.isr.is_empty() && *target.isr != *partition.isr {
        change.isr = Some(target.isr);
    }
    if !unclean && target.leader_recovery_state != partition.leader_recovery_state {
        change.leader_recovery_state = Some(target.leader_recovery_state);
    }
    (!change.is_empty()).then_some(change)
}

/// Whether a replica can lead as far as its broker and its directory go.
pub(super) fn is_acceptable_leader(image: &MetadataImage, partition: &PartitionRegistration, id: BrokerId) -> bool {
    image.broker(id).is_some_and(|broker| broker.is_active()) && has_online_directory(image, partition, id)
}

fn has_online_directory(image: &MetadataImage, partition: &PartitionRegistration, id: BrokerId) -> bool {
    match partition.directory_of(id) {
        None | Some(DIRECTORY_UNASSIGNED | DIRECTORY_MIGRATING) => true,
        Some(DIRECTORY_LOST) => false,
        Some(directory) => image.broker(id).is_some_and(|broker| broker.log_dirs.contains(&directory)),
    }
}

/// A broker that leaves the ISR and leadership of partitions, and what becomes of those that no other can lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) broker: BrokerId,
    /// Its logs stay intact: partitions that no other replica can lead stay its own, so that its return changes nothing.
    pub(super) logs_intact: bool,
}

/// The partition changes that follow from a broker's departure.
pub(super) fn departure_updates(
    image: &MetadataImage,
    catalog: &dyn ConfigCatalog,
    departure: Departure,
    affects: impl Fn(&PartitionRegistration) -> bool,
) -> Vec<MetadataRecord> {
    let gone = departure.broker;
    let mut records = Vec::new();
    for topic in image.topics() {
        let mut election = None;
        for (index, partition) in topic.partitions() {
            if !(partition.isr.contains(&gone) || partition.leader == gone) || !affects(partition) {
                continue;
            }
            let election = *election.get_or_insert_with(|| election_of(image, &topic.name, catalog));
            let mut target = Target::unchanged(partition);
            target.isr.retain(|member| *member != gone);
            let acceptable = |id: BrokerId| id != gone && is_acceptable_leader(image, partition, id);
            let change = partition_change(partition, (topic.id, index), target, election, &acceptable);
            let leaderless = change.as_ref().is_some_and(|change| change.leader == Some(BrokerId::NONE));
            if let Some(change) = change.filter(|_| !(departure.logs_intact && leaderless)) {
                records.push(change.into());
            }
        }
    }
    records
}

/// The partition changes that follow from brokers that became active: partitions without a leader get one.
pub(super) fn arrival_updates(image: &MetadataImage, catalog: &dyn ConfigCatalog) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        for (index, partition) in topic.partitions().filter(|(_, partition)| !partition.has_leader()) {
            let acceptable = |id: BrokerId| is_acceptable_leader(image, partition, id);
            let election = election_of(image, &topic.name, catalog);
            let target = Target::unchanged(partition);
            let change = partition_change(partition, (topic.id, index), target, election, &acceptable);
            records.extend(change.map(MetadataRecord::from));
        }
    }
    records
}

/// The election that a topic allows when its leaders go.
pub(super) fn election_of(image: &MetadataImage, topic: &str, catalog: &dyn ConfigCatalog) -> Election {
    if unclean_election_enabled(image, topic, catalog) { Election::Unclean } else { Election::Online }
}
