//! The shell around the shards: takes wire requests, runs them on their group's shard, appends the records, and lets the
//! answers go once those are replicated. It decides nothing about groups.
//!
//! Each shard sits behind its own short mutex, locked in place by the calling thread; no lock is held across an await or
//! while answers are given. A failed append retires the shard, and the broker loads it anew from its log: memory never
//! runs ahead of a log that refused a record. Offsets and tombstones, which only replay brings into memory, are refused
//! without that. OffsetFetch and every operation that emits records are answered when all
//! that their shard had appended is replicated; Heartbeat, DescribeGroups and ListGroups tell the moment and wait for
//! nothing. A coordinator that is cut off ([`OffsetsLog::is_cut_off`]) tells nothing at all: its groups may have another.

mod admin;
mod batches;
mod cut_off;
mod load;
mod membership;
mod offset_fetch;
mod offsets;
mod offsets_log;
mod release;
mod reply;
mod slot;
mod timers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::PartitionIndex;

pub use load::{LoadError, LoadSummary};
pub use offsets_log::{OffsetsLog, ReplicatedCallback};
pub use reply::{Pending, Reply};

use super::clock::{Clock, Now};
use super::config::GroupConfig;
use super::ids::Ticket;
use super::partitioner::partition_for;
use super::shard::{Effects, GroupCoordinatorShard};
use offsets_log::client_error;
use release::{Barrier, Waiter};
use slot::{ActiveShard, PersistError, Slot};

/// A group id longer than this fits no record; Kafka's own limit for every string.
const MAX_GROUP_ID_BYTES: usize = i16::MAX as usize;

/// No shard has a deadline.
const NO_DEADLINE: i64 = i64::MAX;

/// What the coordinator needs to know of a request beside its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The header's client id; empty if it had none.
    pub client_id: &'a str,
    /// The client's address as Kafka prints it: `/127.0.0.1`.
    pub client_host: &'a str,
    /// The request's version; answers fit it.
    pub api_version: i16,
}

/// Coordinates the groups of every `__consumer_offsets` partition that this broker leads.
pub struct GroupCoordinator {
    config: Arc<GroupConfig>,
    log: Arc<dyn OffsetsLog>,
    clock: Box<dyn Clock>,
    slots: Box<[Mutex<Slot>]>,
    /// Gives the random part of new members' ids.
    random: Box<dyn Fn() -> Uuid + Send + Sync>,
    next_ticket: AtomicU64,
    /// When the timers' task wakes next, monotonic.
    wakes_at_ms: AtomicI64,
    wake: Notify,
}

/// One operation's result, and what its answer waits for.
struct Turned<R> {
    value: R,
    barrier: Option<Barrier>,
}

impl GroupCoordinator {
    /// A coordinator of no partition yet; `load` makes it one. Run [`GroupCoordinator::run_timers`] beside it.
    pub fn new(config: GroupConfig, log: Arc<dyn OffsetsLog>, clock: impl Clock) -> Self {
        let slots = (0..config.offsets_topic_partitions.max(1)).map(|_| Mutex::new(Slot::Absent)).collect();
        GroupCoordinator {
            config: Arc::new(config),
            log,
            clock: Box::new(clock),
            slots,
            random: Box::new(Uuid::new_v4),
            next_ticket: AtomicU64::new(0),
            wakes_at_ms: AtomicI64::new(NO_DEADLINE),
            wake: Notify::new(),
        }
    }

    /// Has the random part of new members' ids come from `random`, for who wants to know them beforehand.
    pub fn with_random(self, random: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        GroupCoordinator { random: Box::new(random), ..self }
    }

    /// Which partition of `__consumer_offsets` holds a group.
    pub fn partition_of(&self, group_id: &str) -> PartitionIndex {
        partition_for(group_id, self.slots.len() as i32)
    }

    fn slot(&self, partition: PartitionIndex) -> Option<&Mutex<Slot>> {
        usize::try_from(partition.0).ok().and_then(|index| self.slots.get(index))
    }

    fn partitions(&self) -> impl Iterator<Item = PartitionIndex> + use<> {
        (0..self.slots.len() as i32).map(PartitionIndex)
    }

    fn replication_timeout(&self) -> Duration {
        Duration::from_millis(self.config.offset_commit_timeout_ms)
    }

    /// Runs one operation on a partition's shard, with whatever has come due there; `parked` is the request's own ticket.
    fn turn<R>(
        &self,
        partition: PartitionIndex,
        parked: Option<(Ticket, Waiter)>,
        operation: impl FnOnce(&mut GroupCoordinatorShard, Now, &mut Effects) -> R,
    ) -> Result<Turned<R>, ErrorCode> {
        let slot = self.slot(partition).ok_or(ErrorCode::NotCoordinator)?;
        let now = self.clock.now();
        let locked = self.unless_cut_off(slot.lock(), now, partition)?;
        self.turn_locked(locked, now, partition, parked, operation)
    }

    /// [`GroupCoordinator::turn`] on a slot that the caller has locked.
    fn turn_locked<R>(
        &self,
        mut locked: MutexGuard<'_, Slot>,
        now: Now,
        partition: PartitionIndex,
        parked: Option<(Ticket, Waiter)>,
        operation: impl FnOnce(&mut GroupCoordinatorShard, Now, &mut Effects) -> R,
    ) -> Result<Turned<R>, ErrorCode> {
        let shard = locked.active()?;
        if let Some((ticket, waiter)) = parked {
            shard.waiting.insert(ticket, waiter);
        }
        let max_batch_bytes = self.log.max_batch_bytes(partition);
        let mut effects = Effects::for_log(max_batch_bytes);
        let value = operation(&mut shard.core, now, &mut effects);
        if shard.core.next_deadline_ms().is_some_and(|due_ms| due_ms <= now.monotonic_ms) {
            shard.core.on_timeout(now, &mut effects);
        }
        let persisted = shard.persist(&*self.log, partition, max_batch_bytes, now, effects.records);
        if let Err(PersistError { code, is_harmless: false }) = persisted {
            self.reload(locked, now, partition, code);
            return Err(client_error(code));
        }
        self.wake_timers_by(shard.core.next_deadline_ms());
        let answers = shard.take_waiters(effects.answers);
        let barrier = Barrier { partition, leader_epoch: shard.leader_epoch, end: shard.log_end };
        drop(locked);
        let barrier = (!self.log.is_replicated(partition, barrier.leader_epoch, barrier.end)).then_some(barrier);
        release::give_when_replicated(&*self.log, barrier, answers);
        match persisted {
            Ok(()) => Ok(Turned { value, barrier }),
            Err(PersistError { code, .. }) => {
                tracing::warn!(partition = partition.0, error = ?code, "offsets could not be written");
                Err(client_error(code))
            }
        }
    }

    /// Gives up a shard whose memory and log may differ, and has it loaded again.
    fn reload(&self, mut locked: MutexGuard<'_, Slot>, now: Now, partition: PartitionIndex, code: ErrorCode) {
        let Ok(ActiveShard { leader_epoch, .. }) = locked.active() else { return };
        let leader_epoch = *leader_epoch;
        let retired = std::mem::replace(&mut *locked, Slot::Loading { leader_epoch });
        drop(locked);
        tracing::warn!(partition = partition.0, error = ?code, "append failed; groups are loaded again");
        if let Slot::Active(shard) = retired {
            shard.retire(now, ErrorCode::NotCoordinator);
        }
        self.log.request_load(partition, leader_epoch);
    }

    /// Reads a partition's shard; refused as its groups' clients are where it is not led here, or not loaded yet.
    pub fn read<R>(
        &self,
        partition: PartitionIndex,
        read: impl FnOnce(&GroupCoordinatorShard) -> R,
    ) -> Result<R, ErrorCode> {
        let slot = self.slot(partition).ok_or(ErrorCode::NotCoordinator)?;
        let mut locked = self.unless_cut_off(slot.lock(), self.clock.now(), partition)?;
        Ok(read(&locked.active()?.core))
    }

    fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// `response` when what its operation appended is replicated.
    fn release<T: Send + 'static>(
        &self,
        barrier: Option<Barrier>,
        response: T,
        refuse: impl FnOnce(T, ErrorCode) -> T + Send + 'static,
    ) -> Reply<T> {
        release::reply_when_replicated(&self.log, barrier, self.replication_timeout(), response, refuse)
    }
}

impl fmt::Debug for GroupCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCoordinator").field("partitions", &self.slots.len()).finish_non_exhaustive()
    }
}

/// Whether groups with members may have this id; offsets alone may also be kept under the empty one.
fn is_group_id(group_id: &str) -> bool {
    !group_id.is_empty() && group_id.len() <= MAX_GROUP_ID_BYTES
}
