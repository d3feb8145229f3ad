//! Who may lead a partition that no replica in sync can (KIP-966): DescribeTopicPartitions, from clusters that speak it.

use super::cluster::topic_name;
use super::{Admin, ClientError};
use crate::ids::{BrokerId, PartitionIndex};
use crate::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use crate::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition;
use crate::messages::{ApiKey, BrokerId as WireBrokerId, DescribeTopicPartitionsRequest};
use std::collections::BTreeMap;

/// The most partitions of one answer: Kafka's own limit (`max.request.partition.size.limit`).
const PAGE_PARTITIONS: i32 = 2_000;

/// Those who may be elected to a partition beside its replicas in sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EligibleLeaders {
    /// Replicas out of sync that have everything committed.
    pub eligible: Vec<BrokerId>,
    /// Those who had it before they restarted uncleanly.
    pub last_known: Vec<BrokerId>,
}

impl Admin {
    /// DescribeTopicPartitions, page after page. None if no broker that answers speaks it, as before Kafka 3.7.
    pub async fn eligible_leaders(
        &self,
        topic: &str,
    ) -> Result<Option<BTreeMap<PartitionIndex, EligibleLeaders>>, ClientError> {
        let mut found = BTreeMap::new();
        let mut from = 0;
        loop {
            let cursor = Cursor::default().with_topic_name(topic_name(topic)).with_partition_index(from);
            let request = DescribeTopicPartitionsRequest::default()
                .with_topics(vec![TopicRequest::default().with_name(topic_name(topic))])
                .with_response_partition_limit(PAGE_PARTITIONS)
                .with_cursor((from > 0).then_some(cursor));
            let response = match self.client().ask_any(&request).await {
                Err(error) if is_unsupported(&error) => return Ok(None),
                response => response?,
            };
            let Some(page) = response.topics.into_iter().next() else {
                return Err(self.missing(ApiKey::DescribeTopicPartitions, topic));
            };
            self.item(ApiKey::DescribeTopicPartitions, topic, page.error_code, None)?;
            found.extend(page.partitions.into_iter().map(eligible_leaders));
            match response.next_cursor {
                Some(next) if *next.topic_name.0 == *topic && next.partition_index > from => {
                    from = next.partition_index
                }
                _ => return Ok(Some(found)),
            }
        }
    }
}

fn eligible_leaders(partition: DescribeTopicPartitionsResponsePartition) -> (PartitionIndex, EligibleLeaders) {
    let ids = |ids: Option<Vec<WireBrokerId>>| ids.unwrap_or_default().into_iter().map(|id| BrokerId(id.0)).collect();
    let leaders = EligibleLeaders {
        eligible: ids(partition.eligible_leader_replicas),
        last_known: ids(partition.last_known_elr),
    };
    (PartitionIndex(partition.partition_index), leaders)
}

fn is_unsupported(error: &ClientError) -> bool {
    match error {
        ClientError::UnsupportedVersion { .. } => true,
        ClientError::NoBroker { attempts } => attempts.iter().any(|(_, error)| is_unsupported(error)),
        _ => false,
    }
}
