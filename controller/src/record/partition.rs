//! Records of partitions: their creation and their changes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody};

/// Whether the leader still recovers from an unclean election (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaderRecoveryState {
    /// Elected from the ISR, or recovered since.
    #[default]
    Recovered,
    /// Elected uncleanly and not yet recovered.
    Recovering,
}

impl LeaderRecoveryState {
    /// The number in records and requests.
    pub fn code(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
        }
    }

    /// The state with this number.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = input.i8()?;
        Self::from_code(code)
            .ok_or(DecodeError::InvalidValue { field: "leader_recovery_state", value: i64::from(code) })
    }
}

/// A partition exists from here on (`PartitionRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Its index.
    pub partition: PartitionIndex,
    /// The topic it belongs to.
    pub topic_id: Uuid,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment takes away.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding_replicas: Vec<BrokerId>,
    /// The leader, or -1.
    pub leader: BrokerId,
    /// How many leaders there have been.
    pub leader_epoch: LeaderEpoch,
    /// How many changes there have been.
    pub partition_epoch: PartitionEpoch,
    /// The log directory of each replica, in the order of `replicas`; empty in records of old Kafkas.
    pub directories: Vec<Uuid>,
    /// Whether the leader still recovers.
    pub leader_recovery_state: LeaderRecoveryState,
    /// Replicas out of the ISR that are known to hold everything committed (KIP-966).
    pub eligible_leader_replicas: Option<Vec<BrokerId>>,
    /// The last members of the above that restarted uncleanly (KIP-966).
    pub last_known_elr: Option<Vec<BrokerId>>,
}

impl RecordBody for PartitionRecord {
    const TYPE: u16 = 3;
    const MAX_VERSION: u16 = 2;

    fn version(&self) -> u16 {
        if self.eligible_leader_replicas.is_some() || self.last_known_elr.is_some() { 2 } else { 1 }
    }

    fn write(&self, version: u16, out: &mut Writer) {
        out.i32(self.partition.get());
        out.uuid(&self.topic_id);
        out.ids(&self.replicas);
        out.ids(&self.isr);
        out.ids(&self.removing_replicas);
        out.ids(&self.adding_replicas);
        out.i32(self.leader.get());
        out.i32(self.leader_epoch.get());
        out.i32(self.partition_epoch.get());
        if version >= 1 {
            out.uuids(&self.directories);
        }
        out.tags(|tags| {
            if self.leader_recovery_state != LeaderRecoveryState::Recovered {
                tags.field(0, |out| out.i8(self.leader_recovery_state.code()));
            }
            tags.ids(1, self.eligible_leader_replicas.as_deref());
            tags.ids(2, self.last_known_elr.as_deref());
        });
    }

    fn read(version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut record = Self {
            partition: PartitionIndex(input.i32()?),
            topic_id: input.uuid()?,
            replicas: input.ids("PartitionRecord.replicas")?,
            isr: input.ids("PartitionRecord.isr")?,
            removing_replicas: input.ids("PartitionRecord.removing_replicas")?,
            adding_replicas: input.ids("PartitionRecord.adding_replicas")?,
            leader: BrokerId(input.i32()?),
            leader_epoch: LeaderEpoch(input.i32()?),
            partition_epoch: PartitionEpoch(input.i32()?),
            directories: if version >= 1 { input.uuids("PartitionRecord.directories")? } else { Vec::new() },
            leader_recovery_state: LeaderRecoveryState::Recovered,
            eligible_leader_replicas: None,
            last_known_elr: None,
        };
        input.tags(|tag, field| {
            match tag {
                0 => record.leader_recovery_state = LeaderRecoveryState::read(field)?,
                1 if version >= 2 => record.eligible_leader_replicas = field.nullable_ids()?,
                2 if version >= 2 => record.last_known_elr = field.nullable_ids()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}

/// Some of a partition's state changed (`PartitionChangeRecord`); `None` means unchanged.
///
/// Every such record moves the partition epoch by one, and one that names a leader moves the leader epoch too, even if it
/// names the leader there was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    /// The partition's index.
    pub partition: PartitionIndex,
    /// The topic it belongs to.
    pub topic_id: Uuid,
    /// The new ISR.
    pub isr: Option<Vec<BrokerId>>,
    /// The new leader, -1 for none.
    pub leader: Option<BrokerId>,
    /// The new replicas.
    pub replicas: Option<Vec<BrokerId>>,
    /// The replicas now being removed.
    pub removing_replicas: Option<Vec<BrokerId>>,
    /// The replicas now being added.
    pub adding_replicas: Option<Vec<BrokerId>>,
    /// The new recovery state.
    pub leader_recovery_state: Option<LeaderRecoveryState>,
    /// The new eligible leader replicas (KIP-966).
    pub eligible_leader_replicas: Option<Vec<BrokerId>>,
    /// The new last known ones (KIP-966).
    pub last_known_elr: Option<Vec<BrokerId>>,
    /// The new directory of each replica.
    pub directories: Option<Vec<Uuid>>,
}

/// In Kafka's schema: the leader did not change.
const NO_LEADER_CHANGE: i32 = -2;
/// In Kafka's schema: the recovery state did not change.
const NO_RECOVERY_STATE_CHANGE: i8 = -1;

impl PartitionChangeRecord {
    /// A record that changes nothing yet.
    pub fn new(topic_id: Uuid, partition: PartitionIndex) -> Self {
        Self {
            partition,
            topic_id,
            isr: None,
            leader: None,
            replicas: None,
            removing_replicas: None,
            adding_replicas: None,
            leader_recovery_state: None,
            eligible_leader_replicas: None,
            last_known_elr: None,
            directories: None,
        }
    }

    /// Whether any field says something.
    pub fn is_empty(&self) -> bool {
        *self == Self::new(self.topic_id, self.partition)
    }
}

impl RecordBody for PartitionChangeRecord {
    const TYPE: u16 = 5;
    const MAX_VERSION: u16 = 2;

    fn version(&self) -> u16 {
        if self.eligible_leader_replicas.is_some() || self.last_known_elr.is_some() { 2 } else { 1 }
    }

    fn write(&self, _version: u16, out: &mut Writer) {
        out.i32(self.partition.get());
        out.uuid(&self.topic_id);
        out.tags(|tags| {
            tags.ids(0, self.isr.as_deref());
            if let Some(leader) = self.leader {
                tags.field(1, |out| out.i32(leader.get()));
            }
            tags.ids(2, self.replicas.as_deref());
            tags.ids(3, self.removing_replicas.as_deref());
            tags.ids(4, self.adding_replicas.as_deref());
            if let Some(state) = self.leader_recovery_state {
                tags.field(5, |out| out.i8(state.code()));
            }
            tags.ids(6, self.eligible_leader_replicas.as_deref());
            tags.ids(7, self.last_known_elr.as_deref());
            tags.uuids(8, self.directories.as_deref());
        });
    }

    fn read(version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let partition = PartitionIndex(input.i32()?);
        let mut record = Self::new(input.uuid()?, partition);
        input.tags(|tag, field| {
            match tag {
                0 => record.isr = field.nullable_ids()?,
                1 => {
                    let leader = field.i32()?;
                    record.leader = (leader != NO_LEADER_CHANGE).then_some(BrokerId(leader));
                }
                2 => record.replicas = field.nullable_ids()?,
                3 => record.removing_replicas = field.nullable_ids()?,
                4 => record.adding_replicas = field.nullable_ids()?,
                5 => {
                    let code = field.i8()?;
                    record.leader_recovery_state = match code {
                        NO_RECOVERY_STATE_CHANGE => None,
                        _ => Some(LeaderRecoveryState::from_code(code).ok_or(DecodeError::InvalidValue {
                            field: "leader_recovery_state",
                            value: i64::from(code),
                        })?),
                    };
                }
                6 if version >= 2 => record.eligible_leader_replicas = field.nullable_ids()?,
                7 if version >= 2 => record.last_known_elr = field.nullable_ids()?,
                8 if version >= 1 => record.directories = field.nullable_uuids()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}
