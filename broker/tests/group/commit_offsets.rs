//! OffsetCommit: by members, by consumers without a group, and what is stored.

use uuid::Uuid;
use weir_broker::group::{CoordinatorRecord, GroupConfig};
use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

#[test]
fn a_consumer_without_a_group_makes_one_by_committing() {
    let mut bench = Bench::new();
    bench.commit_simple("g", "topic", 3, 42);
    let [CoordinatorRecord::OffsetCommit { key, value: Some(value) }] = &bench.log[..] else { panic!("no offset") };
    assert_eq!((key.group.as_str(), key.topic.as_str(), key.partition), ("g", "topic", 3));
    assert_eq!((value.offset, value.leader_epoch, value.metadata.as_str()), (42, -1, "note"));
    assert_eq!((value.commit_timestamp_ms, value.expire_timestamp_ms), (bench.now.wall_ms, None));
    assert_eq!(value.topic_id, Uuid::nil());
    let described = bench.describe("g");
    assert_eq!((described.group_state.as_str(), described.protocol_type.as_str()), ("Empty", ""));
}

#[test]
fn leader_epoch_and_topic_id_are_kept() {
    let mut bench = Bench::new();
    let mut request = commit_request("g", "topic", 0, 42);
    request.topics[0].topic_id = Uuid::from_u128(7);
    request.topics[0].partitions[0].committed_leader_epoch = 9;
    assert_eq!(bench.commit(&request, 10), [ErrorCode::None]);
    let value = &bench.durable().offsets().get("g", "topic", 0).expect("committed").value;
    assert_eq!((value.leader_epoch, value.topic_id), (9, Uuid::from_u128(7)));
}

#[test]
fn a_retention_time_is_kept_as_the_moment_it_ends() {
    let mut bench = Bench::new();
    assert_eq!(bench.commit(&commit_request("g", "topic", 0, 42).with_retention_time_ms(5_000), 4), [ErrorCode::None]);
    let value = &bench.durable().offsets().get("g", "topic", 0).expect("committed").value;
    assert_eq!(value.expire_timestamp_ms, Some(bench.now.wall_ms + 5_000));
}

#[test]
fn a_member_commits_in_its_generation() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    assert_eq!(bench.commit(&member_commit("g", &ids[0], 1), 9), [ErrorCode::None]);
    assert_eq!(bench.commit(&member_commit("g", &ids[0], 0), 9), [ErrorCode::IllegalGeneration]);
    assert_eq!(bench.commit(&member_commit("g", &ids[0], 2), 9), [ErrorCode::IllegalGeneration]);
    assert_eq!(bench.commit(&member_commit("g", "stranger", 1), 9), [ErrorCode::UnknownMemberId]);
}

#[test]
fn a_member_may_commit_while_it_is_asked_to_rejoin() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    bench.send_join(join("g", &ids[0]));
    assert_eq!(bench.commit(&member_commit("g", &ids[1], 1), 9), [ErrorCode::None]);
}

#[test]
fn a_member_may_not_commit_before_it_has_its_assignment() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    bench.send_join(join("g", &id));
    bench.advance(INITIAL_DELAY_MS);
    assert_eq!(bench.commit(&member_commit("g", &id, 1), 9), [ErrorCode::RebalanceInProgress]);
}

#[test]
fn nobody_commits_from_outside_into_a_group_with_members() {
    let mut bench = Bench::new();
    bench.stable_group("g", 1);
    assert_eq!(bench.commit(&commit_request("g", "topic", 0, 1), 9), [ErrorCode::UnknownMemberId]);
}

#[test]
fn an_empty_group_takes_commits_from_outside_and_none_of_a_generation() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    bench.leave("g", &[(&ids[0], None)]);
    bench.commit_simple("g", "topic", 0, 1);
    assert_eq!(bench.commit(&member_commit("g", &ids[0], 1), 9), [ErrorCode::UnknownMemberId]);
}

#[test]
fn a_generation_of_no_group_is_named_by_version() {
    let mut bench = Bench::new();
    assert_eq!(bench.commit(&member_commit("g", "m", 1), 8), [ErrorCode::IllegalGeneration]);
    assert_eq!(bench.commit(&member_commit("g", "m", 1), 9), [ErrorCode::GroupIdNotFound]);
    assert!(bench.log.is_empty());
}

#[test]
fn metadata_beyond_the_limit_is_refused_for_its_partition_alone() {
    let mut bench = Bench::with(GroupConfig { offset_metadata_max_bytes: 4, ..GroupConfig::default() });
    let mut request = commit_request("g", "topic", 0, 1);
    let template = request.topics[0].partitions[0].clone();
    let with = |index: i32, metadata: Option<&str>| {
        template.clone().with_partition_index(index).with_committed_metadata(metadata.map(text))
    };
    // Counted in UTF-16 units, as Kafka does: the third has four, the fourth five.
    request.topics[0].partitions =
        vec![with(0, None), with(1, Some("12345")), with(2, Some("üüüü")), with(3, Some("😀😀x"))];
    let large = ErrorCode::OffsetMetadataTooLarge;
    assert_eq!(bench.commit(&request, 9), [ErrorCode::None, large, ErrorCode::None, large]);
    assert_eq!(bench.log.len(), 2);
    assert_eq!(bench.durable().offsets().get("g", "topic", 0).expect("committed").value.metadata.as_str(), "");
}

#[test]
fn a_commit_keeps_the_members_session() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.commit(&member_commit("g", &ids[0], 1), 9), [ErrorCode::None]);
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.state("g"), "Stable");
}
