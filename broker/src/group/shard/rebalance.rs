//! From one generation to the next: asking members to join, waiting for them, and handing out the new generation.
//!
//! The steps that JoinGroup, LeaveGroup and the timers share (in Kafka: `prepareRebalance`, `completeClassicGroupJoin`
//! and their kin in `GroupMetadataManager`). The first rebalance of an empty group waits
//! `group.initial.rebalance.delay.ms` for more members, again for each newcomer, up to the rebalance timeout; every other
//! one waits until all members have joined or the longest of their rebalance timeouts is over.

use bytes::Bytes;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::join_group_response::JoinGroupResponseMember;
use weir_protocol::messages::{JoinGroupResponse, SyncGroupResponse};

use super::lifecycle::UNKNOWN_MEMBER_ID;
use super::{ClassicGroup, ClassicState, Timer, Turn, join_error, sync_error};
use crate::group::classic::InitialDelay;
use crate::group::ids::MemberId;

/// Starts a rebalance where the state allows it; where one is under way, completes it if nobody is missing.
pub(super) fn prepare_rebalance_or_complete_join(group: &mut ClassicGroup, turn: &mut Turn<'_>) {
    match group.state() {
        ClassicState::PreparingRebalance => complete_join_if_all_joined(group, turn),
        ClassicState::Empty | ClassicState::CompletingRebalance | ClassicState::Stable => {
            prepare_rebalance(group, turn);
        }
    }
}

/// Starts a rebalance. Members that wait for an assignment are told to join again.
pub(super) fn prepare_rebalance(group: &mut ClassicGroup, turn: &mut Turn<'_>) {
    if group.state() == ClassicState::CompletingRebalance {
        group.set_all_assignments(|_| Bytes::new());
        propagate(group, turn, ErrorCode::RebalanceInProgress);
    }
    group.clear_pending_sync();
    turn.timers.cancel(&Timer::Sync(group.id().clone()));

    let is_initial = group.state() == ClassicState::Empty;
    group.transition_to(ClassicState::PreparingRebalance, turn.now.wall_ms);
    tracing::debug!(group = %group.id(), generation = group.generation(), "preparing to rebalance");
    if is_initial {
        let delay_ms = i64::from(turn.config.initial_rebalance_delay_ms.max(0));
        let remaining_ms = (group.rebalance_timeout_ms() - delay_ms).max(0);
        group.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
        group.new_member_added = false;
        turn.timers.schedule(Timer::Join(group.id().clone()), turn.now.monotonic_ms + delay_ms);
    } else if group.has_all_joined() {
        complete_join(group, turn);
    } else {
        schedule_join_timeout(group, turn);
    }
}

/// The initial delay is over: once more if somebody joined meanwhile and there is time left, otherwise the join is done.
pub(super) fn on_join_timeout(group: &mut ClassicGroup, turn: &mut Turn<'_>) {
    if group.state() != ClassicState::PreparingRebalance {
        return;
    }
    match group.initial_delay {
        Some(InitialDelay { delay_ms, remaining_ms }) if group.new_member_added && remaining_ms > 0 => {
            group.new_member_added = false;
            let next_delay_ms = i64::from(turn.config.initial_rebalance_delay_ms.max(0)).min(remaining_ms);
            let next_remaining_ms = (remaining_ms - delay_ms).max(0);
            group.initial_delay = Some(InitialDelay { delay_ms: next_delay_ms, remaining_ms: next_remaining_ms });
            turn.timers.schedule(Timer::Join(group.id().clone()), turn.now.monotonic_ms + next_delay_ms);
        }
        _ => complete_join(group, turn),
    }
}

/// Completes a rebalance that nobody is missing from; an initial one waits for its delay all the same.
pub(super) fn complete_join_if_all_joined(group: &mut ClassicGroup, turn: &mut Turn<'_>) {
    if group.state() == ClassicState::PreparingRebalance
        && group.previous_state() != ClassicState::Empty
        && group.has_all_joined()
    {
        complete_join(group, turn);
    }
}

/// Ends the join phase: dynamic members that did not rejoin are out, all others learn of the new generation.
pub(super) fn complete_join(group: &mut ClassicGroup, turn: &mut Turn<'_>) {
    turn.timers.cancel(&Timer::Join(group.id().clone()));
    for member_id in group.dynamic_members_not_joined() {
        tracing::info!(group = %group.id(), member = %member_id, "removed a member that did not rejoin in time");
        remove_member(group, turn, &member_id);
    }
    if !group.elect_joined_leader() && group.members().len() > 0 {
        // Only static members are left and none rejoined: they keep their place until their sessions end.
        schedule_join_timeout(group, turn);
        return;
    }
    group.initial_delay = None;
    group.next_generation(turn.now.wall_ms);
    if group.state() == ClassicState::Empty {
        tracing::info!(group = %group.id(), generation = group.generation(), "group is empty");
        let record = group.to_record();
        if turn.effects.fits(&record) {
            turn.effects.records.push(record);
        } else {
            // The log keeps the last generation. Whoever joins finds its members, who do not answer and are left out.
            tracing::warn!(group = %group.id(), "the record of the empty group is larger than the log takes");
        }
        return;
    }
    tracing::info!(
        group = %group.id(), generation = group.generation(), members = group.members().len(), "group has a new generation"
    );
    for member_id in group.member_ids() {
        let response = generation_response(group, &member_id);
        if let Some(ticket) = group.take_join(&member_id) {
            turn.effects.answer_join(ticket, response);
        }
        if let Some(member) = group.member_mut(&member_id) {
            member.is_new = false;
        }
        restart_session(group, turn, &member_id);
    }
    group.expect_sync_from_all();
    let due_ms = turn.now.monotonic_ms + group.rebalance_timeout_ms();
    turn.timers.schedule(Timer::Sync(group.id().clone()), due_ms);
}

/// What a member of the current generation is told; the leader also learns who the others are.
pub(super) fn generation_response(group: &ClassicGroup, member_id: &MemberId) -> JoinGroupResponse {
    let members = if group.is_leader(member_id) { members_for_leader(group) } else { Vec::new() };
    JoinGroupResponse::default()
        .with_generation_id(group.generation())
        .with_protocol_type(group.protocol_type().cloned())
        .with_protocol_name(group.protocol().cloned())
        .with_leader(group.leader().map(MemberId::to_wire).unwrap_or_default())
        .with_member_id(member_id.to_wire())
        .with_members(members)
}

pub(super) fn members_for_leader(group: &ClassicGroup) -> Vec<JoinGroupResponseMember> {
    let protocol = group.protocol().map_or("", |name| name.as_str());
    let entry = |member: &crate::group::classic::Member| {
        JoinGroupResponseMember::default()
            .with_member_id(member.id.to_wire())
            .with_group_instance_id(member.instance_id.as_ref().map(|id| id.to_wire()))
            .with_metadata(member.metadata(protocol))
    };
    group.members().map(entry).collect()
}

/// Answers every parked SyncGroup: with the member's assignment, or with an error.
pub(super) fn propagate(group: &mut ClassicGroup, turn: &mut Turn<'_>, error: ErrorCode) {
    for member_id in group.member_ids() {
        let Some(ticket) = group.member_mut(&member_id).and_then(|member| member.awaiting_sync.take()) else {
            continue;
        };
        let response =
            if error == ErrorCode::None { assignment_response(group, &member_id) } else { sync_error(error) };
        turn.effects.answer_sync(ticket, response);
        // A session that ran out while the member waited for us was excused, and is not scheduled any more.
        restart_session(group, turn, &member_id);
    }
}

pub(super) fn assignment_response(group: &ClassicGroup, member_id: &str) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_protocol_type(group.protocol_type().cloned())
        .with_protocol_name(group.protocol().cloned())
        .with_assignment(group.member(member_id).map(|member| member.assignment.clone()).unwrap_or_default())
}

/// Gives a member its full session timeout from now on.
pub(super) fn restart_session(group: &ClassicGroup, turn: &mut Turn<'_>, member_id: &MemberId) {
    if let Some(member) = group.member(member_id) {
        let due_ms = turn.now.monotonic_ms + i64::from(member.timeouts.session_ms);
        turn.timers.schedule(Timer::Session(group.id().clone(), member_id.clone()), due_ms);
    }
}

/// Removes a member or a pending one, with its session; what it had parked is answered UNKNOWN_MEMBER_ID, so that a
/// client which is alive joins anew.
pub(super) fn remove_member(group: &mut ClassicGroup, turn: &mut Turn<'_>, member_id: &MemberId) {
    let tickets = group.remove(member_id);
    if let Some(ticket) = tickets.join {
        turn.effects.answer_join(ticket, join_error(UNKNOWN_MEMBER_ID, ErrorCode::UnknownMemberId));
    }
    if let Some(ticket) = tickets.sync {
        turn.effects.answer_sync(ticket, sync_error(ErrorCode::UnknownMemberId));
    }
    turn.timers.cancel(&Timer::Session(group.id().clone(), member_id.clone()));
}

fn schedule_join_timeout(group: &ClassicGroup, turn: &mut Turn<'_>) {
    let due_ms = turn.now.monotonic_ms + group.rebalance_timeout_ms();
    turn.timers.schedule(Timer::Join(group.id().clone()), due_ms);
}
