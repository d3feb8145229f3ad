//! The quorum, the registrations and the places of replicas, as an administrator's client asks for them over the wire.

use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DescribeClusterRequest, DescribeQuorumRequest,
    DescribeQuorumResponse, ListPartitionReassignmentsRequest, RemoveRaftVoterRequest, TopicName,
    UnregisterBrokerRequest, UpdateFeaturesRequest,
};
use kafka_protocol::protocol::StrBytes;
use tempfile::TempDir;
use weir_protocol::error_code::ErrorCode;
use weir_tests::cluster::Cluster;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::{NewTopic, Wire};

/// How long a quorum may take to be whole.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(20);
const METADATA_LOG: &str = "__cluster_metadata";

fn describe(wire: &mut Wire) -> DescribeQuorumResponse {
    describe_at(wire, 2)
}

fn describe_at(wire: &mut Wire, version: i16) -> DescribeQuorumResponse {
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(METADATA_LOG)))
        .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
    wire.call(&DescribeQuorumRequest::default().with_topics(vec![topic]), version).expect("an answer")
}

#[test]
fn the_quorum_is_described_at_every_version_and_a_lone_broker_is_not_forgotten_while_it_runs() {
    let dir = TempDir::new().unwrap();
    let weir = Weir::start(WeirOptions::new(dir.path()).unwrap()).unwrap();
    let mut wire = Wire::connect(&weir.bootstrap()).unwrap();
    for version in 0..=2 {
        let quorum = describe_at(&mut wire, version);
        let partition = &quorum.topics[0].partitions[0];
        assert_eq!((quorum.error_code, partition.error_code, partition.leader_id.0), (0, 0, 1), "version {version}");
    }
    assert_eq!(unregister(&mut wire, 1), ErrorCode::InvalidRequest.code());
    wire.create_topics(&[NewTopic { name: "led".to_owned(), partitions: 1, configs: &[] }]).unwrap();
    wire.wait_for_leaders("led", 1).unwrap();
}

fn reassign(wire: &mut Wire, topic: &str, replicas: Option<&[i32]>) -> i16 {
    let replicas = replicas.map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
    let partition = ReassignablePartition::default().with_partition_index(0).with_replicas(replicas);
    let topic = ReassignableTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(30_000).with_topics(vec![topic]);
    let response = wire.call(&request, 1).expect("an answer");
    assert_eq!(response.error_code, 0);
    response.responses[0].partitions[0].error_code
}

fn unregister(wire: &mut Wire, broker: i32) -> i16 {
    let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(broker));
    wire.call(&request, 0).expect("an answer").error_code
}

fn finalize(wire: &mut Wire, level: i16) -> i16 {
    let update = FeatureUpdateKey::default()
        .with_feature(StrBytes::from_static_str("metadata.version"))
        .with_max_version_level(level)
        .with_upgrade_type(1);
    let request = UpdateFeaturesRequest::default().with_timeout_ms(30_000).with_feature_updates(vec![update]);
    wire.call(&request, 1).expect("an answer").error_code
}

/// Whether three voters are told, each with a listener and with something in its log.
fn is_whole(quorum: &DescribeQuorumResponse) -> Result<(), &'static str> {
    let voters = quorum.topics.first().map_or(&[][..], |topic| &topic.partitions[0].current_voters);
    match () {
        () if quorum.error_code != 0 => Err("an error"),
        () if voters.len() != 3 => Err("voters are missing"),
        () if voters.iter().any(|voter| voter.log_end_offset <= 0) => Err("a voter has nothing"),
        () if quorum.nodes.len() != 3 || quorum.nodes.iter().any(|node| node.listeners.len() != 1) => {
            Err("listeners are missing")
        }
        () => Ok(()),
    }
}

#[test]
fn a_node_that_is_alone_is_its_own_quorum_and_cannot_leave_it() {
    let dir = TempDir::new().expect("a directory");
    let weir = Weir::start(WeirOptions::new(dir.path()).expect("free ports")).expect("the broker starts");
    let mut wire = Wire::connect(&weir.bootstrap()).expect("connected");
    let quorum = describe(&mut wire);
    let partition = &quorum.topics[0].partitions[0];
    assert_eq!((quorum.error_code, partition.error_code, partition.leader_id.0), (0, 0, 1));
    let voter = &partition.current_voters[0];
    assert_eq!((voter.replica_id.0, voter.log_end_offset), (1, partition.high_watermark));
    assert!(partition.observers.is_empty() && partition.high_watermark > 0);
    let remove = RemoveRaftVoterRequest::default().with_voter_id(1).with_voter_directory_id(voter.replica_directory_id);
    assert_ne!(wire.call(&remove, 0).expect("an answer").error_code, 0);
    assert_eq!(unregister(&mut wire, 9), ErrorCode::BrokerIdNotRegistered.code());
    assert_eq!(finalize(&mut wire, i16::MAX), ErrorCode::InvalidUpdateVersion.code());
    assert_eq!(reassign(&mut wire, "nothing", Some(&[1])), ErrorCode::UnknownTopicOrPartition.code());
    wire.create_topics(&[NewTopic { name: "a".to_owned(), partitions: 1, configs: &[] }]).expect("created");
    assert_eq!(reassign(&mut wire, "a", Some(&[1])), 0);
    assert_eq!(reassign(&mut wire, "a", Some(&[1, 2])), ErrorCode::InvalidReplicaAssignment.code());
    assert_eq!(reassign(&mut wire, "a", None), ErrorCode::NoReassignmentInProgress.code());
    let ongoing = wire.call(&ListPartitionReassignmentsRequest::default(), 0).expect("an answer");
    assert_eq!((ongoing.error_code, ongoing.topics.len()), (0, 0));
}

#[test]
fn every_node_of_a_cluster_tells_how_far_each_voter_is() {
    let dir = TempDir::new().expect("a directory");
    let cluster = Cluster::start(dir.path(), 3, &[]).expect("the cluster starts");
    for bootstrap in cluster.bootstrap().split(',') {
        let mut wire = Wire::connect(bootstrap).expect("connected");
        let begun = Instant::now();
        // A voter that was late may still be on its way in.
        while let quorum = describe(&mut wire)
            && let Err(lacks) = is_whole(&quorum)
        {
            assert!(begun.elapsed() < PATIENCE, "{lacks}: {quorum:?}");
            thread::sleep(POLL);
        }
    }
}

#[test]
fn a_controller_listener_tells_the_controllers_takes_changes_and_serves_no_data() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = Cluster::start(dir.path(), 3, &[]).expect("the cluster starts");
    let ports: Vec<i32> = (0..3).map(|index| i32::from(cluster.node(index).options().controller_port)).collect();
    let controllers = cluster.controllers();
    for address in controllers.split(',') {
        let mut wire = Wire::connect(address).expect("connected");
        let of_kind = |kind| DescribeClusterRequest::default().with_endpoint_type(kind);
        let told = wire.call(&of_kind(2), 1).expect("an answer");
        let found: Vec<(i32, i32)> = told.brokers.iter().map(|node| (node.broker_id.0, node.port)).collect();
        assert_eq!((told.error_code, told.endpoint_type), (0, 2), "{told:?}");
        assert_eq!(found, [(1, ports[0]), (2, ports[1]), (3, ports[2])]);
        assert!((1..=3).contains(&told.controller_id.0), "{told:?}");
        let mismatched = wire.call(&of_kind(1), 1).expect("an answer");
        assert_eq!(mismatched.error_code, ErrorCode::MismatchedEndpointType.code());
        let name = format!("made-at-{}", address.replace(':', "-"));
        wire.create_topics(&[NewTopic { name, partitions: 1, configs: &[] }]).expect("a topic");
        assert!(wire.metadata().is_err(), "clients are not told of brokers here");
    }
}
