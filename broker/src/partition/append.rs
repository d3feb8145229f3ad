//! Appending to a partition that this broker leads.
//!
//! A replica is in sync when it has what it is asked to have: where the topic asks for a flush (`flush.messages`), the high
//! watermark follows the flush, so that no consumer sees a record that a power cut can still take.

use std::io;
use std::sync::Arc;

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, ProducerId};
use weir_protocol::records::batch::BatchHeader;
use weir_storage::log::{AppendInfo, AppendOrigin, Log};

use super::refusals::Refusals;
use super::role::{Leadership, Role, Tenure};
use super::{Partition, PartitionError};
use crate::replication::LeaderState;

/// Whose records they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceOrigin {
    /// A client's.
    Client,
    /// A coordinator's of this broker.
    Coordinator,
}

/// What became of an append.
#[derive(Clone, Debug)]
pub struct Appended {
    /// What the log says.
    pub info: AppendInfo,
    /// The high watermark that acknowledges the append to all in-sync replicas.
    pub required_offset: Offset,
    /// The leader epoch in which it was appended, and in which alone it can be acknowledged.
    pub leader_epoch: LeaderEpoch,
}

impl Partition {
    /// Appends `records`, one or more batches, in place, and wakes whoever waits for them. `acks_all` asks that enough replicas
    /// are in sync. If the outcome `needs_fsync`, the caller calls [`Self::flush_then`]: until then no consumer sees the records.
    pub fn append(
        &self,
        records: &mut [u8],
        origin: ProduceOrigin,
        acks_all: bool,
        now_ms: i64,
    ) -> Result<Appended, PartitionError> {
        if origin == ProduceOrigin::Client
            && self.refusals.is_recent(|| self.local.now_ms())
            && self.lacks_what_came_before(records)
        {
            return Err(Refusals::send_again());
        }
        let appended = self.try_append(records, origin, acks_all, now_ms);
        appended.map_err(|error| self.refusals.told(error, self.local.now_ms()))
    }

    /// Whether a batch is not the first of its producer, and the log has none of that.
    fn lacks_what_came_before(&self, batch: &[u8]) -> bool {
        let header =
            BatchHeader::parse(batch).ok().filter(|header| header.has_producer_id() && header.base_sequence > 0);
        header.is_some_and(|header| self.log().is_ok_and(|log| !log.knows_producer(ProducerId(header.producer_id))))
    }

    fn try_append(
        &self,
        records: &mut [u8],
        origin: ProduceOrigin,
        acks_all: bool,
        now_ms: i64,
    ) -> Result<Appended, PartitionError> {
        self.log()?;
        if origin == ProduceOrigin::Client {
            self.refuse_if_cut_off()?;
        }
        let tenure = self.tenure.read();
        // While the tenure is held it is not replaced; opened above, it is not opened here.
        let log = &self.log()?;
        let leader_epoch = tenure.check_leadership(LeaderEpoch::NONE)?;
        let origin = match origin {
            ProduceOrigin::Client => AppendOrigin::Client,
            ProduceOrigin::Coordinator => AppendOrigin::Coordinator,
        };
        let info = match &tenure.role {
            Role::Leader(leadership) => {
                let leadership = (leadership, &*tenure);
                self.append_to_be_followed(log, leadership, acks_all, |log| {
                    log.append_as_leader(records, leader_epoch, origin, now_ms).map_err(PartitionError::from)
                })?
            }
            _ => {
                let info = log.append_as_leader(records, leader_epoch, origin, now_ms)?;
                // A repeated batch adds nothing, and what came after its first attempt may not be flushed yet.
                if !info.needs_fsync && !info.duplicate {
                    log.set_high_watermark(log.log_end_offset());
                    self.local.committed().notify(&self.key());
                }
                info
            }
        };
        Ok(Appended { info, required_offset: info.last_offset + 1, leader_epoch })
    }

    /// Appends where others follow: they are woken, and the high watermark moves when they have it.
    fn append_to_be_followed(
        &self,
        log: &Arc<Log>,
        (leadership, tenure): (&Leadership, &Tenure),
        acks_all: bool,
        append: impl FnOnce(&Log) -> Result<AppendInfo, PartitionError>,
    ) -> Result<AppendInfo, PartitionError> {
        let state = leadership.state(log, tenure, self.terms(), &self.local);
        if acks_all {
            let state = state.lock();
            if state.is_under_min_isr() {
                let (in_sync, required) = (state.in_sync().certain_count(), self.terms().min_insync);
                let message = format!("{in_sync} replicas are in sync, {required} are required");
                return Err(PartitionError::new(ErrorCode::NotEnoughReplicas, message));
            }
        }
        let info = append(log)?;
        if info.duplicate {
            return Ok(info);
        }
        let high_watermark = {
            let mut state = state.lock();
            let own_end = if info.needs_fsync { log.recovery_point() } else { log.log_end_offset() };
            self.tell_log(&mut state, log, own_end, self.local.now_ms());
            state.high_watermark()
        };
        self.advance(log, Some(high_watermark));
        self.local.appended().notify(&self.key());
        Ok(info)
    }

    /// Makes everything below `up_to` durable, moves the high watermark if the other replicas have it, and calls `then`, on
    /// the flusher's thread.
    pub fn flush_then(self: &Arc<Self>, up_to: Offset, then: impl FnOnce(io::Result<()>) + Send + 'static) {
        let log = &match self.log() {
            Ok(log) => log,
            Err(error) => return then(Err(io::Error::other(error.code.to_string()))),
        };
        let partition = Arc::clone(self);
        self.local.logs.commit_flush(log, up_to, move |flushed| {
            if flushed.is_ok() {
                partition.follow_flush();
            }
            then(flushed);
        });
    }

    /// What is durable here counts as being here.
    fn follow_flush(&self) {
        let tenure = self.tenure.read();
        let Some(log) = &self.opened_log() else { return };
        let high_watermark = match &tenure.role {
            Role::Sole => Some(log.recovery_point()),
            Role::Leader(leadership) => leadership.known().map(|state| {
                let mut state = state.lock();
                self.tell_log(&mut state, log, log.recovery_point(), self.local.now_ms());
                state.high_watermark()
            }),
            Role::Idle | Role::Follower => None,
        };
        self.advance(log, high_watermark);
    }

    /// Tells the leadership how far its log reaches by now, and how much of it counts.
    pub(super) fn tell_log(&self, state: &mut LeaderState, log: &Log, own_end: Offset, now_ms: i64) {
        // Read while the state is locked, so that what it is told never goes back.
        let log_end = log.log_end_offset();
        if log_end < state.log_end() {
            let (was, partition) = (state.log_end(), self.topic_partition());
            tracing::error!(%partition, %log_end, %was, "the log of a leader is shorter than it was: this is a bug");
        }
        state.on_log(log_end, own_end, now_ms);
    }

    /// Moves the log's high watermark, if it is not there yet, and wakes whoever waits for it. A leader gives its own whether or not it has
    /// just moved: what a log was not told once, because its disk did not answer, it is told the next time.
    pub(super) fn advance(&self, log: &Log, high_watermark: Option<Offset>) {
        let Some(high_watermark) = high_watermark.filter(|it| *it > log.high_watermark()) else { return };
        log.set_high_watermark(high_watermark);
        self.local.committed().notify(&self.key());
    }

    /// What counts as committed where there is one replica.
    pub(super) fn sole_high_watermark(log: &Log) -> Offset {
        if log.config().flush_messages == 1 { log.recovery_point() } else { log.log_end_offset() }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use tempfile::TempDir;
    use uuid::Uuid;
    use weir_controller::image::{MetadataImage, PartitionRegistration};
    use weir_controller::record::{LeaderRecoveryState, MetadataRecord, PartitionRecord, TopicRecord};
    use weir_protocol::compression::Codec;
    use weir_protocol::ids::{BrokerId, PartitionEpoch, PartitionIndex};
    use weir_protocol::records::BatchBuilder;
    use weir_storage::config::LogConfig;
    use weir_storage::manager::{Assignment, LogManager, LogManagerConfig};

    use super::*;
    use crate::config::TopicConfig;
    use crate::partition::{LocalBroker, Throttles, TopicState};

    const TOPIC: Uuid = Uuid::from_u128(7_000);
    const LOCAL: BrokerId = BrokerId(1);

    /// The only replica of a partition whose every record is flushed before it is seen; it is flushed by hand.
    struct Flushed {
        _dir: TempDir,
        logs: Arc<LogManager>,
        partition: Arc<Partition>,
    }

    impl Flushed {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            let mut config = LogManagerConfig::new(vec![dir.path().join("data")], LOCAL);
            config.background = false;
            let logs = Arc::new(LogManager::open(config).unwrap());
            logs.load(&|_, _| Assignment::Stray, &|_| {});
            let log = LogConfig { flush_messages: 1, ..LogConfig::default() };
            let config = ArcSwap::from_pointee(TopicConfig::of_log(log, 1));
            let topic = Arc::new(TopicState { id: TOPIC, name: "flushed".into(), config });
            let local = Arc::new(LocalBroker::new(LOCAL, logs.clone(), 3_000, Throttles::new(1_000)));
            let partition = Partition::new(topic, PartitionIndex(0), local, registration(), true, None);
            Self { _dir: dir, logs, partition: Arc::new(partition) }
        }

        /// One record of a producer, in a batch of its own.
        fn append(&self, sequence: i32) -> Appended {
            let mut batch = BatchBuilder::new(Codec::None).producer(9, 0, sequence);
            batch.append(1, None, Some(b"value"), &[]).unwrap();
            let mut batch = batch.build().unwrap();
            self.partition.append(&mut batch, ProduceOrigin::Client, true, 1).unwrap()
        }

        fn flush(&self, appended: &Appended) {
            self.partition.flush_then(appended.required_offset, |outcome| outcome.unwrap());
            self.logs.flush_waiting();
        }

        fn high_watermark(&self) -> i64 {
            self.partition.log().unwrap().high_watermark().get()
        }
    }

    fn registration() -> Arc<PartitionRegistration> {
        let partition = PartitionRecord {
            partition: PartitionIndex(0),
            topic_id: TOPIC,
            replicas: vec![LOCAL],
            isr: vec![LOCAL],
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: LOCAL,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            directories: Vec::new(),
            leader_recovery_state: LeaderRecoveryState::Recovered,
            eligible_leader_replicas: None,
            last_known_elr: None,
        };
        let mut image = MetadataImage::default();
        let topic = TopicRecord { name: "flushed".into(), topic_id: TOPIC };
        for record in [MetadataRecord::from(topic), partition.into()] {
            image.apply(&record).unwrap();
        }
        image.partition(TOPIC, PartitionIndex(0)).unwrap().clone()
    }

    #[test]
    fn a_record_is_seen_once_it_is_flushed() {
        let flushed = Flushed::new();
        let appended = flushed.append(0);
        assert_eq!((appended.info.needs_fsync, flushed.high_watermark()), (true, 0));
        flushed.flush(&appended);
        assert_eq!(flushed.high_watermark(), 1);
    }

    #[test]
    fn a_repeated_batch_shows_nothing_that_came_after_it_and_is_not_flushed() {
        let flushed = Flushed::new();
        let first = flushed.append(0);
        flushed.flush(&first);
        let second = flushed.append(1);
        let again = flushed.append(0);
        assert_eq!((again.info.duplicate, again.info.needs_fsync), (true, false));
        assert_eq!(flushed.high_watermark(), 1);
        flushed.flush(&second);
        assert_eq!(flushed.high_watermark(), 2);
    }
}
