//! AssignReplicasToDirs: a broker says in which of its log directories replicas lie (KIP-858).
//!
//! Answers to Kafka's `ReplicationControlManager.handleAssignReplicasToDirs`. A broker that chose a directory itself, or that
//! moved a replica between two of them, is believed; a replica in a directory that is not online loses its leadership and its
//! place in the ISR in the same change, for the directory may have failed before the assignment arrived.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionIndex, TopicId};

use super::election::{self, Departure, Logs};
use super::register_broker::{after, check_broker_epoch};
use super::{ApiError, Context, Decision};
use crate::image::{BrokerRegistration, MetadataImage};
use crate::record::{MetadataRecord, PartitionChangeRecord};

/// The most replicas of one request (Kafka's `AssignReplicasToDirsRequest.MAX_ASSIGNMENTS_PER_REQUEST`).
pub const MAX_ASSIGNMENTS_PER_REQUEST: usize = 2_250;

/// A broker tells where replicas lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignReplicasToDirsRequest {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch.
    pub broker_epoch: BrokerEpoch,
    /// Its replicas.
    pub assignments: Vec<ReplicaDirectory>,
}

/// A replica and the directory that it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaDirectory {
    /// Its topic.
    pub topic_id: TopicId,
    /// Its partition.
    pub partition: PartitionIndex,
    /// The directory.
    pub directory: Uuid,
}

/// What became of each replica in the order of the request, or why nothing was looked at.
pub type AssignReplicasToDirsResponse = Result<Vec<Result<(), ErrorCode>>, ApiError>;

pub(super) fn decide(
    image: &MetadataImage,
    request: &AssignReplicasToDirsRequest,
    context: &mut Context<'_>,
) -> Decision<AssignReplicasToDirsResponse> {
    let broker = match check_broker_epoch(image, request.broker, request.broker_epoch) {
        Ok(broker) => broker,
        Err(error) => return Decision::unchanged(Err(error)),
    };
    if request.assignments.len() > MAX_ASSIGNMENTS_PER_REQUEST {
        let message = format!("More than {MAX_ASSIGNMENTS_PER_REQUEST} replicas are assigned in one request.");
        return Decision::unchanged(Err(ApiError::new(ErrorCode::InvalidRequest, message)));
    }
    let mut records = Vec::new();
    let mut lacks_leader = false;
    let results = request.assignments.iter().map(|assignment| {
        let change = assign(image, broker.id, assignment)?;
        if let Some(change) = change {
            let partition = image.partition(assignment.topic_id, assignment.partition);
            lacks_leader |= partition.is_some_and(|partition| !partition.has_leader());
            records.push(change.into());
        }
        Ok(())
    });
    let results: Vec<Result<(), ErrorCode>> = results.collect();
    let consequences = after(image, &records, |working| consequences(working, broker, lacks_leader, context));
    records.extend(consequences);
    Decision { records, response: Ok(results) }
}

fn assign(
    image: &MetadataImage,
    broker: BrokerId,
    assignment: &ReplicaDirectory,
) -> Result<Option<PartitionChangeRecord>, ErrorCode> {
    let topic = image.topic(assignment.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(assignment.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let replica = partition.replicas.iter().position(|replica| *replica == broker);
    let replica = replica.ok_or(ErrorCode::NotLeaderOrFollower)?;
    if partition.directories.get(replica) == Some(&assignment.directory) {
        return Ok(None);
    }
    let mut directories = partition.directories.to_vec();
    directories[replica] = assignment.directory;
    let change = PartitionChangeRecord::new(assignment.topic_id, assignment.partition);
    Ok(Some(PartitionChangeRecord { directories: Some(directories), ..change }))
}

/// What follows once the replicas lie where they were said to: those in directories that are not online serve no more, and those in
/// directories that are may lead where nobody does.
fn consequences(
    image: &MetadataImage,
    broker: &BrokerRegistration,
    lacks_leader: bool,
    context: &Context<'_>,
) -> Vec<MetadataRecord> {
    let departure = Departure { broker: broker.id, logs: Logs::MayBeLost };
    let mut records = election::departure_updates(image, context.catalog, departure, |partition| {
        !election::has_online_directory(image, partition, broker.id)
    });
    if lacks_leader {
        let arrivals = after(image, &records, |working| election::arrival_updates(working, context.catalog));
        records.extend(arrivals);
    }
    records
}
