//! Who leads a partition, and who is in its ISR, after brokers come and go.
//!
//! Owns [`partition_change`] (Kafka's `PartitionChangeBuilder`), [`departure_updates`] and [`arrival_updates`]
//! (`ReplicationControlManager.generateLeaderAndIsrUpdates`). A leader is elected among brokers that are active and whose log directory is
//! online: from the ISR; from the eligible leaders if nobody is in the ISR; else the last known leader, or of several last known ones the
//! one with the longest log (`report_logs`), which may have lost some of what was committed; else anybody, where that is allowed. After the latter two the partition is marked as recovering. An ISR is emptied only where
//! eligible leaders are kept: without them its last members are all that is known of what was committed.

use uuid::Uuid;
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicId};

use super::catalog::{ConfigCatalog, unclean_election_enabled};
use super::eligible;
use crate::image::{DIRECTORY_UNASSIGNED, MetadataImage, PartitionRegistration};
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
    /// This one, which has as much as anybody, now that nobody is known to have everything.
    Appointed(BrokerId),
}

/// What holds for a topic when its leaders are elected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) election: Election,
    /// `min.insync.replicas`; none where eligible leaders are not kept.
    pub(super) min_isr: Option<usize>,
}

/// What a partition should become.
pub(super) struct Target {
    pub(super) isr: Vec<BrokerId>,
    /// Replicas that may have lost what they had.
    pub(super) lossy: Vec<BrokerId>,
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
            lossy: Vec::new(),
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

/// Where a leader was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elected {
    InSync(BrokerId),
    /// It has everything, but is not in the ISR, which is empty.
    Eligible(BrokerId),
    /// It may lack some of what was committed.
    Uncleanly(BrokerId),
    Nobody,
}

impl Elected {
    fn leader(self) -> BrokerId {
        match self {
            Self::InSync(leader) | Self::Eligible(leader) | Self::Uncleanly(leader) => leader,
            Self::Nobody => BrokerId::NONE,
        }
    }
}

fn elect(
    partition: &PartitionRegistration,
    target: &Target,
    eligible: &[BrokerId],
    terms: Terms,
    is_acceptable: &dyn Fn(BrokerId) -> bool,
) -> Elected {
    let leads_cleanly = |replica: &BrokerId| {
        let holds_all = target.isr.contains(replica) || (target.isr.is_empty() && eligible.contains(replica));
        holds_all && is_acceptable(*replica)
    };
    let preferred = if terms.election == Election::Preferred { target.replicas.first() } else { None };
    let candidates = preferred.into_iter().chain([&partition.leader]).chain(&target.replicas);
    if let Some(leader) = candidates.copied().find(leads_cleanly) {
        return if target.isr.contains(&leader) { Elected::InSync(leader) } else { Elected::Eligible(leader) };
    }
    let nobody_holds_all = terms.min_isr.is_some() && target.isr.is_empty() && eligible.is_empty();
    let last_known = partition.last_known_elr().iter().copied().filter(|id| target.replicas.contains(id));
    let heir = match (terms.election, partition.last_known_elr()) {
        (Election::Appointed(heir), _) => Some(heir),
        // Nobody else may have what it has; several are asked first how far their logs reach.
        (_, [heir]) if target.replicas.contains(heir) => Some(*heir),
        _ => None,
    };
    if let Some(leader) = heir.filter(|heir| nobody_holds_all && is_acceptable(*heir)) {
        return Elected::Uncleanly(leader);
    }
    let outsider = last_known.chain(target.replicas.iter().copied()).find(|replica| is_acceptable(*replica));
    match outsider {
        Some(leader) if terms.election == Election::Unclean => Elected::Uncleanly(leader),
        _ => Elected::Nobody,
    }
}

/// The record that takes a partition to its target and gives it a leader; `None` if nothing changes. A reassignment whose
/// new replicas are all in sync ends with it.
pub(super) fn partition_change(
    partition: &PartitionRegistration,
    (topic_id, index): (TopicId, PartitionIndex),
    mut target: Target,
    terms: Terms,
    is_acceptable: &dyn Fn(BrokerId) -> bool,
) -> Option<PartitionChangeRecord> {
    target.complete_reassignment();
    let mut eligible = terms.min_isr.map_or_else(Vec::new, |min_isr| eligible::eligible(partition, &target, min_isr));
    let elected = elect(partition, &target, &eligible, terms, is_acceptable);
    let unclean = matches!(elected, Elected::Uncleanly(leader) if leader != partition.leader);
    if let Elected::Eligible(leader) | Elected::Uncleanly(leader) = elected
        && leader != partition.leader
    {
        target.isr = vec![leader];
        eligible.retain(|id| *id != leader);
    }
    if unclean {
        // What the others have is no longer what counts.
        eligible.clear();
        target.leader_recovery_state = LeaderRecoveryState::Recovering;
    }
    let last_known = match terms.min_isr {
        Some(min_isr) if !unclean => eligible::last_known(partition, &target, &eligible, min_isr),
        _ => Vec::new(),
    };
    let mut change = PartitionChangeRecord::new(topic_id, index);
    change.leader = (elected.leader() != partition.leader).then(|| elected.leader());
    let may_be_empty = terms.min_isr.is_some();
    change.isr =
        ((may_be_empty || !target.isr.is_empty()) && *target.isr != *partition.isr).then(|| target.isr.clone());
    change.eligible_leader_replicas = (*eligible != *partition.eligible_leader_replicas()).then_some(eligible);
    change.last_known_elr = (*last_known != *partition.last_known_elr()).then_some(last_known);
    change.leader_recovery_state =
        (target.leader_recovery_state != partition.leader_recovery_state).then_some(target.leader_recovery_state);
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

/// Whether a replica's directory is online, as far as is known.
pub(super) fn has_online_directory(image: &MetadataImage, partition: &PartitionRegistration, id: BrokerId) -> bool {
    image.broker(id).is_some_and(|broker| broker.has_online(partition.directory_of(id)))
}

/// A broker that leaves the ISR and leadership of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) broker: BrokerId,
    pub(super) logs: Logs,
}

/// What becomes of the logs of a broker that departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    /// They stay intact. Partitions that no other replica can lead stay its own, so that its return changes nothing.
    Kept,
    /// It may come back with all of it: it stays eligible until it says otherwise.
    Unknown,
    /// They may have lost their tails, or are gone.
    MayBeLost,
}

/// The partition changes that follow from a broker's departure.
pub(super) fn departure_updates(
    image: &MetadataImage,
    catalog: &dyn ConfigCatalog,
    departure: Departure,
    affects: impl Fn(&PartitionRegistration) -> bool,
) -> Vec<MetadataRecord> {
    let gone = departure.broker;
    let holds = |partition: &PartitionRegistration| {
        let is_eligible = partition.eligible_leader_replicas().contains(&gone);
        partition.isr.contains(&gone) || partition.leader == gone || (departure.logs == Logs::MayBeLost && is_eligible)
    };
    let mut records = Vec::new();
    for topic in image.topics() {
        let mut terms = None;
        for (index, partition) in topic.partitions() {
            if !holds(partition) || !affects(partition) {
                continue;
            }
            let terms = *terms.get_or_insert_with(|| terms_of(image, &topic.name, catalog));
            let mut target = Target::unchanged(partition);
            target.isr.retain(|member| *member != gone);
            if departure.logs == Logs::MayBeLost {
                target.lossy.push(gone);
            }
            let acceptable = |id: BrokerId| id != gone && is_acceptable_leader(image, partition, id);
            let change = partition_change(partition, (topic.id, index), target, terms, &acceptable);
            let change = change.filter(|change| departure.logs != Logs::Kept || !waits_for(partition, change, gone));
            records.extend(change.map(MetadataRecord::from));
        }
    }
    records
}

/// Whether a change leaves a partition without a leader that nobody but `gone` can ever lead cleanly.
fn waits_for(partition: &PartitionRegistration, change: &PartitionChangeRecord, gone: BrokerId) -> bool {
    let eligible = change.eligible_leader_replicas.as_deref().unwrap_or(partition.eligible_leader_replicas());
    change.leader == Some(BrokerId::NONE) && eligible.iter().all(|id| *id == gone)
}

/// The partition changes that follow from brokers that became active: partitions without a leader get one.
pub(super) fn arrival_updates(image: &MetadataImage, catalog: &dyn ConfigCatalog) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        let mut terms = None;
        for (index, partition) in topic.partitions().filter(|(_, partition)| !partition.has_leader()) {
            let terms = *terms.get_or_insert_with(|| terms_of(image, &topic.name, catalog));
            records.extend(renewed(image, (topic.id, index), partition, terms).map(MetadataRecord::from));
        }
    }
    records
}

/// What a partition becomes because something it depends on has changed: its brokers, or what holds for its topic.
pub(super) fn renewed(
    image: &MetadataImage,
    id: (TopicId, PartitionIndex),
    partition: &PartitionRegistration,
    terms: Terms,
) -> Option<PartitionChangeRecord> {
    let acceptable = |id: BrokerId| is_acceptable_leader(image, partition, id);
    partition_change(partition, id, Target::unchanged(partition), terms, &acceptable)
}

/// What holds for a topic when its leaders go.
pub(super) fn terms_of(image: &MetadataImage, topic: &str, catalog: &dyn ConfigCatalog) -> Terms {
    let election = if unclean_election_enabled(image, topic, catalog) { Election::Unclean } else { Election::Online };
    let min_isr = eligible::is_enabled(image).then(|| catalog.min_insync_replicas(image, topic));
    Terms { election, min_isr }
}
