//! CreateTopics.

use weir_controller::decide::{
    ApiError, CreateTopicsRequest, CreatedTopic, MAX_PARTITIONS_PER_REQUEST, NewTopic, ReplicaAssignment,
};
use weir_controller::image::ConfigResource;
use weir_controller::record::{MetadataRecord, TopicRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, brokers, decided, directory, error, partition};

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), num_partitions, replication_factor, assignments: vec![], configs: vec![] }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(partition, replicas)| ReplicaAssignment {
        partition: PartitionIndex(*partition),
        brokers: brokers(replicas),
    });
    NewTopic { assignments: assignments.collect(), ..topic(name, -1, -1) }
}

fn create(cluster: &mut Cluster, topics: Vec<NewTopic>) -> (Vec<MetadataRecord>, Vec<Result<CreatedTopic, ApiError>>) {
    let request = CreateTopicsRequest { topics, validate_only: false };
    let (records, response) = decided!(cluster, CreateTopics(request));
    (records, response.topics.into_iter().map(|topic| topic.outcome).collect())
}

fn refuses(cluster: &Cluster, topic: NewTopic, expected: ApiError) {
    let (records, outcomes) = create(&mut cluster.clone(), vec![topic]);
    assert_eq!(outcomes, [Err(expected)]);
    assert_eq!(records, []);
}

#[test]
fn a_replication_factor_that_nobody_set_follows_the_number_of_brokers_up_to_a_bound() {
    for (registered, expected) in [(vec![1], 1), (vec![1, 2], 2), (vec![1, 2, 3, 4], 3)] {
        let mut cluster = Cluster::of(&registered);
        cluster.defaults.replication_factor = 3;
        cluster.defaults.replication_follows_brokers = true;
        let (_, outcomes) = create(&mut cluster, vec![topic("orders", 1, -1)]);
        assert_eq!(outcomes[0].clone().unwrap().replication_factor, expected, "{registered:?}");
    }
    let mut cluster = Cluster::of(&[1]);
    cluster.defaults.replication_factor = 3;
    let (_, outcomes) = create(&mut cluster, vec![topic("orders", 1, -1)]);
    assert_eq!(outcomes[0].clone().unwrap_err().code, ErrorCode::InvalidReplicationFactor);
}

#[test]
fn a_topic_is_written_as_topic_then_configs_then_partitions() {
    let mut cluster = Cluster::of(&[1]);
    let configs = vec![("retention.ms".into(), Some("5".into())), ("cleanup.policy".into(), Some("compact".into()))];
    let (records, outcomes) = create(&mut cluster, vec![NewTopic { configs, ..topic("orders", 2, 1) }]);
    let created = outcomes[0].clone().unwrap();
    assert_eq!((created.num_partitions, created.replication_factor, created.configs.len()), (2, 1, 2));
    let topic_id = created.topic_id;
    assert_eq!(records[0], MetadataRecord::Topic(TopicRecord { name: "orders".into(), topic_id }));
    assert!(matches!(&records[1], MetadataRecord::Config(config) if &*config.name == "cleanup.policy"));
    assert!(matches!(&records[2], MetadataRecord::Config(config) if &*config.name == "retention.ms"));
    assert_eq!(records[3], MetadataRecord::Partition(partition(topic_id, 0, &[1])));
    assert_eq!(records[4], MetadataRecord::Partition(partition(topic_id, 1, &[1])));
    assert_eq!(records.len(), 5);
}

#[test]
fn minus_one_means_the_controllers_defaults() {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.defaults.num_partitions = 4;
    cluster.defaults.replication_factor = 3;
    let (_, outcomes) = create(&mut cluster, vec![topic("orders", -1, -1)]);
    let created = outcomes[0].as_ref().unwrap();
    assert_eq!((created.num_partitions, created.replication_factor), (4, 3));
}

#[test]
fn validation_alone_answers_alike_and_writes_nothing() {
    let mut cluster = Cluster::of(&[1]);
    let request = CreateTopicsRequest { topics: vec![topic("orders", 3, 1)], validate_only: true };
    let (records, response) = decided!(cluster, CreateTopics(request));
    assert_eq!(records, []);
    assert_eq!(response.topics[0].outcome.as_ref().unwrap().num_partitions, 3);
}

#[test]
fn names_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::of(&[1]).with_topic("a.b", ORDERS, &[&[1]]);
    refuses(
        &cluster,
        topic("a b", 1, 1),
        error(
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
    );
    refuses(&cluster, topic("a.b", 1, 1), error(ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists."));
    refuses(
        &cluster,
        topic("a_b", 1, 1),
        error(ErrorCode::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"),
    );
    refuses(
        &cluster,
        topic("__cluster_metadata", 1, 1),
        error(ErrorCode::InvalidRequest, "Creation of internal topic __cluster_metadata is prohibited."),
    );
}

#[test]
fn a_name_that_comes_twice_is_answered_once_and_refused() {
    let (records, outcomes) =
        create(&mut Cluster::of(&[1]), vec![topic("a", 1, 1), topic("b", 1, 1), topic("a", 1, 1)]);
    assert_eq!(outcomes[0], Err(error(ErrorCode::InvalidRequest, "Duplicate topic name.")));
    assert!(outcomes[1].is_ok());
    assert_eq!((outcomes.len(), records.len()), (2, 2));
}

#[test]
fn impossible_counts_are_refused() {
    let cluster = Cluster::of(&[1]);
    let factor = "Replication factor must be larger than 0, or -1 to use the default value.";
    let partitions = "Number of partitions was set to an invalid non-positive value.";
    refuses(&cluster, topic("a", 1, 0), error(ErrorCode::InvalidReplicationFactor, factor));
    refuses(&cluster, topic("a", 1, -2), error(ErrorCode::InvalidReplicationFactor, factor));
    refuses(&cluster, topic("a", 0, 1), error(ErrorCode::InvalidPartitions, partitions));
    refuses(&cluster, topic("a", -2, 1), error(ErrorCode::InvalidPartitions, partitions));
}

#[test]
fn more_replicas_than_brokers_are_refused() {
    refuses(
        &Cluster::of(&[1]),
        topic("a", 1, 3),
        error(
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
    );
    refuses(
        &Cluster::of(&[1]).fence(1),
        topic("a", 1, 1),
        error(
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log \
             directories cordoned.",
        ),
    );
}

#[test]
fn fenced_brokers_count_as_registered_but_are_not_in_sync() {
    let mut cluster = Cluster::of(&[1, 2]).fence(2);
    let (_, outcomes) = create(&mut cluster, vec![topic("a", 1, 2)]);
    let topic_id = outcomes[0].as_ref().unwrap().topic_id;
    let created = cluster.partition(topic_id, 0);
    assert_eq!(*created.replicas, brokers(&[1, 2]));
    assert_eq!((created.leader, &*created.isr), (BrokerId(1), &brokers(&[1])[..]));
}

#[test]
fn a_request_creates_a_named_number_of_partitions_at_most() {
    let mut cluster = Cluster::of(&[1]);
    let most = MAX_PARTITIONS_PER_REQUEST as i32;
    let (records, outcomes) = create(&mut cluster, vec![topic("a", most, 1), topic("b", 1, 1)]);
    let expected = error(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.");
    assert_eq!(outcomes, [Err(expected.clone()), Err(expected)]);
    assert_eq!(records, []);
    let (records, _) = create(&mut cluster, vec![topic("a", most, 1)]);
    assert_eq!(records.len(), MAX_PARTITIONS_PER_REQUEST + 1);
}

#[test]
fn configs_are_checked_and_one_bad_topic_does_not_stop_the_others() {
    let configs = |key: &str, value: Option<&str>| vec![(key.into(), value.map(Into::into))];
    let bad = NewTopic { configs: configs("retention.msx", Some("1")), ..topic("bad", 1, 1) };
    let null = NewTopic { configs: configs("retention.ms", None), ..topic("null", 1, 1) };
    let long = NewTopic { configs: configs("retention.ms", Some(&"1".repeat(40_000))), ..topic("long", 1, 1) };
    let (records, outcomes) = create(&mut Cluster::of(&[1]), vec![bad, null, long, topic("good", 1, 1)]);
    assert_eq!(outcomes[0], Err(error(ErrorCode::InvalidConfig, "Unknown topic config name: retention.msx")));
    let message = "Null value not supported for topic configs: retention.ms";
    assert_eq!(outcomes[1], Err(error(ErrorCode::InvalidConfig, message)));
    let message = "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.";
    assert_eq!(outcomes[2], Err(error(ErrorCode::InvalidConfig, message)));
    assert!(outcomes[3].is_ok());
    assert_eq!(records.len(), 2);
}

#[test]
fn assigned_replicas_are_taken_as_they_are() {
    let mut cluster = Cluster::of(&[1, 2, 3]).fence(3);
    let (_, outcomes) = create(&mut cluster, vec![assigned("a", &[(1, &[2, 1]), (0, &[3, 2])])]);
    let created = outcomes[0].as_ref().unwrap();
    assert_eq!((created.num_partitions, created.replication_factor), (2, 2));
    assert_eq!(cluster.leadership(created.topic_id, 0), (2, vec![2], 0, 0));
    assert_eq!(cluster.leadership(created.topic_id, 1), (2, vec![2, 1], 0, 0));
    assert_eq!(*cluster.partition(created.topic_id, 0).directories, [directory(3), directory(2)]);
}

#[test]
fn assignments_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::of(&[1, 2, 3]).fence(3);
    let refuses_assignment = |topic: NewTopic, message: &str| {
        refuses(&cluster, topic, error(ErrorCode::InvalidReplicaAssignment, message));
    };
    refuses(
        &cluster,
        NewTopic { replication_factor: 1, ..assigned("a", &[(0, &[1])]) },
        error(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
    );
    refuses(
        &cluster,
        NewTopic { num_partitions: 1, ..assigned("a", &[(0, &[1])]) },
        error(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
    );
    refuses_assignment(
        assigned("a", &[(0, &[1]), (0, &[2])]),
        "Found multiple manual partition assignments for partition 0",
    );
    refuses_assignment(
        assigned("a", &[(0, &[1]), (2, &[2])]),
        "partitions should be a consecutive 0-based integer sequence",
    );
    refuses_assignment(assigned("a", &[(0, &[])]), "The manual partition assignment includes an empty replica list.");
    refuses_assignment(
        assigned("a", &[(0, &[1, 9])]),
        "The manual partition assignment includes broker 9, but no such broker is registered.",
    );
    refuses_assignment(
        assigned("a", &[(0, &[2, 1, 2])]),
        "The manual partition assignment includes the broker 2 more than once.",
    );
    refuses_assignment(
        assigned("a", &[(0, &[1, 2]), (1, &[1])]),
        "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with \
         previous partitions, which have 2 replica(s).",
    );
    refuses_assignment(
        assigned("a", &[(0, &[3])]),
        "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.",
    );
}

#[test]
fn a_topic_that_was_deleted_leaves_no_config_behind() {
    let mut cluster = Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1]]).with_config(
        ConfigResource::topic("orders"),
        "retention.ms",
        "1",
    );
    cluster.apply(weir_controller::record::RemoveTopicRecord { topic_id: ORDERS });
    create(&mut cluster, vec![topic("orders", 1, 1)]);
    assert_eq!(cluster.image.topic_configs("orders"), None);
}
