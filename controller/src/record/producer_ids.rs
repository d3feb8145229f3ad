//! The record of a block of producer ids (KIP-730).

use weir_protocol::ids::{BrokerEpoch, BrokerId, ProducerId};

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody};

/// A broker was given a block of producer ids (`ProducerIdsRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    /// The broker that has the block.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// The first producer id of the next block: the end of this one.
    pub next_producer_id: ProducerId,
}

impl RecordBody for ProducerIdsRecord {
    const TYPE: u16 = 15;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.i32(self.broker.get());
        out.i64(self.broker_epoch.get());
        out.i64(self.next_producer_id.get());
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let record = Self {
            broker: BrokerId(input.i32()?),
            broker_epoch: BrokerEpoch(input.i64()?),
            next_producer_id: ProducerId(input.i64()?),
        };
        input.skip_tags()?;
        Ok(record)
    }
}
