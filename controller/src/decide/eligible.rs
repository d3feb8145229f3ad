//! Who may lead a partition from outside its ISR without losing anything (KIP-966), and whether that is kept at all.
//!
//! ```text
//!        ISR below min.insync.replicas: nothing more is committed, so whoever leaves has all that is
//!   ISR ------------------------------------------------------------> eligible <-- elected once the ISR is empty
//!    |        its log may have lost its tail                              |
//!    +------------------------> last known <-----------------------------+
//!                                  asked once nobody is in the ISR or eligible
//! ```
//!
//! Answers to `PartitionChangeBuilder.maybePopulateTargetElr` and `maybeUpdateLastKnownLeader`. Kafka remembers one last known leader;
//! here the replicas that may hold what it has lost are kept behind it, as KIP-966 has it. A change of `min.insync.replicas` is no reason to
//! forget anybody (Kafka writes a `ClearElrRecord`): a leader commits nothing while its partition has eligible leaders, whatever it takes
//! that setting to be, so what is known of them stays true.

use weir_protocol::ids::{BrokerId, PartitionIndex, TopicId};

use super::election::Target;
use crate::image::{ConfigResource, ELIGIBLE_LEADER_REPLICAS_FEATURE, MetadataImage, PartitionRegistration};
use crate::record::{ConfigRecord, ConfigResourceType, MetadataRecord, PartitionChangeRecord};

/// The config that says how many replicas must be in sync.
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Whether eligible leaders are kept.
pub(super) fn is_enabled(image: &MetadataImage) -> bool {
    image.feature_level(ELIGIBLE_LEADER_REPLICAS_FEATURE) > 0
}

/// The replicas outside the ISR to come that hold all that is committed.
pub(super) fn eligible(partition: &PartitionRegistration, target: &Target, min_isr: usize) -> Vec<BrokerId> {
    if has_enough(target, min_isr) {
        return Vec::new();
    }
    let mut eligible = Vec::new();
    for id in holders(partition).filter(|id| is_outside(target, *id) && !target.lossy.contains(id)) {
        push_new(&mut eligible, id);
    }
    eligible
}

/// Whoever may hold what nobody else has, once nobody is in the ISR or eligible: the last leader first, then those whose logs may have lost
/// their tails since the ISR became too small.
pub(super) fn last_known(
    partition: &PartitionRegistration,
    target: &Target,
    eligible: &[BrokerId],
    min_isr: usize,
) -> Vec<BrokerId> {
    if has_enough(target, min_isr) {
        return Vec::new();
    }
    let leaderless = target.isr.is_empty();
    let last_leader = (leaderless && partition.has_leader()).then_some(partition.leader);
    let lossy = holders(partition).filter(|id| target.lossy.contains(id));
    let mut last_known = Vec::new();
    for id in last_leader.into_iter().chain(partition.last_known_elr().iter().copied()).chain(lossy) {
        // Where somebody leads, whoever is eligible is known to have everything.
        if is_outside(target, id) && (leaderless || !eligible.contains(&id)) {
            push_new(&mut last_known, id);
        }
    }
    last_known
}

/// A topic cannot need more replicas than it has.
fn has_enough(target: &Target, min_isr: usize) -> bool {
    target.isr.len() >= min_isr.min(target.replicas.len())
}

fn holders(partition: &PartitionRegistration) -> impl Iterator<Item = BrokerId> {
    partition.isr.iter().chain(partition.eligible_leader_replicas()).copied()
}

fn is_outside(target: &Target, id: BrokerId) -> bool {
    target.replicas.contains(&id) && !target.isr.contains(&id)
}

fn push_new(ids: &mut Vec<BrokerId>, id: BrokerId) {
    if !ids.contains(&id) {
        ids.push(id);
    }
}

/// What follows when eligible leaders begin to be kept: one `min.insync.replicas` holds for a topic, whichever broker leads it.
pub(super) fn when_enabled(image: &MetadataImage) -> Vec<MetadataRecord> {
    let overrides = image.configured(ConfigResourceType::Broker).filter(|(name, configs)| {
        // The default of every broker has no name.
        !name.is_empty() && configs.contains_key(MIN_INSYNC_REPLICAS)
    });
    let unset = overrides.map(|(name, _)| ConfigRecord {
        resource_type: ConfigResourceType::Broker,
        resource_name: name.clone(),
        name: MIN_INSYNC_REPLICAS.into(),
        value: None,
    });
    unset.map(MetadataRecord::from).collect()
}

/// What follows when eligible leaders are no longer kept: nobody is forgotten, for without them an ISR is never empty.
pub(super) fn when_disabled(image: &MetadataImage) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        records.extend(topic.partitions().filter_map(|(index, partition)| {
            let forgotten = without_outsiders((topic.id, index), partition);
            (!forgotten.is_empty()).then(|| MetadataRecord::from(forgotten))
        }));
    }
    records
}

fn without_outsiders(
    (topic_id, index): (TopicId, PartitionIndex),
    partition: &PartitionRegistration,
) -> PartitionChangeRecord {
    let (eligible, last_known) = (partition.eligible_leader_replicas(), partition.last_known_elr());
    let mut change = PartitionChangeRecord::new(topic_id, index);
    if partition.isr.is_empty() {
        let heirs = if eligible.is_empty() { last_known } else { eligible };
        change.isr = (!heirs.is_empty()).then(|| heirs.to_vec());
    }
    change.eligible_leader_replicas = (!eligible.is_empty()).then(Vec::new);
    change.last_known_elr = (!last_known.is_empty()).then(Vec::new);
    change
}

/// Whether a change of a config would give one broker a `min.insync.replicas` of its own.
pub(super) fn is_of_one_broker(resource: &ConfigResource, key: &str) -> bool {
    resource.resource_type == ConfigResourceType::Broker && !resource.name.is_empty() && key == MIN_INSYNC_REPLICAS
}
