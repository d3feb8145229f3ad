//! JoinGroup v0–v9: becoming a member, or saying as a member what has changed.
//!
//! The answer goes to the request's ticket, at once or when the rebalance completes. A dynamic member is first given an id
//! and asked to come back with it (KIP-394, v4 and later); a static one is known by its instance id (KIP-345).

use thiserror::Error;
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::{JoinGroupRequest, StrBytes};

use super::lifecycle::UNKNOWN_MEMBER_ID;
use super::{
    ClassicGroup, ClassicState, Effects, GroupCoordinatorShard, GroupMetadataValue, Now, SoftState, Timer, Turn,
    join_error, join_static, rebalance,
};
use crate::group::classic::{Member, MemberTimeouts, Protocol};
use crate::group::ids::{GroupId, InstanceId, MemberId, Ticket, detach};
use crate::group::record::CoordinatorRecord;
use crate::group::state::Group;

/// Ids that one group hands out and still expects to see; more are refused until some have joined or timed out.
const MAX_PENDING_MEMBERS: usize = 10_000;

/// From this version on a dynamic member joins with an id it was given.
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;

/// What JoinGroup needs to know beside the request.
#[derive(Clone, Copy, Debug)]
pub struct JoinContext<'a> {
    /// The request header's client id; empty if it had none.
    pub client_id: &'a str,
    /// The client's address as Kafka prints it: `/127.0.0.1`.
    pub client_host: &'a str,
    /// The request's version.
    pub api_version: i16,
    /// The random part of a new member's id.
    pub random: Uuid,
}

/// Why a JoinGroup is answered at once, and not with a generation.
#[derive(Debug, Error)]
pub(super) enum JoinError {
    #[error("no such member")]
    UnknownMember,
    #[error("another member has this instance id")]
    Fenced,
    #[error("the member shares no protocol with the others")]
    InconsistentProtocol,
    #[error("the group is full")]
    GroupFull,
    #[error("the member is to join again with the id it is given")]
    MemberIdRequired,
    #[error("a member id that was given to a dynamic member came back with an instance id")]
    PendingWithInstanceId,
}

impl JoinError {
    fn code(&self) -> ErrorCode {
        match self {
            JoinError::UnknownMember => ErrorCode::UnknownMemberId,
            JoinError::Fenced => ErrorCode::FencedInstanceId,
            JoinError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            JoinError::GroupFull => ErrorCode::GroupMaxSizeReached,
            JoinError::MemberIdRequired => ErrorCode::MemberIdRequired,
            JoinError::PendingWithInstanceId => ErrorCode::InvalidRequest,
        }
    }
}

/// A refusal, and the member id the answer carries.
pub(super) struct Refusal {
    error: JoinError,
    member_id: StrBytes,
}

impl Refusal {
    fn new(error: JoinError, member_id: StrBytes) -> Self {
        Refusal { error, member_id }
    }
}

/// One JoinGroup on its way through the steps.
pub(super) struct Join<'a> {
    pub(super) context: &'a JoinContext<'a>,
    pub(super) request: &'a JoinGroupRequest,
    /// The offered protocols, without repeated names; still slices of the request's frame.
    pub(super) offered: Vec<Protocol>,
    pub(super) ticket: Ticket,
}

impl Join<'_> {
    pub(super) fn timeouts(&self) -> MemberTimeouts {
        let session_ms = self.request.session_timeout_ms;
        // Version 0 knows one timeout only.
        let rebalance_ms = if self.context.api_version == 0 { session_ms } else { self.request.rebalance_timeout_ms };
        MemberTimeouts { rebalance_ms, session_ms }
    }

    /// The offered protocols, detached from the request's frame.
    pub(super) fn own_protocols(&self) -> Vec<Protocol> {
        let own = |protocol: &Protocol| Protocol {
            name: detach(&protocol.name),
            metadata: bytes::Bytes::copy_from_slice(&protocol.metadata),
        };
        self.offered.iter().map(own).collect()
    }
}

impl GroupCoordinatorShard {
    /// Handles a JoinGroup; the answer comes under `ticket`, now or in a later operation's effects.
    ///
    /// The caller has checked the group id and the session timeout.
    pub fn join_group(
        &mut self,
        now: Now,
        context: &JoinContext<'_>,
        request: &JoinGroupRequest,
        ticket: Ticket,
        effects: &mut Effects,
    ) {
        let group_id = request.group_id.as_str();
        let is_new_group = self.view(group_id).is_none();
        if is_new_group && !request.member_id.is_empty() {
            let response = join_error(request.member_id.clone(), ErrorCode::UnknownMemberId);
            return effects.answer_join(ticket, response);
        }
        // The log learns of a group with its first member, not only with its first generation.
        let first_record = || {
            let current_state_timestamp_ms = Some(now.wall_ms);
            let value = GroupMetadataValue { current_state_timestamp_ms, ..GroupMetadataValue::default() };
            CoordinatorRecord::GroupMetadata { group: GroupId::from(group_id), value: Some(value) }
        };
        let first_record = is_new_group.then(first_record);
        if first_record.as_ref().is_some_and(|record| !effects.fits(record)) {
            let response = join_error(request.member_id.clone(), ErrorCode::UnknownServerError);
            return effects.answer_join(ticket, response);
        }
        self.wake_group(group_id);
        let records_before = effects.records.len();
        let join = Join { context, request, offered: offered_protocols(request), ticket };
        let outcome = self.with_group(now, group_id, effects, |group, turn| join.run(group, turn));
        let refused = match outcome {
            Some(Err(refusal)) => {
                let response = join_error(refusal.member_id, refusal.error.code());
                effects.answer_join(ticket, response);
                !matches!(refusal.error, JoinError::MemberIdRequired)
            }
            _ => false,
        };
        if !refused && effects.records.len() == records_before {
            effects.records.extend(first_record);
        }
    }

    /// Puts the group in motion, from what the log says of it.
    fn wake_group(&mut self, group_id: &str) {
        let SoftState { classic, .. } = &mut self.soft;
        if classic.contains_key(group_id) {
            return;
        }
        let id = GroupId::from(group_id);
        let group = match self.durable.group(group_id) {
            Some(Group::Classic(stored)) => ClassicGroup::from_durable(id.clone(), stored),
            None => ClassicGroup::from_durable(id.clone(), &GroupMetadataValue::default()),
        };
        classic.insert(id, group);
    }
}

impl Join<'_> {
    fn run(&self, group: &mut ClassicGroup, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let member_id = &self.request.member_id;
        if !has_room(group, member_id, turn) {
            // Whoever finds no room when rejoining is out; the others do not wait for it any longer.
            rebalance::remove_member(group, turn, &MemberId::from(member_id.as_str()));
            rebalance::complete_join_if_all_joined(group, turn);
            return Err(Refusal::new(JoinError::GroupFull, UNKNOWN_MEMBER_ID));
        }
        let supported = group.supports(&self.request.protocol_type, &self.offered);
        if member_id.is_empty() {
            if !supported {
                return Err(Refusal::new(JoinError::InconsistentProtocol, UNKNOWN_MEMBER_ID));
            }
            self.new_member(group, turn)
        } else {
            let refuse = |error| Refusal::new(error, member_id.clone());
            if !supported {
                return Err(refuse(JoinError::InconsistentProtocol));
            }
            self.known_member(group, turn).map_err(refuse)
        }
    }

    fn new_member(&self, group: &mut ClassicGroup, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let stem = self.request.group_instance_id.as_deref().unwrap_or(self.context.client_id);
        let new_id = MemberId::from(format!("{stem}-{}", self.context.random.hyphenated()).as_str());
        if let Some(instance_id) = &self.request.group_instance_id {
            match group.static_member(instance_id).cloned() {
                Some(old_id) => join_static::replace(self, group, turn, &old_id, new_id),
                None => self.add_member(group, turn, new_id),
            }
            return Ok(());
        }
        if self.context.api_version < MEMBER_ID_REQUIRED_VERSION {
            self.add_member(group, turn, new_id);
            return Ok(());
        }
        if group.pending_count() >= MAX_PENDING_MEMBERS {
            return Err(Refusal::new(JoinError::GroupFull, UNKNOWN_MEMBER_ID));
        }
        group.add_pending(new_id.clone());
        let due_ms = turn.now.monotonic_ms + i64::from(self.request.session_timeout_ms);
        turn.timers.schedule(Timer::Session(group.id().clone(), new_id.clone()), due_ms);
        Err(Refusal::new(JoinError::MemberIdRequired, new_id.to_wire()))
    }

    fn known_member(&self, group: &mut ClassicGroup, turn: &mut Turn<'_>) -> Result<(), JoinError> {
        let instance_id = self.request.group_instance_id.as_deref();
        let member_id = MemberId::from(self.request.member_id.as_str());
        if group.is_pending(&member_id) {
            if instance_id.is_some() {
                return Err(JoinError::PendingWithInstanceId);
            }
            self.add_member(group, turn, member_id);
            return Ok(());
        }
        let same_protocols = match group.validate_member(&member_id, instance_id) {
            Ok(member) => member.protocols == self.offered,
            Err(crate::group::classic::MembershipError::Fenced) => return Err(JoinError::Fenced),
            Err(crate::group::classic::MembershipError::UnknownMember) => return Err(JoinError::UnknownMember),
        };
        // The answer to the current generation's join may have been lost, or a follower asks although nothing changed;
        // a leader of a stable group asks because it wants a rebalance.
        let repeat = match group.state() {
            ClassicState::CompletingRebalance => same_protocols,
            ClassicState::Stable => same_protocols && !group.is_leader(&member_id),
            ClassicState::PreparingRebalance => false,
            ClassicState::Empty => return Err(JoinError::UnknownMember),
        };
        if repeat {
            // Whoever asks is alive.
            rebalance::restart_session(group, turn, &member_id);
            turn.effects.answer_join(self.ticket, rebalance::generation_response(group, &member_id));
        } else {
            group.update_member(&member_id, self.own_protocols(), self.timeouts());
            self.park(group, turn, &member_id);
            rebalance::prepare_rebalance_or_complete_join(group, turn);
        }
        Ok(())
    }

    fn add_member(&self, group: &mut ClassicGroup, turn: &mut Turn<'_>, member_id: MemberId) {
        if group.state() == ClassicState::PreparingRebalance && group.previous_state() == ClassicState::Empty {
            group.new_member_added = true;
        }
        let member = Member::joining(
            member_id.clone(),
            self.request.group_instance_id.as_deref().map(InstanceId::from),
            self.context,
            self.timeouts(),
            self.own_protocols(),
        );
        group.add(member, detach(&self.request.protocol_type), self.ticket);
        // A new member cannot send heartbeats while it waits, and may give up unseen: it has to ask again after a while.
        let due_ms = turn.now.monotonic_ms + i64::from(turn.config.new_member_join_timeout_ms);
        turn.timers.schedule(Timer::Session(group.id().clone(), member_id), due_ms);
        rebalance::prepare_rebalance_or_complete_join(group, turn);
    }

    /// Parks the request on its member. One that the member had parked before has lost its client, and is answered so
    /// that the client, should it be there after all, asks again.
    pub(super) fn park(&self, group: &mut ClassicGroup, turn: &mut Turn<'_>, member_id: &MemberId) {
        if let Some(replaced) = group.await_join(member_id, self.ticket) {
            turn.effects.answer_join(replaced, join_error(member_id.to_wire(), ErrorCode::RebalanceInProgress));
        }
    }
}

/// Whether `group.max.size` leaves room. During a rebalance those count that have joined it, so that the last to rejoin a
/// group that has become too large are the ones left out.
fn has_room(group: &ClassicGroup, member_id: &str, turn: &Turn<'_>) -> bool {
    let member = group.member(member_id);
    match group.state() {
        ClassicState::Empty => true,
        ClassicState::PreparingRebalance => {
            member.is_some_and(Member::is_awaiting_join) || group.awaiting_join_count() < turn.config.max_size
        }
        ClassicState::CompletingRebalance | ClassicState::Stable => {
            member.is_some() || group.members().len() < turn.config.max_size
        }
    }
}

fn offered_protocols(request: &JoinGroupRequest) -> Vec<Protocol> {
    let mut offered: Vec<Protocol> = Vec::with_capacity(request.protocols.len());
    for protocol in &request.protocols {
        if offered.iter().all(|known| known.name != protocol.name) {
            offered.push(Protocol { name: protocol.name.clone(), metadata: protocol.metadata.clone() });
        }
    }
    offered
}
