//! Three brokers that replicate one partition, the metadata written by hand, and each fetch made by hand.

use std::sync::Arc;

use tempfile::TempDir;
use uuid::Uuid;
use weir_controller::image::{MetadataDelta, MetadataImage};
use weir_controller::record::{
    LeaderRecoveryState, MetadataRecord, PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};
use weir_protocol::compression::Codec;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex};
use weir_protocol::records::BatchBuilder;
use weir_storage::config::LogConfig;
use weir_storage::log::ReadUpperBound;
use weir_storage::manager::{Assignment, LogManager, LogManagerConfig};

use crate::config::TopicConfig;
use crate::partition::{
    Appended, FollowerLog, LocalBroker, Partition, PartitionError, PartitionTable, ProduceOrigin, Reader, RoleChange,
    Throttles,
};
use crate::replication::{FetchedPartition, FollowerFetch, FollowerState, FollowerStep, Restart};

pub(crate) const TOPIC: Uuid = Uuid::from_u128(7_000);
pub(crate) const INDEX: PartitionIndex = PartitionIndex(0);
const MAX_LAG_MS: i64 = 3_000;
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) image: MetadataImage,
    pub(crate) brokers: Vec<TestBroker>,
    pub(crate) config: TopicConfig,
}

pub(crate) struct TestBroker {
    _dir: TempDir,
    pub(crate) logs: Arc<LogManager>,
    pub(crate) table: PartitionTable,
    pub(crate) deleted: Vec<Arc<Partition>>,
}

impl World {
    /// Brokers 1, 2 and 3, registered in the epochs 11, 12 and 13, and a topic that 1 leads with all of them in sync.
    pub(crate) fn new() -> Self {
        let mut world = Self::without_topic();
        world.create(&[1, 2, 3]);
        world
    }

    pub(crate) fn without_topic() -> Self {
        let config = TopicConfig::of_log(LogConfig::default(), 2);
        let brokers = (1..=3).map(TestBroker::new).collect();
        let mut world = Self { image: MetadataImage::default(), brokers, config };
        let records: Vec<_> = (1..=3).map(|id| register(id, 10 + i64::from(id))).collect();
        world.apply(&records);
        world
    }

    /// Makes the topic with these replicas, the first of which leads.
    pub(crate) fn create(&mut self, replicas: &[i32]) {
        let partition = PartitionRecord {
            partition: INDEX,
            topic_id: TOPIC,
            replicas: ids(replicas),
            isr: ids(replicas),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: BrokerId(replicas[0]),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            directories: Vec::new(),
            leader_recovery_state: LeaderRecoveryState::Recovered,
            eligible_leader_replicas: None,
            last_known_elr: None,
        };
        let topic = TopicRecord { name: "topic".into(), topic_id: TOPIC };
        self.apply(&[topic.into(), partition.into()]);
    }

    pub(crate) fn apply(&mut self, records: &[MetadataRecord]) {
        let mut delta = MetadataDelta::default();
        for record in records {
            delta.apply(&mut self.image, record).expect("a record that fits");
        }
        for broker in &mut self.brokers {
            let change = broker.table.apply(&delta, &self.image, |_| self.config.clone());
            for partition in &change.removed {
                assert!(partition.leave(PATIENCE));
            }
            broker.deleted.extend(change.removed);
            for (partition, registration) in change.changed {
                partition.take_role(registration, &self.image, PATIENCE).expect("no append is under way");
            }
        }
    }

    /// Broker `leader` is elected, with this ISR.
    pub(crate) fn elect(&mut self, leader: i32, isr: &[i32]) {
        let leader = Some(BrokerId(leader));
        self.apply(&[change(|change| (change.leader, change.isr) = (leader, Some(ids(isr))))]);
    }

    pub(crate) fn set_isr(&mut self, isr: &[i32]) {
        self.apply(&[change(|change| change.isr = Some(ids(isr)))]);
    }

    pub(crate) fn set_replicas(&mut self, replicas: &[i32], isr: &[i32]) {
        self.apply(&[change(|change| (change.replicas, change.isr) = (Some(ids(replicas)), Some(ids(isr))))]);
    }

    pub(crate) fn broker(&self, id: i32) -> &TestBroker {
        &self.brokers[id as usize - 1]
    }

    pub(crate) fn partition(&self, id: i32) -> Arc<Partition> {
        self.broker(id).table.get(TOPIC, INDEX).expect("a replica")
    }

    pub(crate) fn produce(&self, leader: i32, records: usize) -> Result<Appended, PartitionError> {
        self.append(leader, batch(records, None), true)
    }

    pub(crate) fn append(&self, leader: i32, mut batch: Vec<u8>, acks_all: bool) -> Result<Appended, PartitionError> {
        self.partition(leader).append(&mut batch, ProduceOrigin::Client, acks_all, 1)
    }

    /// `follower` fetches once from whoever the metadata says leads, and takes in the answer. Tells what it did.
    pub(crate) fn fetch(&self, follower: i32) -> FollowerStep {
        self.try_fetch(follower).expect("an answer")
    }

    pub(crate) fn try_fetch(&self, follower: i32) -> Result<FollowerStep, ErrorCode> {
        let here = self.partition(follower);
        let registration = here.registration();
        let mut state = FollowerState::new(&registration);
        let log = here.log().expect("a log").clone();
        let next = state.next_fetch(0, &FollowerLog(&log)).expect("nothing holds it up");
        let fetch = FollowerFetch {
            broker: BrokerId(follower),
            broker_epoch: self.broker(follower).table.local().epoch(),
            current_leader_epoch: next.current_leader_epoch,
            fetch_offset: next.fetch_offset,
            last_fetched_epoch: next.last_fetched_epoch,
            log_start_offset: next.log_start_offset,
        };
        let (answer, records) = self.answer(registration.leader.get(), &fetch);
        let step = state.on_answer(0, &answer, &FollowerLog(&log));
        let epoch = next.current_leader_epoch;
        match step {
            FollowerStep::Append { high_watermark, log_start_offset } => {
                let taken = here.take_in(epoch, &records, high_watermark, log_start_offset, 1).expect("taken in");
                if let Some(up_to) = taken.flush_to {
                    here.flush_then(up_to, |outcome| outcome.expect("flushed"));
                    self.broker(follower).logs.flush_waiting();
                }
            }
            FollowerStep::Truncate(truncation) => here.cut(epoch, truncation.to).expect("cut"),
            FollowerStep::AskForRange => {
                let leader = self.partition(registration.leader.get());
                let end = leader.readable_end(Reader::Follower).expect("an end");
                let start = leader.log().expect("a log").log_start_offset();
                match state.restart_at(start, end, &FollowerLog(&log)) {
                    Restart::TruncateTo(to) => here.cut(epoch, to).expect("cut"),
                    Restart::StartOverAt(at) => here.start_over(epoch, at).expect("started over"),
                    Restart::FetchAgain => {}
                }
            }
            FollowerStep::Wait { .. } | FollowerStep::Stop => return Err(answer.error),
            FollowerStep::Ignore => {}
        }
        Ok(step)
    }

    /// What the API makes of a follower's fetch.
    fn answer(&self, leader: i32, fetch: &FollowerFetch) -> (FetchedPartition, Vec<u8>) {
        let leader = self.partition(leader);
        let mut answer = FetchedPartition {
            error: ErrorCode::None,
            fetch_offset: fetch.fetch_offset,
            high_watermark: Offset::NONE,
            log_start_offset: Offset::NONE,
            diverging: None,
            records_bytes: 0,
        };
        let diverging = match leader.on_follower_fetch(fetch, &self.image) {
            Ok(diverging) => diverging,
            Err(failure) => return (FetchedPartition { error: failure.error.code, ..answer }, Vec::new()),
        };
        answer.diverging = diverging;
        if diverging.is_some() {
            return (answer, Vec::new());
        }
        let read = leader.read(fetch.fetch_offset, fetch.current_leader_epoch, Reader::Follower, 1 << 20, true);
        let read = read.expect("what was just found to be there");
        answer.high_watermark = read.high_watermark;
        answer.log_start_offset = read.log_start_offset;
        let records = read.slice.map_or_else(Vec::new, |slice| slice.to_bytes().expect("bytes").to_vec());
        answer.records_bytes = records.len();
        (answer, records)
    }

    pub(crate) fn log_end(&self, id: i32) -> i64 {
        self.partition(id).log().expect("a log").log_end_offset().get()
    }

    pub(crate) fn high_watermark(&self, id: i32) -> i64 {
        self.partition(id).log().expect("a log").high_watermark().get()
    }

    /// Everything in a replica's log, as it lies on disk.
    pub(crate) fn bytes(&self, id: i32) -> Vec<u8> {
        let partition = self.partition(id);
        let log = partition.log().expect("a log");
        let read = log.read(log.log_start_offset(), u32::MAX, ReadUpperBound::LOG_END, true).expect("a read");
        read.slice.map_or_else(Vec::new, |slice| slice.to_bytes().expect("bytes").to_vec())
    }
}

impl TestBroker {
    fn new(id: i32) -> Self {
        let dir = TempDir::new().expect("a directory");
        let mut config =
            LogManagerConfig::new(["data", "more"].map(|name| dir.path().join(name)).to_vec(), BrokerId(id));
        config.background = false;
        let logs = Arc::new(LogManager::open(config).expect("a manager"));
        logs.load(&|_, _| Assignment::Stray, &|_| {});
        let table =
            PartitionTable::new(LocalBroker::new(BrokerId(id), logs.clone(), MAX_LAG_MS, Throttles::new(1_000)));
        table.set_broker_epoch(BrokerEpoch(10 + i64::from(id)));
        Self { _dir: dir, logs, table, deleted: Vec::new() }
    }

    /// Takes every role again, as after a registration.
    pub(crate) fn retake(&self, image: &MetadataImage) -> Vec<RoleChange> {
        let registered = self.table.registered(image).into_iter();
        registered.filter_map(|(partition, registration)| partition.take_role(registration, image, PATIENCE)).collect()
    }
}

pub(crate) fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

pub(crate) fn register(id: i32, epoch: i64) -> MetadataRecord {
    let registration = RegisterBrokerRecord {
        broker: BrokerId(id),
        is_migrating_zk_broker: false,
        incarnation_id: Uuid::from_u128(epoch as u128),
        broker_epoch: BrokerEpoch(epoch),
        endpoints: Vec::new(),
        features: Vec::new(),
        rack: Some(format!("zone-{id}").into()),
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: Vec::new(),
        cordoned_log_dirs: None,
    };
    registration.into()
}

fn change(set: impl FnOnce(&mut PartitionChangeRecord)) -> MetadataRecord {
    let mut change = PartitionChangeRecord::new(TOPIC, INDEX);
    set(&mut change);
    change.into()
}

/// Records in one batch, of an idempotent producer if a sequence is given.
pub(crate) fn batch(records: usize, sequence: Option<i32>) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Codec::None);
    if let Some(sequence) = sequence {
        batch = batch.producer(9, 0, sequence);
    }
    for _ in 0..records {
        batch.append(1, None, Some(b"value"), &[]).expect("it fits");
    }
    batch.build().expect("a batch").to_vec()
}
