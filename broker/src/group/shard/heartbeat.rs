//! Heartbeat v0–v4: a member lives, and learns whether it must join again.

use thiserror::Error;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::HeartbeatRequest;

use super::{ClassicState, Effects, GroupCoordinatorShard, Now, rebalance};
use crate::group::classic::MembershipError;
use crate::group::ids::MemberId;

/// Why a heartbeat is not simply taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HeartbeatError {
    /// No such group or member.
    #[error("no such member")]
    UnknownMember,
    /// Another member took over the instance id.
    #[error("another member has this instance id")]
    Fenced,
    /// The member is of another generation.
    #[error("the member is of another generation")]
    IllegalGeneration,
    /// The heartbeat counts, and the member is to join again.
    #[error("the group rebalances")]
    RebalanceInProgress,
}

impl HeartbeatError {
    /// What the member is told.
    pub fn code(self) -> ErrorCode {
        match self {
            HeartbeatError::UnknownMember => ErrorCode::UnknownMemberId,
            HeartbeatError::Fenced => ErrorCode::FencedInstanceId,
            HeartbeatError::IllegalGeneration => ErrorCode::IllegalGeneration,
            HeartbeatError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}

impl From<MembershipError> for HeartbeatError {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::UnknownMember => HeartbeatError::UnknownMember,
            MembershipError::Fenced => HeartbeatError::Fenced,
        }
    }
}

impl GroupCoordinatorShard {
    /// Handles a Heartbeat. It emits nothing: what it tells is true of this moment only.
    pub fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest) -> Result<(), HeartbeatError> {
        let mut nothing = Effects::default();
        let outcome = self.with_group(now, request.group_id.as_str(), &mut nothing, |group, turn| {
            let instance_id = request.group_instance_id.as_deref();
            let member_id: MemberId = group.validate_member(&request.member_id, instance_id)?.id.clone();
            if request.generation_id != group.generation() {
                return Err(HeartbeatError::IllegalGeneration);
            }
            rebalance::restart_session(group, turn, &member_id);
            match group.state() {
                ClassicState::Empty => Err(HeartbeatError::UnknownMember),
                ClassicState::PreparingRebalance => Err(HeartbeatError::RebalanceInProgress),
                ClassicState::CompletingRebalance | ClassicState::Stable => Ok(()),
            }
        });
        outcome.unwrap_or(Err(HeartbeatError::UnknownMember))
    }
}
