//! Static members (KIP-345): known by instance id, replaced without a rebalance, fenced when replaced.

use weir_broker::group::CoordinatorRecord;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::HeartbeatRequest;

use crate::harness::*;

fn static_group(bench: &mut Bench) -> Vec<String> {
    let joins = vec![join("g", "").with_instance("a"), join("g", "").with_instance("b")];
    bench.stabilize("g", joins, INITIAL_DELAY_MS)
}

#[test]
fn a_static_member_joins_at_once_under_an_id_made_of_its_name() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    assert!(ids[0].starts_with("a-") && ids[1].starts_with("b-"), "{ids:?}");
    let members = bench.describe("g").members;
    assert_eq!(members[0].group_instance_id.as_deref(), Some("a"));
}

#[test]
fn a_returning_static_member_takes_its_place_without_a_rebalance() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    let records = bench.log.len();
    let response = bench.join_now(join("g", "").with_instance("b"));
    let new_id = response.member_id.to_string();
    assert_ne!(new_id, ids[1]);
    assert_eq!((response.generation_id, response.leader.as_str(), response.members.len()), (1, &*ids[0], 0));
    assert!(!response.skip_assignment);
    assert_eq!(bench.state("g"), "Stable");
    // The log knows the new id, with the assignment of the old.
    let CoordinatorRecord::GroupMetadata { value: Some(value), .. } = &bench.log[records] else { panic!("no group") };
    let member = value.members.iter().find(|member| member.member_id == *new_id.as_str()).expect("stored");
    assert_eq!(member.assignment.as_ref(), ids[1].as_bytes());
    let answer = bench.sync_now(sync("g", &new_id, 1));
    assert_eq!(answer.assignment.as_ref(), ids[1].as_bytes());
    assert_eq!(bench.heartbeat("g", &new_id, 1), ErrorCode::None);
}

#[test]
fn a_returning_leader_is_told_not_to_assign_again() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    let response = bench.join_now(join("g", "").with_instance("a"));
    assert!(response.skip_assignment);
    assert_eq!((response.leader.clone(), response.members.len()), (response.member_id.clone(), 2));
    assert_ne!(response.member_id.as_str(), ids[0]);
}

#[test]
fn before_version_9_a_returning_leader_is_not_told_that_it_leads() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    let response = bench.join_now(join("g", "").with_instance("a").at_version(8));
    assert_eq!((response.leader.as_str(), response.members.len(), response.skip_assignment), (&*ids[0], 0, false));
    assert_ne!(response.member_id, response.leader);
}

#[test]
fn a_replaced_static_member_is_fenced_from_everything() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    let old = ids[1].as_str();
    bench.join_now(join("g", "").with_instance("b"));
    assert_eq!(bench.join_error(join("g", old).with_instance("b")), ErrorCode::FencedInstanceId);
    let heartbeat = HeartbeatRequest::default()
        .with_group_id(group_id("g"))
        .with_member_id(text(old))
        .with_generation_id(1)
        .with_group_instance_id(Some(text("b")));
    assert_eq!(bench.heartbeat_with(heartbeat), ErrorCode::FencedInstanceId);
    let answer = bench.sync_now(sync("g", old, 1).with_group_instance_id(Some(text("b"))));
    assert_eq!(code(answer.error_code), ErrorCode::FencedInstanceId);
    let commit = member_commit("g", old, 1).with_group_instance_id(Some(text("b")));
    assert_eq!(bench.commit(&commit, 9), [ErrorCode::FencedInstanceId]);
    assert_eq!(bench.leave("g", &[(old, Some("b"))]), [ErrorCode::FencedInstanceId]);
    // Without the instance id it is simply not there any more.
    assert_eq!(bench.heartbeat("g", old, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn an_unknown_instance_id_is_an_unknown_member() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    assert_eq!(bench.join_error(join("g", &ids[0]).with_instance("c")), ErrorCode::UnknownMemberId);
    let heartbeat = HeartbeatRequest::default()
        .with_group_id(group_id("g"))
        .with_member_id(text(&ids[0]))
        .with_generation_id(1)
        .with_group_instance_id(Some(text("c")));
    assert_eq!(bench.heartbeat_with(heartbeat), ErrorCode::UnknownMemberId);
}

#[test]
fn a_return_that_changes_the_choice_of_protocol_rebalances() {
    let mut bench = Bench::new();
    let both: &[(&str, &str)] = &[("range", "r"), ("sticky", "s")];
    let joins = vec![join("g", "").with_instance("a").offering(both), join("g", "").with_instance("b").offering(both)];
    bench.stabilize("g", joins, INITIAL_DELAY_MS);
    let ticket = bench.send_join(join("g", "").with_instance("b").offering(&[("sticky", "s")]));
    assert_eq!((bench.joined(ticket), bench.state("g").as_str()), (None, "PreparingRebalance"));
}

#[test]
fn a_return_while_the_assignment_is_awaited_starts_over() {
    let mut bench = Bench::new();
    let joins = [join("g", "").with_instance("a"), join("g", "").with_instance("b")];
    let tickets = joins.map(|join| bench.send_join(join));
    bench.advance(2 * INITIAL_DELAY_MS);
    let ids = tickets.map(|ticket| bench.joined(ticket).expect("joined").member_id.to_string());
    let waiting = bench.send_sync(sync("g", &ids[1], 1));
    let ticket = bench.send_join(join("g", "").with_instance("b"));
    assert_eq!(code(bench.synced(waiting).expect("sent away").error_code), ErrorCode::FencedInstanceId);
    assert_eq!((bench.joined(ticket), bench.state("g").as_str()), (None, "PreparingRebalance"));
}

#[test]
fn a_return_during_a_rebalance_fences_the_join_that_waits() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    bench.send_join(join("g", &ids[0]).with_instance("a").offering(&[("range", "new")]));
    let old = bench.send_join(join("g", &ids[0]).with_instance("a"));
    let new = bench.send_join(join("g", "").with_instance("a"));
    let fenced = bench.joined(old).expect("fenced");
    assert_eq!((code(fenced.error_code), fenced.member_id.as_str()), (ErrorCode::FencedInstanceId, &*ids[0]));
    let other = bench.send_join(join("g", &ids[1]).with_instance("b"));
    assert_eq!(bench.joined(new).expect("joined").members.len(), 2);
    assert_eq!(bench.joined(other).expect("joined").generation_id, 2);
}

#[test]
fn a_static_member_that_does_not_rejoin_keeps_its_place_until_its_session_ends() {
    let mut bench = Bench::new();
    let long = |instance: &str| join("g", "").with_instance(instance).with_timeouts(300_000, 20_000);
    let ids = bench.stabilize("g", vec![long("a"), long("b")], INITIAL_DELAY_MS);
    let leader = bench
        .send_join(join("g", &ids[0]).with_instance("a").with_timeouts(300_000, 20_000).offering(&[("range", "new")]));
    bench.advance(20_000);
    let response = bench.joined(leader).expect("joined");
    assert_eq!((response.generation_id, response.members.len()), (2, 2));
    assert_eq!(bench.sync_now(sync("g", &ids[0], 2).assigning(&[&ids[0], &ids[1]])).error_code, 0);
    // It is of the new generation; unless it syncs in time the others go on without it.
    assert_eq!(bench.sync_now(sync("g", &ids[1], 2)).assignment.as_ref(), ids[1].as_bytes());
}

#[test]
fn when_no_static_member_rejoins_the_rebalance_waits_on() {
    let mut bench = Bench::new();
    let long = |instance: &str| join("g", "").with_instance(instance).with_timeouts(300_000, 20_000);
    bench.stabilize("g", vec![long("a"), long("b")], INITIAL_DELAY_MS);
    let id = bench.new_id(join("g", ""));
    let ticket = bench.send_join(join("g", &id));
    assert_eq!(bench.leave("g", &[(&id, None)]), [ErrorCode::None]);
    assert_eq!(code(bench.joined(ticket).expect("sent away").error_code), ErrorCode::UnknownMemberId);
    bench.advance(100_000);
    assert_eq!((bench.state("g").as_str(), bench.describe("g").members.len()), ("PreparingRebalance", 2));
    bench.advance(200_000);
    assert_eq!((bench.state("g").as_str(), bench.describe("g").members.len()), ("Empty", 0));
}

#[test]
fn a_static_member_is_removed_by_its_instance_id_alone() {
    let mut bench = Bench::new();
    let ids = static_group(&mut bench);
    assert_eq!(bench.leave("g", &[("", Some("a")), ("", Some("c"))]), [ErrorCode::None, ErrorCode::UnknownMemberId]);
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::UnknownMemberId);
    assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_successor_that_the_log_cannot_take_leaves_the_place_to_its_predecessor() {
    let mut bench = Bench::new();
    let ids = bench.stabilize("g", vec![join("g", "").with_instance("i")], INITIAL_DELAY_MS);
    let stored = bench.durable().clone();
    bench.max_batch_bytes = 1_000;
    let large = "m".repeat(1_000);
    let response = bench.join_now(join("g", "").with_instance("i").offering(&[("range", &large)]));
    assert_eq!((code(response.error_code), response.member_id.as_str()), (ErrorCode::UnknownServerError, ""));
    assert_eq!((bench.durable(), bench.state("g").as_str()), (&stored, "Stable"));
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::None);
    // Its session goes on as well.
    bench.advance(SESSION_MS);
    assert_eq!(bench.describe("g").members.len(), 0);
}
