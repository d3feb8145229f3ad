//! LeaveGroup v0–v5: members go, one or many, by member id or (static ones, by an administrator) by instance id.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::LeaveGroupRequest;
use weir_protocol::messages::leave_group_request::MemberIdentity;
use weir_protocol::messages::leave_group_response::MemberResponse;

use super::{ClassicGroup, ClassicState, Effects, GroupCoordinatorShard, Now, Turn, rebalance};
use crate::group::classic::MembershipError;
use crate::group::ids::MemberId;

impl GroupCoordinatorShard {
    /// Handles a LeaveGroup; one answer for each member named.
    pub fn leave_group(&mut self, now: Now, request: &LeaveGroupRequest, effects: &mut Effects) -> Vec<MemberResponse> {
        let outcome = self.with_group(now, request.group_id.as_str(), effects, |group, turn| {
            let mut anybody_left = false;
            let mut responses = Vec::with_capacity(request.members.len());
            for identity in &request.members {
                let outcome = leave(group, turn, identity);
                anybody_left |= outcome.is_ok();
                responses.push(response(identity, outcome));
            }
            if anybody_left && group.state() != ClassicState::Empty {
                rebalance::prepare_rebalance_or_complete_join(group, turn);
            }
            responses
        });
        let unknown = |identity| response(identity, Err(MembershipError::UnknownMember));
        outcome.unwrap_or_else(|| request.members.iter().map(unknown).collect())
    }
}

fn leave(group: &mut ClassicGroup, turn: &mut Turn<'_>, identity: &MemberIdentity) -> Result<(), MembershipError> {
    let instance_id = identity.group_instance_id.as_deref();
    let member_id = if identity.member_id.is_empty() {
        let owner = instance_id.and_then(|instance_id| group.static_member(instance_id));
        owner.cloned().ok_or(MembershipError::UnknownMember)?
    } else if group.is_pending(&identity.member_id) {
        MemberId::from(identity.member_id.as_str())
    } else {
        group.validate_member(&identity.member_id, instance_id)?.id.clone()
    };
    let reason = identity.reason.as_deref().unwrap_or("not provided");
    tracing::info!(group = %group.id(), member = %member_id, reason, "member leaves");
    rebalance::remove_member(group, turn, &member_id);
    Ok(())
}

fn response(identity: &MemberIdentity, outcome: Result<(), MembershipError>) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(identity.member_id.clone())
        .with_group_instance_id(identity.group_instance_id.clone())
        .with_error_code(outcome.err().map_or(ErrorCode::None, MembershipError::code).code())
}
