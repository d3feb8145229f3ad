//! AllocateProducerIds: a broker gets a block of producer ids that no other ever has (KIP-730).

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, ProducerId};

use super::register_broker::check_broker_epoch;
use super::{ApiError, Context, Decision};
use crate::image::MetadataImage;
use crate::record::ProducerIdsRecord;

/// How many producer ids a block holds (Kafka's `PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1000;

/// Asks for a block of producer ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocateProducerIdsRequest {
    /// The broker that asks.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
}

/// The block, or why there is none.
pub type AllocateProducerIdsResponse = Result<ProducerIdBlock, ApiError>;

/// Producer ids that one broker may hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerIdBlock {
    /// The first of them.
    pub start: ProducerId,
    /// How many there are.
    pub len: i32,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &AllocateProducerIdsRequest,
    _context: &mut Context<'_>,
) -> Decision<AllocateProducerIdsResponse> {
    if let Err(error) = check_broker_epoch(image, request.broker, request.broker_epoch) {
        return Decision::unchanged(Err(error));
    }
    let start = image.next_producer_id();
    let Some(next) = start.get().checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)) else {
        let message = "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit";
        return Decision::unchanged(Err(ApiError::new(ErrorCode::UnknownServerError, message)));
    };
    let record = ProducerIdsRecord {
        broker: request.broker,
        broker_epoch: request.broker_epoch,
        next_producer_id: ProducerId(next),
    };
    let block = ProducerIdBlock { start, len: PRODUCER_ID_BLOCK_SIZE };
    Decision { records: vec![record.into()], response: Ok(block) }
}
