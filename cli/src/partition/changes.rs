//! How a partition and its replicas are written on the command line.

use std::str::FromStr;

use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};

/// `TOPIC-PARTITION`, as folders are named and as `weir partition moves` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named(pub(super) TopicPartition);

/// `TOPIC-PARTITION=BROKER,BROKER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewReplicas {
    pub(super) partition: TopicPartition,
    pub(super) replicas: Vec<BrokerId>,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no partition: write TOPIC-PARTITION, such as orders-0");
        let (topic, partition) = text.rsplit_once('-').ok_or_else(wrong)?;
        let partition: u16 = partition.parse().map_err(|_| wrong())?;
        if topic.is_empty() {
            return Err(wrong());
        }
        Ok(Self(TopicPartition::new(topic, PartitionIndex(i32::from(partition)))))
    }
}

impl FromStr for NewReplicas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "write TOPIC-PARTITION=BROKER,BROKER, such as orders-0=1,2,3";
        let (partition, brokers) = text.split_once('=').ok_or(shape)?;
        let Named(partition) = partition.parse()?;
        let id = |text: &str| text.trim().parse().map(BrokerId).map_err(|_| format!("{text:?} is no broker: {shape}"));
        let replicas = brokers.split(',').map(id).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { partition, replicas })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_have_dashes_and_a_partition_is_the_last_number() {
        let new: NewReplicas = "a-b-12=3,1".parse().unwrap();
        assert_eq!(new.partition, TopicPartition::new("a-b", PartitionIndex(12)));
        assert_eq!(new.replicas, [BrokerId(3), BrokerId(1)]);
    }

    #[test]
    fn what_is_missing_is_shown() {
        for wrong in ["orders", "orders-0", "orders-x=1", "orders-0=", "-0=1", "orders-0=1,,2"] {
            let error = wrong.parse::<NewReplicas>().unwrap_err();
            assert!(error.contains("such as"), "{wrong}: {error}");
        }
    }
}
