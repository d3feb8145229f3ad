//! DeleteGroups and OffsetDelete.

use weir_broker::group::{CoordinatorRecord, DeletedTopic};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use weir_protocol::messages::{OffsetDeleteRequest, TopicName};

use crate::harness::*;

fn delete_group(bench: &mut Bench, group: &str) -> ErrorCode {
    let outcome = bench.run(|shard, _, effects| shard.delete_group(group, effects));
    outcome.err().map_or(ErrorCode::None, |error| error.code())
}

fn delete_offset(bench: &mut Bench, group: &str, topic: &str, partition: i32) -> Result<ErrorCode, ErrorCode> {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
    let topic = OffsetDeleteRequestTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(vec![topic]);
    let outcome = bench.run(|shard, _, effects| shard.delete_offsets(&request, effects));
    outcome.map(|topics| code(topics[0].partitions[0].error_code)).map_err(|error| error.code())
}

#[test]
fn an_empty_group_goes_with_its_offsets() {
    let mut bench = Bench::new();
    bench.commit_simple("g", "b", 0, 1);
    bench.commit_simple("g", "a", 0, 1);
    let records = bench.log.len();
    assert_eq!(delete_group(&mut bench, "g"), ErrorCode::None);
    let tombstones = [
        CoordinatorRecord::OffsetCommit {
            key: weir_broker::group::OffsetCommitKey { group: "g".into(), topic: text("a"), partition: 0 },
            value: None,
        },
        CoordinatorRecord::OffsetCommit {
            key: weir_broker::group::OffsetCommitKey { group: "g".into(), topic: text("b"), partition: 0 },
            value: None,
        },
        CoordinatorRecord::GroupMetadata { group: "g".into(), value: None },
    ];
    assert_eq!(bench.log[records..], tombstones);
    assert_eq!((bench.durable().groups().count(), bench.durable().offsets().of_group("g")), (0, None));
    assert_eq!(delete_group(&mut bench, "g"), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_with_members_stays() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    assert_eq!(delete_group(&mut bench, "g"), ErrorCode::NonEmptyGroup);
    bench.leave("g", &[(&ids[0], None)]);
    assert_eq!(delete_group(&mut bench, "g"), ErrorCode::None);
}

#[test]
fn ids_that_were_handed_out_do_not_outlive_their_group() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    assert_eq!(delete_group(&mut bench, "g"), ErrorCode::None);
    assert_eq!(bench.join_error(join("g", &id)), ErrorCode::UnknownMemberId);
    bench.advance(SESSION_MS);
    assert_eq!(bench.state("g"), "Dead");
}

#[test]
fn offsets_of_a_group_without_members_are_deleted() {
    let mut bench = Bench::new();
    assert_eq!(delete_offset(&mut bench, "g", "topic", 0), Err(ErrorCode::GroupIdNotFound));
    bench.commit_simple("g", "topic", 0, 1);
    assert_eq!(delete_offset(&mut bench, "g", "topic", 0), Ok(ErrorCode::None));
    assert!(bench.durable().offsets().get("g", "topic", 0).is_none());
    let records = bench.log.len();
    assert_eq!(delete_offset(&mut bench, "g", "topic", 0), Ok(ErrorCode::None));
    assert_eq!(bench.log.len(), records);
}

#[test]
fn offsets_of_topics_that_consumers_subscribe_to_stay() {
    let mut bench = Bench::new();
    bench.commit_simple("g", "a", 0, 1);
    bench.commit_simple("g", "b", 0, 1);
    let id = bench.new_id(join("g", "").subscribing(&["a"]));
    bench.stabilize("g", vec![join("g", &id).subscribing(&["a"])], INITIAL_DELAY_MS);
    assert_eq!(delete_offset(&mut bench, "g", "a", 0), Ok(ErrorCode::GroupSubscribedToTopic));
    assert_eq!(delete_offset(&mut bench, "g", "b", 0), Ok(ErrorCode::None));
    assert!(bench.durable().offsets().get("g", "a", 0).is_some());
    assert!(bench.durable().offsets().get("g", "b", 0).is_none());
}

#[test]
fn consumers_that_cannot_be_understood_subscribe_to_everything() {
    let mut bench = Bench::new();
    bench.commit_simple("g", "a", 0, 1);
    bench.stable_group("g", 1);
    assert_eq!(delete_offset(&mut bench, "g", "a", 0), Ok(ErrorCode::GroupSubscribedToTopic));
}

#[test]
fn offsets_of_members_that_are_no_consumers_stay() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", "").of_type("connect"));
    bench.send_join(join("g", &id).of_type("connect"));
    assert_eq!(delete_offset(&mut bench, "g", "a", 0), Err(ErrorCode::NonEmptyGroup));
}

#[test]
fn the_offsets_of_a_deleted_topic_go_from_every_group() {
    let mut bench = Bench::new();
    let id = uuid::Uuid::from_u128(1);
    bench.commit_simple("g", "gone", 0, 1);
    bench.commit_simple("g", "kept", 0, 1);
    let mut with_id = commit_request("h", "gone", 0, 1);
    with_id.topics[0].topic_id = id;
    bench.commit(&with_id, 10);
    let mut of_another = commit_request("h", "gone", 1, 1);
    of_another.topics[0].topic_id = uuid::Uuid::from_u128(2);
    bench.commit(&of_another, 10);
    let deleted = [DeletedTopic { name: text("gone"), id }];
    bench.run(|shard, _, effects| shard.on_topics_deleted(&deleted, effects));
    let offsets = bench.durable().offsets();
    assert!(offsets.get("g", "gone", 0).is_none() && offsets.get("h", "gone", 0).is_none());
    assert!(offsets.get("g", "kept", 0).is_some() && offsets.get("h", "gone", 1).is_some());
}
