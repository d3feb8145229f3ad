//! Nodes that are controllers and nothing else, as an administrator's tools find them on their controller listeners (KIP-919): whichever is
//! asked answers, and has done by the active one what is to be done.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    AddRaftVoterRequest, ApiKey, ApiVersionsRequest, BrokerId, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeQuorumRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest,
    RemoveRaftVoterRequest, TopicName, UnregisterBrokerRequest, UpdateFeaturesRequest,
};
use kafka_protocol::protocol::StrBytes;
use tempfile::TempDir;
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_tests::cluster::{Cluster, NodeOptions, Roles};
use weir_tests::wire::{NewTopic, Wire};

const TIMEOUT_MS: i32 = 30_000;
const CONTROLLERS: i8 = 2;
const TOPICS: i8 = 2;
const BROKERS: i8 = 4;
/// What an administrator asks of Kafka's controllers, as far as Weir has it.
const ADMINISTERS: [ApiKey; 16] = [
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeCluster,
    ApiKey::UnregisterBroker,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
];

/// A broker, node 1, and three controllers.
fn start(dir: &TempDir) -> Cluster {
    let roles = [Roles::Broker, Roles::Controller, Roles::Controller, Roles::Controller];
    Cluster::of(NodeOptions::of(dir.path(), &roles, &[]).expect("free ports")).expect("four nodes form a cluster")
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Sets a key of a resource, and says how that ended.
fn set(wire: &mut Wire, (kind, name): (i8, &str), (key, value): (&str, &str)) -> i16 {
    let config = AlterableConfig::default().with_name(text(key)).with_value(Some(text(value)));
    let resource = AlterConfigsResource::default().with_resource_type(kind).with_resource_name(text(name));
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource.with_configs(vec![config])]);
    wire.call(&request, 1).expect("an answer").responses[0].error_code
}

/// What a key of a resource is, or why that is not told.
fn value(wire: &mut Wire, (kind, name): (i8, &str), key: &str) -> Result<String, i16> {
    let resource = DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(text(name));
    let resource = resource.with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = wire.call(&request, 4).expect("an answer").results.remove(0);
    let told = result.configs.into_iter().find(|config| *config.name == *key).and_then(|config| config.value);
    if result.error_code == 0 { Ok(told.unwrap_or_default().to_string()) } else { Err(result.error_code) }
}

#[test]
fn a_controller_advertises_what_administers_and_nothing_that_moves_data() {
    let dir = TempDir::new().expect("a directory");
    let cluster = start(&dir);
    let asked =
        ApiVersionsRequest::default().with_client_software_name(text("tests")).with_client_software_version(text("1"));
    for address in cluster.controllers().split(',') {
        let mut wire = Wire::connect(address).expect("connected");
        let told = wire.call(&asked, 4).expect("an answer");
        let mut keys: Vec<i16> = told.api_keys.iter().map(|api| api.api_key).collect();
        keys.sort_unstable();
        assert_eq!(keys, ADMINISTERS.map(|key| key as i16));
        assert!(told.finalized_features.iter().any(|feature| *feature.name == *"metadata.version"), "{told:?}");
        assert!(wire.metadata().is_err(), "clients are not told of brokers here");
    }
}

#[test]
fn every_controller_describes_the_cluster_and_the_quorum() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = start(&dir);
    let expected: [(i32, i32); 3] = [1, 2, 3].map(|place| {
        let node = cluster.node(place).options();
        (node.id, i32::from(node.controller_port))
    });
    for address in cluster.controllers().split(',') {
        let mut wire = Wire::connect(address).expect("connected");
        let request = DescribeClusterRequest::default().with_endpoint_type(CONTROLLERS);
        let told = wire.call(&request, 1).expect("an answer");
        let found: Vec<(i32, i32)> = told.brokers.iter().map(|node| (node.broker_id.0, node.port)).collect();
        assert_eq!((told.error_code, &*found), (0, &expected[..]), "{told:?}");
        let log = TopicData::default()
            .with_topic_name(TopicName(text("__cluster_metadata")))
            .with_partitions(vec![PartitionData::default()]);
        let quorum = wire.call(&DescribeQuorumRequest::default().with_topics(vec![log]), 2).expect("an answer");
        let partition = &quorum.topics[0].partitions[0];
        let mut voters: Vec<i32> = partition.current_voters.iter().map(|voter| voter.replica_id.0).collect();
        voters.sort_unstable();
        assert_eq!((quorum.error_code, voters), (0, vec![2, 3, 4]), "{quorum:?}");
        assert_eq!(partition.leader_id, told.controller_id);
        assert_eq!(partition.observers.iter().map(|observer| observer.replica_id.0).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn a_change_asked_of_any_controller_is_made() {
    let dir = TempDir::new().expect("a directory");
    let mut cluster = start(&dir);
    for place in 1..4 {
        let node = cluster.node(place).options();
        let (own, name) = (node.id.to_string(), format!("asked-of-{}", node.id));
        let mut wire = Wire::connect(&node.controller().expect("a controller")).expect("connected");
        let retention = format!("{}000000", node.id);
        wire.create_topics(&[NewTopic { name: name.clone(), partitions: 1, configs: &[] }]).expect("a topic");
        assert_eq!(set(&mut wire, (TOPICS, &name), ("retention.ms", &retention)), 0);
        assert_eq!(value(&mut wire, (TOPICS, &name), "retention.ms"), Ok(retention));
        // Of any broker, and of the cluster's; a node shows nobody's own but its own.
        assert_eq!(set(&mut wire, (BROKERS, "1"), ("log.cleaner.threads", "2")), 0);
        assert_eq!(set(&mut wire, (BROKERS, ""), ("log.cleaner.threads", "3")), 0);
        assert_eq!(value(&mut wire, (BROKERS, ""), "log.cleaner.threads").as_deref(), Ok("3"));
        assert_eq!(value(&mut wire, (BROKERS, &own), "node.id"), Ok(own.clone()));
        assert_eq!(value(&mut wire, (BROKERS, "1"), "node.id"), Err(ErrorCode::InvalidRequest.code()));
        let elected = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(TIMEOUT_MS);
        assert_eq!(wire.call(&elected, 2).expect("an answer").error_code, 0);
        let moving = ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(TIMEOUT_MS);
        assert!(wire.call(&moving, 0).expect("an answer").topics.is_empty());
    }
    let mut broker = Wire::connect(&cluster.node(0).options().bootstrap()).expect("connected");
    broker.wait_for_leaders("asked-of-", 3).expect("the broker serves what controllers were asked for");
}

#[test]
fn what_makes_no_sense_is_refused_by_a_controller_as_by_a_broker() {
    let dir = TempDir::new().expect("a directory");
    let cluster = start(&dir);
    let (controllers, broker) = (cluster.controllers(), cluster.bootstrap());
    for address in controllers.split(',').chain(broker.split(',').take(1)) {
        let mut wire = Wire::connect(address).expect("connected");
        let gone = UnregisterBrokerRequest::default().with_broker_id(BrokerId(9));
        assert_eq!(wire.call(&gone, 0).expect("an answer").error_code, ErrorCode::BrokerIdNotRegistered.code());
        let update = FeatureUpdateKey::default()
            .with_feature(text("metadata.version"))
            .with_max_version_level(i16::MAX)
            .with_upgrade_type(1);
        let update = UpdateFeaturesRequest::default().with_timeout_ms(TIMEOUT_MS).with_feature_updates(vec![update]);
        assert_eq!(wire.call(&update, 1).expect("an answer").error_code, ErrorCode::InvalidUpdateVersion.code());
        let remove = RemoveRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(9)
            .with_voter_directory_id(Uuid::from_u128(9));
        assert_eq!(wire.call(&remove, 0).expect("an answer").error_code, ErrorCode::VoterNotFound.code());
        let elsewhere =
            AddRaftVoterRequest::default().with_cluster_id(Some(text("another"))).with_timeout_ms(TIMEOUT_MS);
        assert_eq!(wire.call(&elsewhere, 0).expect("an answer").error_code, ErrorCode::InconsistentClusterId.code());
    }
}
