//! Which replicas of a topic are throttled (KIP-73): the value of `leader.replication.throttled.replicas` and of
//! `follower.replication.throttled.replicas`.

use weir_protocol::ids::{BrokerId, PartitionIndex};

/// Replicas that are throttled on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// None.
    #[default]
    None,
    /// Every one.
    All,
    /// Those of these partitions on these brokers.
    Listed(Box<[(PartitionIndex, BrokerId)]>),
}

impl ThrottledReplicas {
    /// Reads `*` or `partition:broker,...`. Values were checked when they were set: a pair that is none is passed over.
    pub fn parse(value: &str) -> Self {
        let pair = |text: &str| {
            let (partition, broker) = text.trim().split_once(':')?;
            Some((PartitionIndex(partition.parse().ok()?), BrokerId(broker.parse().ok()?)))
        };
        match value.trim() {
            "" => Self::None,
            "*" => Self::All,
            listed => Self::Listed(listed.split(',').filter_map(pair).collect()),
        }
    }

    /// Whether the replica of `partition` on `broker` is among them.
    pub fn contains(&self, partition: PartitionIndex, broker: BrokerId) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Listed(replicas) => replicas.contains(&(partition, broker)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(value: &str, partition: i32, broker: i32) -> bool {
        ThrottledReplicas::parse(value).contains(PartitionIndex(partition), BrokerId(broker))
    }

    #[test]
    fn a_replica_is_a_partition_on_a_broker() {
        assert!(contains("0:1, 3:2", 3, 2));
        assert!(!contains("0:1, 3:2", 0, 2));
    }

    #[test]
    fn a_star_is_every_replica_and_nothing_is_none() {
        assert!(contains("*", 9, 9));
        assert!(!contains("", 0, 0));
        assert_eq!(ThrottledReplicas::parse(" "), ThrottledReplicas::None);
    }
}
