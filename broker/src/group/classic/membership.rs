//! Who is in a classic group: members joined, pending, static, and the tickets of those that wait.

use std::collections::BTreeSet;

use thiserror::Error;
use weir_protocol::error_code::ErrorCode;

use super::{ClassicGroup, Member, MemberTimeouts, Protocol};
use crate::group::ids::{InstanceId, MemberId, Ticket};

/// Why a request does not come from a member of the group.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum MembershipError {
    #[error("no such member")]
    UnknownMember,
    /// Another member took over the instance id (KIP-345).
    #[error("another member has this instance id")]
    Fenced,
}

impl MembershipError {
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            MembershipError::UnknownMember => ErrorCode::UnknownMemberId,
            MembershipError::Fenced => ErrorCode::FencedInstanceId,
        }
    }
}

/// The tickets of a member that is no more; each is to be answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tickets {
    pub(crate) join: Option<Ticket>,
    pub(crate) sync: Option<Ticket>,
}

impl ClassicGroup {
    pub(crate) fn member(&self, member_id: &str) -> Option<&Member> {
        self.members.get(member_id)
    }

    pub(crate) fn member_mut(&mut self, member_id: &str) -> Option<&mut Member> {
        self.members.get_mut(member_id)
    }

    /// All members, by id.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    pub(crate) fn static_member(&self, instance_id: &str) -> Option<&MemberId> {
        self.static_members.get(instance_id)
    }

    /// Checks that the member exists and, if an instance id is given, that it is still its owner.
    pub(crate) fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<&Member, MembershipError> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_member(instance_id).ok_or(MembershipError::UnknownMember)?;
            if *owner != *member_id {
                return Err(MembershipError::Fenced);
            }
        }
        self.member(member_id).ok_or(MembershipError::UnknownMember)
    }

    /// Adds a member that waits for the rebalance. The first member sets the protocol type and leads.
    pub(crate) fn add(&mut self, member: Member, protocol_type: weir_protocol::messages::StrBytes, ticket: Ticket) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type);
        }
        let id = member.id.clone();
        self.insert(member);
        self.await_join(&id, ticket);
    }

    pub(super) fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending_join.remove(&member.id);
        self.supported.add(&member.protocols);
        if let Some(replaced) = self.members.insert(member.id.clone(), member) {
            self.supported.remove(&replaced.protocols);
        }
    }

    /// Removes a member or a pending one; if it led, the first of the others does now.
    pub(crate) fn remove(&mut self, member_id: &str) -> Tickets {
        let mut tickets = Tickets::default();
        if let Some(member) = self.members.remove(member_id) {
            self.supported.remove(&member.protocols);
            if let Some(instance_id) = &member.instance_id {
                self.static_members.remove(instance_id);
            }
            self.awaiting_join -= usize::from(member.awaiting_join.is_some());
            tickets = Tickets { join: member.awaiting_join, sync: member.awaiting_sync };
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        tickets
    }

    /// Gives a static member a new id; all else stays, its requests under the old id are to be fenced.
    pub(crate) fn replace_static(&mut self, instance_id: &InstanceId, old_id: &str, new_id: MemberId) -> Tickets {
        let Some(mut member) = self.members.remove(old_id) else { return Tickets::default() };
        let tickets = Tickets { join: member.awaiting_join.take(), sync: member.awaiting_sync.take() };
        self.awaiting_join -= usize::from(tickets.join.is_some());
        member.id = new_id.clone();
        member.is_new = false;
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
        self.static_members.insert(instance_id.clone(), new_id.clone());
        self.members.insert(new_id, member);
        tickets
    }

    /// Takes over what a member says of itself when it joins again.
    pub(crate) fn update_member(&mut self, member_id: &str, protocols: Vec<Protocol>, timeouts: MemberTimeouts) {
        if let Some(member) = self.members.get_mut(member_id) {
            self.supported.remove(&member.protocols);
            self.supported.add(&protocols);
            member.protocols = protocols;
            member.timeouts = timeouts;
        }
    }

    /// Parks a member's join; a join it had parked before is returned, to be answered.
    pub(crate) fn await_join(&mut self, member_id: &str, ticket: Ticket) -> Option<Ticket> {
        let member = self.members.get_mut(member_id)?;
        let replaced = member.awaiting_join.replace(ticket);
        self.awaiting_join += usize::from(replaced.is_none());
        replaced
    }

    /// Takes a member's parked join, to be answered.
    pub(crate) fn take_join(&mut self, member_id: &str) -> Option<Ticket> {
        let ticket = self.members.get_mut(member_id)?.awaiting_join.take();
        self.awaiting_join -= usize::from(ticket.is_some());
        ticket
    }

    pub(crate) fn awaiting_join_count(&self) -> usize {
        self.awaiting_join
    }

    /// Members that have not rejoined and are not static: a rebalance goes on without them.
    pub(crate) fn dynamic_members_not_joined(&self) -> Vec<MemberId> {
        let missing = |member: &&Member| !member.is_awaiting_join() && member.instance_id.is_none();
        self.members.values().filter(missing).map(|member| member.id.clone()).collect()
    }

    pub(crate) fn member_ids(&self) -> Vec<MemberId> {
        self.members.keys().cloned().collect()
    }

    pub(crate) fn is_pending(&self, member_id: &str) -> bool {
        self.pending_join.contains(member_id)
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.pending_join.len()
    }

    /// Remembers an id that was handed out and is expected to join.
    pub(crate) fn add_pending(&mut self, member_id: MemberId) {
        self.pending_join.insert(member_id);
    }

    pub(crate) fn pending_sync(&self) -> &BTreeSet<MemberId> {
        &self.pending_sync
    }

    pub(crate) fn expect_sync_from_all(&mut self) {
        self.pending_sync = self.members.keys().cloned().collect();
    }

    pub(crate) fn sync_received(&mut self, member_id: &str) {
        self.pending_sync.remove(member_id);
    }

    pub(crate) fn clear_pending_sync(&mut self) {
        self.pending_sync.clear();
    }
}
