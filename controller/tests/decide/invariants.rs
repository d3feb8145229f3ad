//! What holds after any run of requests, whoever asks for what.

use std::collections::HashMap;

use proptest::prelude::*;
use uuid::Uuid;
use weir_controller::decide::{
    AlterPartitionRequest, BrokerHeartbeatRequest, ControllerRequest, CreateTopicsRequest, DeleteTopicsRequest,
    ElectLeadersRequest, ElectionType, IsrMember, LogState, NewTopic, PartitionIsrChange, RegisterBrokerRequest,
    TopicIsrChanges, TopicRef, UnregisterBrokerRequest,
};
use weir_controller::image::{ConfigResource, ELIGIBLE_LEADER_REPLICAS_FEATURE, MetadataImage, PartitionRegistration};
use weir_controller::record::{BrokerFeature, FeatureLevelRecord};
use weir_protocol::ids::{BrokerEpoch, BrokerId, Offset, PartitionIndex, TopicId};

use crate::cluster::{Cluster, directory};

/// A request whose epochs are filled in from the image when its turn comes.
#[derive(Clone, Debug)]
enum Step {
    Register { broker: i32, incarnation: u128, fenced: bool, intact: bool },
    Heartbeat { broker: i32, want_fence: bool, want_shut_down: bool },
    Unregister { broker: i32 },
    Create { topic: usize, partitions: i32, replication_factor: i16 },
    Delete { topic: usize },
    Elect { unclean: bool },
    Alter { topic: usize, partition: i32, members: Vec<i32> },
}

const MIN_ISR: usize = 2;

const TOPICS: [&str; 3] = ["a", "b", "c"];

fn any_step() -> impl Strategy<Value = Step> {
    let broker = 1..4i32;
    prop_oneof![
        3 => (broker.clone(), 1..6u128, any::<bool>(), any::<bool>()).prop_map(|(broker, incarnation, fenced, intact)| {
            Step::Register { broker, incarnation, fenced, intact }
        }),
        6 => (broker.clone(), prop::bool::weighted(0.3), prop::bool::weighted(0.3)).prop_map(
            |(broker, want_fence, want_shut_down)| Step::Heartbeat { broker, want_fence, want_shut_down }
        ),
        1 => broker.clone().prop_map(|broker| Step::Unregister { broker }),
        4 => (0..3usize, 1..4i32, 1..4i16).prop_map(|(topic, partitions, replication_factor)| {
            Step::Create { topic, partitions, replication_factor }
        }),
        1 => (0..3usize).prop_map(|topic| Step::Delete { topic }),
        2 => any::<bool>().prop_map(|unclean| Step::Elect { unclean }),
        6 => (0..3usize, 0..3i32, prop::sample::subsequence(vec![1, 2, 3], 1..4)).prop_map(
            |(topic, partition, members)| Step::Alter { topic, partition, members }
        ),
    ]
}

fn epoch(image: &MetadataImage, broker: BrokerId) -> BrokerEpoch {
    image.broker(broker).map_or(BrokerEpoch::NONE, |broker| broker.epoch)
}

fn request(step: &Step, image: &MetadataImage) -> Option<ControllerRequest> {
    Some(match *step {
        Step::Register { broker, incarnation, fenced, intact } => RegisterBrokerRequest {
            broker: BrokerId(broker),
            cluster_id: "cluster".into(),
            incarnation_id: Uuid::from_u128(incarnation),
            endpoints: vec![],
            features: [("metadata.version", 29), (ELIGIBLE_LEADER_REPLICAS_FEATURE, 1)]
                .map(|(name, max_supported_level)| BrokerFeature {
                    name: name.into(),
                    min_supported_level: 0,
                    max_supported_level,
                })
                .to_vec(),
            rack: None,
            log_dirs: vec![directory(broker)],
            fenced,
            log_state: if intact { LogState::Intact } else { LogState::TailsMayBeLost },
            previous_broker_epoch: None,
            earlier_session_open: false,
        }
        .into(),
        Step::Heartbeat { broker, want_fence, want_shut_down } => BrokerHeartbeatRequest {
            broker: BrokerId(broker),
            broker_epoch: epoch(image, BrokerId(broker)),
            current_metadata_offset: Offset(i64::MAX),
            want_fence,
            want_shut_down,
            offline_log_dirs: vec![],
            cordoned_log_dirs: None,
        }
        .into(),
        Step::Unregister { broker } => UnregisterBrokerRequest { broker: BrokerId(broker) }.into(),
        Step::Create { topic, partitions, replication_factor } => CreateTopicsRequest {
            topics: vec![NewTopic {
                name: TOPICS[topic].into(),
                num_partitions: partitions,
                replication_factor,
                assignments: vec![],
                configs: vec![],
            }],
            validate_only: false,
        }
        .into(),
        Step::Delete { topic } => DeleteTopicsRequest { topics: vec![TopicRef::named(TOPICS[topic])] }.into(),
        Step::Elect { unclean } => {
            let election_type = if unclean { ElectionType::Unclean } else { ElectionType::Preferred };
            ElectLeadersRequest { election_type, partitions: None }.into()
        }
        Step::Alter { topic, partition, ref members } => {
            let topic_id = image.topic_id(TOPICS[topic])?;
            let partition = PartitionIndex(partition);
            let now = image.partition(topic_id, partition)?;
            let member = |id: &i32| IsrMember { broker: BrokerId(*id), broker_epoch: epoch(image, BrokerId(*id)) };
            let change = PartitionIsrChange {
                partition,
                leader_epoch: now.leader_epoch,
                partition_epoch: now.partition_epoch,
                new_isr: members.iter().map(member).collect(),
                leader_recovery_state: Default::default(),
            };
            let topics = vec![TopicIsrChanges { topic_id, partitions: vec![change] }];
            AlterPartitionRequest { broker: now.leader, broker_epoch: epoch(image, now.leader), topics }.into()
        }
    })
}

/// What must hold of a partition, whatever has happened.
fn check_partition(image: &MetadataImage, partition: &PartitionRegistration) -> Result<(), TestCaseError> {
    let (eligible, keeps_eligible) =
        (partition.eligible_leader_replicas(), image.feature_level(ELIGIBLE_LEADER_REPLICAS_FEATURE) > 0);
    if !keeps_eligible {
        prop_assert!(!partition.isr.is_empty(), "an ISR is never empty: {partition:?}");
        prop_assert!(eligible.is_empty() && partition.last_known_elr().is_empty());
    }
    let outsiders = eligible.iter().chain(partition.last_known_elr());
    prop_assert!(partition.isr.iter().chain(outsiders).all(|member| partition.replicas.contains(member)));
    prop_assert!(!eligible.iter().any(|member| partition.isr.contains(member)), "in sync or eligible: {partition:?}");
    let enough = MIN_ISR.min(partition.replicas.len());
    prop_assert!(partition.isr.len() < enough || eligible.is_empty(), "eligible for what? {partition:?}");
    let holders = partition.isr.iter().chain(eligible).chain(partition.last_known_elr());
    prop_assert!(holders.count() > 0, "somebody has what was committed: {partition:?}");
    prop_assert_eq!(partition.directories.len(), partition.replicas.len());
    if partition.has_leader() {
        prop_assert!(partition.isr.contains(&partition.leader), "a leader is in sync: {partition:?}");
    }
    let holders = if partition.isr.is_empty() { eligible } else { &partition.isr };
    let someone_could_lead = holders.iter().any(|member| image.is_active(*member));
    if someone_could_lead {
        prop_assert!(image.is_active(partition.leader), "who can lead leads: {partition:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// That the records apply is checked by the cluster, which panics where they do not.
    #[test]
    fn leaders_are_in_sync_and_epochs_never_go_back(
        steps in prop::collection::vec(any_step(), 0..60),
        unclean in any::<bool>(),
        keeps_eligible in any::<bool>(),
    ) {
        let mut cluster = Cluster::of(&[1, 2, 3]);
        if keeps_eligible {
            cluster.apply(FeatureLevelRecord { name: ELIGIBLE_LEADER_REPLICAS_FEATURE.into(), level: 1 });
            cluster =
                cluster.with_config(ConfigResource::default_broker(), "min.insync.replicas", &MIN_ISR.to_string());
        }
        if unclean {
            let brokers = ConfigResource::default_broker();
            cluster = cluster.with_config(brokers, "unclean.leader.election.enable", "true");
        }
        let mut seen: HashMap<(TopicId, PartitionIndex), PartitionRegistration> = HashMap::new();
        for step in &steps {
            let Some(request) = request(step, &cluster.image) else { continue };
            cluster.decide(request);
            for topic in cluster.image.topics() {
                for (index, partition) in topic.partitions() {
                    check_partition(&cluster.image, partition)?;
                    let before = seen.insert((topic.id, index), PartitionRegistration::clone(partition));
                    let Some(before) = before else { continue };
                    prop_assert!(partition.leader_epoch >= before.leader_epoch);
                    prop_assert!(partition.partition_epoch >= before.partition_epoch);
                    let led_by_another = partition.leader != before.leader;
                    prop_assert!(!led_by_another || partition.leader_epoch > before.leader_epoch);
                    prop_assert!(before == **partition || partition.partition_epoch > before.partition_epoch);
                }
            }
        }
    }
}
