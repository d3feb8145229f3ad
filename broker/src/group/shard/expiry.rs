//! Offsets that nobody needs any more: past their retention, or of a topic that was deleted (KIP-211).
//!
//! Retention runs from the moment a group became empty; for offsets of a consumer without a group, and for topics that a
//! stable group of consumers no longer subscribes to, from the commit. A group without members and offsets goes too.

use std::collections::BTreeSet;

use uuid::Uuid;
use weir_protocol::messages::StrBytes;

use super::{ClassicState, Effects, GroupCoordinatorShard, GroupView, Now, Timer};
use crate::group::ids::GroupId;
use crate::group::record::CoordinatorRecord;
use crate::group::state::{Group, OffsetAndMetadata};

/// A topic that is no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeletedTopic {
    /// Its name, which a new topic may have by now.
    pub name: StrBytes,
    /// Its id.
    pub id: Uuid,
}

/// From when on an offset's retention is counted.
#[derive(Clone, Copy)]
enum RetentionFrom {
    /// The group being empty; before that was recorded (schema v1), each commit.
    GroupEmpty(Option<i64>),
    Commit,
}

/// How long a check waits that came up among other records.
const PUT_OFF_MS: i64 = 100;

impl GroupCoordinatorShard {
    /// Lets the check come up again soon.
    pub(super) fn put_off_offset_expiry(&mut self, now: Now) {
        self.soft.timers.schedule(Timer::OffsetExpiry, now.monotonic_ms + PUT_OFF_MS);
    }

    /// The periodic check; it sets its own timer again.
    pub(super) fn on_offset_expiry(&mut self, now: Now, effects: &mut Effects) {
        let due_ms = now.monotonic_ms + self.config.offsets_retention_check_interval_ms;
        self.soft.timers.schedule(Timer::OffsetExpiry, due_ms);
        let before = effects.records.len();
        for (group_id, group) in self.durable.groups() {
            let kept = self.expire_offsets(now, group_id, effects);
            if !kept && self.is_at_rest(group_id, group) {
                effects.records.push(CoordinatorRecord::GroupMetadata { group: group_id.clone(), value: None });
            }
        }
        let expired = effects.records.len() - before;
        if expired > 0 {
            tracing::info!(tombstones = expired, "offsets and groups expired");
        }
    }

    /// Emits tombstones for a group's expired offsets; tells whether any offset is kept.
    fn expire_offsets(&self, now: Now, group_id: &GroupId, effects: &mut Effects) -> bool {
        let mut kept = self.durable.pending().holds_group(group_id);
        let Some(topics) = self.durable.offsets().of_group(group_id) else { return kept };
        let Some(view) = self.view(group_id) else { return true };
        let Some(from) = retention_from(&view) else { return true };
        for (topic, offsets) in topics {
            let subscribed = view.is_subscribed_to(topic);
            for (partition, offset) in offsets {
                let pending = self.durable.pending().holds(group_id, topic, *partition);
                if !subscribed && !pending && self.is_expired(now, from, offset) {
                    effects.records.push(CoordinatorRecord::offset_tombstone(group_id, topic, *partition));
                } else {
                    kept = true;
                }
            }
        }
        kept
    }

    fn is_expired(&self, now: Now, from: RetentionFrom, offset: &OffsetAndMetadata) -> bool {
        if let Some(expire_timestamp_ms) = offset.value.expire_timestamp_ms {
            return now.wall_ms >= expire_timestamp_ms;
        }
        let from_ms = match from {
            RetentionFrom::GroupEmpty(Some(since_ms)) => since_ms,
            RetentionFrom::GroupEmpty(None) | RetentionFrom::Commit => offset.value.commit_timestamp_ms,
        };
        now.wall_ms.saturating_sub(from_ms) >= self.config.offsets_retention_ms
    }

    /// Whether nobody is in the group or expected, also not in what was emitted and is not replayed yet.
    fn is_at_rest(&self, group_id: &GroupId, group: &Group) -> bool {
        let Group::Classic(stored) = group;
        stored.members.is_empty() && !self.soft.classic.contains_key(group_id)
    }

    /// Forgets the offsets of deleted topics, in every group; an offset that names no topic id goes by the name alone.
    pub fn on_topics_deleted(&mut self, topics: &[DeletedTopic], effects: &mut Effects) {
        let mut doomed: BTreeSet<(&GroupId, &StrBytes, i32)> = BTreeSet::new();
        for (group_id, offsets) in self.durable.offsets().iter().chain(self.durable.pending().iter()) {
            for deleted in topics {
                let Some((name, partitions)) = offsets.get_key_value(&deleted.name) else { continue };
                for (partition, offset) in partitions {
                    if !offset.is_of_another_topic(deleted.id) {
                        doomed.insert((group_id, name, *partition));
                    }
                }
            }
        }
        for (group_id, topic, partition) in doomed {
            effects.records.push(CoordinatorRecord::offset_tombstone(group_id, topic, partition));
        }
    }
}

/// `None` keeps every offset of the group.
fn retention_from(view: &GroupView<'_>) -> Option<RetentionFrom> {
    if view.protocol_type().is_none() {
        return Some(RetentionFrom::Commit);
    }
    match view {
        GroupView::Stored(stored) if stored.members.is_empty() => {
            Some(RetentionFrom::GroupEmpty(stored.current_state_timestamp_ms))
        }
        GroupView::Stored(_) => None,
        GroupView::Live(group) => match group.state() {
            ClassicState::Empty => Some(RetentionFrom::GroupEmpty(group.state_timestamp_ms())),
            ClassicState::Stable if group.subscribed_topics().is_some() => Some(RetentionFrom::Commit),
            _ => None,
        },
    }
}
