//! One partition's registration: who replicates it, who leads it, and how often that changed.
//!
//! Laid out to be small, for there may be a million: the sets that are nearly always empty share one boxed struct.

use uuid::Uuid;
use weir_protocol::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId};

use crate::record::{LeaderRecoveryState, PartitionChangeRecord, PartitionRecord};

/// A replica's directory is not known because its broker is being migrated (`DirectoryId.MIGRATING`).
pub const DIRECTORY_MIGRATING: Uuid = Uuid::from_u128(0);
/// A replica's directory has not been chosen yet (`DirectoryId.UNASSIGNED`).
pub const DIRECTORY_UNASSIGNED: Uuid = Uuid::from_u128(1);
/// A replica's directory is offline or gone (`DirectoryId.LOST`).
pub const DIRECTORY_LOST: Uuid = Uuid::from_u128(2);

/// A partition as the records tell it (Kafka's `PartitionRegistration`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// Its replicas, the preferred leader first.
    pub replicas: Box<[BrokerId]>,
    /// The replicas in sync.
    pub isr: Box<[BrokerId]>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Box<[Uuid]>,
    /// The leader, or -1.
    pub leader: BrokerId,
    /// How many leaders there have been.
    pub leader_epoch: LeaderEpoch,
    /// How many changes there have been.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader still recovers from an unclean election.
    pub leader_recovery_state: LeaderRecoveryState,
    rare: Option<Box<RareSets>>,
}

/// The sets that are empty unless a reassignment or an outage is going on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RareSets {
    removing_replicas: Vec<BrokerId>,
    adding_replicas: Vec<BrokerId>,
    eligible_leader_replicas: Vec<BrokerId>,
    last_known_elr: Vec<BrokerId>,
}

impl RareSets {
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl PartitionRegistration {
    /// Replicas that a reassignment takes away.
    pub fn removing_replicas(&self) -> &[BrokerId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.removing_replicas)
    }

    /// Replicas that a reassignment adds.
    pub fn adding_replicas(&self) -> &[BrokerId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.adding_replicas)
    }

    /// Replicas out of the ISR that are known to hold everything committed (KIP-966).
    pub fn eligible_leader_replicas(&self) -> &[BrokerId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.eligible_leader_replicas)
    }

    /// The last of the above that restarted uncleanly (KIP-966).
    pub fn last_known_elr(&self) -> &[BrokerId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.last_known_elr)
    }

    /// Whether a reassignment is going on.
    pub fn is_reassigning(&self) -> bool {
        !self.removing_replicas().is_empty() || !self.adding_replicas().is_empty()
    }

    /// Whether there is a leader.
    pub fn has_leader(&self) -> bool {
        self.leader != BrokerId::NONE
    }

    /// The replica that leads when all is well.
    pub fn preferred_leader(&self) -> BrokerId {
        self.replicas.first().copied().unwrap_or(BrokerId::NONE)
    }

    /// The directory of a broker's replica, if it has one.
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        let replica = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(replica).copied()
    }

    pub(super) fn from_record(record: &PartitionRecord) -> Self {
        Self {
            replicas: record.replicas.as_slice().into(),
            isr: record.isr.as_slice().into(),
            directories: directories_or_default(&record.directories, record.replicas.len()),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            leader_recovery_state: record.leader_recovery_state,
            rare: RareSets {
                removing_replicas: record.removing_replicas.clone(),
                adding_replicas: record.adding_replicas.clone(),
                eligible_leader_replicas: record.eligible_leader_replicas.clone().unwrap_or_default(),
                last_known_elr: record.last_known_elr.clone().unwrap_or_default(),
            }
            .boxed(),
        }
    }

    pub(super) fn to_record(&self, topic_id: TopicId, partition: PartitionIndex) -> PartitionRecord {
        let unless_empty = |ids: &[BrokerId]| (!ids.is_empty()).then(|| ids.to_vec());
        PartitionRecord {
            partition,
            topic_id,
            replicas: self.replicas.to_vec(),
            isr: self.isr.to_vec(),
            removing_replicas: self.removing_replicas().to_vec(),
            adding_replicas: self.adding_replicas().to_vec(),
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.to_vec(),
            leader_recovery_state: self.leader_recovery_state,
            eligible_leader_replicas: unless_empty(self.eligible_leader_replicas()),
            last_known_elr: unless_empty(self.last_known_elr()),
        }
    }

    /// The partition after a change: the partition epoch moves by one, the leader epoch if the change names a leader.
    pub fn after(&self, change: &PartitionChangeRecord) -> Self {
        let replicas = change.replicas.as_deref().map_or_else(|| self.replicas.clone(), Box::from);
        let directories = match &change.directories {
            Some(directories) => directories_or_default(directories, replicas.len()),
            None if self.directories.len() == replicas.len() => self.directories.clone(),
            None => directories_or_default(&[], replicas.len()),
        };
        let ids = |new: &Option<Vec<BrokerId>>, old: &[BrokerId]| new.clone().unwrap_or_else(|| old.to_vec());
        Self {
            isr: change.isr.as_deref().map_or_else(|| self.isr.clone(), Box::from),
            directories,
            leader: change.leader.unwrap_or(self.leader),
            leader_epoch: LeaderEpoch(self.leader_epoch.get().wrapping_add(i32::from(change.leader.is_some()))),
            partition_epoch: PartitionEpoch(self.partition_epoch.get().wrapping_add(1)),
            leader_recovery_state: change.leader_recovery_state.unwrap_or(self.leader_recovery_state),
            rare: RareSets {
                removing_replicas: ids(&change.removing_replicas, self.removing_replicas()),
                adding_replicas: ids(&change.adding_replicas, self.adding_replicas()),
                eligible_leader_replicas: ids(&change.eligible_leader_replicas, self.eligible_leader_replicas()),
                last_known_elr: ids(&change.last_known_elr, self.last_known_elr()),
            }
            .boxed(),
            replicas,
        }
    }
}

/// Records of old Kafkas name no directories; there is one for each replica nevertheless.
fn directories_or_default(directories: &[Uuid], replicas: usize) -> Box<[Uuid]> {
    if directories.is_empty() { vec![DIRECTORY_MIGRATING; replicas].into_boxed_slice() } else { directories.into() }
}
