//! A broker's group coordinator, the real one, and the threads that the broker runs beside it.
//!
//! As in the broker, a change of leadership reaches the coordinator late (`replicas::control`), and what it then has to read is read later still
//! (`group_log::load`). Answers leave when the coordinator lets go of them. That it stops waiting for replicas after a while is not simulated:
//! its limit is in real time, of which none passes here.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use uuid::Uuid;
use weir_broker::group::{
    Clock, CoordinatorRecord, GroupConfig, GroupCoordinator, GroupCoordinatorShard, Now, Pending, Reply, RequestContext,
};
use weir_broker::replication::LocalLog;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};

use super::log::{GroupLog, Standing};
use super::records::{Records, Stored};
use super::wire::{GroupAnswer, GroupRequest, Question, group_id};
use super::{LONER, WORKERS};
use crate::broker::{Outbox, Replica, Role};
use crate::message::Message;
use crate::planted::Bug;

/// The only partition of `__consumer_offsets`.
const PARTITION: PartitionIndex = PartitionIndex(0);
/// What wall clocks show when the clocks of this world show nothing.
const WALL_MS: i64 = 1_700_000_000_000;

/// A machine's clock, as it was when its broker last did something.
#[derive(Clone, Default)]
struct MachineClock(Arc<AtomicI64>);

impl Clock for MachineClock {
    fn now(&self) -> Now {
        let now_ms = self.0.load(Ordering::Relaxed);
        Now { monotonic_ms: now_ms, wall_ms: WALL_MS + now_ms }
    }
}

/// What other threads will do with the coordinator.
enum Task {
    BeginLoad(LeaderEpoch),
    Load(LeaderEpoch),
    Unload(LeaderEpoch),
}

/// The state that the log gives, to hold the coordinator's against.
struct Shadow {
    epoch: LeaderEpoch,
    next: usize,
    shard: GroupCoordinatorShard,
}

pub(crate) struct Groups {
    coordinator: GroupCoordinator,
    log: Arc<GroupLog>,
    records: Records,
    clock: MachineClock,
    bug: Option<Bug>,
    /// The leadership that its threads know of.
    leads: Option<LeaderEpoch>,
    /// The epoch whose log was read.
    loaded: Option<LeaderEpoch>,
    tasks: Vec<Task>,
    pending: Vec<(Question, Pending<GroupAnswer>)>,
    shadow: Option<Shadow>,
    /// The first assignment that a generation was answered; for a planted bug.
    first_assignment: Option<(i32, Bytes)>,
    /// How the coordinator and its log differ, since somebody looked.
    pub(crate) differs: Option<String>,
}

impl Groups {
    pub(crate) fn new(records: Records, incarnation: Uuid, bug: Option<Bug>) -> Self {
        let log = Arc::new(GroupLog::new(records.clone(), bug));
        let clock = MachineClock::default();
        let count = AtomicU64::new(0);
        let random = move || {
            let count = u128::from(count.fetch_add(1, Ordering::Relaxed) + 1);
            Uuid::from_u128(incarnation.as_u128() ^ count.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
        };
        Self {
            coordinator: GroupCoordinator::new(config(), log.clone(), clock.clone()).with_random(random),
            log,
            records,
            clock,
            bug,
            leads: None,
            loaded: None,
            tasks: Vec::new(),
            pending: Vec::new(),
            shadow: None,
            first_assignment: None,
            differs: None,
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let groups = self.coordinator.read(PARTITION, |shard| {
            let describe = |group| shard.describe_group(&group_id(group), 6);
            [WORKERS, LONER].map(describe).map(|it| (it.group_state.to_string(), it.members.len()))
        });
        format!("leads {:?}, loaded {:?}, {} wait, {groups:?}", self.leads, self.loaded, self.pending.len())
    }

    fn plants(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn enter(&self, replica: &Replica, now_ms: i64) {
        self.clock.0.store(now_ms, Ordering::Relaxed);
        self.log.stand(standing(replica));
    }

    /// The replica may have taken another role: the threads will hear of it.
    pub(crate) fn note_role(&mut self, replica: &Replica) {
        let leads = standing(replica).leads;
        match (self.leads, leads) {
            (before, now) if before == now => return,
            (_, Some(epoch)) => self.tasks.push(Task::BeginLoad(epoch)),
            (Some(epoch), None) => self.tasks.push(Task::Unload(epoch)),
            (None, None) => {}
        }
        self.leads = leads;
    }

    /// What other threads have come to since the last tick, and what is due.
    pub(crate) fn on_tick(&mut self, replica: &Replica, now_ms: i64) {
        self.enter(replica, now_ms);
        for task in std::mem::take(&mut self.tasks) {
            match task {
                Task::BeginLoad(epoch) => {
                    if self.coordinator.begin_load(PARTITION, epoch) {
                        self.loaded = None;
                    }
                    self.tasks.push(Task::Load(epoch));
                }
                Task::Unload(_) if self.plants(Bug::AnswerWhenDeposed) => {}
                Task::Unload(epoch) => self.unload(epoch),
                Task::Load(epoch) => self.load(replica, epoch),
            }
        }
        self.coordinator.run_due();
    }

    fn unload(&mut self, epoch: LeaderEpoch) {
        self.coordinator.unload(PARTITION, epoch);
        self.loaded = None;
    }

    fn load(&mut self, replica: &Replica, epoch: LeaderEpoch) {
        let Some(leads) = standing(replica).leads else { return self.unload(epoch) };
        if !self.coordinator.begin_load(PARTITION, leads) {
            return;
        }
        self.loaded = None;
        let chunk = Ok::<_, Infallible>(self.read(replica));
        if self.coordinator.load(PARTITION, leads, [chunk]).is_ok() {
            self.loaded = Some(leads);
            self.first_assignment = None;
        }
    }

    /// The whole log, as batches.
    fn read(&self, replica: &Replica) -> Bytes {
        let end = match self.plants(Bug::LoadToHighWatermark) {
            true => replica.log.high_watermark(),
            false => replica.log.log_end_offset(),
        };
        let mut chunk = BytesMut::new();
        for (offset, entry) in (0..end.get()).zip(replica.log.entries()) {
            let stored = self.records.get(entry.value);
            match &stored.record {
                CoordinatorRecord::GroupMetadata { .. } if self.plants(Bug::LoadOffsetsAlone) => {}
                CoordinatorRecord::GroupMetadata { group, value: Some(value) } if self.plants(Bug::LoadNoMembers) => {
                    let mut value = value.clone();
                    value.members.clear();
                    let record = CoordinatorRecord::GroupMetadata { group: group.clone(), value: Some(value) };
                    Stored::new(record).put_at(offset, &mut chunk);
                }
                _ => stored.put_at(offset, &mut chunk),
            }
        }
        chunk.freeze()
    }

    pub(crate) fn ask(&mut self, replica: &Replica, now_ms: i64, mut question: Question, out: &mut Outbox) {
        self.enter(replica, now_ms);
        question.coordinator = self.loaded;
        let is_hasty = match &*question.request {
            GroupRequest::Commit(_) => self.plants(Bug::AnswerCommitOnAppend),
            GroupRequest::Fetch(_) => self.plants(Bug::ShowOffsetsOnAppend),
            _ => false,
        };
        self.log.say_all_is_replicated(is_hasty);
        let reply = hand_over(&self.coordinator, &question.request);
        self.log.say_all_is_replicated(false);
        match reply {
            Reply::Ready(answer) => self.answer(question, answer, out),
            Reply::Later(pending) => self.pending.push((question, pending)),
        }
    }

    fn answer(&mut self, question: Question, mut answer: GroupAnswer, out: &mut Outbox) {
        match (&*question.request, &mut answer) {
            (GroupRequest::Sync(request), GroupAnswer::Sync(response))
                if self.plants(Bug::GiveAllOneAssignment) && response.error_code == 0 =>
            {
                let first = self.first_assignment.take().filter(|(generation, _)| *generation == request.generation_id);
                let first = first.unwrap_or_else(|| (request.generation_id, response.assignment.clone()));
                response.assignment = first.1.clone();
                self.first_assignment = Some(first);
            }
            (_, GroupAnswer::Heartbeat(response)) if self.plants(Bug::KeepMembersInTheDark) => {
                response.error_code = ErrorCode::None.code();
            }
            _ => {}
        }
        out.push((question.from, Message::GroupAnswered { question, answer: Arc::new(answer) }));
    }

    /// Appends what the coordinator has written, and lets go of the answers that nothing keeps any more.
    pub(crate) fn settle(&mut self, partition: usize, replica: &mut Replica, now_ms: i64, out: &mut Outbox) {
        self.enter(replica, now_ms);
        loop {
            let appended = self.log.take_appended();
            if let (false, Role::Leader { state, .. }) = (appended.is_empty(), &mut replica.role) {
                replica.log.append(&appended);
                let moved = state.on_append(replica.log.log_end_offset(), now_ms);
                replica.advance(partition, moved, out);
            }
            self.log.stand(standing(replica));
            let done = self.log.take_done();
            if done.is_empty() && appended.is_empty() {
                break;
            }
            done.into_iter().for_each(|(callback, outcome)| callback(outcome));
        }
        if let Some(epoch) = self.log.take_load_request() {
            self.loaded = None;
            self.tasks.push(Task::Load(epoch));
        }
        self.poll(out);
        self.compare(replica);
    }

    fn poll(&mut self, out: &mut Outbox) {
        let mut context = Context::from_waker(Waker::noop());
        for (question, mut pending) in std::mem::take(&mut self.pending) {
            match pending.as_mut().poll(&mut context) {
                Poll::Ready(answer) => self.answer(question, answer, out),
                Poll::Pending => self.pending.push((question, pending)),
            }
        }
    }

    /// What the coordinator holds is what replaying its log gives.
    fn compare(&mut self, replica: &Replica) {
        let Some(epoch) = self.loaded.filter(|loaded| standing(replica).leads == Some(*loaded)) else { return };
        let fresh = || Shadow { epoch, next: 0, shard: GroupCoordinatorShard::new(Arc::new(config())) };
        let mut shadow = self.shadow.take().filter(|shadow| shadow.epoch == epoch).unwrap_or_else(fresh);
        let is_news = shadow.next == 0 || shadow.next < replica.log.entries().len();
        for entry in &replica.log.entries()[shadow.next..] {
            let offset = Offset(shadow.next as i64);
            shadow.shard.replay(offset, None, self.records.get(entry.value).record.clone());
            shadow.next += 1;
        }
        let same = |live: &GroupCoordinatorShard| live.durable() == shadow.shard.durable();
        if is_news && self.coordinator.read(PARTITION, same) == Ok(false) {
            self.differs = Some(format!("epoch {epoch} at offset {}", shadow.next));
        }
        self.shadow = Some(shadow);
    }
}

/// Quick groups, whose offsets do not live long.
fn config() -> GroupConfig {
    GroupConfig {
        offsets_topic_partitions: 1,
        min_session_timeout_ms: 100,
        initial_rebalance_delay_ms: 200,
        new_member_join_timeout_ms: 5_000,
        offsets_retention_ms: 4_000,
        offsets_retention_check_interval_ms: 1_000,
        ..GroupConfig::default()
    }
}

fn standing(replica: &Replica) -> Standing {
    let (leads, is_under_min_isr) = match &replica.role {
        Role::Leader { state, .. } => (Some(state.leader_epoch()), state.is_under_min_isr()),
        _ => (None, false),
    };
    let (log_end, high_watermark) = (replica.log.log_end_offset(), replica.log.high_watermark());
    Standing { leads, log_end, high_watermark, is_under_min_isr }
}

fn hand_over(coordinator: &GroupCoordinator, request: &GroupRequest) -> Reply<GroupAnswer> {
    let context = |api_version| RequestContext { client_id: "member", client_host: "/127.0.0.1", api_version };
    match request.clone() {
        GroupRequest::Join(request) => coordinator.join_group(&context(9), request).map(GroupAnswer::Join),
        GroupRequest::Sync(request) => coordinator.sync_group(&context(5), request).map(GroupAnswer::Sync),
        GroupRequest::Heartbeat(request) => Reply::Ready(GroupAnswer::Heartbeat(coordinator.heartbeat(&request))),
        GroupRequest::Leave(request) => coordinator.leave_group(&context(5), request).map(other),
        GroupRequest::Commit(request) => coordinator.offset_commit(&context(9), &request).map(GroupAnswer::Commit),
        GroupRequest::Fetch(request) => coordinator.offset_fetch(&context(9), request).map(GroupAnswer::Fetch),
        GroupRequest::DeleteGroups(request) => coordinator.delete_groups(&request).map(other),
        GroupRequest::DeleteOffsets(request) => coordinator.offset_delete(&request).map(other),
    }
}

fn other<T>(_: T) -> GroupAnswer {
    GroupAnswer::Other
}
