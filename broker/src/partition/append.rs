//! Appending to a partition that this broker leads.

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
    /// Appends `records`, one or more batches, in place. `acks_all` asks that enough replicas are in sync.
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
        if *registration.isr == [self.local] {
            log.set_high_watermark(log.log_end_offset());
        }
        let required_offset = info.last_offset + 1;
        Ok(Appended { info, required_offset })
    }
}
