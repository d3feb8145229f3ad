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
        if *registration.isr == [self.local] && !info.needs_fsync {
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
