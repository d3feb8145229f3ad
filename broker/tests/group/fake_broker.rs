//! A coordinator that leads partitions of a log in memory: the shell without a broker around it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use weir_broker::group::{
    Clock, GroupConfig, GroupCoordinator, LoadError, Now, OffsetsLog, ReplicatedCallback, Reply, RequestContext,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use weir_protocol::messages::{
    HeartbeatRequest, JoinGroupResponse, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse, TopicName,
};
use weir_protocol::records::{batch, patch};

use crate::harness::*;

pub(crate) const EPOCH: LeaderEpoch = LeaderEpoch(3);

/// `__consumer_offsets` in memory; replication and failure are up to the test.
#[derive(Default)]
pub(crate) struct FakeLog {
    pub(crate) state: Mutex<FakeState>,
}

#[derive(Default)]
pub(crate) struct FakeState {
    partitions: BTreeMap<i32, Vec<Bytes>>,
    /// Set: nothing counts as replicated until the test says so.
    held: bool,
    /// The epoch in which another broker leads, if one does.
    deposed_in: Option<LeaderEpoch>,
    is_cut_off: bool,
    callbacks: Vec<ReplicatedCallback>,
    refusal: Option<ErrorCode>,
    /// The topic's `max.message.bytes`, if the test set it.
    pub(crate) max_batch_bytes: Option<usize>,
    reloads: Vec<(PartitionIndex, LeaderEpoch)>,
}

impl FakeState {
    fn is_over(&self, epoch: LeaderEpoch) -> bool {
        self.deposed_in.is_some_and(|later| epoch < later)
    }

    fn end(&self, partition: PartitionIndex) -> i64 {
        let last = self.partitions.get(&partition.0).and_then(|batches| batches.last());
        last.map_or(0, |bytes| batch::BatchHeader::parse(bytes).expect("a batch").next_offset())
    }
}

impl FakeLog {
    pub(crate) fn hold(&self) {
        self.state.lock().expect("unpoisoned").held = true;
    }

    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        self.state.lock().expect("unpoisoned").is_cut_off = is_cut_off;
    }

    pub(crate) fn refuse(&self, refusal: Option<ErrorCode>) {
        self.state.lock().expect("unpoisoned").refusal = refusal;
    }

    /// Another broker leads from `epoch` on, and this log has all that it has committed.
    pub(crate) fn follow(&self, epoch: LeaderEpoch) {
        self.state.lock().expect("unpoisoned").deposed_in = Some(epoch);
    }

    pub(crate) fn finish(&self, outcome: Result<(), ErrorCode>) {
        let mut state = self.state.lock().expect("unpoisoned");
        state.held = false;
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        callbacks.into_iter().for_each(|callback| callback(outcome));
    }

    pub(crate) fn reloads(&self) -> Vec<(PartitionIndex, LeaderEpoch)> {
        self.state.lock().expect("unpoisoned").reloads.clone()
    }

    pub(crate) fn batches(&self, partition: PartitionIndex) -> Vec<Bytes> {
        self.state.lock().expect("unpoisoned").partitions.get(&partition.0).cloned().unwrap_or_default()
    }
}

impl OffsetsLog for FakeLog {
    fn append(&self, partition: PartitionIndex, epoch: LeaderEpoch, mut bytes: BytesMut) -> Result<Offset, ErrorCode> {
        let mut state = self.state.lock().expect("unpoisoned");
        if let Some(refusal) = state.refusal {
            return Err(refusal);
        }
        let end = state.end(partition);
        patch::set_base_offset(&mut bytes, end);
        patch::set_partition_leader_epoch(&mut bytes, epoch.0);
        batch::verify_crc(&bytes).expect("a sound batch");
        state.partitions.entry(partition.0).or_default().push(bytes.freeze());
        Ok(Offset(end))
    }

    fn max_batch_bytes(&self, _partition: PartitionIndex) -> usize {
        self.state.lock().expect("unpoisoned").max_batch_bytes.unwrap_or(1_048_588)
    }

    fn is_replicated(&self, _partition: PartitionIndex, leader_epoch: LeaderEpoch, _end: Offset) -> bool {
        let state = self.state.lock().expect("unpoisoned");
        !state.held && !state.is_over(leader_epoch)
    }

    fn on_replicated(&self, _: PartitionIndex, epoch: LeaderEpoch, _: Offset, callback: ReplicatedCallback) {
        let mut state = self.state.lock().expect("unpoisoned");
        if state.is_over(epoch) {
            drop(state);
            callback(Err(ErrorCode::NotLeaderOrFollower));
        } else if state.held {
            state.callbacks.push(callback);
        } else {
            drop(state);
            callback(Ok(()));
        }
    }

    fn is_cut_off(&self, _: PartitionIndex) -> bool {
        self.state.lock().expect("unpoisoned").is_cut_off
    }

    fn request_load(&self, partition: PartitionIndex, leader_epoch: LeaderEpoch) {
        self.state.lock().expect("unpoisoned").reloads.push((partition, leader_epoch));
    }
}

/// What happens each time the clock is read.
pub(crate) type Tick = Box<dyn Fn() + Send>;

#[derive(Clone, Default)]
pub(crate) struct TestClock {
    monotonic_ms: Arc<AtomicI64>,
    pub(crate) tick: Arc<Mutex<Option<Tick>>>,
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        // Taken out meanwhile: what happens may read the clock itself.
        let tick = self.tick.lock().expect("unpoisoned").take();
        if let Some(tick) = tick {
            tick();
            *self.tick.lock().expect("unpoisoned") = Some(tick);
        }
        let monotonic_ms = self.monotonic_ms.load(Ordering::SeqCst);
        Now { monotonic_ms, wall_ms: 1_700_000_000_000 + monotonic_ms }
    }
}

pub(crate) struct Broker {
    pub(crate) coordinator: Arc<GroupCoordinator>,
    pub(crate) log: Arc<FakeLog>,
    pub(crate) clock: TestClock,
}

impl Broker {
    /// Leads every partition; groups form at once.
    pub(crate) fn leading() -> Self {
        let broker = Broker::started(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() });
        broker.load_all(EPOCH);
        broker
    }

    pub(crate) fn started(config: GroupConfig) -> Self {
        let log = Arc::new(FakeLog::default());
        let clock = TestClock::default();
        let coordinator = GroupCoordinator::new(config, Arc::clone(&log) as Arc<dyn OffsetsLog>, clock.clone());
        Broker { coordinator: Arc::new(coordinator), log, clock }
    }

    pub(crate) fn load_all(&self, epoch: LeaderEpoch) {
        for partition in (0..50).map(PartitionIndex) {
            self.load(partition, epoch).expect("loads");
        }
    }

    pub(crate) fn load(
        &self,
        partition: PartitionIndex,
        epoch: LeaderEpoch,
    ) -> Result<weir_broker::group::LoadSummary, LoadError<Infallible>> {
        self.coordinator.load(partition, epoch, self.log.batches(partition).into_iter().map(Ok))
    }

    pub(crate) fn join(&self, join: Join) -> Reply<JoinGroupResponse> {
        let version = join.version;
        self.coordinator.join_group(&context(version), join.request)
    }

    pub(crate) fn commit(&self, group: &str, offset: i64) -> Reply<weir_protocol::messages::OffsetCommitResponse> {
        self.coordinator.offset_commit(&context(9), &commit_request(group, "topic", 0, offset))
    }

    pub(crate) fn fetch(&self, group: &str) -> Reply<weir_protocol::messages::OffsetFetchResponse> {
        let topic =
            OffsetFetchRequestTopics::default().with_name(TopicName(text("topic"))).with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(Some(vec![topic]));
        self.coordinator.offset_fetch(&context(9), OffsetFetchRequest::default().with_groups(vec![group]))
    }

    pub(crate) fn fetched(&self, group: &str) -> i64 {
        ready(self.fetch(group)).groups[0].topics[0].partitions[0].committed_offset
    }

    pub(crate) fn sync(&self, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
        self.coordinator.sync_group(&context(5), request)
    }

    pub(crate) fn heartbeat(&self, group: &str) -> ErrorCode {
        let request = HeartbeatRequest::default().with_group_id(group_id(group)).with_member_id(text("m"));
        code(self.coordinator.heartbeat(&request).error_code)
    }
}

pub(crate) fn context(api_version: i16) -> RequestContext<'static> {
    RequestContext { client_id: "client", client_host: "/127.0.0.1", api_version }
}

pub(crate) fn ready<T: std::fmt::Debug>(reply: Reply<T>) -> T {
    match reply {
        Reply::Ready(answer) => answer,
        Reply::Later(_) => panic!("the answer waits"),
    }
}

pub(crate) fn is_later<T>(reply: &Reply<T>) -> bool {
    matches!(reply, Reply::Later(_))
}

pub(crate) fn commit_code(response: &weir_protocol::messages::OffsetCommitResponse) -> ErrorCode {
    code(response.topics[0].partitions[0].error_code)
}
