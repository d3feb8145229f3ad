//! RegisterBroker: a process takes its broker id (KIP-631).
//!
//! Answers to Kafka's `ClusterControlManager.registerBroker`. The epoch of a registration is the offset of its record. A new
//! incarnation ends the earlier one first: its partitions move to other members of their ISRs. Where there is none, Kafka
//! leaves the partition without a leader until the broker is unfenced and elects it again, two changes for each partition;
//! here a broker whose logs are intact keeps such partitions, so that the restart of a single node writes one record. One
//! whose logs may have lost their tails goes Kafka's way, which moves the leader epoch and lets readers find out (KIP-320).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::election::{self, Departure, Logs};
use super::lost_directories;
use super::{ApiError, Context, Decision};
use crate::image::{
    BrokerRegistration, DIRECTORY_LOST, METADATA_VERSION_FEATURE, MetadataImage, PartitionRegistration,
};
use crate::record::{BrokerEndpoint, BrokerFeature, MetadataRecord, RegisterBrokerRecord};

/// The first hundred directory ids mean something else (`DirectoryId.reserved`).
const RESERVED_DIRECTORY_IDS: u128 = 100;

/// A broker starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterBrokerRequest {
    /// Its node id.
    pub broker: BrokerId,
    /// The cluster it believes to belong to.
    pub cluster_id: Arc<str>,
    /// The incarnation of the process.
    pub incarnation_id: Uuid,
    /// Where it listens.
    pub endpoints: Vec<BrokerEndpoint>,
    /// What it supports.
    pub features: Vec<BrokerFeature>,
    /// Its zone.
    pub rack: Option<Arc<str>>,
    /// Its log directories that are online.
    pub log_dirs: Vec<Uuid>,
    /// Whether it starts fenced and serves only after a heartbeat; a combined node that is up to date need not.
    pub fenced: bool,
    /// What may have happened to its logs since its last registration.
    pub log_state: LogState,
    /// The epoch of the life in which its logs were last closed in order, if they were.
    #[serde(default)]
    pub previous_broker_epoch: Option<BrokerEpoch>,
    /// Whether the session of the earlier incarnation is still open; the controller knows, not the broker.
    pub earlier_session_open: bool,
}

/// What may have happened to a broker's logs while it was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogState {
    /// Nothing: it stopped cleanly, or the operating system has not restarted since.
    Intact,
    /// Their tails may be lost.
    TailsMayBeLost,
}

/// The epoch of the registration, or why there is none.
pub type RegisterBrokerResponse = Result<BrokerEpoch, ApiError>;

pub(super) fn decide(
    image: &MetadataImage,
    request: &RegisterBrokerRequest,
    context: &mut Context<'_>,
) -> Decision<RegisterBrokerResponse> {
    let existing = image.broker(request.broker).map(|existing| &**existing);
    if let Err(error) = check(image, request, existing) {
        return Decision::unchanged(Err(error));
    }
    let mut record = RegisterBrokerRecord {
        broker: request.broker,
        is_migrating_zk_broker: false,
        incarnation_id: request.incarnation_id,
        broker_epoch: BrokerEpoch(context.next_offset.get()),
        endpoints: request.endpoints.clone(),
        features: request.features.clone(),
        rack: request.rack.clone(),
        fenced: request.fenced,
        in_controlled_shutdown: false,
        log_dirs: request.log_dirs.clone(),
        cordoned_log_dirs: None,
    };
    let mut records = Vec::new();
    match existing.filter(|existing| existing.incarnation_id == request.incarnation_id) {
        // The same process amends what it said: it keeps its epoch and its state.
        Some(same) => {
            record.broker_epoch = same.epoch;
            record.fenced = same.fenced;
            record.in_controlled_shutdown = same.in_controlled_shutdown;
            record.cordoned_log_dirs.clone_from(&same.cordoned_log_dirs);
        }
        None => {
            // Until this process says otherwise: a restart is no reason to place replicas on a broker that is being drained.
            record.cordoned_log_dirs = existing.and_then(|existing| existing.cordoned_log_dirs.clone());
            let lost_all = existing.is_some_and(|existing| lost_directories::lost_all(existing, request));
            let intact = request.log_state == LogState::Intact && !lost_all && !is_older_copy(existing, request);
            let logs = if intact { Logs::Kept } else { Logs::MayBeLost };
            records = departure(image, request, logs, context);
            if lost_all {
                let anew = after(image, &records, |working| lost_directories::placed_anew(working, request.broker));
                records.extend(anew);
            }
        }
    }
    let epoch = record.broker_epoch;
    let serves = !record.fenced;
    records.push(record.into());
    if serves {
        let arrivals = after(image, &records, |working| election::arrival_updates(working, context.catalog));
        records.extend(arrivals);
    }
    Decision { records, response: Ok(epoch) }
}

/// Ends the earlier incarnation. What lies in a directory that the new one does not bring is lost to it in any case.
fn departure(
    image: &MetadataImage,
    request: &RegisterBrokerRequest,
    logs: Logs,
    context: &Context<'_>,
) -> Vec<MetadataRecord> {
    let broker = request.broker;
    let is_brought = |partition: &PartitionRegistration| {
        let directory = partition.directory_of(broker).filter(|directory| !is_reserved(*directory));
        directory.is_none_or(|directory| request.log_dirs.contains(&directory))
    };
    let updates = |logs, affects: &dyn Fn(&PartitionRegistration) -> bool| {
        election::departure_updates(image, context.catalog, Departure { broker, logs }, affects)
    };
    let mut records = updates(logs, &is_brought);
    records.extend(updates(Logs::MayBeLost, &|partition| !is_brought(partition)));
    records
}

/// Whether the logs were closed by an earlier life than the last: they are a copy, or the last life left them otherwise (KIP-966).
fn is_older_copy(existing: Option<&BrokerRegistration>, request: &RegisterBrokerRequest) -> bool {
    existing.zip(request.previous_broker_epoch).is_some_and(|(existing, closed_by)| existing.epoch != closed_by)
}

/// Whether a directory id means something else than a directory.
pub(super) fn is_reserved(directory: Uuid) -> bool {
    directory.as_u128() < RESERVED_DIRECTORY_IDS
}

/// Looks at the image as it will be after `records`.
pub(super) fn after<T>(image: &MetadataImage, records: &[MetadataRecord], look: impl FnOnce(&MetadataImage) -> T) -> T {
    let mut working = image.clone();
    for record in records {
        working.apply(record).expect("a decision's records apply to the image that it was decided against");
    }
    look(&working)
}

fn check(
    image: &MetadataImage,
    request: &RegisterBrokerRequest,
    existing: Option<&BrokerRegistration>,
) -> Result<(), ApiError> {
    let cluster_id = image.cluster_id().map_or("", |id| id);
    if *cluster_id != *request.cluster_id {
        let message = format!("Expected cluster ID {cluster_id}, but got cluster ID {}", request.cluster_id);
        return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
    }
    let other_incarnation = existing.is_some_and(|existing| existing.incarnation_id != request.incarnation_id);
    if other_incarnation && request.earlier_session_open {
        let message = "Another broker is registered with that broker id. If the broker was recently restarted this \
                       should self-resolve once the heartbeat manager expires the broker's session.";
        return Err(ApiError::new(ErrorCode::DuplicateBrokerRegistration, message));
    }
    check_directories(image, request)?;
    check_features(image, request)
}

fn check_directories(image: &MetadataImage, request: &RegisterBrokerRequest) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidRegistration, message));
    if request.log_dirs.is_empty() {
        return invalid("No directories specified in request".to_owned());
    }
    if request.log_dirs.iter().copied().any(is_reserved) {
        return invalid("Reserved directory ID in request".to_owned());
    }
    if request.log_dirs.iter().collect::<BTreeSet<_>>().len() != request.log_dirs.len() {
        return invalid("Duplicate directory ID in request".to_owned());
    }
    for other in image.brokers().filter(|broker| broker.id != request.broker) {
        if let Some(directory) = request.log_dirs.iter().find(|directory| other.log_dirs.contains(directory)) {
            return invalid(format!("Broker {} is already registered with directory {directory}", other.id));
        }
    }
    Ok(())
}

/// Every finalized feature must be at a level that the broker supports; one that it does not name it supports at nought.
fn check_features(image: &MetadataImage, request: &RegisterBrokerRequest) -> Result<(), ApiError> {
    let range = |name: &str| request.features.iter().find(|feature| &*feature.name == name);
    if range(METADATA_VERSION_FEATURE).is_none() {
        let message = format!("Request features do not contain '{METADATA_VERSION_FEATURE}'");
        return Err(ApiError::new(ErrorCode::InvalidRegistration, message));
    }
    let finalized = image.features().map(|(name, level)| (name.clone(), level));
    let disabled = request.features.iter().map(|feature| (feature.name.clone(), image.feature_level(&feature.name)));
    for (name, level) in finalized.chain(disabled) {
        let (min, max) = range(&name).map_or((0, 0), |range| (range.min_supported_level, range.max_supported_level));
        // Levels below a minimum of one are how a feature that is off looks, to Kafka and here alike.
        if !(min..=max).contains(&level) && level != 0 {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} of {name}. The broker \
                 wants a version between {min} and {max}, inclusive."
            );
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}

/// The registration of a broker that asks, unless it asked in an earlier life (Kafka's `checkBrokerEpoch`).
pub(super) fn check_broker_epoch(
    image: &MetadataImage,
    id: BrokerId,
    epoch: BrokerEpoch,
) -> Result<&BrokerRegistration, ApiError> {
    let stale = |message: String| Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
    match image.broker(id) {
        None => stale(format!("No broker registration found for broker id {id}")),
        Some(broker) if broker.epoch != epoch => {
            stale(format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch))
        }
        Some(broker) => Ok(broker),
    }
}

const _: () = assert!(DIRECTORY_LOST.as_u128() < RESERVED_DIRECTORY_IDS);
