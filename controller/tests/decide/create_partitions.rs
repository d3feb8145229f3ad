//! CreatePartitions.

use weir_controller::decide::{ApiError, CreatePartitionsRequest, NewPartitions};
use weir_controller::record::MetadataRecord;
use weir_protocol::error_code::ErrorCode;

use crate::cluster::{Cluster, ORDERS, brokers, decided, error, partition};

fn grow(count: i32, assignments: Option<&[&[i32]]>) -> NewPartitions {
    let assignments = assignments.map(|given| given.iter().map(|replicas| brokers(replicas)).collect());
    NewPartitions { name: "orders".into(), count, assignments }
}

fn create(cluster: &mut Cluster, topics: Vec<NewPartitions>) -> (Vec<MetadataRecord>, Vec<Result<(), ApiError>>) {
    let request = CreatePartitionsRequest { topics, validate_only: false };
    let (records, response) = decided!(cluster, CreatePartitions(request));
    (records, response.topics.into_iter().map(|topic| topic.outcome).collect())
}

fn cluster() -> Cluster {
    Cluster::of(&[1, 2, 3]).with_topic("orders", ORDERS, &[&[1, 2], &[2, 3]])
}

fn refuses(topic: NewPartitions, expected: ApiError) {
    assert_eq!(create(&mut cluster(), vec![topic]), (vec![], vec![Err(expected)]));
}

#[test]
fn new_partitions_have_as_many_replicas_as_the_first() {
    let mut cluster = cluster();
    let (records, outcomes) = create(&mut cluster, vec![grow(4, None)]);
    assert_eq!((records.len(), outcomes), (2, vec![Ok(())]));
    for index in [2, 3] {
        assert_eq!(cluster.partition(ORDERS, index).replicas.len(), 2);
    }
}

#[test]
fn new_partitions_can_be_assigned() {
    let (records, _) = create(&mut cluster(), vec![grow(3, Some(&[&[3, 1]]))]);
    assert_eq!(records, [partition(ORDERS, 2, &[3, 1]).into()]);
}

#[test]
fn validation_alone_writes_nothing() {
    let request = CreatePartitionsRequest { topics: vec![grow(4, None)], validate_only: true };
    let (records, response) = decided!(cluster(), CreatePartitions(request));
    assert_eq!((records, &response.topics[0].outcome), (vec![], &Ok(())));
}

#[test]
fn what_is_no_increase_is_refused() {
    refuses(grow(2, None), error(ErrorCode::InvalidPartitions, "Topic already has 2 partition(s)."));
    refuses(
        grow(1, None),
        error(
            ErrorCode::InvalidPartitions,
            "The topic orders currently has 2 partition(s); 1 would not be an increase.",
        ),
    );
    refuses(
        grow(-5, None),
        error(
            ErrorCode::InvalidPartitions,
            "The topic orders currently has 2 partition(s); -5 would not be an increase.",
        ),
    );
    let unknown = NewPartitions { name: "other".into(), ..grow(3, None) };
    refuses(unknown, ApiError::bare(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn assignments_must_fit() {
    refuses(
        grow(4, Some(&[&[1, 2]])),
        error(
            ErrorCode::InvalidReplicaAssignment,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
    );
    refuses(
        grow(3, Some(&[&[1]])),
        error(
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with \
             previous partitions, which have 2 replica(s).",
        ),
    );
}

#[test]
fn an_excessive_count_is_refused_before_anything_is_placed() {
    let message = "Excessively large number of partitions per request.";
    refuses(grow(i32::MAX, None), error(ErrorCode::PolicyViolation, message));
}

#[test]
fn a_topic_that_is_named_twice_is_refused() {
    let (records, outcomes) = create(&mut cluster(), vec![grow(3, None), grow(4, None)]);
    assert_eq!(outcomes, [Err(error(ErrorCode::InvalidRequest, "Duplicate topic name."))]);
    assert_eq!(records, []);
}
