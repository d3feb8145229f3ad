//! SyncGroup v0–v5: the leader hands in the assignment, everybody takes theirs.

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::{StrBytes, SyncGroupRequest};

use super::{ClassicGroup, ClassicState, Effects, GroupCoordinatorShard, Now, Timer, Turn, rebalance, sync_error};
use crate::group::classic::MembershipError;
use crate::group::ids::{MemberId, Ticket};

#[derive(Debug, Error)]
enum SyncError {
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error("the member is of another generation")]
    IllegalGeneration,
    #[error("the member speaks another protocol than the group")]
    InconsistentProtocol,
    #[error("the group rebalances")]
    RebalanceInProgress,
}

impl SyncError {
    fn code(&self) -> ErrorCode {
        match self {
            SyncError::Membership(error) => error.code(),
            SyncError::IllegalGeneration => ErrorCode::IllegalGeneration,
            SyncError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            SyncError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}

impl GroupCoordinatorShard {
    /// Handles a SyncGroup; the answer comes under `ticket`, now or with the leader's assignment.
    pub fn sync_group(&mut self, now: Now, request: &SyncGroupRequest, ticket: Ticket, effects: &mut Effects) {
        let outcome = self.with_group(now, request.group_id.as_str(), effects, |group, turn| {
            validate(group, request)?;
            sync(group, turn, request, ticket);
            Ok::<(), SyncError>(())
        });
        let error = match outcome {
            Some(Ok(())) => return,
            Some(Err(error)) => error.code(),
            None => ErrorCode::UnknownMemberId,
        };
        effects.answer_sync(ticket, sync_error(error));
    }
}

fn validate(group: &ClassicGroup, request: &SyncGroupRequest) -> Result<(), SyncError> {
    group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
    if request.generation_id != group.generation() {
        return Err(SyncError::IllegalGeneration);
    }
    let differs = |asked: &Option<StrBytes>, has: Option<&StrBytes>| {
        asked.as_ref().is_some_and(|asked| has.is_some_and(|has| has != asked))
    };
    if differs(&request.protocol_type, group.protocol_type()) || differs(&request.protocol_name, group.protocol()) {
        return Err(SyncError::InconsistentProtocol);
    }
    if group.state() == ClassicState::PreparingRebalance {
        return Err(SyncError::RebalanceInProgress);
    }
    Ok(())
}

fn sync(group: &mut ClassicGroup, turn: &mut Turn<'_>, request: &SyncGroupRequest, ticket: Ticket) {
    let member_id = MemberId::from(request.member_id.as_str());
    group.sync_received(&member_id);
    if group.pending_sync().is_empty() {
        turn.timers.cancel(&Timer::Sync(group.id().clone()));
    }
    if group.state() == ClassicState::Stable {
        return turn.effects.answer_sync(ticket, rebalance::assignment_response(group, &member_id));
    }
    let parked = group.member_mut(&member_id).and_then(|member| member.awaiting_sync.replace(ticket));
    if let Some(replaced) = parked {
        turn.effects.answer_sync(replaced, sync_error(ErrorCode::RebalanceInProgress));
    }
    if group.is_leader(&member_id) {
        let mut assignments: BTreeMap<&str, &Bytes> = BTreeMap::new();
        for given in &request.assignments {
            assignments.insert(given.member_id.as_str(), &given.assignment);
        }
        // Who is not mentioned gets nothing.
        group.set_all_assignments(|member_id| {
            assignments.get(member_id.as_str()).map(|given| Bytes::copy_from_slice(given)).unwrap_or_default()
        });
        group.transition_to(ClassicState::Stable, turn.now.wall_ms);
        let record = group.to_record();
        if turn.effects.fits(&record) {
            turn.effects.records.push(record);
            return rebalance::propagate(group, turn, ErrorCode::None);
        }
        tracing::warn!(group = %group.id(), "the group's record is larger than the log takes; its members are to join again");
        group.set_all_assignments(|_| Bytes::new());
        rebalance::propagate(group, turn, ErrorCode::UnknownServerError);
        rebalance::prepare_rebalance(group, turn);
    }
}
