//! The pure core: all groups and offsets of one `__consumer_offsets` partition (Kafka's `GroupCoordinatorShard`).
//!
//! One file per operation. An operation reads both halves, changes the soft half, and emits records and answers as
//! [`Effects`]; only [`GroupCoordinatorShard::replay`] changes the durable half. No clock, lock, random number or I/O in
//! here: time, tickets and the random part of member ids are arguments.
//!
//! Invariants: a group with members has a soft group; a soft group that is empty and expects nobody is dropped at the end
//! of the operation; each parked ticket is answered exactly once, at the latest when the shard is unloaded; when a soft
//! group is stable and its record replayed, both halves say the same.

mod delete_group;
mod describe;
mod effects;
mod expiry;
mod heartbeat;
mod join;
mod join_static;
mod leave;
mod lifecycle;
mod list;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod rebalance;
mod sync;
mod timeout;

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_protocol::ids::{Offset, ProducerId};

pub use effects::{Answer, Effects};
pub(crate) use effects::{join_error, sync_error};
pub use expiry::DeletedTopic;
pub use join::JoinContext;
pub use list::ListFilter;

use super::classic::{ClassicGroup, ClassicState};
use super::clock::Now;
use super::config::GroupConfig;
use super::ids::GroupId;
use super::record::{CoordinatorRecord, GroupMetadataValue};
use super::state::{DurableState, Group};
use super::timers::{Timer, Timers};

/// The state machine of one partition's groups.
#[derive(Debug)]
pub struct GroupCoordinatorShard {
    config: Arc<GroupConfig>,
    durable: DurableState,
    soft: SoftState,
}

/// What dies with the shard: rebalances under way, parked requests, sessions.
#[derive(Debug, Default)]
struct SoftState {
    classic: BTreeMap<GroupId, ClassicGroup>,
    timers: Timers,
}

/// What the steps of one operation share.
struct Turn<'a> {
    now: Now,
    config: &'a GroupConfig,
    timers: &'a mut Timers,
    effects: &'a mut Effects,
}

/// A group as it stands: in motion, or at rest in the log.
enum GroupView<'a> {
    Live(&'a ClassicGroup),
    Stored(&'a GroupMetadataValue),
}

impl GroupView<'_> {
    fn state(&self) -> ClassicState {
        match self {
            GroupView::Live(group) => group.state(),
            GroupView::Stored(_) => ClassicState::Empty,
        }
    }

    fn protocol_type(&self) -> Option<&weir_protocol::messages::StrBytes> {
        match self {
            GroupView::Live(group) => group.protocol_type(),
            GroupView::Stored(stored) => stored.protocol_type.as_ref(),
        }
    }

    fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            GroupView::Live(group) => group.is_subscribed_to(topic),
            // Nobody is there to subscribe.
            GroupView::Stored(_) => false,
        }
    }
}

impl GroupCoordinatorShard {
    /// A shard that knows nothing yet; replay fills it, then [`GroupCoordinatorShard::on_loaded`] starts it.
    pub fn new(config: Arc<GroupConfig>) -> Self {
        GroupCoordinatorShard { config, durable: DurableState::default(), soft: SoftState::default() }
    }

    /// Applies one record of the log; `producer` is set for records of a transactional batch.
    pub fn replay(&mut self, offset: Offset, producer: Option<ProducerId>, record: CoordinatorRecord) {
        self.durable.replay(offset, producer, record);
    }

    /// Applies a transaction marker.
    pub fn replay_end_transaction(&mut self, producer: ProducerId, committed: bool) {
        self.durable.replay_end_transaction(producer, committed);
    }

    /// What the log says.
    pub fn durable(&self) -> &DurableState {
        &self.durable
    }

    fn view(&self, group_id: &str) -> Option<GroupView<'_>> {
        if let Some(group) = self.soft.classic.get(group_id) {
            return Some(GroupView::Live(group));
        }
        match self.durable.group(group_id)? {
            Group::Classic(stored) => Some(GroupView::Stored(stored)),
        }
    }

    /// Runs `step` on a soft group, if there is one, and drops the group if it has come to rest.
    fn with_group<R>(
        &mut self,
        now: Now,
        group_id: &str,
        effects: &mut Effects,
        step: impl FnOnce(&mut ClassicGroup, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let SoftState { classic, timers } = &mut self.soft;
        let group = classic.get_mut(group_id)?;
        let mut turn = Turn { now, config: &self.config, timers, effects };
        let result = step(group, &mut turn);
        self.settle(group_id);
        Some(result)
    }

    fn settle(&mut self, group_id: &str) {
        if self.soft.classic.get(group_id).is_some_and(ClassicGroup::is_idle)
            && let Some(group) = self.soft.classic.remove(group_id)
        {
            self.soft.timers.cancel(&Timer::Join(group.id().clone()));
            self.soft.timers.cancel(&Timer::Sync(group.id().clone()));
        }
    }
}
