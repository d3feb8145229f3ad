//! A classic group's last stable generation: `GroupMetadataKey` (type 2) and `GroupMetadataValue` v0–v4, written as v3.
//!
//! ```text
//! key:    type i16 (2)  group string
//! v3:     version i16 (3)  protocol_type string  generation i32  protocol string?  leader string?
//!         current_state_timestamp i64  members [ member_id string  group_instance_id string?  client_id string
//!         client_host string  rebalance_timeout i32  session_timeout i32  subscription bytes  assignment bytes ]
//! v4 is v3 in compact form with tagged fields; v2 lacks the instance id, v1 the timestamp, v0 the rebalance timeout.
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use weir_protocol::messages::StrBytes;

use super::primitives::{self, Reader, RecordError};
use crate::group::ids::{GroupId, InstanceId, MemberId};

/// A classic group as the log remembers it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupMetadataValue {
    /// `consumer`, `connect`, ...; `None` for a group that only commits offsets (written as the empty string).
    pub protocol_type: Option<StrBytes>,
    /// The generation.
    pub generation: i32,
    /// The chosen assignment protocol, if there are members.
    pub protocol: Option<StrBytes>,
    /// The leading member.
    pub leader: Option<MemberId>,
    /// When the group entered its state, wall clock.
    pub current_state_timestamp_ms: Option<i64>,
    /// The members, with their subscription under `protocol` and their assignment.
    pub members: Vec<MemberMetadata>,
}

/// One member of [`GroupMetadataValue`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemberMetadata {
    /// The member.
    pub member_id: MemberId,
    /// Its instance id, if it is static.
    pub instance_id: Option<InstanceId>,
    /// The client id it joined with.
    pub client_id: StrBytes,
    /// The host it joined from, as `/127.0.0.1`.
    pub client_host: StrBytes,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata under the chosen protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

const WRITTEN_VERSION: i16 = 3;
const LATEST_VERSION: i16 = 4;

/// The type that leads a `GroupMetadataKey`.
pub(super) const KEY_TYPE: i16 = 2;

pub(super) fn key_size_bytes(group: &GroupId) -> usize {
    2 + 2 + group.len()
}

pub(super) fn encode_key(group: &GroupId) -> Bytes {
    let mut out = BytesMut::with_capacity(key_size_bytes(group));
    out.put_i16(KEY_TYPE);
    primitives::put_string(&mut out, group);
    out.freeze()
}

pub(super) fn decode_key(reader: &mut Reader) -> Result<GroupId, RecordError> {
    Ok(GroupId::from(reader.string("GroupMetadataKey.group")?.as_str()))
}

impl GroupMetadataValue {
    pub(super) fn size_bound_bytes(&self) -> usize {
        let names = [self.protocol_type.as_deref(), self.protocol.as_deref(), self.leader.as_deref()];
        let names: usize = names.iter().map(|name| 2 + name.map_or(0, str::len)).sum();
        2 + names + 4 + 8 + 4 + self.members.iter().map(MemberMetadata::size_bytes).sum::<usize>()
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_bound_bytes());
        out.put_i16(WRITTEN_VERSION);
        primitives::put_string(&mut out, self.protocol_type.as_deref().unwrap_or(""));
        out.put_i32(self.generation);
        primitives::put_nullable_string(&mut out, self.protocol.as_deref());
        primitives::put_nullable_string(&mut out, self.leader.as_deref());
        out.put_i64(self.current_state_timestamp_ms.unwrap_or(-1));
        out.put_i32(self.members.len() as i32);
        for member in &self.members {
            member.encode(&mut out);
        }
        out.freeze()
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=LATEST_VERSION).contains(&version) {
            return Err(RecordError::Version { record: "GroupMetadataValue", version });
        }
        reader.set_flexible(version >= 4);
        let protocol_type = Some(reader.string("GroupMetadataValue.protocolType")?).filter(|name| !name.is_empty());
        let generation = reader.i32()?;
        let protocol = reader.nullable_string("GroupMetadataValue.protocol")?;
        let leader = reader.nullable_string("GroupMetadataValue.leader")?.map(|id| MemberId::from(id.as_str()));
        let current_state_timestamp_ms = if version >= 2 { Some(reader.i64()?).filter(|at| *at != -1) } else { None };
        let count = reader.array_length("GroupMetadataValue.members")?;
        // Grown as members are read: the count alone allocates nothing.
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(MemberMetadata::decode(&mut reader, version)?);
        }
        reader.tagged_fields(|_, _| Ok(()))?;
        Ok(GroupMetadataValue { protocol_type, generation, protocol, leader, current_state_timestamp_ms, members })
    }
}

impl MemberMetadata {
    fn size_bytes(&self) -> usize {
        let instance_id = self.instance_id.as_deref().map_or(0, str::len);
        let names = self.member_id.len() + instance_id + self.client_id.len() + self.client_host.len();
        4 * 2 + names + 4 + 4 + 4 + self.subscription.len() + 4 + self.assignment.len()
    }

    fn encode(&self, out: &mut BytesMut) {
        primitives::put_string(out, &self.member_id);
        primitives::put_nullable_string(out, self.instance_id.as_deref());
        primitives::put_string(out, &self.client_id);
        primitives::put_string(out, &self.client_host);
        out.put_i32(self.rebalance_timeout_ms);
        out.put_i32(self.session_timeout_ms);
        primitives::put_bytes(out, &self.subscription);
        primitives::put_bytes(out, &self.assignment);
    }

    fn decode(reader: &mut Reader, version: i16) -> Result<Self, RecordError> {
        let member_id = MemberId::from(reader.string("MemberMetadata.memberId")?.as_str());
        let instance_id = if version >= 3 {
            reader.nullable_string("MemberMetadata.groupInstanceId")?.map(|id| InstanceId::from(id.as_str()))
        } else {
            None
        };
        let client_id = reader.string("MemberMetadata.clientId")?;
        let client_host = reader.string("MemberMetadata.clientHost")?;
        let rebalance_timeout_ms = if version >= 1 { reader.i32()? } else { -1 };
        let session_timeout_ms = reader.i32()?;
        let member = MemberMetadata {
            member_id,
            instance_id,
            client_id,
            client_host,
            // Before v1 the session timeout served for both.
            rebalance_timeout_ms: if rebalance_timeout_ms == -1 { session_timeout_ms } else { rebalance_timeout_ms },
            session_timeout_ms,
            subscription: reader.bytes("MemberMetadata.subscription")?,
            assignment: reader.bytes("MemberMetadata.assignment")?,
        };
        reader.tagged_fields(|_, _| Ok(()))?;
        Ok(member)
    }
}
