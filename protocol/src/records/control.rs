//! Control records: what brokers write into a partition for one another and for consumers, never shown to applications.
//!
//! ```text
//! key    version i16 (0), type i16
//! value  of a transaction marker: version i16 (0), coordinatorEpoch i32
//! ```
//!
//! Kafka: `ControlRecordType`, `EndTransactionMarker` (KIP-98). Later versions only append, so a later one reads as 0.

use super::{BatchBuilder, BuildError};
use bytes::{BufMut, BytesMut};

const VERSION: i16 = 0;

/// The kind of a control record: the second field of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlRecordType {
    /// A transaction's records do not count.
    Abort,
    /// A transaction's records count.
    Commit,
    /// A Raft leader came in (KIP-595).
    LeaderChange,
    /// A metadata snapshot begins (KIP-630).
    SnapshotHeader,
    /// A metadata snapshot ends (KIP-630).
    SnapshotFooter,
    /// The version of KRaft (KIP-853).
    KRaftVersion,
    /// The voters of KRaft (KIP-853).
    KRaftVoters,
    /// One that this version does not know: skipped, as Kafka does.
    Unknown(i16),
}

/// Why a control record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlRecordError {
    /// Key or value is missing or too short.
    #[error("control record {part} has {bytes} bytes, {needed} are needed")]
    TooShort {
        /// "key" or "value".
        part: &'static str,
        /// What is there.
        bytes: usize,
        /// What must be.
        needed: usize,
    },
    /// A negative version.
    #[error("control record {part} has version {version}")]
    InvalidVersion {
        /// "key" or "value".
        part: &'static str,
        /// The field.
        version: i16,
    },
    /// Neither abort nor commit.
    #[error("control record of type {0:?} is no transaction marker")]
    NotAMarker(ControlRecordType),
}

fn versioned<const N: usize>(part: &'static str, bytes: Option<&[u8]>) -> Result<[u8; N], ControlRecordError> {
    let bytes = bytes.unwrap_or_default();
    let Some(fields) = bytes.first_chunk::<N>() else {
        return Err(ControlRecordError::TooShort { part, bytes: bytes.len(), needed: N });
    };
    let version = i16::from_be_bytes([fields[0], fields[1]]);
    if version < 0 {
        return Err(ControlRecordError::InvalidVersion { part, version });
    }
    Ok(*fields)
}

impl ControlRecordType {
    /// The number on the wire.
    pub const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// The type with this number.
    pub const fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            _ => Self::Unknown(id),
        }
    }

    /// Reads the key of a control record.
    pub fn from_key(key: Option<&[u8]>) -> Result<Self, ControlRecordError> {
        let [_, _, high, low] = versioned::<4>("key", key)?;
        Ok(Self::from_id(i16::from_be_bytes([high, low])))
    }

    /// The key of a control record of this type.
    pub fn to_key(self) -> [u8; 4] {
        let ([v0, v1], [t0, t1]) = (VERSION.to_be_bytes(), self.id().to_be_bytes());
        [v0, v1, t0, t1]
    }
}

/// The end of a transaction in one partition, written by the transaction coordinator through the partition's leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Whether the transaction's records count.
    pub committed: bool,
    /// The epoch of the coordinator, which fences an older one.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Reads a control record's key and value.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, ControlRecordError> {
        let committed = match ControlRecordType::from_key(key)? {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            other => return Err(ControlRecordError::NotAMarker(other)),
        };
        let [_, _, e0, e1, e2, e3] = versioned::<6>("value", value)?;
        Ok(Self { committed, coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]) })
    }

    /// The type of the control record.
    pub const fn control_type(&self) -> ControlRecordType {
        if self.committed { ControlRecordType::Commit } else { ControlRecordType::Abort }
    }

    /// The value of the control record.
    pub fn to_value(&self) -> [u8; 6] {
        let mut value = [0; 6];
        (&mut value[..]).put_i16(VERSION);
        (&mut value[2..]).put_i32(self.coordinator_epoch);
        value
    }

    /// The batch that ends `producer_id`'s transaction: one control record.
    pub fn to_batch(&self, producer_id: i64, producer_epoch: i16, timestamp_ms: i64) -> Result<BytesMut, BuildError> {
        let mut builder = BatchBuilder::new(crate::compression::Codec::None)
            .producer(producer_id, producer_epoch, super::NO_SEQUENCE)
            .transactional(true)
            .control(true);
        builder.append(timestamp_ms, Some(&self.control_type().to_key()), Some(&self.to_value()), &[])?;
        builder.build()
    }
}
