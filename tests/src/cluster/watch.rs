//! What a cluster says of itself over the wire: leaders, in-sync replicas, the active controller.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::{
    DescribeQuorumRequest, ElectLeadersRequest, FindCoordinatorRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::wire::Wire;

/// How often the cluster is asked while waiting for it to change.
const POLL: Duration = Duration::from_millis(10);
/// How long one node may take to answer before another is asked.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
const FIND_COORDINATOR: i16 = 3;
const DESCRIBE_QUORUM: i16 = 0;
const ELECT_LEADERS: i16 = 2;
const METADATA_TOPIC: &str = "__cluster_metadata";

/// One partition, as its cluster tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSync {
    /// Its index.
    pub partition: i32,
    /// Who leads it; negative for nobody.
    pub leader: i32,
    /// Grows with each change of leader.
    pub leader_epoch: i32,
    /// Who has a replica.
    pub replicas: Vec<i32>,
    /// Who is in sync.
    pub in_sync: Vec<i32>,
}

impl InSync {
    fn is_whole(&self) -> bool {
        self.leader >= 0 && self.in_sync.len() == self.replicas.len()
    }
}

/// Asks one node after the other.
#[derive(Debug, Clone)]
pub struct Watch {
    addresses: Vec<String>,
}

impl Watch {
    pub(super) fn new(addresses: Vec<String>) -> Watch {
        Watch { addresses }
    }

    /// The first answer that any node gives.
    fn ask<T>(&self, mut question: impl FnMut(&mut Wire) -> io::Result<T>) -> io::Result<T> {
        let mut last = io::Error::other("a cluster without nodes");
        for address in &self.addresses {
            let answer = Wire::connect(address).and_then(|mut wire| {
                wire.stream().set_read_timeout(Some(ANSWER_PATIENCE))?;
                question(&mut wire)
            });
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The partitions of a topic, as the first node that answers has them.
    pub fn partitions(&self, topic: &str) -> io::Result<Vec<InSync>> {
        self.ask(|wire| wire.metadata().map(|metadata| partitions_of(&metadata, |name| name == topic)))
    }

    /// Waits until every partition of `topic` has a leader and all its replicas in sync.
    pub fn wait_until_whole(&self, topic: &str, patience: Duration) -> io::Result<()> {
        self.wait_for(patience, || match self.partitions(topic)? {
            none if none.is_empty() => Err(io::Error::other(format!("there is no topic {topic}"))),
            partitions => all_whole(&partitions),
        })
    }

    /// Has every partition of `topic` led by its preferred replica, and waits until it is.
    pub fn return_leaders(&self, topic: &str, patience: Duration) -> io::Result<()> {
        let request = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(1_000);
        self.wait_for(patience, || {
            let partitions = self.partitions(topic)?;
            let elsewhere = partitions.iter().filter(|partition| partition.replicas.first() != Some(&partition.leader));
            match elsewhere.count() {
                0 if !partitions.is_empty() => Ok(()),
                elsewhere => {
                    self.ask(|wire| wire.call(&request, ELECT_LEADERS))?;
                    Err(io::Error::other(format!("{elsewhere} partitions are not led by their preferred replicas")))
                }
            }
        })
    }

    /// Waits until every partition of every topic has a leader and all its replicas in sync.
    pub fn wait_until_all_whole(&self, patience: Duration) -> io::Result<()> {
        self.wait_for(patience, || {
            all_whole(&self.ask(|wire| wire.metadata().map(|metadata| partitions_of(&metadata, |_| true)))?)
        })
    }

    /// Waits until `question` has no error, and gives its answer; past `patience`, its last error.
    pub fn wait_for<T>(&self, patience: Duration, mut question: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            match question() {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// The `node.id` of a group's coordinator.
    pub fn coordinator(&self, group: &str) -> io::Result<i32> {
        let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
        let response = self.ask(|wire| wire.call(&request, FIND_COORDINATOR))?;
        match response.error_code {
            0 => Ok(response.node_id.0),
            code => Err(io::Error::other(format!("group {group} has no coordinator: error {code}"))),
        }
    }

    /// The `node.id` of the active controller.
    pub fn active_controller(&self) -> io::Result<i32> {
        self.quorum().map(|(leader, _)| leader)
    }

    /// Grows with each election of an active controller.
    pub fn controller_epoch(&self) -> io::Result<i32> {
        self.quorum().map(|(_, epoch)| epoch)
    }

    fn quorum(&self) -> io::Result<(i32, i32)> {
        let partition = PartitionData::default().with_partition_index(0);
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(METADATA_TOPIC)))
            .with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let response = self.ask(|wire| wire.call(&request, DESCRIBE_QUORUM))?;
        let partition = response.topics.first().and_then(|topic| topic.partitions.first());
        let leader = partition.filter(|partition| partition.error_code == 0 && partition.leader_id.0 >= 0);
        leader
            .map(|partition| (partition.leader_id.0, partition.leader_epoch))
            .ok_or_else(|| io::Error::other("there is no active controller"))
    }
}

fn all_whole(partitions: &[InSync]) -> io::Result<()> {
    let missing: Vec<_> = partitions.iter().filter(|partition| !partition.is_whole()).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(format!("not whole: {missing:?}"))),
    }
}

fn partitions_of(metadata: &MetadataResponse, is_meant: impl Fn(&str) -> bool) -> Vec<InSync> {
    let named = |name: &TopicName| is_meant(name.as_str());
    let topics = metadata.topics.iter().filter(|topic| topic.name.as_ref().is_some_and(named));
    let partitions = topics.flat_map(|topic| &topic.partitions).map(|partition| InSync {
        partition: partition.partition_index,
        leader: partition.leader_id.0,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes.iter().map(|node| node.0).collect(),
        in_sync: partition.isr_nodes.iter().map(|node| node.0).collect(),
    });
    partitions.collect()
}
