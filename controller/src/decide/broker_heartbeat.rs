//! BrokerHeartbeat: a broker says that it lives and what it wants, and is told whether it serves (KIP-631).
//!
//! Answers to the part of Kafka's `BrokerHeartbeatManager.calculateNextBrokerState` that is durable; when a broker was last
//! heard is soft state, and the controller's. In a controlled shutdown leaderships move first; partitions that no other
//! replica can lead stay with the broker, for its logs are intact when it returns.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId, Offset};

use super::election::{self, Departure, Logs};
use super::register_broker::{after, check_broker_epoch};
use super::{ApiError, Context, Decision};
use crate::image::{BrokerRegistration, MetadataImage, PartitionRegistration};
use crate::record::{BrokerRegistrationChangeRecord, MetadataRecord};

/// A broker lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerHeartbeatRequest {
    /// The broker.
    pub broker: BrokerId,
    /// The epoch of its registration.
    pub broker_epoch: BrokerEpoch,
    /// How far it has applied the metadata log.
    pub current_metadata_offset: Offset,
    /// Whether it wants to be out of service.
    pub want_fence: bool,
    /// Whether it wants to stop.
    pub want_shut_down: bool,
    /// Its log directories that failed since it registered.
    pub offline_log_dirs: Vec<Uuid>,
    /// Its log directories that take no new replicas (KIP-1066); none from a node that does not say.
    #[serde(default)]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// The state of the broker, or why the heartbeat does not count.
pub type BrokerHeartbeatResponse = Result<BrokerState, ApiError>;

/// What a broker is told about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerState {
    /// Whether it has applied its own registration.
    pub is_caught_up: bool,
    /// Whether it is out of service.
    pub is_fenced: bool,
    /// Whether nothing holds it any more and it should stop.
    pub should_shut_down: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

pub(super) fn decide(
    image: &MetadataImage,
    request: &BrokerHeartbeatRequest,
    context: &mut Context<'_>,
) -> Decision<BrokerHeartbeatResponse> {
    let broker = match check_broker_epoch(image, request.broker, request.broker_epoch) {
        Ok(broker) => broker,
        Err(error) => return Decision::unchanged(Err(error)),
    };
    let mut records = offline_directories(image, broker, request, context);
    records.extend(cordoned_directories(broker, request));
    let is_caught_up = request.current_metadata_offset.get() >= broker.epoch.get();
    let next = next_state(image, broker, request, is_caught_up, context);
    let moves = after(image, &records, |working| transition(working, broker, next, context));
    records.extend(moves);
    let state = BrokerState {
        is_caught_up,
        is_fenced: matches!(next, Next::Fenced | Next::ShutdownNow),
        should_shut_down: next == Next::ShutdownNow,
    };
    Decision { records, response: Ok(state) }
}

fn next_state(
    image: &MetadataImage,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
    is_caught_up: bool,
    context: &Context<'_>,
) -> Next {
    let still_leads = || !leaderships_that_can_move(image, broker.id, context).is_empty();
    if broker.fenced {
        match (request.want_shut_down, request.want_fence) {
            (true, _) => Next::ShutdownNow,
            (false, false) if is_caught_up => Next::Unfenced,
            _ => Next::Fenced,
        }
    } else if broker.in_controlled_shutdown {
        if still_leads() { Next::ControlledShutdown } else { Next::ShutdownNow }
    } else {
        match (request.want_shut_down, request.want_fence) {
            (true, true) => Next::ShutdownNow,
            (false, true) => Next::Fenced,
            (true, false) if still_leads() => Next::ControlledShutdown,
            (true, false) => Next::ShutdownNow,
            (false, false) => Next::Unfenced,
        }
    }
}

/// The changes that move leaderships away from a broker; empty once what can move has moved.
fn leaderships_that_can_move(image: &MetadataImage, broker: BrokerId, context: &Context<'_>) -> Vec<MetadataRecord> {
    let departure = Departure { broker, logs: Logs::Kept };
    election::departure_updates(image, context.catalog, departure, |partition| partition.leader == broker)
}

fn transition(
    image: &MetadataImage,
    broker: &BrokerRegistration,
    next: Next,
    context: &Context<'_>,
) -> Vec<MetadataRecord> {
    let mut change = BrokerRegistrationChangeRecord::new(broker.id, broker.epoch);
    let departure = Departure { broker: broker.id, logs: Logs::Kept };
    match next {
        Next::Fenced | Next::ShutdownNow if !broker.fenced => {
            let logs = if next == Next::ShutdownNow { Logs::Kept } else { Logs::Unknown };
            let departure = Departure { broker: broker.id, logs };
            fence(image, broker, departure, context)
        }
        Next::Unfenced if broker.fenced => {
            change.fenced = Some(false);
            let mut records = vec![change.into()];
            let arrivals = after(image, &records, |working| election::arrival_updates(working, context.catalog));
            records.extend(arrivals);
            records
        }
        Next::ControlledShutdown => {
            let mut records = Vec::new();
            if !broker.in_controlled_shutdown {
                change.in_controlled_shutdown = true;
                records.push(change.into());
            }
            records.extend(election::departure_updates(image, context.catalog, departure, |_| true));
            records
        }
        Next::Fenced | Next::ShutdownNow | Next::Unfenced => Vec::new(),
    }
}

/// Other directories are cordoned than before: placement goes by that from here on.
fn cordoned_directories(broker: &BrokerRegistration, request: &BrokerHeartbeatRequest) -> Option<MetadataRecord> {
    let cordoned = request.cordoned_log_dirs.as_ref()?;
    let is_news = *cordoned != *broker.cordoned_log_dirs.as_deref().unwrap_or_default();
    let change = BrokerRegistrationChangeRecord {
        cordoned_log_dirs: Some(cordoned.clone()),
        ..BrokerRegistrationChangeRecord::new(broker.id, broker.epoch)
    };
    is_news.then(|| change.into())
}

/// Takes a broker out of service: its leaderships and its places in ISRs go first.
pub(super) fn fence(
    image: &MetadataImage,
    broker: &BrokerRegistration,
    departure: Departure,
    context: &Context<'_>,
) -> Vec<MetadataRecord> {
    let mut records = election::departure_updates(image, context.catalog, departure, |_| true);
    let change = BrokerRegistrationChangeRecord {
        fenced: Some(true),
        ..BrokerRegistrationChangeRecord::new(broker.id, broker.epoch)
    };
    records.push(change.into());
    records
}

/// Directories that failed leave the registration, and the replicas in them their ISRs. A broker that has lost its last
/// directory stops by itself, and its registration names none that failed before it did.
fn offline_directories(
    image: &MetadataImage,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
    context: &Context<'_>,
) -> Vec<MetadataRecord> {
    let (offline, online): (Vec<Uuid>, Vec<Uuid>) =
        broker.log_dirs.iter().copied().partition(|directory| request.offline_log_dirs.contains(directory));
    if offline.is_empty() || online.is_empty() {
        return Vec::new();
    }
    // What was written to a directory that failed may not be in it when it works again.
    let departure = Departure { broker: broker.id, logs: Logs::MayBeLost };
    let in_offline_directory = |partition: &PartitionRegistration| {
        partition.directory_of(broker.id).is_some_and(|directory| offline.contains(&directory))
    };
    let mut records = vec![
        BrokerRegistrationChangeRecord {
            log_dirs: online,
            ..BrokerRegistrationChangeRecord::new(broker.id, broker.epoch)
        }
        .into(),
    ];
    records.extend(election::departure_updates(image, context.catalog, departure, in_offline_directory));
    records
}
