//! FenceBroker: the controller has not heard a broker for too long, or knows that its process is gone.
//!
//! Answers to Kafka's `ReplicationControlManager.maybeFenceReplicas`. Who was heard when is soft state, and the active controller's; the request
//! names the epoch that went silent, so that a broker which registered anew in the meantime is left alone.

use serde::{Deserialize, Serialize};
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::broker_heartbeat::fence;
use super::election::{Departure, Logs};
use super::register_broker::check_broker_epoch;
use super::{ApiError, Context, Decision};
use crate::image::MetadataImage;

/// Takes a silent broker out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceBrokerRequest {
    /// The broker.
    pub broker: BrokerId,
    /// The epoch of the registration that went silent.
    pub broker_epoch: BrokerEpoch,
}

/// Why the broker was left alone, if it was.
pub type FenceBrokerResponse = Result<(), ApiError>;

pub(super) fn decide(
    image: &MetadataImage,
    request: &FenceBrokerRequest,
    context: &mut Context<'_>,
) -> Decision<FenceBrokerResponse> {
    let broker = match check_broker_epoch(image, request.broker, request.broker_epoch) {
        Ok(broker) => broker,
        Err(error) => return Decision::unchanged(Err(error)),
    };
    // Nobody knows whether it will come back with what it had.
    let departure = Departure { broker: broker.id, logs: Logs::Unknown };
    let records = if broker.fenced { Vec::new() } else { fence(image, broker, departure, context) };
    Decision { records, response: Ok(()) }
}
