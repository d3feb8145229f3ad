//! JoinGroup of dynamic members: ids, the first rebalance, protocols, limits.

use weir_broker::group::{CoordinatorRecord, GroupConfig};
use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

#[test]
fn a_newcomer_is_given_an_id_and_asked_to_come_back_with_it() {
    let mut bench = Bench::new();
    let response = bench.join_now(join("g", ""));
    assert_eq!(code(response.error_code), ErrorCode::MemberIdRequired);
    assert_eq!(response.member_id.as_str(), "client-00000000-0000-0000-0000-000000000001");
    assert_eq!(response.generation_id, -1);
    // The log knows the group from its first member on, empty and at generation 0.
    let CoordinatorRecord::GroupMetadata { group, value: Some(value) } = &bench.log[0] else { panic!("no group") };
    assert_eq!((group.as_str(), value.generation, value.members.len()), ("g", 0, 0));
    assert_eq!((value.protocol_type.as_ref(), value.protocol.as_ref(), value.leader.as_ref()), (None, None, None));
    assert_eq!(value.current_state_timestamp_ms, Some(bench.now.wall_ms));
    assert_eq!((bench.log.len(), bench.state("g").as_str()), (1, "Empty"));
}

#[test]
fn before_version_4_a_newcomer_joins_at_once() {
    let mut bench = Bench::new();
    let ticket = bench.send_join(join("g", "").at_version(3));
    assert_eq!((bench.joined(ticket), bench.state("g").as_str()), (None, "PreparingRebalance"));
    bench.advance(INITIAL_DELAY_MS);
    let response = bench.joined(ticket).expect("joined");
    assert_eq!((response.generation_id, code(response.error_code)), (1, ErrorCode::None));
    assert!(response.member_id.starts_with("client-"));
}

#[test]
fn a_member_id_of_no_group_is_unknown() {
    let mut bench = Bench::new();
    let response = bench.join_now(join("g", "ghost"));
    assert_eq!((code(response.error_code), response.member_id.as_str()), (ErrorCode::UnknownMemberId, "ghost"));
    assert!(bench.log.is_empty());
}

#[test]
fn a_member_id_that_the_group_does_not_know_is_unknown() {
    let mut bench = Bench::new();
    bench.stable_group("g", 1);
    assert_eq!(bench.join_error(join("g", "ghost")), ErrorCode::UnknownMemberId);
    bench.commit_simple("simple", "topic", 0, 1);
    assert_eq!(bench.join_error(join("simple", "ghost")), ErrorCode::UnknownMemberId);
}

#[test]
fn the_first_rebalance_waits_for_the_initial_delay() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    let ticket = bench.send_join(join("g", &id));
    bench.advance(INITIAL_DELAY_MS - 1);
    assert_eq!(bench.joined(ticket), None);
    bench.advance(1);
    let response = bench.joined(ticket).expect("joined");
    assert_eq!((response.generation_id, response.leader.as_str(), response.member_id.as_str()), (1, &*id, &*id));
    assert_eq!(response.protocol_name.as_deref(), Some("range"));
    assert_eq!(response.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(response.members.len(), 1);
    assert_eq!(response.members[0].metadata.as_ref(), b"meta");
    assert!(!response.skip_assignment);
    assert_eq!(bench.state("g"), "CompletingRebalance");
}

#[test]
fn only_the_leader_learns_who_the_members_are() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..3).map(|_| bench.new_id(join("g", ""))).collect();
    let tickets: Vec<_> = ids.iter().map(|id| bench.send_join(join("g", id))).collect();
    bench.advance(2 * INITIAL_DELAY_MS);
    for (id, ticket) in ids.iter().zip(tickets) {
        let response = bench.joined(ticket).expect("joined");
        assert_eq!(response.leader.as_str(), ids[0]);
        assert_eq!(response.members.len(), if *id == ids[0] { 3 } else { 0 });
    }
}

#[test]
fn each_newcomer_draws_the_initial_delay_out_up_to_the_rebalance_timeout() {
    let mut bench = Bench::new();
    let short = |member: &str| join("g", member).with_timeouts(SESSION_MS, 7_000);
    let ids: Vec<String> = (0..4).map(|_| bench.new_id(short(""))).collect();
    let first = bench.send_join(short(&ids[0]));
    for id in &ids[1..] {
        bench.advance(2_000);
        bench.send_join(short(id));
    }
    // 3 s, extended to 6 s for the second, and by what is left of 7 s for the third and fourth.
    bench.advance(999);
    assert_eq!(bench.joined(first), None);
    bench.advance(1);
    assert_eq!(bench.joined(first).expect("joined").members.len(), 4);
}

#[test]
fn without_a_newcomer_the_initial_delay_is_not_drawn_out() {
    let mut bench = Bench::with(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() });
    let id = bench.new_id(join("g", ""));
    let ticket = bench.send_join(join("g", &id));
    bench.advance(0);
    assert_eq!(bench.joined(ticket).expect("joined").generation_id, 1);
}

#[test]
fn a_member_needs_a_protocol_type_and_a_protocol() {
    let mut bench = Bench::new();
    assert_eq!(bench.join_error(join("g", "").offering(&[])), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(bench.join_error(join("g", "").of_type("")), ErrorCode::InconsistentGroupProtocol);
    // A refused newcomer makes no group.
    assert_eq!((bench.log.len(), bench.state("g").as_str()), (0, "Dead"));
}

#[test]
fn a_member_shares_type_and_a_protocol_with_the_others() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    assert_eq!(bench.join_error(join("g", "").of_type("connect")), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(bench.join_error(join("g", "").offering(&[("sticky", "")])), ErrorCode::InconsistentGroupProtocol);
    let response = bench.join_now(join("g", &ids[0]).offering(&[("sticky", "")]));
    assert_eq!(code(response.error_code), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(response.member_id.as_str(), ids[0]);
    assert_eq!(bench.state("g"), "Stable");
}

#[test]
fn the_members_choose_the_protocol_by_vote() {
    let mut bench = Bench::new();
    let offers: [&[(&str, &str)]; 3] = [
        &[("range", "r"), ("sticky", "s")],
        &[("sticky", "s"), ("range", "r")],
        &[("sticky", "s"), ("range", "r"), ("mine", "m")],
    ];
    let ids: Vec<String> = offers.iter().map(|offer| bench.new_id(join("g", "").offering(offer))).collect();
    let tickets: Vec<_> =
        ids.iter().zip(offers).map(|(id, offer)| bench.send_join(join("g", id).offering(offer))).collect();
    bench.advance(2 * INITIAL_DELAY_MS);
    let leader = bench.joined(tickets[0]).expect("joined");
    assert_eq!(leader.protocol_name.as_deref(), Some("sticky"));
    assert!(leader.members.iter().all(|member| member.metadata.as_ref() == b"s"));
}

#[test]
fn a_repeated_protocol_name_counts_once() {
    let mut bench = Bench::new();
    let twice: &[(&str, &str)] = &[("range", "first"), ("range", "second")];
    let id = bench.new_id(join("g", "").offering(twice));
    let ticket = bench.send_join(join("g", &id).offering(twice));
    bench.advance(INITIAL_DELAY_MS);
    assert_eq!(bench.joined(ticket).expect("joined").members[0].metadata.as_ref(), b"first");
}

#[test]
fn a_follower_that_joins_again_unchanged_is_told_the_generation() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    let response = bench.join_now(join("g", &ids[1]));
    assert_eq!((response.generation_id, response.members.len()), (1, 0));
    assert_eq!((response.leader.as_str(), bench.state("g").as_str()), (&*ids[0], "Stable"));
}

#[test]
fn a_leader_that_joins_again_wants_a_rebalance() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    let leader = bench.send_join(join("g", &ids[0]));
    assert_eq!(bench.state("g"), "PreparingRebalance");
    assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::RebalanceInProgress);
    let follower = bench.send_join(join("g", &ids[1]));
    // Everybody is here: nothing to wait for.
    assert_eq!(bench.joined(leader).expect("joined").generation_id, 2);
    assert_eq!(bench.joined(follower).expect("joined").generation_id, 2);
}

#[test]
fn a_follower_with_other_metadata_causes_a_rebalance() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    bench.send_join(join("g", &ids[1]).offering(&[("range", "new")]));
    assert_eq!(bench.state("g"), "PreparingRebalance");
}

#[test]
fn a_lost_answer_is_given_again_while_the_assignment_is_awaited() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("g", ""))).collect();
    ids.iter().for_each(|id| {
        bench.send_join(join("g", id));
    });
    bench.advance(2 * INITIAL_DELAY_MS);
    let leader = bench.join_now(join("g", &ids[0]));
    assert_eq!((leader.generation_id, leader.members.len()), (1, 2));
    let follower = bench.join_now(join("g", &ids[1]));
    assert_eq!((follower.generation_id, follower.members.len()), (1, 0));
    assert_eq!(bench.state("g"), "CompletingRebalance");
}

#[test]
fn other_metadata_while_the_assignment_is_awaited_starts_over() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("g", ""))).collect();
    ids.iter().for_each(|id| {
        bench.send_join(join("g", id));
    });
    bench.advance(2 * INITIAL_DELAY_MS);
    let waiting = bench.send_sync(sync("g", &ids[1], 1));
    bench.send_join(join("g", &ids[0]).offering(&[("range", "new")]));
    assert_eq!(bench.state("g"), "PreparingRebalance");
    assert_eq!(code(bench.synced(waiting).expect("sent away").error_code), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_second_join_of_a_member_answers_the_first() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    let first = bench.send_join(join("g", &ids[0]));
    let second = bench.send_join(join("g", &ids[0]));
    assert_eq!(code(bench.joined(first).expect("sent away").error_code), ErrorCode::RebalanceInProgress);
    bench.send_join(join("g", &ids[1]));
    assert_eq!(bench.joined(second).expect("joined").generation_id, 2);
}

#[test]
fn a_full_group_takes_nobody_new() {
    let mut bench = Bench::with(GroupConfig { max_size: 2, ..GroupConfig::default() });
    let ids = bench.stable_group("g", 2);
    let response = bench.join_now(join("g", ""));
    assert_eq!((code(response.error_code), response.member_id.as_str()), (ErrorCode::GroupMaxSizeReached, ""));
    assert_eq!(bench.join_now(join("g", &ids[1])).error_code, 0);
}

#[test]
fn the_last_to_rejoin_a_group_that_is_too_large_is_out() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 3);
    bench.config = GroupConfig { max_size: 2, ..GroupConfig::default() }.into();
    bench.fail_over();
    assert_eq!(bench.state("g"), "PreparingRebalance");
    let first = bench.send_join(join("g", &ids[0]));
    let second = bench.send_join(join("g", &ids[1]));
    assert_eq!(bench.join_error(join("g", &ids[2])), ErrorCode::GroupMaxSizeReached);
    assert_eq!(bench.joined(first).expect("joined").members.len(), 2);
    assert_eq!(bench.joined(second).expect("joined").generation_id, 2);
}

#[test]
fn a_newcomer_that_never_syncs_its_join_is_asked_again_after_five_minutes() {
    let mut bench = Bench::new();
    let long = |member: &str| join("g", member).with_timeouts(SESSION_MS, 3_600_000);
    let id = bench.new_id(long(""));
    let other = bench.new_id(long(""));
    let ids = bench.stabilize("g", vec![long(&id), long(&other)], INITIAL_DELAY_MS);
    let third = bench.new_id(long(""));
    let ticket = bench.send_join(long(&third));
    // The others live on without rejoining, so the rebalance stays open.
    for _ in 0..60 {
        bench.advance(5_000);
        ids.iter().for_each(|id| {
            bench.heartbeat("g", id, 1);
        });
    }
    let response = bench.joined(ticket).expect("sent away");
    assert_eq!((code(response.error_code), response.member_id.as_str()), (ErrorCode::UnknownMemberId, ""));
    assert_eq!(bench.describe("g").members.len(), 2);
}

#[test]
fn an_id_that_is_not_used_within_the_session_timeout_is_void() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    bench.advance(SESSION_MS);
    assert_eq!(bench.join_error(join("g", &id)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_ids_that_were_handed_out() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    let expected = bench.new_id(join("g", ""));
    let leader = bench.send_join(join("g", &ids[0]));
    assert_eq!(bench.joined(leader), None);
    let newcomer = bench.send_join(join("g", &expected));
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 2);
    assert_eq!(bench.joined(newcomer).expect("joined").generation_id, 2);
}

#[test]
fn a_rebalance_goes_on_when_an_expected_id_does_not_come() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    bench.new_id(join("g", ""));
    let leader = bench.send_join(join("g", &ids[0]));
    bench.advance(SESSION_MS);
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 1);
}

#[test]
fn a_dynamic_id_with_an_instance_id_is_refused() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    assert_eq!(bench.join_error(join("g", &id).with_instance("instance")), ErrorCode::InvalidRequest);
}

#[test]
fn ids_that_are_handed_out_are_bounded() {
    let mut bench = Bench::new();
    for _ in 0..10_000 {
        bench.new_id(join("g", ""));
    }
    assert_eq!(bench.join_error(join("g", "")), ErrorCode::GroupMaxSizeReached);
    bench.advance(SESSION_MS);
    bench.new_id(join("g", ""));
}

#[test]
fn version_0_has_one_timeout_for_both() {
    let mut bench = Bench::new();
    let old = |member: &str| join("g", member).at_version(0).with_timeouts(20_000, -1);
    let ids = bench.stabilize("g", vec![old(""), old("")], INITIAL_DELAY_MS);
    let leader = bench.send_join(old(&ids[0]));
    for _ in 0..3 {
        bench.advance(5_000);
        assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::RebalanceInProgress);
    }
    bench.advance(4_999);
    assert_eq!(bench.joined(leader), None);
    bench.advance(1);
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 1);
}

#[test]
fn a_group_that_the_log_cannot_take_does_not_come_to_be() {
    let mut bench = Bench::new();
    bench.max_batch_bytes = 200;
    let name = "g".repeat(200);
    assert_eq!(bench.join_error(join(&name, "").at_version(3)), ErrorCode::UnknownServerError);
    assert_eq!(bench.join_error(join(&name, "")), ErrorCode::UnknownServerError);
    assert_eq!((bench.state(&name).as_str(), bench.log.len()), ("Dead", 0));
    assert_eq!(bench.join_error(join("g", "")), ErrorCode::MemberIdRequired);
}
