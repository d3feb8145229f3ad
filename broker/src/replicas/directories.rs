//! Telling the controller in which log directories replicas lie, where that is not what the metadata says (KIP-858).
//!
//! A broker that has several directories chooses one for a replica that was put on it without naming any, and replicas move between
//! directories. Until the controller knows, the failure of that directory would not move the leadership. Kafka's `AssignmentsManager`.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;
use weir_controller::decide::{
    AssignReplicasToDirsRequest, ControllerResponse, MAX_ASSIGNMENTS_PER_REQUEST, ReplicaDirectory,
};
use weir_protocol::error_code::ErrorCode;

use crate::controller_client::ControllerClient;
use crate::partition::{LocalBroker, PartitionKey};

/// How long to wait before what nobody has answered is told again; it doubles up to the longest wait.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// Tells where replicas lie, the latest word of each, until nobody can say anything any more.
pub(super) async fn assign(
    mut placed: UnboundedReceiver<ReplicaDirectory>,
    local: Arc<LocalBroker>,
    controller: Arc<ControllerClient>,
) {
    let mut waiting: AHashMap<PartitionKey, Uuid> = AHashMap::new();
    let mut retry = FIRST_RETRY;
    loop {
        if waiting.is_empty() {
            match placed.recv().await {
                Some(replica) => take(&mut waiting, replica),
                None => return,
            }
        }
        while let Ok(replica) = placed.try_recv() {
            take(&mut waiting, replica);
        }
        let assignments: Vec<_> = waiting.iter().take(MAX_ASSIGNMENTS_PER_REQUEST).map(replica).collect();
        let request = AssignReplicasToDirsRequest {
            broker: local.id(),
            broker_epoch: local.epoch(),
            assignments: assignments.clone(),
        };
        match submit(&controller, request).await {
            Ok(results) => {
                retry = FIRST_RETRY;
                for (replica, result) in assignments.iter().zip(results) {
                    waiting.remove(&(replica.topic_id, replica.partition));
                    if let Err(code) = result {
                        // It is no longer here, which the metadata tell too.
                        tracing::debug!(?replica, ?code, "the controller did not take a replica's directory");
                    }
                }
            }
            Err(code) => {
                tracing::debug!(?code, "nobody was told in which directories replicas lie; trying again");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        }
    }
}

fn take(waiting: &mut AHashMap<PartitionKey, Uuid>, replica: ReplicaDirectory) {
    waiting.insert((replica.topic_id, replica.partition), replica.directory);
}

fn replica((key, directory): (&PartitionKey, &Uuid)) -> ReplicaDirectory {
    ReplicaDirectory { topic_id: key.0, partition: key.1, directory: *directory }
}

async fn submit(
    controller: &ControllerClient,
    request: AssignReplicasToDirsRequest,
) -> Result<Vec<Result<(), ErrorCode>>, ErrorCode> {
    match controller.submit(request).await {
        Ok(ControllerResponse::AssignReplicasToDirs(answer)) => answer.map_err(|error| error.code),
        Ok(other) => {
            tracing::error!(answer = ?other, "the controller answered something else to an assignment of directories");
            Err(ErrorCode::UnknownServerError)
        }
        Err(error) => Err(error.error_code()),
    }
}
