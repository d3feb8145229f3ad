//! OffsetFetch: some partitions, all of them, and offsets that a transaction may still change.

use uuid::Uuid;
use weir_broker::group::{CoordinatorRecord, OffsetCommitKey, OffsetCommitValue};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{Offset, ProducerId};
use weir_protocol::messages::TopicName;
use weir_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};

use crate::harness::*;

fn fetch(group: &str, topic: Option<(&str, &[i32])>) -> OffsetFetchRequestGroup {
    let topics = topic.map(|(name, partitions)| {
        vec![
            OffsetFetchRequestTopics::default()
                .with_name(TopicName(text(name)))
                .with_partition_indexes(partitions.to_vec()),
        ]
    });
    OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(topics)
}

fn offsets(bench: &Bench, request: &OffsetFetchRequestGroup, stable: bool) -> Vec<(i32, i64, ErrorCode)> {
    let response = bench.shard.fetch_offsets(request, stable);
    assert_eq!((response.group_id, response.error_code), (request.group_id.clone(), 0));
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|p| (p.partition_index, p.committed_offset, code(p.error_code))).collect()
}

#[test]
fn a_partition_without_an_offset_is_minus_one_and_no_error() {
    let mut bench = Bench::new();
    let asked = fetch("g", Some(("topic", &[0, 1])));
    assert_eq!(offsets(&bench, &asked, false), [(0, -1, ErrorCode::None), (1, -1, ErrorCode::None)]);
    bench.commit_simple("g", "topic", 1, 42);
    assert_eq!(offsets(&bench, &asked, false), [(0, -1, ErrorCode::None), (1, 42, ErrorCode::None)]);
    let response = bench.shard.fetch_offsets(&asked, false);
    let [absent, present] = &response.topics[0].partitions[..] else { panic!("two partitions") };
    assert_eq!((absent.metadata.as_deref(), absent.committed_leader_epoch), (Some(""), -1));
    assert_eq!((present.metadata.as_deref(), present.committed_leader_epoch), (Some("note"), -1));
}

#[test]
fn no_topics_means_all() {
    let mut bench = Bench::new();
    assert_eq!(offsets(&bench, &fetch("g", None), false), []);
    for partition in 0..2 {
        bench.commit_simple("g", "a", partition, 10);
        bench.commit_simple("g", "b", partition, 20);
    }
    bench.commit_simple("other", "a", 7, 1);
    let all = offsets(&bench, &fetch("g", None), false);
    assert_eq!(
        all,
        [(0, 10, ErrorCode::None), (1, 10, ErrorCode::None), (0, 20, ErrorCode::None), (1, 20, ErrorCode::None)]
    );
    assert_eq!(offsets(&bench, &fetch("g", Some(("a", &[]))), false), []);
}

#[test]
fn the_offset_of_an_earlier_topic_of_that_name_is_none() {
    let mut bench = Bench::new();
    let mut commit = commit_request("g", "topic", 0, 42);
    commit.topics[0].topic_id = Uuid::from_u128(1);
    bench.commit(&commit, 10);
    let mut asked = fetch("g", Some(("topic", &[0])));
    for (id, offset) in [(1, 42), (2, -1), (0, 42)] {
        asked.topics.as_mut().expect("topics")[0].topic_id = Uuid::from_u128(id);
        assert_eq!(offsets(&bench, &asked, false), [(0, offset, ErrorCode::None)]);
    }
}

fn transactional(bench: &mut Bench, producer: i64, offset: i64) {
    let at = Offset(bench.log.len() as i64);
    let record = CoordinatorRecord::OffsetCommit {
        key: OffsetCommitKey { group: "g".into(), topic: text("topic"), partition: 0 },
        value: Some(OffsetCommitValue {
            offset,
            leader_epoch: -1,
            metadata: text(""),
            commit_timestamp_ms: 1,
            expire_timestamp_ms: None,
            topic_id: Uuid::nil(),
        }),
    };
    bench.shard.replay(at, Some(ProducerId(producer)), record.clone());
    bench.log.push(record);
}

#[test]
fn an_offset_of_an_open_transaction_is_unstable_to_those_who_ask() {
    let mut bench = Bench::new();
    bench.commit_simple("g", "topic", 0, 42);
    transactional(&mut bench, 5, 50);
    let asked = fetch("g", Some(("topic", &[0])));
    assert_eq!(offsets(&bench, &asked, false), [(0, 42, ErrorCode::None)]);
    for request in [&asked, &fetch("g", None)] {
        assert_eq!(offsets(&bench, request, true), [(0, -1, ErrorCode::UnstableOffsetCommit)]);
    }
    bench.shard.replay_end_transaction(ProducerId(5), true);
    assert_eq!(offsets(&bench, &asked, true), [(0, 50, ErrorCode::None)]);
}

#[test]
fn an_aborted_transaction_commits_nothing() {
    let mut bench = Bench::new();
    transactional(&mut bench, 5, 50);
    bench.shard.replay_end_transaction(ProducerId(5), false);
    bench.shard.replay_end_transaction(ProducerId(6), true);
    assert_eq!(offsets(&bench, &fetch("g", Some(("topic", &[0]))), true), [(0, -1, ErrorCode::None)]);
}

#[test]
fn a_plain_commit_after_a_transactional_one_wins() {
    let mut bench = Bench::new();
    transactional(&mut bench, 5, 50);
    bench.commit_simple("g", "topic", 0, 42);
    bench.shard.replay_end_transaction(ProducerId(5), true);
    assert_eq!(offsets(&bench, &fetch("g", Some(("topic", &[0]))), true), [(0, 42, ErrorCode::None)]);
}
