//! ListOffsets (KIP-79): where partitions begin and end, and which offset a time falls on. Asked of each leader.

use super::cluster::topic_name;
use super::{Client, ClientError};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, PartitionIndex, TopicPartition};
use crate::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::messages::{ApiKey, ListOffsetsRequest, ListOffsetsResponse};
use std::collections::{BTreeMap, HashMap};

/// A position in a partition by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record that is kept.
    Earliest,
    /// After the last record; when reading committed, the last stable offset.
    Latest,
    /// The first record at or after this time in milliseconds.
    Timestamp(i64),
    /// The record with the greatest timestamp (KIP-734).
    MaxTimestamp,
}

/// Whose records are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everybody's.
    #[default]
    ReadUncommitted = 0,
    /// Those of transactions once they have committed.
    ReadCommitted = 1,
}

/// An answer to an [`OffsetSpec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; none if no record is that young.
    pub offset: Option<i64>,
    /// The record's timestamp, where one was asked for.
    pub timestamp: Option<i64>,
    /// The epoch of the record's leader, or -1.
    pub leader_epoch: LeaderEpoch,
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

impl Client {
    /// Looks up offsets, asking every leader concerned; retries what is retriable.
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
    ) -> Result<HashMap<TopicPartition, ListedOffset>, ClientError> {
        self.retry(|_| self.list_offsets_once(wanted, isolation)).await
    }

    async fn list_offsets_once(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
    ) -> Result<HashMap<TopicPartition, ListedOffset>, ClientError> {
        let mut by_leader: HashMap<BrokerId, BTreeMap<&str, Vec<ListOffsetsPartition>>> = HashMap::new();
        for (partition, spec) in wanted {
            let (leader, _) = self.leader(partition).await?;
            let asked = ListOffsetsPartition::default()
                .with_partition_index(partition.partition.get())
                .with_timestamp(spec.timestamp());
            by_leader.entry(leader).or_default().entry(&partition.topic).or_default().push(asked);
        }
        let mut found = HashMap::new();
        for (leader, topics) in by_leader {
            let topics = topics
                .into_iter()
                .map(|(name, partitions)| {
                    ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions(partitions)
                })
                .collect();
            let request = ListOffsetsRequest::default()
                .with_replica_id(crate::messages::BrokerId(-1))
                .with_isolation_level(isolation as i8)
                .with_topics(topics);
            let response = self.ask_leader(leader, request).await?;
            self.take_offsets(leader, &response, &mut found)?;
        }
        match wanted.iter().find(|(partition, _)| !found.contains_key(partition)) {
            None => Ok(found),
            Some((partition, _)) => {
                let (address, subject) = (self.bootstrap_address(), partition.to_string());
                Err(ClientError::Missing { address, api: ApiKey::ListOffsets, subject })
            }
        }
    }

    async fn ask_leader(
        &self,
        leader: BrokerId,
        mut request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, ClientError> {
        let connection = self.connection(leader).await?;
        let version = connection.version_up_to::<ListOffsetsRequest>(i16::MAX)?;
        if version >= 10 {
            // How long the broker may look in tiered storage (KIP-1075).
            request.timeout_ms = self.config().request_timeout.as_millis().min(i32::MAX as u128) as i32;
        }
        connection.call(&request, version).await
    }

    fn take_offsets(
        &self,
        leader: BrokerId,
        response: &ListOffsetsResponse,
        found: &mut HashMap<TopicPartition, ListedOffset>,
    ) -> Result<(), ClientError> {
        for topic in &response.topics {
            for answer in &topic.partitions {
                let partition = TopicPartition::new(&**topic.name, PartitionIndex(answer.partition_index));
                let code = ErrorCode::from_code(answer.error_code);
                if !code.is_none() {
                    self.invalidate(&partition.topic);
                    let (address, subject) = (self.address_of(leader), partition.to_string());
                    let api = ApiKey::ListOffsets;
                    return Err(ClientError::Refused { address, api, subject, code, message: None });
                }
                let known = |value: i64| Some(value).filter(|&value| value >= 0);
                let (offset, timestamp) = (known(answer.offset), known(answer.timestamp));
                let leader_epoch = LeaderEpoch(answer.leader_epoch);
                found.insert(partition, ListedOffset { offset, timestamp, leader_epoch });
            }
        }
        Ok(())
    }
}
