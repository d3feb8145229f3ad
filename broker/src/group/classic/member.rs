//! One member of a classic group (Kafka's `ClassicGroupMember`), and the protocols it offers.

use bytes::Bytes;
use weir_protocol::messages::StrBytes;

use crate::group::ids::{InstanceId, MemberId, Ticket};
use crate::group::record::MemberMetadata;
use crate::group::shard::JoinContext;

/// An assignment protocol that a member speaks, with its metadata for the leader.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Protocol {
    /// `range`, `cooperative-sticky`, ...
    pub(crate) name: StrBytes,
    /// Opaque to the broker, but for the subscribed topics of consumers.
    pub(crate) metadata: Bytes,
}

/// How long a rebalance waits for a member, and how long it may be silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MemberTimeouts {
    /// `max.poll.interval.ms` of a consumer.
    pub(crate) rebalance_ms: i32,
    /// `session.timeout.ms`.
    pub(crate) session_ms: i32,
}

/// A member, its assignment and the requests it waits on.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) instance_id: Option<InstanceId>,
    pub(crate) client_id: StrBytes,
    pub(crate) client_host: StrBytes,
    pub(crate) timeouts: MemberTimeouts,
    /// In the order of the member's preference; names are unique.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// Private to this module: [`super::ClassicGroup`] counts who awaits.
    pub(super) awaiting_join: Option<Ticket>,
    pub(crate) awaiting_sync: Option<Ticket>,
    /// Joined in the rebalance under way: it cannot send heartbeats yet, so waiting does not keep it alive.
    pub(crate) is_new: bool,
}

impl Member {
    /// A member that joins now.
    pub(crate) fn joining(
        id: MemberId,
        instance_id: Option<InstanceId>,
        context: &JoinContext<'_>,
        timeouts: MemberTimeouts,
        protocols: Vec<Protocol>,
    ) -> Self {
        Member {
            id,
            instance_id,
            client_id: StrBytes::from_string(context.client_id.to_owned()),
            client_host: StrBytes::from_string(context.client_host.to_owned()),
            timeouts,
            protocols,
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
        }
    }

    /// A member as the log remembers it, under the group's one known protocol.
    pub(super) fn from_metadata(metadata: &MemberMetadata, protocol: &StrBytes) -> Self {
        Member {
            id: metadata.member_id.clone(),
            instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            timeouts: MemberTimeouts {
                rebalance_ms: metadata.rebalance_timeout_ms,
                session_ms: metadata.session_timeout_ms,
            },
            protocols: vec![Protocol { name: protocol.clone(), metadata: metadata.subscription.clone() }],
            assignment: metadata.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    /// The member as the log keeps it, under the chosen protocol.
    pub(super) fn to_metadata(&self, protocol: &str) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.timeouts.rebalance_ms,
            session_timeout_ms: self.timeouts.session_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// Its metadata for `protocol`; empty if it does not speak it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|offered| offered.name == *protocol).map(|o| o.metadata.clone()).unwrap_or_default()
    }

    pub(crate) fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }

    /// Whether silence is excused: a known member that waits for us owes no heartbeat.
    pub(crate) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}
