//! AlterReplicaLogDirs (34): moves replicas of this broker between its log directories (KIP-113).

use std::sync::Arc;

use uuid::Uuid;
use weir_controller::decide::CLUSTER_METADATA_TOPIC;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{PartitionIndex, TopicPartition};
use weir_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use weir_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};

use super::call::Call;
use super::describe_log_dirs::absolute;
use crate::broker::Broker;
use crate::net::Dispatch;
use crate::partition::Placement;

/// The most partitions of one request that may make folders; Kafka has no such limit.
const MAX_MOVES_PER_REQUEST: usize = 10_000;

pub(super) fn handle(call: Call, request: AlterReplicaLogDirsRequest) -> Dispatch {
    call.later(async move |call| {
        // Folders are made, perhaps on a disk that takes its time.
        let broker = Arc::clone(&call.node);
        let altered = tokio::task::spawn_blocking(move || alter(&broker, request)).await;
        altered.unwrap_or_else(|error| {
            tracing::error!(%error, "replicas could not be moved between log directories");
            AlterReplicaLogDirsResponse::default()
        })
    })
}

fn alter(broker: &Broker, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let dirs = broker.logs.dirs();
    let mut topics: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    let mut asked = 0;
    for dir in request.dirs {
        let found = dirs.iter().find(|known| *absolute(known) == *dir.path || known.path.to_str() == Some(&*dir.path));
        let to = match found {
            None => Err(ErrorCode::LogDirNotFound),
            Some(known) if known.offline.is_some() => Err(ErrorCode::KafkaStorageError),
            Some(known) => Ok(known.id),
        };
        for topic in dir.topics {
            let moved = topic.partitions.iter().map(|&index| {
                asked += 1;
                let outcome = match to {
                    Ok(_) if asked > MAX_MOVES_PER_REQUEST => Err(ErrorCode::InvalidRequest),
                    Ok(to) => begin(broker, &topic.name, PartitionIndex(index), to),
                    Err(code) => Err(code),
                };
                let code = outcome.err().unwrap_or(ErrorCode::None);
                AlterReplicaLogDirPartitionResult::default().with_partition_index(index).with_error_code(code.code())
            });
            let moved: Vec<_> = moved.collect();
            match topics.iter_mut().find(|known| known.topic_name == topic.name) {
                Some(known) => known.partitions.extend(moved),
                None => topics.push(
                    AlterReplicaLogDirTopicResult::default()
                        .with_topic_name(TopicName(topic.name.0.clone()))
                        .with_partitions(moved),
                ),
            }
        }
    }
    AlterReplicaLogDirsResponse::default().with_results(topics)
}

fn begin(broker: &Broker, topic: &str, index: PartitionIndex, to: Uuid) -> Result<(), ErrorCode> {
    if topic == CLUSTER_METADATA_TOPIC {
        return Err(ErrorCode::InvalidTopicException);
    }
    match broker.partitions.find(&broker.image(), topic, index) {
        Placement::Local(partition) => broker.moves.begin(&partition, to).map_err(|error| {
            tracing::warn!(partition = %partition.topic_partition(), message = ?error.message, "a replica does not move to another log directory");
            error.code
        }),
        // One that comes here is made where it is wanted; until then Kafka's tools ask again.
        Placement::Elsewhere(_) | Placement::Unknown => {
            broker.partitions.local().prefer(TopicPartition { topic: topic.into(), partition: index }, to);
            Err(ErrorCode::ReplicaNotAvailable)
        }
    }
}
