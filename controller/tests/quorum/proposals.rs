//! Many requests, few proposals.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use weir_controller::decide::{
    BrokerHeartbeatRequest, ControllerRequest, ControllerResponse, CreateTopicsRequest, FenceBrokerRequest, NewTopic,
};
use weir_controller::record::MAX_CHANGE_RECORDS;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::Offset;

use crate::cluster::{BROKER, Cluster, create};

/// Submits everything at once and waits for every answer.
fn submit_all(cluster: &Cluster, requests: Vec<ControllerRequest>) -> Vec<ControllerResponse> {
    cluster.runtime.block_on(async {
        let mut answers = JoinSet::new();
        for request in requests {
            answers.spawn(cluster.controller.submit(request));
        }
        answers.join_all().await.into_iter().map(Result::unwrap).collect()
    })
}

#[test]
fn a_thousand_topics_at_once_cost_a_handful_of_fsyncs_and_little_time() {
    let cluster = Cluster::new();
    let before = cluster.controller.stats();
    let requests = (0..1_000).map(|topic| create(&format!("topic-{topic}"), 1).into()).collect();
    let begun = Instant::now();
    let answers = submit_all(&cluster, requests);
    let elapsed = begun.elapsed();
    let after = cluster.controller.stats();
    println!("1,000 topics in {elapsed:?}: {before:?} -> {after:?}");
    assert_eq!(answers.len(), 1_000);
    assert_eq!(cluster.controller.image().topic_count(), 1_000);
    assert_eq!(after.submissions - before.submissions, 1_000);
    assert!(after.proposals - before.proposals <= 20, "{after:?}");
    assert!(after.log_fsyncs - before.log_fsyncs <= 20, "{after:?}");
    assert!(elapsed < Duration::from_millis(200), "{elapsed:?}");
}

#[test]
fn of_many_who_create_one_topic_at_once_one_succeeds() {
    let cluster = Cluster::new();
    let answers = submit_all(&cluster, (0..50).map(|_| create("same", 3).into()).collect());
    let outcomes = answers.iter().map(|answer| match answer {
        ControllerResponse::CreateTopics(response) => response.topics[0].outcome.as_ref().map_err(|error| error.code),
        other => panic!("{other:?}"),
    });
    let (created, refused): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    assert_eq!(created.len(), 1);
    assert!(refused.iter().all(|outcome| *outcome == Err(ErrorCode::TopicAlreadyExists)), "{refused:?}");
    assert_eq!(cluster.controller.image().topic_by_name("same").unwrap().partition_count(), 3);
}

#[test]
fn a_request_that_changes_nothing_proposes_nothing() {
    let cluster = Cluster::new();
    let before = cluster.controller.stats();
    let request = CreateTopicsRequest { validate_only: true, ..create("checked", 1) };
    cluster.submit(request.into()).unwrap();
    let after = cluster.controller.stats();
    assert_eq!((after.proposals, after.log_fsyncs), (before.proposals, before.log_fsyncs));
    assert!(cluster.controller.image().topic_by_name("checked").is_none());
}

#[test]
fn requests_that_are_too_large_together_are_proposed_apart() {
    let cluster = Cluster::new();
    let value = "x".repeat(32_000);
    let large = |number: usize| {
        let configs = (0..300).map(|key| (format!("key-{key}").into(), Some(value.as_str().into()))).collect();
        let topic = NewTopic {
            name: format!("large-{number}").into(),
            num_partitions: 1,
            replication_factor: 1,
            assignments: Vec::new(),
            configs,
        };
        ControllerRequest::from(CreateTopicsRequest { topics: vec![topic], validate_only: false })
    };
    let answers = submit_all(&cluster, (0..6).map(large).collect());
    assert_eq!(answers.len(), 6);
    let image = cluster.controller.image();
    let names = image.topics().map(|topic| topic.name.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn a_broker_that_leads_more_partitions_than_a_change_holds_is_fenced_and_serves_again_all_the_same() {
    let cluster = Cluster::new();
    const PARTITIONS_OF_A_TOPIC: usize = 10_000;
    let topics = MAX_CHANGE_RECORDS / PARTITIONS_OF_A_TOPIC + 1;
    for topic in 0..topics {
        cluster.submit(create(&format!("topic-{topic}"), PARTITIONS_OF_A_TOPIC as i32).into()).unwrap();
    }
    let broker_epoch = cluster.controller.image().broker(BROKER).unwrap().epoch;
    let answer = cluster.submit(FenceBrokerRequest { broker: BROKER, broker_epoch }.into()).unwrap();
    assert_eq!(answer, ControllerResponse::FenceBroker(Ok(())));
    let led = || {
        let image = cluster.controller.image();
        let partitions = image.topics().flat_map(|topic| topic.partitions());
        partitions.filter(|(_, partition)| partition.has_leader()).count()
    };
    assert!(cluster.controller.image().broker(BROKER).unwrap().fenced);
    assert_eq!(led(), 0);
    let heartbeat = BrokerHeartbeatRequest {
        broker: BROKER,
        broker_epoch,
        current_metadata_offset: Offset(broker_epoch.get()),
        want_fence: false,
        want_shut_down: false,
        offline_log_dirs: Vec::new(),
        cordoned_log_dirs: None,
    };
    let answer = cluster.submit(heartbeat.into());
    assert!(matches!(answer, Ok(ControllerResponse::BrokerHeartbeat(Ok(state))) if !state.is_fenced), "{answer:?}");
    assert!(!cluster.controller.image().broker(BROKER).unwrap().fenced);
    assert_eq!(led(), topics * PARTITIONS_OF_A_TOPIC);
}
