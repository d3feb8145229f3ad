//! Many topics at once: the controller must not be what a thousand creations wait for.

use std::time::Instant;

use weir_controller::decide::{CreateTopicsRequest, NewTopic};
use weir_controller::record::{decode_change, encode_change};

use crate::cluster::{Cluster, decided};

const TOPICS: usize = 1000;

fn topic(number: usize) -> NewTopic {
    let name = format!("topic_{number}.events").into();
    NewTopic { name, num_partitions: 1, replication_factor: 1, assignments: vec![], configs: vec![] }
}

fn create(cluster: &mut Cluster, topics: Vec<NewTopic>) -> usize {
    let request = CreateTopicsRequest { topics, validate_only: false };
    let (records, response) = decided!(cluster, CreateTopics(request));
    assert!(response.topics.iter().all(|topic| topic.outcome.is_ok()));
    assert_eq!(decode_change(&encode_change(&records).unwrap()).unwrap(), records);
    records.len()
}

/// The bar is 50 ms; a debug build on a busy machine gets ten times that.
fn within_limit(what: &str, decide: impl FnOnce()) {
    let start = Instant::now();
    decide();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took.as_millis() < 500, "{what}: {took:?}");
}

#[test]
fn a_thousand_topics_are_decided_and_applied_in_one_request() {
    let mut cluster = Cluster::of(&[1]);
    within_limit("one request", || {
        assert_eq!(create(&mut cluster, (0..TOPICS).map(topic).collect()), 2 * TOPICS);
    });
    assert_eq!(cluster.image.topic_count(), TOPICS);
}

#[test]
fn a_thousand_topics_are_decided_and_applied_in_a_thousand_requests() {
    let mut cluster = Cluster::of(&[1]);
    within_limit("a thousand requests", || {
        for number in 0..TOPICS {
            assert_eq!(create(&mut cluster, vec![topic(number)]), 2);
        }
    });
    assert_eq!(cluster.image.topic_count(), TOPICS);
}
