//! UnregisterBroker: an operator says that a broker is gone for good.

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use super::election::{self, Departure, Logs};
use super::{ApiError, Context, Decision};
use crate::image::MetadataImage;
use crate::record::UnregisterBrokerRecord;

/// Takes a broker out of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnregisterBrokerRequest {
    /// The broker.
    pub broker: BrokerId,
}

/// Why the broker is still there, if it is.
pub type UnregisterBrokerResponse = Result<(), ApiError>;

pub(super) fn decide(
    image: &MetadataImage,
    request: &UnregisterBrokerRequest,
    context: &mut Context<'_>,
) -> Decision<UnregisterBrokerResponse> {
    let Some(broker) = image.broker(request.broker) else {
        let message = format!("Broker ID {} is not currently registered", request.broker);
        return Decision::unchanged(Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message)));
    };
    // Nobody will know, should it come back, what it comes back with.
    let departure = Departure { broker: broker.id, logs: Logs::MayBeLost };
    let mut records = election::departure_updates(image, context.catalog, departure, |_| true);
    records.push(UnregisterBrokerRecord { broker: broker.id, broker_epoch: broker.epoch }.into());
    Decision { records, response: Ok(()) }
}
