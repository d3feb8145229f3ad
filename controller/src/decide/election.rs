//! Who leads a partition, and who is in its ISR, after brokers come and go.
//!
//! Owns [`partition_change`] (Kafka's `PartitionChangeBuilder`, without eligible leader replicas, which are not built) and
//! [`leader_and_isr_updates`] (`ReplicationControlManager.generateLeaderAndIsrUpdates`). A leader is elected from the ISR
//! among brokers that are active and whose log directory is online; from outside it only where that is allowed, and then
//! the partition is marked as recovering. Never empties an ISR: its last members hold everything that was committed.

use uuid::Uuid;
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
    pub(super) replicas: Vec<BrokerId>,
    pub(super) removing: Vec<BrokerId>,
    pub(super) adding: Vec<BrokerId>,
    /// The directories of replicas that it has not yet.
    pub(super) directories: Vec<(BrokerId, Uuid)>,
}

impl Target {
    /// What it is.
    pub(super) fn unchanged(partition: &PartitionRegistration) -> Self {
        Self {
            isr: partition.isr.to_vec(),
            leader_recovery_state: partition.leader_recovery_state,
            replicas: partition.replicas.to_vec(),
            removing: partition.removing_replicas().to_vec(),
            adding: partition.adding_replicas().to_vec(),
            directories: Vec::new(),
        }
    }

    /// Ends the reassignment under way once everybody whom it adds is in sync; one that takes more away than it adds ends
    /// only when everybody who stays is (Kafka's `PartitionReassignmentReplicas.maybeCompleteReassignment`).
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |ids: &[BrokerId]| ids.iter().copied().filter(|id| !self.removing.contains(id)).collect::<Vec<_>>();
        let (isr, replicas) = (stays(&self.isr), stays(&self.replicas));
        let in_sync = |ids: &[BrokerId]| ids.iter().all(|id| isr.contains(id));
        let shrinks = self.adding.len() < self.removing.len();
        if isr.is_empty() || replicas.is_empty() || !in_sync(&self.adding) || (shrinks && !in_sync(&replicas)) {
            return;
        }
        (self.isr, self.replicas) = (isr, replicas);
        self.removing.clear();
        self.adding.clear();
    }

    fn directory_of(&self, partition: &PartitionRegistration, id: BrokerId) -> Uuid {
        let joining = || self.directories.iter().find(|(joining, _)| *joining == id).map(|(_, directory)| *directory);
        partition.directory_of(id).or_else(joining).unwrap_or(DIRECTORY_UNASSIGNED)
    }
}

/// The leader that an election gives, and whether it comes from outside the ISR.
fn elect(
    partition: &PartitionRegistration,
    target: &Target,
    election: Election,
    is_acceptable: &dyn Fn(BrokerId) -> bool,
) -> (BrokerId, bool) {
    let can_lead = |replica: &BrokerId| target.isr.contains(replica) && is_acceptable(*replica);
    let preferred = if election == Election::Preferred { target.replicas.first() } else { None };
    let candidates = preferred.into_iter().chain([&partition.leader]).chain(&target.replicas);
    if let Some(leader) = candidates.copied().find(can_lead) {
        return (leader, false);
    }
    let outsider = target.replicas.iter().copied().find(|replica| is_acceptable(*replica));
    match outsider {
        Some(leader) if election == Election::Unclean => (leader, true),
        _ => (BrokerId::NONE, false),
    }
}

/// The record that takes a partition to its target and gives it a leader; `None` if nothing changes. A reassignment whose
/// new replicas are all in sync ends with it.
pub(super) fn partition_change(
    partition: &PartitionRegistration,
    (topic_id, index): (TopicId, PartitionIndex),
    mut target: Target,
    election: Election,
    is_acceptable: &dyn Fn(BrokerId) -> bool,
) -> Option<PartitionChangeRecord> {
    target.complete_reassignment();
    let mut change = PartitionChangeRecord::new(topic_id, index);
    let (leader, unclean) = elect(partition, &target, election, is_acceptable);
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
        change.isr = Some(target.isr.clone());
    }
    if !unclean && target.leader_recovery_state != partition.leader_recovery_state {
        change.leader_recovery_state = Some(target.leader_recovery_state);
    }
    assign(partition, target, &mut change);
    (!change.is_empty()).then_some(change)
}

/// Writes down other replicas. Whoever is taken away must not go on in the epoch in which it was a replica.
fn assign(partition: &PartitionRegistration, target: Target, change: &mut PartitionChangeRecord) {
    if *target.replicas != *partition.replicas {
        let directories = target.replicas.iter().map(|id| target.directory_of(partition, *id));
        change.directories = Some(directories.collect());
        if change.leader.is_none() && !partition.replicas.iter().all(|id| target.replicas.contains(id)) {
            change.leader = Some(partition.leader);
        }
        change.replicas = Some(target.replicas);
    }
    change.removing_replicas = (*target.removing != *partition.removing_replicas()).then_some(target.removing);
    change.adding_replicas = (*target.adding != *partition.adding_replicas()).then_some(target.adding);
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
