//! A committed offset: `OffsetCommitKey` (types 0 and 1) and `OffsetCommitValue` v0–v4.
//!
//! ```text
//! key:    type i16 (1)  group string  topic string  partition i32
//! v4:     version i16 (4)  offset i64  leader_epoch i32  metadata compact string  commit_timestamp i64
//!         tags: { 0: topic_id uuid, absent when zero }
//! v3:     version i16 (3)  offset i64  leader_epoch i32  metadata string  commit_timestamp i64
//! v1:     version i16 (1)  offset i64  metadata string  commit_timestamp i64  expire_timestamp i64
//! v0, v2: version i16      offset i64  metadata string  commit_timestamp i64
//! ```
//!
//! As Kafka 4.3 does, v1 is written when the request set a retention time, and v4 otherwise. A request's metadata may be
//! long, but `offset.metadata.max.bytes` bounds it.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;
use weir_protocol::messages::StrBytes;

use super::primitives::{self, Reader, RecordError};
use crate::group::ids::GroupId;

/// Which offset: a group's position in one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffsetCommitKey {
    /// The group.
    pub group: GroupId,
    /// The topic's name.
    pub topic: StrBytes,
    /// The partition.
    pub partition: i32,
}

/// The position, and what the consumer keeps with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffsetCommitValue {
    /// The next offset to consume.
    pub offset: i64,
    /// The leader epoch of the last consumed record, -1 if unknown.
    pub leader_epoch: i32,
    /// The consumer's own note.
    pub metadata: StrBytes,
    /// When it was committed, wall clock.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the request said so; otherwise the broker's retention decides.
    pub expire_timestamp_ms: Option<i64>,
    /// The topic's id; zero if the committer did not know it.
    pub topic_id: Uuid,
}

const LATEST_VERSION: i16 = 4;
const TAG_TOPIC_ID: u32 = 0;

impl OffsetCommitKey {
    /// The key's type, which leads its bytes.
    pub const TYPE: i16 = 1;
    /// The type older brokers wrote, with the same layout.
    pub const LEGACY_TYPE: i16 = 0;

    pub(super) fn size_bytes(&self) -> usize {
        2 + 2 + self.group.len() + 2 + self.topic.len() + 4
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_bytes());
        out.put_i16(Self::TYPE);
        primitives::put_string(&mut out, &self.group);
        primitives::put_string(&mut out, &self.topic);
        out.put_i32(self.partition);
        out.freeze()
    }

    /// Reads the fields after the type.
    pub(super) fn decode(reader: &mut Reader) -> Result<Self, RecordError> {
        Ok(OffsetCommitKey {
            group: GroupId::from(reader.string("OffsetCommitKey.group")?.as_str()),
            topic: reader.string("OffsetCommitKey.topic")?,
            partition: reader.i32()?,
        })
    }
}

impl OffsetCommitValue {
    pub(super) fn size_bound_bytes(&self) -> usize {
        2 + 8 + 4 + 3 + self.metadata.len() + 8 + 19
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_bound_bytes());
        match self.expire_timestamp_ms {
            Some(expire_timestamp_ms) => {
                out.put_i16(1);
                out.put_i64(self.offset);
                primitives::put_string(&mut out, &self.metadata);
                out.put_i64(self.commit_timestamp_ms);
                out.put_i64(expire_timestamp_ms);
            }
            None => {
                out.put_i16(LATEST_VERSION);
                out.put_i64(self.offset);
                out.put_i32(self.leader_epoch);
                primitives::put_compact_string(&mut out, &self.metadata);
                out.put_i64(self.commit_timestamp_ms);
                self.put_tags(&mut out);
            }
        }
        out.freeze()
    }

    fn put_tags(&self, out: &mut BytesMut) {
        if self.topic_id.is_nil() {
            primitives::put_unsigned_varint(out, 0);
        } else {
            primitives::put_unsigned_varint(out, 1);
            primitives::put_unsigned_varint(out, TAG_TOPIC_ID);
            primitives::put_unsigned_varint(out, 16);
            out.put_slice(self.topic_id.as_bytes());
        }
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=LATEST_VERSION).contains(&version) {
            return Err(RecordError::Version { record: "OffsetCommitValue", version });
        }
        reader.set_flexible(version >= 4);
        let offset = reader.i64()?;
        let leader_epoch = if version >= 3 { reader.i32()? } else { -1 };
        let metadata = reader.string("OffsetCommitValue.metadata")?;
        let commit_timestamp_ms = reader.i64()?;
        let expire_timestamp_ms = if version == 1 { Some(reader.i64()?).filter(|at| *at != -1) } else { None };
        let mut topic_id = Uuid::nil();
        reader.tagged_fields(|tag, field| {
            if tag == TAG_TOPIC_ID {
                topic_id = field.uuid()?;
            }
            Ok(())
        })?;
        Ok(OffsetCommitValue { offset, leader_epoch, metadata, commit_timestamp_ms, expire_timestamp_ms, topic_id })
    }
}
