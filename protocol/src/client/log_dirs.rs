//! What lies in brokers' log directories (KIP-113, KIP-827).

use super::{Admin, ClientError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex, TopicPartition};
use crate::messages::describe_log_dirs_response::DescribeLogDirsResult;
use crate::messages::{ApiKey, DescribeLogDirsRequest};

/// A log directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Where it is.
    pub path: String,
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
    /// DescribeLogDirs, asked of the broker itself: its directories that are online, with every replica.
    pub async fn describe_log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, ClientError> {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        let response = self.client().ask_broker(broker, &request).await?;
        self.item(ApiKey::DescribeLogDirs, "the log directories", response.error_code, None)?;
        let is_online = |dir: &&DescribeLogDirsResult| ErrorCode::from_code(dir.error_code).is_none();
        Ok(response.results.iter().filter(is_online).map(log_dir).collect())
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
    LogDir { path: dir.log_dir.to_string(), space, replicas: replicas.collect() }
}
