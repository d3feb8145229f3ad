//! Producer ids of this broker's: a block at a time from the controller (KIP-730).
//!
//! A block is used up before the next is asked for, and asked for by one request at a time; what is left of it at a stop
//! is never used.

use std::ops::Range;

use parking_lot::Mutex;
use weir_controller::decide::{AllocateProducerIdsRequest, ControllerResponse};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::ProducerId;

use crate::broker::Broker;

/// The rest of the current block.
#[derive(Debug, Default)]
pub struct ProducerIds {
    block: Mutex<Range<i64>>,
    refill: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    /// An id of the current block, if one is left.
    pub fn take(&self) -> Option<ProducerId> {
        self.block.lock().next().map(ProducerId)
    }

    /// An id, of a new block if need be.
    pub(crate) async fn take_or_refill(&self, broker: &Broker) -> Result<ProducerId, ErrorCode> {
        let _one_at_a_time = self.refill.lock().await;
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let image = broker.image();
        let epoch = image.broker(broker.id()).ok_or(ErrorCode::CoordinatorLoadInProgress)?.epoch;
        let request = AllocateProducerIdsRequest { broker: broker.id(), broker_epoch: epoch };
        match broker.submit(request).await? {
            ControllerResponse::AllocateProducerIds(Ok(block)) => {
                let start = block.start.get();
                *self.block.lock() = start..start + i64::from(block.len);
                self.take().ok_or(ErrorCode::CoordinatorLoadInProgress)
            }
            ControllerResponse::AllocateProducerIds(Err(error)) => {
                tracing::warn!(%error, "the controller gave no producer ids");
                Err(ErrorCode::CoordinatorLoadInProgress)
            }
            other => {
                tracing::error!(?other, "the controller answered another question");
                Err(ErrorCode::UnknownServerError)
            }
        }
    }
}
