//! UnregisterBroker (64): a broker is gone for good (KIP-631).

use weir_controller::decide::{ControllerResponse, UnregisterBrokerRequest as Decide};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::call::Call;
use super::wire::error_fields;
use crate::net::Dispatch;

pub(super) fn handle(call: Call, request: UnregisterBrokerRequest) -> Dispatch {
    let decide = Decide { broker: BrokerId(request.broker_id.0) };
    call.later(async move |call| {
        let outcome = match call.broker.submit(decide).await {
            Ok(ControllerResponse::UnregisterBroker(outcome)) => outcome,
            Ok(_) => Err(ErrorCode::UnknownServerError.into()),
            Err(code) => Err(code.into()),
        };
        let (code, message) = error_fields(&outcome);
        UnregisterBrokerResponse::default().with_error_code(code).with_error_message(message)
    })
}
