//! DeleteTopics.

use uuid::Uuid;
use weir_controller::decide::{ApiError, DeleteTopicsRequest, DeletedTopic, TopicRef};
use weir_controller::record::{MetadataRecord, RemoveTopicRecord};
use weir_protocol::error_code::ErrorCode;

use crate::cluster::{Cluster, ORDERS, decided, error};

fn delete(cluster: &mut Cluster, topics: Vec<TopicRef>) -> (Vec<MetadataRecord>, Vec<Result<DeletedTopic, ApiError>>) {
    let (records, response) = decided!(cluster, DeleteTopics(DeleteTopicsRequest { topics }));
    (records, response.topics.into_iter().map(|topic| topic.outcome).collect())
}

fn cluster() -> Cluster {
    Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1]])
}

#[test]
fn a_topic_is_deleted_by_name_or_by_id() {
    for topic in [TopicRef::named("orders"), TopicRef::id(ORDERS)] {
        let mut cluster = cluster();
        let (records, outcomes) = delete(&mut cluster, vec![topic]);
        assert_eq!(outcomes, [Ok(DeletedTopic { name: "orders".into(), topic_id: ORDERS })]);
        assert_eq!(records, [RemoveTopicRecord { topic_id: ORDERS }.into()]);
        assert_eq!(cluster.image.topic_count(), 0);
    }
}

#[test]
fn what_does_not_exist_is_refused() {
    let (records, outcomes) = delete(&mut cluster(), vec![TopicRef::named("other"), TopicRef::id(Uuid::from_u128(99))]);
    let unknown = [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId];
    assert_eq!(outcomes, unknown.map(|code| Err(ApiError::from(code))));
    assert_eq!(records, []);
}

#[test]
fn a_reference_names_a_topic_in_exactly_one_way() {
    let neither = TopicRef { name: None, topic_id: Uuid::nil() };
    let both = TopicRef { name: Some("orders".into()), topic_id: ORDERS };
    let (records, outcomes) = delete(&mut cluster(), vec![neither, both]);
    let invalid = |message| Err(error(ErrorCode::InvalidRequest, message));
    assert_eq!(outcomes[0], invalid("Neither topic name nor id were specified."));
    assert_eq!(outcomes[1], invalid("You may not specify both topic name and topic id."));
    assert_eq!(records, []);
}

#[test]
fn a_topic_that_is_named_twice_is_refused() {
    let invalid = |message| Err(error(ErrorCode::InvalidRequest, message));
    let named = || TopicRef::named("orders");
    let (records, outcomes) = delete(&mut cluster(), vec![named(), named()]);
    assert_eq!((records, outcomes), (vec![], vec![invalid("Duplicate topic name.")]));
    let (records, outcomes) = delete(&mut cluster(), vec![TopicRef::id(ORDERS), TopicRef::id(ORDERS)]);
    assert_eq!((records, outcomes), (vec![], vec![invalid("Duplicate topic id.")]));
    // Once by name and once by id: Kafka's answer to the id is lost, so it deletes nothing; here the id is enough.
    let (records, outcomes) = delete(&mut cluster(), vec![named(), TopicRef::id(ORDERS)]);
    assert_eq!(outcomes[0], invalid("The provided topic name maps to an ID that was already supplied."));
    assert!(outcomes[1].is_ok());
    assert_eq!(records.len(), 1);
}

#[test]
fn deletion_can_be_disabled() {
    let mut cluster = cluster();
    cluster.defaults.delete_topic_enable = false;
    let (records, outcomes) = delete(&mut cluster, vec![TopicRef::named("orders")]);
    assert_eq!(outcomes, [Err(ApiError::bare(ErrorCode::TopicDeletionDisabled))]);
    assert_eq!(records, []);
}
