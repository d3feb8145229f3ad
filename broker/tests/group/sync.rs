//! SyncGroup: the leader's assignment, who waits for it, and who is refused.

use weir_broker::group::{CoordinatorRecord, MemberId};
use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

/// Two members that have joined generation 1; the first leads.
fn joined_group(bench: &mut Bench) -> Vec<String> {
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("g", ""))).collect();
    ids.iter().for_each(|id| {
        bench.send_join(join("g", id));
    });
    bench.advance(2 * INITIAL_DELAY_MS);
    ids
}

#[test]
fn followers_wait_for_the_leader() {
    let mut bench = Bench::new();
    let ids = joined_group(&mut bench);
    let follower = bench.send_sync(sync("g", &ids[1], 1));
    assert_eq!(bench.synced(follower), None);
    let leader = bench.sync_now(sync("g", &ids[0], 1).assigning(&[&ids[0], &ids[1]]));
    let follower = bench.synced(follower).expect("assigned");
    assert_eq!((leader.assignment.as_ref(), follower.assignment.as_ref()), (ids[0].as_bytes(), ids[1].as_bytes()));
    assert_eq!(follower.protocol_name.as_deref(), Some("range"));
    assert_eq!(follower.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(bench.state("g"), "Stable");
}

#[test]
fn a_stable_generation_is_stored_with_subscriptions_and_assignments() {
    let mut bench = Bench::new();
    let ids = joined_group(&mut bench);
    let records = bench.log.len();
    bench.sync_now(sync("g", &ids[0], 1).assigning(&[&ids[0], &ids[1]]));
    let [CoordinatorRecord::GroupMetadata { group, value: Some(value) }] = &bench.log[records..] else {
        panic!("not one group: {:?}", &bench.log[records..])
    };
    assert_eq!((group.as_str(), value.generation), ("g", 1));
    assert_eq!(value.leader, Some(MemberId::from(&*ids[0])));
    for member in &value.members {
        assert_eq!(member.subscription.as_ref(), b"meta");
        assert_eq!(member.assignment.as_ref(), member.member_id.as_bytes());
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("client", "/127.0.0.1"));
        assert_eq!((member.session_timeout_ms, member.rebalance_timeout_ms), (10_000, 60_000));
    }
}

#[test]
fn a_member_the_leader_forgets_gets_an_empty_assignment() {
    let mut bench = Bench::new();
    let ids = joined_group(&mut bench);
    bench.sync_now(sync("g", &ids[0], 1).assigning(&[&ids[0], "stranger"]));
    let follower = bench.sync_now(sync("g", &ids[1], 1));
    assert_eq!((code(follower.error_code), follower.assignment.len()), (ErrorCode::None, 0));
}

#[test]
fn in_a_stable_group_the_assignment_is_there() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    assert_eq!(bench.sync_now(sync("g", &ids[1], 1)).assignment.as_ref(), ids[1].as_bytes());
    // Also the leader's own assignment is not taken twice.
    assert_eq!(bench.sync_now(sync("g", &ids[0], 1)).assignment.as_ref(), ids[0].as_bytes());
}

#[test]
fn strangers_and_stale_generations_are_refused() {
    let mut bench = Bench::new();
    let error = |bench: &mut Bench, request| code(bench.sync_now(request).error_code);
    assert_eq!(error(&mut bench, sync("g", "m", 1)), ErrorCode::UnknownMemberId);
    bench.commit_simple("g", "topic", 0, 1);
    assert_eq!(error(&mut bench, sync("g", "m", 1)), ErrorCode::UnknownMemberId);
    let ids = joined_group(&mut bench);
    assert_eq!(error(&mut bench, sync("g", "m", 1)), ErrorCode::UnknownMemberId);
    assert_eq!(error(&mut bench, sync("g", &ids[0], 0)), ErrorCode::IllegalGeneration);
    assert_eq!(error(&mut bench, sync("g", &ids[0], 2)), ErrorCode::IllegalGeneration);
}

#[test]
fn another_protocol_than_the_groups_is_refused_and_none_is_not() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    let request = || sync("g", &ids[0], 1);
    let mut error = |request| code(bench.sync_now(request).error_code);
    assert_eq!(error(request().with_protocol_type(Some(text("connect")))), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(error(request().with_protocol_name(Some(text("sticky")))), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(error(request().with_protocol_type(None).with_protocol_name(None)), ErrorCode::None);
}

#[test]
fn during_a_rebalance_a_sync_is_sent_back_to_join() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    bench.send_join(join("g", &ids[0]));
    assert_eq!(code(bench.sync_now(sync("g", &ids[1], 1)).error_code), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_second_sync_of_a_member_answers_the_first() {
    let mut bench = Bench::new();
    let ids = joined_group(&mut bench);
    let first = bench.send_sync(sync("g", &ids[1], 1));
    let second = bench.send_sync(sync("g", &ids[1], 1));
    assert_eq!(code(bench.synced(first).expect("sent away").error_code), ErrorCode::RebalanceInProgress);
    bench.sync_now(sync("g", &ids[0], 1).assigning(&[&ids[1]]));
    assert_eq!(bench.synced(second).expect("assigned").assignment.as_ref(), ids[1].as_bytes());
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered() {
    let mut bench = Bench::new();
    let ids = joined_group(&mut bench);
    let follower = bench.send_sync(sync("g", &ids[1], 1));
    assert_eq!(bench.leave("g", &[(&ids[1], None)]), [ErrorCode::None]);
    assert_eq!(code(bench.synced(follower).expect("sent away").error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn an_assignment_that_the_log_cannot_take_is_refused_to_all_and_they_join_again() {
    let mut bench = Bench::new();
    let ids = joined_group(&mut bench);
    let waiting = bench.send_sync(sync("g", &ids[1], 1));
    let records = bench.log.len();

    bench.max_batch_bytes = 1_000;
    let mut request = sync("g", &ids[0], 1).assigning(&[&ids[0]]);
    request.assignments[0].assignment = bytes::Bytes::from(vec![0; 1_000]);
    assert_eq!(code(bench.sync_now(request).error_code), ErrorCode::UnknownServerError);
    assert_eq!(code(bench.synced(waiting).expect("answered").error_code), ErrorCode::UnknownServerError);
    assert_eq!((bench.log.len(), bench.state("g").as_str()), (records, "PreparingRebalance"));
    assert!(bench.describe("g").members.iter().all(|member| member.member_assignment.is_empty()));

    let members = bench.stabilize("g", ids.iter().map(|id| join("g", id)).collect(), 1);
    assert_eq!(members.len(), 2);
}
