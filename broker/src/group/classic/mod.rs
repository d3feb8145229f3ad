//! A classic group with members: the soft state machine (Kafka's `ClassicGroup`).
//!
//! It lives while there are members, joined or pending; a group without any is what the log says and nothing more. It
//! changes no durable state: a generation that becomes stable, or a group that becomes empty, is emitted as a record by
//! the operations of [`shard`](super::shard), and would be lost here without harm.
//!
//! Invariants: the count of members that await a join equals the members with a ticket; every static member is a member;
//! pending members are no members; all members share at least one protocol and one protocol type.

mod member;
mod membership;
mod protocols;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use weir_protocol::messages::StrBytes;

pub(crate) use member::{Member, MemberTimeouts, Protocol};
pub(crate) use membership::MembershipError;
use protocols::SupportedProtocols;
pub use state::ClassicState;

use super::ids::{GroupId, InstanceId, MemberId};
use super::record::{CoordinatorRecord, GroupMetadataValue, subscribed_topics};

/// The protocol type of consumers, whose subscriptions the broker can read.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The first rebalance of a group, which waits for more members than the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct InitialDelay {
    pub(crate) delay_ms: i64,
    /// How much longer it may still be drawn out.
    pub(crate) remaining_ms: i64,
}

/// A classic group's state machine.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    id: GroupId,
    state: ClassicState,
    previous_state: ClassicState,
    state_timestamp_ms: Option<i64>,
    generation: i32,
    protocol_type: Option<StrBytes>,
    protocol: Option<StrBytes>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    static_members: BTreeMap<InstanceId, MemberId>,
    /// Ids that were handed out and have not joined yet (KIP-394).
    pending_join: BTreeSet<MemberId>,
    /// Members of this generation that have not sent SyncGroup.
    pending_sync: BTreeSet<MemberId>,
    awaiting_join: usize,
    supported: SupportedProtocols,
    subscribed_topics: Option<BTreeSet<StrBytes>>,
    /// A member joined since the initial delay was last set: it may be extended.
    pub(crate) new_member_added: bool,
    pub(crate) initial_delay: Option<InitialDelay>,
}

impl ClassicGroup {
    /// The group as the log has it; stable if it has members.
    pub(crate) fn from_durable(id: GroupId, durable: &GroupMetadataValue) -> Self {
        let state = if durable.members.is_empty() { ClassicState::Empty } else { ClassicState::Stable };
        let mut group = ClassicGroup {
            id,
            state,
            previous_state: state,
            state_timestamp_ms: durable.current_state_timestamp_ms,
            generation: durable.generation,
            protocol_type: durable.protocol_type.clone(),
            protocol: durable.protocol.clone(),
            leader: durable.leader.clone(),
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join: 0,
            supported: SupportedProtocols::default(),
            subscribed_topics: None,
            new_member_added: false,
            initial_delay: None,
        };
        let protocol = durable.protocol.clone().unwrap_or_default();
        for metadata in &durable.members {
            group.insert(Member::from_metadata(metadata, &protocol));
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The group's durable form, and its record.
    pub(crate) fn to_durable(&self) -> GroupMetadataValue {
        let protocol = self.protocol.as_deref().unwrap_or("");
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp_ms: self.state_timestamp_ms,
            members: self.members.values().map(|member| member.to_metadata(protocol)).collect(),
        }
    }

    pub(crate) fn to_record(&self) -> CoordinatorRecord {
        CoordinatorRecord::GroupMetadata { group: self.id.clone(), value: Some(self.to_durable()) }
    }

    pub(crate) fn id(&self) -> &GroupId {
        &self.id
    }

    pub(crate) fn state(&self) -> ClassicState {
        self.state
    }

    pub(crate) fn previous_state(&self) -> ClassicState {
        self.previous_state
    }

    /// Since when the group is in its state, wall clock.
    pub(crate) fn state_timestamp_ms(&self) -> Option<i64> {
        self.state_timestamp_ms
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn protocol_type(&self) -> Option<&StrBytes> {
        self.protocol_type.as_ref()
    }

    pub(crate) fn protocol(&self) -> Option<&StrBytes> {
        self.protocol.as_ref()
    }

    pub(crate) fn leader(&self) -> Option<&MemberId> {
        self.leader.as_ref()
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| *leader == *member_id)
    }

    /// Whether nothing keeps the group here: what the log says about it is all there is.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == ClassicState::Empty && self.pending_join.is_empty()
    }

    /// Moves to `next`. Panics if the states' drawing has no such arrow: an operation is wrong, and its group is not to
    /// be trusted.
    pub(crate) fn transition_to(&mut self, next: ClassicState, wall_ms: i64) {
        assert!(self.state.leads_to(next), "group {} cannot go from {:?} to {next:?}", self.id, self.state);
        self.previous_state = self.state;
        self.state = next;
        self.state_timestamp_ms = Some(wall_ms);
    }

    /// Starts the next generation: with members it awaits the leader's assignment, without any it is empty.
    pub(crate) fn next_generation(&mut self, wall_ms: i64) {
        // Generations are never negative: -1 stands for a client without one.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        let next = if self.members.is_empty() { ClassicState::Empty } else { ClassicState::CompletingRebalance };
        self.transition_to(next, wall_ms);
        self.pending_sync.clear();
    }

    /// The protocol the members would choose now.
    pub(crate) fn select_protocol(&self) -> Option<StrBytes> {
        self.supported.select(self.members.values())
    }

    /// Whether a member with these protocols can be part of the group.
    pub(crate) fn supports(&self, protocol_type: &str, offered: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !offered.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && offered.iter().any(|offer| self.supported.is_offered_by_all(&offer.name, self.members.len()))
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// The topics the members subscribe to, if they are consumers and their metadata could be read.
    pub(crate) fn subscribed_topics(&self) -> Option<&BTreeSet<StrBytes>> {
        self.subscribed_topics.as_ref()
    }

    /// Whether a member subscribes to the topic; consumers that cannot be understood subscribe to everything.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic.as_bytes()),
            None => self.uses_consumer_protocol(),
        }
    }

    fn compute_subscribed_topics(&self) -> Option<BTreeSet<StrBytes>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// The longest time any member allows a rebalance.
    pub(crate) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.timeouts.rebalance_ms)).max().unwrap_or(0).max(0)
    }

    /// Whether the current leader takes part in the rebalance, or another could be found that does.
    pub(crate) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(Member::is_awaiting_join) {
            return true;
        }
        match self.members.values().find(|member| member.is_awaiting_join()) {
            Some(joined) => {
                self.leader = Some(joined.id.clone());
                true
            }
            None => false,
        }
    }

    pub(crate) fn has_all_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_join.is_empty()
    }

    pub(crate) fn set_all_assignments(&mut self, mut assignment_of: impl FnMut(&MemberId) -> Bytes) {
        for member in self.members.values_mut() {
            member.assignment = assignment_of(&member.id);
        }
    }
}
