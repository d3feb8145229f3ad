//! Deadlines that have passed: silent members, rebalances and generations that nobody completes, offsets to expire.

use weir_protocol::messages::StrBytes;

use super::{ClassicGroup, ClassicState, Effects, GroupCoordinatorShard, Now, Timer, Turn, rebalance};
use crate::group::ids::MemberId;

impl GroupCoordinatorShard {
    /// When to call [`GroupCoordinatorShard::on_timeout`] next: at or before the first deadline, on the monotonic clock.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.soft.timers.next_deadline_ms()
    }

    /// Does whatever is due.
    pub fn on_timeout(&mut self, now: Now, effects: &mut Effects) {
        while let Some(timer) = self.soft.timers.pop_due(now.monotonic_ms) {
            match timer {
                Timer::Session(group_id, member_id) => {
                    self.with_group(now, &group_id, effects, |group, turn| on_silence(group, turn, &member_id));
                }
                Timer::Join(group_id) => {
                    self.with_group(now, &group_id, effects, rebalance::on_join_timeout);
                }
                Timer::Sync(group_id) => {
                    self.with_group(now, &group_id, effects, on_sync_timeout);
                }
                // It looks at what is replayed, and records of this turn are not yet: an offset that was committed a moment
                // ago would be taken for the expired one before it.
                Timer::OffsetExpiry if !effects.records.is_empty() => self.put_off_offset_expiry(now),
                Timer::OffsetExpiry => self.on_offset_expiry(now, effects),
            }
        }
    }
}

/// A member has been silent for its session timeout, or a pending one never came.
fn on_silence(group: &mut ClassicGroup, turn: &mut Turn<'_>, member_id: &MemberId) {
    if group.is_pending(member_id) {
        tracing::info!(group = %group.id(), member = %member_id, "a member that was given an id did not join");
        rebalance::remove_member(group, turn, member_id);
    } else if group.member(member_id).is_some_and(|member| !member.has_satisfied_heartbeat()) {
        tracing::info!(group = %group.id(), member = %member_id, "a member has been silent for its session timeout");
        rebalance::remove_member(group, turn, member_id);
        if matches!(group.state(), ClassicState::Stable | ClassicState::CompletingRebalance) {
            return rebalance::prepare_rebalance(group, turn);
        }
    } else {
        return;
    }
    if group.state() == ClassicState::PreparingRebalance && group.has_all_joined() {
        rebalance::complete_join(group, turn);
    }
}

/// Members of the generation never asked for their assignment: the others go on without them.
fn on_sync_timeout(group: &mut ClassicGroup, turn: &mut Turn<'_>) {
    if !matches!(group.state(), ClassicState::CompletingRebalance | ClassicState::Stable) {
        return;
    }
    let missing: Vec<MemberId> = group.pending_sync().iter().cloned().collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<StrBytes> = missing.iter().map(MemberId::to_wire).collect();
    tracing::info!(group = %group.id(), members = ?names, "removed members that did not sync in time");
    for member_id in &missing {
        rebalance::remove_member(group, turn, member_id);
    }
    rebalance::prepare_rebalance(group, turn);
}
