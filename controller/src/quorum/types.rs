//! The types that openraft is built over: node ids, nodes, changes, entries.
//!
//! A Raft node is `(node.id, directory.id)` as in KIP-853, never `node.id` alone: an id that comes back with an empty
//! disk is another voter, so it cannot vote twice in a term. Terms are `u64` for openraft and must fit a partition leader
//! epoch (`i32`), for that is where the log keeps them. At most one leader a term (`leader_id_std`), so a log id is a
//! term and an index and nothing else, which is exactly what a batch header holds.

use std::fmt;

use bytes::Bytes;
use openraft::vote::leader_id_std;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use super::peer::PeerAddress;
use super::snapshot_file::SnapshotFile;

/// A member of the metadata quorum: a node and the directory that holds its vote and log (KIP-853).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(i32, u128)", into = "(i32, u128)")]
pub struct RaftNodeId {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `directory.id` of the metadata log directory.
    pub directory_id: Uuid,
}

impl From<(i32, u128)> for RaftNodeId {
    fn from((node_id, directory_id): (i32, u128)) -> Self {
        Self { node_id: BrokerId(node_id), directory_id: Uuid::from_u128(directory_id) }
    }
}

impl From<RaftNodeId> for (i32, u128) {
    fn from(id: RaftNodeId) -> Self {
        (id.node_id.get(), id.directory_id.as_u128())
    }
}

/// openraft's store suite makes its node ids from small numbers.
#[cfg(test)]
impl From<u64> for RaftNodeId {
    fn from(number: u64) -> Self {
        let node_id = i32::try_from(number).expect("the suite uses small numbers");
        Self { node_id: BrokerId(node_id), directory_id: Uuid::from_u128(u128::from(number) + 1) }
    }
}

impl fmt::Display for RaftNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node_id, self.directory_id.simple())
    }
}

/// Where a member of the quorum is reached. A learner that only dials out has no endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerNode {
    /// The endpoints of its controller listeners, the preferred one first.
    pub endpoints: Vec<ControllerEndpoint>,
}

impl ControllerNode {
    /// Where `id` is reached, which this node is.
    pub(crate) fn address(&self, id: RaftNodeId) -> PeerAddress {
        PeerAddress { id: Some(id), endpoints: self.endpoints.clone() }
    }
}

/// One controller listener of a quorum member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerEndpoint {
    /// The listener's name, one of `controller.listener.names`.
    pub listener: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for ControllerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One atomic change of the metadata: what `encode_change` made of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change(pub(crate) Bytes);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change of {} bytes", self.0.len())
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChangeVisitor;
        impl Visitor<'_> for ChangeVisitor {
            type Value = Change;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a metadata change")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Change, E> {
                Ok(Change(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Change, E> {
                Ok(Change(Bytes::from(bytes)))
            }
        }
        deserializer.deserialize_byte_buf(ChangeVisitor)
    }
}

openraft::declare_raft_types!(
    /// What openraft is instantiated with.
    pub(crate) RaftTypes:
        D = Change,
        R = (),
        NodeId = RaftNodeId,
        Node = ControllerNode,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

pub(crate) type LeaderId = leader_id_std::LeaderId<u64, RaftNodeId>;
pub(crate) type CommittedLeaderId = leader_id_std::CommittedLeaderId<u64>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type EntryPayload = openraft::EntryPayload<Change, RaftNodeId, ControllerNode>;
pub(crate) type Entry = openraft::Entry<CommittedLeaderId, EntryPayload>;
pub(crate) type Membership = openraft::Membership<RaftNodeId, ControllerNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, RaftNodeId, ControllerNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, RaftNodeId, ControllerNode>;
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, RaftNodeId, ControllerNode, SnapshotFile>;
