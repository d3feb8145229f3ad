//! What lies in brokers' log directories, and moves between those of one broker (KIP-113, KIP-827).

use super::cluster::topic_name;
use super::{Admin, ClientError, PerItem};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex, TopicPartition};
use crate::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use crate::messages::describe_log_dirs_response::DescribeLogDirsResult;
use crate::messages::{AlterReplicaLogDirsRequest, ApiKey, DescribeLogDirsRequest, StrBytes};
use std::collections::BTreeMap;

/// A log directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Where it is.
    pub path: String,
    /// Whether it is in use; one that failed is told without replicas.
    pub is_online: bool,
    /// The size of its disk and what is free on it, in bytes, from brokers that tell.
    pub space: Option<(u64, u64)>,
    /// The replicas in it.
    pub replicas: Vec<ReplicaLog>,
}

/// A replica's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaLog {
    /// Of which partition.
    pub partition: TopicPartition,
    /// Its bytes.
    pub size_bytes: u64,
    /// How many records it is behind.
    pub offset_lag: i64,
    /// Whether it is on its way into this directory from another.
    pub is_future: bool,
}

impl Admin {
    /// DescribeLogDirs, asked of the broker itself: its directories, with every replica.
    pub async fn describe_log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, ClientError> {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        let response = self.client().ask_broker(broker, &request).await?;
        self.item(ApiKey::DescribeLogDirs, "the log directories", response.error_code, None)?;
        Ok(response.results.iter().map(log_dir).collect())
    }

    /// AlterReplicaLogDirs, asked of the broker itself: its replicas of these partitions go to its directory at `path`.
    pub async fn move_to_log_dir(
        &self,
        broker: BrokerId,
        path: &str,
        partitions: &[TopicPartition],
    ) -> Result<PerItem<TopicPartition, ()>, ClientError> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            topics.entry(&partition.topic).or_default().push(partition.partition.get());
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            AlterReplicaLogDirTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        });
        let dir = AlterReplicaLogDir::default()
            .with_path(StrBytes::from_string(path.to_owned()))
            .with_topics(topics.collect());
        let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
        let response = self.client().ask_broker(broker, &request).await?;
        let mut results = Vec::new();
        for topic in response.results {
            for answer in topic.partitions {
                let partition = TopicPartition::new(&**topic.topic_name, PartitionIndex(answer.partition_index));
                let done = self.item(ApiKey::AlterReplicaLogDirs, &partition.to_string(), answer.error_code, None);
                results.push((partition, done));
            }
        }
        Ok(results)
    }
}

fn log_dir(dir: &DescribeLogDirsResult) -> LogDir {
    let replicas = dir.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| ReplicaLog {
            partition: TopicPartition::new(&**topic.name, PartitionIndex(partition.partition_index)),
            size_bytes: u64::try_from(partition.partition_size).unwrap_or(0),
            offset_lag: partition.offset_lag,
            is_future: partition.is_future_key,
        })
    });
    let space = u64::try_from(dir.total_bytes).ok().zip(u64::try_from(dir.usable_bytes).ok());
    let is_online = ErrorCode::from_code(dir.error_code).is_none();
    LogDir { path: dir.log_dir.to_string(), is_online, space, replicas: replicas.collect() }
}
