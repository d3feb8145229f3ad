//! Appending to a partition that this broker leads.
//!
//! A replica is in sync when it has what it is asked to have: where the topic asks for a flush (`flush.messages`), the high
//! watermark follows the flush, so that no consumer sees a record that a power cut can still take.

use std::io;
use std::sync::Arc;

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset};
use weir_storage::log::{AppendInfo, AppendOrigin};

use super::{Partition, PartitionError, check_leadership};

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
}

impl Partition {
    /// Appends `records`, one or more batches, in place. `acks_all` asks that enough replicas are in sync. If the outcome
    /// `needs_fsync`, the caller calls [`Self::flush_then`]: until then no consumer sees the records.
    pub fn append(
        &self,
        records: &mut [u8],
        origin: ProduceOrigin,
        acks_all: bool,
        now_ms: i64,
    ) -> Result<Appended, PartitionError> {
        let log = self.log()?;
        let registration = self.registration.read();
        let leader_epoch = check_leadership(&registration, self.local, LeaderEpoch::NONE)?;
        let required = self.topic.config.load().min_insync_replicas;
        // A topic cannot need more replicas than it has (KIP-966).
        let required = required.min(registration.replicas.len());
        if acks_all && registration.isr.len() < required {
            let message = format!("{} replicas are in sync, {required} are required", registration.isr.len());
            return Err(PartitionError::new(ErrorCode::NotEnoughReplicas, message));
        }
        let origin = match origin {
            ProduceOrigin::Client => AppendOrigin::Client,
            ProduceOrigin::Coordinator => AppendOrigin::Coordinator,
        };
        let info = log.append_as_leader(records, leader_epoch, origin, now_ms)?;
        // A repeated batch adds nothing, and what came after its first attempt may not be flushed yet.
        if *registration.isr == [self.local] && !info.needs_fsync && !info.duplicate {
            log.set_high_watermark(log.log_end_offset());
        }
        let required_offset = info.last_offset + 1;
        Ok(Appended { info, required_offset })
    }

    /// Makes everything below `up_to` durable, moves the high watermark if this is the only replica, and calls `then`, on the
    /// flusher's thread.
    pub fn flush_then(self: &Arc<Self>, up_to: Offset, then: impl FnOnce(io::Result<()>) + Send + 'static) {
        let log = match self.log() {
            Ok(log) => log,
            Err(error) => return then(Err(io::Error::other(error.code.to_string()))),
        };
        let partition = Arc::clone(self);
        self.logs.commit_flush(log, up_to, move |flushed| {
            if flushed.is_ok() {
                partition.follow_flush();
            }
            then(flushed);
        });
    }

    /// What is durable here is durable on all replicas, if there is no other.
    fn follow_flush(&self) {
        if let Some(log) = self.opened_log()
            && self.is_sole_replica()
        {
            log.set_high_watermark(log.recovery_point());
        }
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
    use crate::partition::TopicState;

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
            let config = ArcSwap::from_pointee(TopicConfig { log, min_insync_replicas: 1 });
            let topic = Arc::new(TopicState { id: TOPIC, name: "flushed".into(), config });
            let partition = Partition::new(topic, PartitionIndex(0), LOCAL, logs.clone(), registration());
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
