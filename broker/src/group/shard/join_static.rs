//! A static member comes back without its member id (KIP-345): it takes over its predecessor's place under a new id.
//!
//! In a stable group whose choice of protocol does not change, that is all: the generation goes on, and the member gets
//! the assignment it had. Otherwise the group rebalances. If the log cannot take the group with its new member, the
//! predecessor keeps its place.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::JoinGroupResponse;

use super::join::Join;
use super::lifecycle::UNKNOWN_MEMBER_ID;
use super::{ClassicGroup, ClassicState, Timer, Turn, join_error, rebalance, sync_error};
use crate::group::ids::{InstanceId, MemberId};

/// From this version on a returning leader can be told who the members are and not to assign again (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Replaces the static member `old_id` by `new_id`; the request's ticket is answered or parked.
pub(super) fn replace(
    join: &Join<'_>,
    group: &mut ClassicGroup,
    turn: &mut Turn<'_>,
    old_id: &MemberId,
    new_id: MemberId,
) {
    let Some(instance_id) = join.request.group_instance_id.as_deref().map(InstanceId::from) else { return };
    tracing::info!(group = %group.id(), instance = %instance_id, old = %old_id, new = %new_id, "static member returns");
    let leader_before = group.leader().cloned();
    let before = group.member(old_id).map(|member| (member.protocols.clone(), member.timeouts));
    let fenced = group.replace_static(&instance_id, old_id, new_id.clone());
    if let Some(ticket) = fenced.join {
        turn.effects.answer_join(ticket, join_error(old_id.to_wire(), ErrorCode::FencedInstanceId));
    }
    if let Some(ticket) = fenced.sync {
        turn.effects.answer_sync(ticket, sync_error(ErrorCode::FencedInstanceId));
    }
    turn.timers.cancel(&Timer::Session(group.id().clone(), old_id.clone()));
    group.update_member(&new_id, join.own_protocols(), join.timeouts());
    rebalance::restart_session(group, turn, &new_id);

    if group.state() == ClassicState::Stable && group.select_protocol().as_ref() == group.protocol() {
        let record = group.to_record();
        if !turn.effects.fits(&record) {
            tracing::warn!(group = %group.id(), "the group's record is larger than the log takes");
            group.replace_static(&instance_id, &new_id, old_id.clone());
            if let Some((protocols, timeouts)) = before {
                group.update_member(old_id, protocols, timeouts);
            }
            turn.timers.cancel(&Timer::Session(group.id().clone(), new_id));
            rebalance::restart_session(group, turn, old_id);
            return turn.effects.answer_join(join.ticket, join_error(UNKNOWN_MEMBER_ID, ErrorCode::UnknownServerError));
        }
        turn.effects.records.push(record);
        let response = same_generation_response(join, group, &new_id, leader_before);
        turn.effects.answer_join(join.ticket, response);
        return;
    }
    // In CompletingRebalance the leader may be assigning to the old id already, so everybody joins again.
    join.park(group, turn, &new_id);
    rebalance::prepare_rebalance_or_complete_join(group, turn);
}

fn same_generation_response(
    join: &Join<'_>,
    group: &ClassicGroup,
    member_id: &MemberId,
    leader_before: Option<MemberId>,
) -> JoinGroupResponse {
    let response = rebalance::generation_response(group, member_id);
    if join.context.api_version >= SKIP_ASSIGNMENT_VERSION {
        let is_leader = group.is_leader(member_id);
        return response.with_skip_assignment(is_leader);
    }
    // An older client that learnt it leads would assign anew and unsettle the others: it is shown its old id as leader.
    response.with_members(Vec::new()).with_leader(leader_before.map(|id| id.to_wire()).unwrap_or_default())
}
