//! InitProducerId (22): a fresh producer id, or the next epoch of one (KIP-98, KIP-360).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::call::Call;
use crate::net::Dispatch;

pub(super) fn handle(call: Call, request: InitProducerIdRequest) -> Dispatch {
    if request.transactional_id.is_some() {
        // Terminal for every client: this broker has no transactions, and trying again will not help.
        return call.ready(&failed(ErrorCode::UnsupportedVersion));
    }
    if let Some(id) = call.node.producer_ids.take() {
        return call.ready(&fresh(id.get()));
    }
    call.later(async move |call| match call.node.fresh_producer_id().await {
        Ok(id) => fresh(id.get()),
        Err(code) => failed(code),
    })
}

/// An idempotent producer that asks again gets a new id, whatever epoch it had, as in Kafka.
fn fresh(id: i64) -> InitProducerIdResponse {
    InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0)
}

fn failed(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(code.code())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}
