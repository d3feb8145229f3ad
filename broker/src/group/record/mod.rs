//! The records of `__consumer_offsets`, byte for byte as Kafka writes them.
//!
//! A key starts with its type, a value with its version; an absent value is a tombstone. Types that this broker does not
//! build yet (groups of the newer protocols, types 3 and up) are read as [`CoordinatorRecord::Unknown`]: replay skips
//! them, the log keeps them. A *known* type that cannot be read is an error: guessing would lose a group.

mod group_metadata;
mod offset_commit;
mod primitives;
mod subscription;

use bytes::Bytes;

pub use group_metadata::{GroupMetadataValue, MemberMetadata};
pub use offset_commit::{OffsetCommitKey, OffsetCommitValue};
pub use primitives::RecordError;
pub(crate) use subscription::subscribed_topics;

use super::ids::GroupId;
use primitives::Reader;
use weir_protocol::records::batch::BatchHeader;

/// What a record alone in its batch takes beside key and value, at the most: the batch's header, and the record's own
/// lengths, deltas, attributes and header count.
pub(crate) const BATCH_OVERHEAD_BYTES: usize = BatchHeader::LEN + RECORD_OVERHEAD_BYTES;

/// A record's own part of [`BATCH_OVERHEAD_BYTES`].
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 40;

/// One record of `__consumer_offsets`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CoordinatorRecord {
    /// An offset was committed, or removed (`None`).
    OffsetCommit {
        /// Whose offset, where.
        key: OffsetCommitKey,
        /// The offset; absent in a tombstone.
        value: Option<OffsetCommitValue>,
    },
    /// A classic group's generation was stored, or the group removed (`None`).
    GroupMetadata {
        /// The group.
        group: GroupId,
        /// The generation; absent in a tombstone.
        value: Option<GroupMetadataValue>,
    },
    /// A type this broker does not know; never written.
    Unknown {
        /// The key's type.
        key_type: i16,
    },
}

impl CoordinatorRecord {
    /// The key's bytes; `None` for what is never written.
    pub fn encode_key(&self) -> Option<Bytes> {
        match self {
            CoordinatorRecord::OffsetCommit { key, .. } => Some(key.encode()),
            CoordinatorRecord::GroupMetadata { group, .. } => Some(group_metadata::encode_key(group)),
            CoordinatorRecord::Unknown { .. } => None,
        }
    }

    /// The value's bytes; `None` for a tombstone.
    pub fn encode_value(&self) -> Option<Bytes> {
        match self {
            CoordinatorRecord::OffsetCommit { value, .. } => value.as_ref().map(OffsetCommitValue::encode),
            CoordinatorRecord::GroupMetadata { value, .. } => value.as_ref().map(GroupMetadataValue::encode),
            CoordinatorRecord::Unknown { .. } => None,
        }
    }

    /// What key and value take at the most; not much more than they do.
    pub(crate) fn size_bound_bytes(&self) -> usize {
        match self {
            CoordinatorRecord::OffsetCommit { key, value } => {
                key.size_bytes() + value.as_ref().map_or(0, OffsetCommitValue::size_bound_bytes)
            }
            CoordinatorRecord::GroupMetadata { group, value } => {
                group_metadata::key_size_bytes(group) + value.as_ref().map_or(0, GroupMetadataValue::size_bound_bytes)
            }
            CoordinatorRecord::Unknown { .. } => 0,
        }
    }

    /// Reads a record's key and value.
    pub fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Self, RecordError> {
        let mut reader = Reader::new(key.ok_or(RecordError::NoKey)?);
        match reader.i16()? {
            OffsetCommitKey::TYPE | OffsetCommitKey::LEGACY_TYPE => Ok(CoordinatorRecord::OffsetCommit {
                key: OffsetCommitKey::decode(&mut reader)?,
                value: value.map(OffsetCommitValue::decode).transpose()?,
            }),
            group_metadata::KEY_TYPE => Ok(CoordinatorRecord::GroupMetadata {
                group: group_metadata::decode_key(&mut reader)?,
                value: value.map(GroupMetadataValue::decode).transpose()?,
            }),
            key_type => Ok(CoordinatorRecord::Unknown { key_type }),
        }
    }

    /// The tombstone of one committed offset.
    pub(crate) fn offset_tombstone(group: &GroupId, topic: &str, partition: i32) -> Self {
        let topic = weir_protocol::messages::StrBytes::from_string(topic.to_owned());
        CoordinatorRecord::OffsetCommit { key: OffsetCommitKey { group: group.clone(), topic, partition }, value: None }
    }
}

#[cfg(test)]
mod tests;
