//! UnregisterBroker (64): a broker is gone for good (KIP-631).
//!
//! One that still runs registers again by itself, as in Kafka. A node that is a cluster by itself registers only when it starts, and
//! nobody else could answer for its partitions: it is not forgotten while it runs.

use weir_controller::decide::{ControllerResponse, UnregisterBrokerRequest as Decide};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::{StrBytes, UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::call::Call;
use super::wire::error_fields;
use crate::administration::Administration;
use crate::net::Dispatch;

pub(super) fn handle(call: Call<Administration>, request: UnregisterBrokerRequest) -> Dispatch {
    let decide = Decide { broker: BrokerId(request.broker_id.0) };
    call.later(async move |call| {
        if decide.broker == call.node.id() && call.node.controller_client.is_alone() {
            let message = StrBytes::from_static_str("This broker runs and is the only one of its cluster.");
            let response = UnregisterBrokerResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
            return response.with_error_message(Some(message));
        }
        let outcome = match call.node.submit(decide).await {
            Ok(ControllerResponse::UnregisterBroker(outcome)) => outcome,
            Ok(_) => Err(ErrorCode::UnknownServerError.into()),
            Err(code) => Err(code.into()),
        };
        let (code, message) = error_fields(&outcome);
        UnregisterBrokerResponse::default().with_error_code(code).with_error_message(message)
    })
}
