//! A shard's beginning, when its log is read, and its end, when another broker leads it.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::StrBytes;

use super::sync_error;
use super::{ClassicGroup, Effects, Group, GroupCoordinatorShard, Now, SoftState, Timer, Turn, join_error, rebalance};

impl GroupCoordinatorShard {
    /// Starts a shard whose log has been replayed: members get a full session timeout to be heard from, and groups that
    /// are larger than `group.max.size` rebalance.
    pub fn on_loaded(&mut self, now: Now, effects: &mut Effects) {
        let mut oversized = Vec::new();
        for (group_id, group) in self.durable.groups() {
            let Group::Classic(stored) = group;
            if stored.members.is_empty() {
                continue;
            }
            let live = ClassicGroup::from_durable(group_id.clone(), stored);
            for member in live.members() {
                let session = Timer::Session(group_id.clone(), member.id.clone());
                self.soft.timers.schedule(session, now.monotonic_ms + i64::from(member.timeouts.session_ms));
            }
            if live.members().len() > self.config.max_size {
                oversized.push(group_id.clone());
            }
            self.soft.classic.insert(group_id.clone(), live);
        }
        self.soft
            .timers
            .schedule(Timer::OffsetExpiry, now.monotonic_ms + self.config.offsets_retention_check_interval_ms);
        for group_id in oversized {
            tracing::info!(group = %group_id, max_size = self.config.max_size, "loaded group is over capacity and rebalances");
            self.with_group(now, &group_id, effects, rebalance::prepare_rebalance);
        }
    }

    /// Ends the shard: every parked request is answered with `code`, and no timer is left.
    pub fn on_unloaded(&mut self, now: Now, code: ErrorCode, effects: &mut Effects) {
        let SoftState { mut classic, mut timers } = std::mem::take(&mut self.soft);
        let turn = Turn { now, config: &self.config, timers: &mut timers, effects };
        for group in classic.values_mut() {
            for member_id in group.member_ids() {
                let tickets = group.remove(&member_id);
                if let Some(ticket) = tickets.join {
                    turn.effects.answer_join(ticket, join_error(member_id.to_wire(), code));
                }
                if let Some(ticket) = tickets.sync {
                    turn.effects.answer_sync(ticket, sync_error(code));
                }
            }
        }
    }
}

/// The empty member id that tells a client to start anew.
pub(super) const UNKNOWN_MEMBER_ID: StrBytes = StrBytes::new();
