//! Rebalances: who is waited for, for how long, and who leads afterwards.

use weir_broker::group::CoordinatorRecord;
use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

#[test]
fn dynamic_members_that_do_not_rejoin_in_time_are_out() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 3);
    let leader = bench.send_join(join("g", &ids[0]));
    let follower = bench.send_join(join("g", &ids[1]));
    for _ in 0..11 {
        bench.advance(5_000);
        assert_eq!(bench.heartbeat("g", &ids[2], 1), ErrorCode::RebalanceInProgress);
    }
    bench.advance(4_999);
    assert_eq!(bench.joined(leader), None);
    bench.advance(1);
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 2);
    assert_eq!(bench.joined(follower).expect("joined").generation_id, 2);
    assert_eq!(bench.heartbeat("g", &ids[2], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_does_not_rejoin_is_replaced() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    let follower = bench.send_join(join("g", &ids[1]).offering(&[("range", "new")]));
    bench.advance(REBALANCE_MS);
    let response = bench.joined(follower).expect("joined");
    assert_eq!((response.leader.as_str(), response.members.len()), (&*ids[1], 1));
}

#[test]
fn a_newcomer_starts_a_rebalance_of_a_stable_group() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    let id = bench.new_id(join("g", ""));
    let newcomer = bench.send_join(join("g", &id));
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::RebalanceInProgress);
    let leader = bench.send_join(join("g", &ids[0]));
    let responses = [bench.joined(leader).expect("joined"), bench.joined(newcomer).expect("joined")];
    assert!(responses.iter().all(|response| response.generation_id == 2));
    bench.sync_all("g", &responses);
}

#[test]
fn the_rebalance_timeout_is_the_longest_of_the_members() {
    let mut bench = Bench::new();
    let slow = |member: &str| join("g", member).with_timeouts(SESSION_MS, 90_000);
    let (a, b) = (bench.new_id(join("g", "")), bench.new_id(slow("")));
    let ids = bench.stabilize("g", vec![join("g", &a), slow(&b)], INITIAL_DELAY_MS);
    let leader = bench.send_join(join("g", &ids[0]));
    for _ in 0..17 {
        bench.advance(5_000);
        bench.heartbeat("g", &ids[1], 1);
    }
    assert_eq!(bench.joined(leader), None);
    bench.advance(5_000);
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 1);
}

#[test]
fn when_the_last_member_falls_silent_the_group_is_empty() {
    let mut bench = Bench::new();
    bench.stable_group("g", 1);
    let records = bench.log.len();
    bench.advance(SESSION_MS);
    assert_eq!(bench.state("g"), "Empty");
    let CoordinatorRecord::GroupMetadata { value: Some(value), .. } = &bench.log[records] else { panic!("no group") };
    assert_eq!((value.generation, value.members.len()), (2, 0));
    assert_eq!((value.protocol_type.as_deref(), value.protocol.as_deref()), (Some("consumer"), None));
    assert_eq!((value.leader.as_ref(), value.current_state_timestamp_ms), (None, Some(bench.now.wall_ms)));
    // Nothing of it is left but what the log says, and the periodic check.
    assert_eq!(bench.log.len(), records + 1);
}

#[test]
fn a_group_that_was_empty_goes_on_counting_generations() {
    let mut bench = Bench::new();
    bench.stable_group("g", 1);
    bench.advance(SESSION_MS);
    let id = bench.new_id(join("g", ""));
    let ticket = bench.send_join(join("g", &id));
    bench.advance(INITIAL_DELAY_MS);
    assert_eq!(bench.joined(ticket).expect("joined").generation_id, 3);
}

#[test]
fn a_silent_member_causes_a_rebalance() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    bench.advance(SESSION_MS / 2);
    bench.heartbeat("g", &ids[0], 1);
    bench.advance(SESSION_MS / 2);
    assert_eq!(bench.state("g"), "PreparingRebalance");
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::RebalanceInProgress);
    let ticket = bench.send_join(join("g", &ids[0]));
    assert_eq!(bench.joined(ticket).expect("joined").members.len(), 1);
}

#[test]
fn a_member_that_waits_for_the_others_owes_no_heartbeat() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    let leader = bench.send_join(join("g", &ids[0]));
    for _ in 0..4 {
        bench.advance(SESSION_MS / 2);
        bench.heartbeat("g", &ids[1], 1);
    }
    assert_eq!((bench.joined(leader), bench.describe("g").members.len()), (None, 2));
    bench.send_join(join("g", &ids[1]));
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 2);
    // And has its full session from then on.
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.describe("g").members.len(), 2);
}

#[test]
fn a_member_that_never_syncs_is_out_and_the_others_start_over() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("g", ""))).collect();
    ids.iter().for_each(|id| {
        bench.send_join(join("g", id));
    });
    bench.advance(2 * INITIAL_DELAY_MS);
    assert_eq!(bench.sync_now(sync("g", &ids[0], 1).assigning(&[&ids[0]])).error_code, 0);
    assert_eq!(bench.state("g"), "Stable");
    for _ in 0..11 {
        bench.advance(5_000);
        ids.iter().for_each(|id| assert_eq!(bench.heartbeat("g", id, 1), ErrorCode::None));
    }
    bench.advance(5_000);
    assert_eq!(bench.state("g"), "PreparingRebalance");
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_never_syncs_is_out_with_its_generation() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("g", ""))).collect();
    ids.iter().for_each(|id| {
        bench.send_join(join("g", id));
    });
    bench.advance(2 * INITIAL_DELAY_MS);
    let follower = bench.send_sync(sync("g", &ids[1], 1));
    for _ in 0..12 {
        bench.advance(5_000);
        bench.heartbeat("g", &ids[0], 1);
    }
    assert_eq!(code(bench.synced(follower).expect("sent away").error_code), ErrorCode::RebalanceInProgress);
    let ticket = bench.send_join(join("g", &ids[1]));
    assert_eq!(bench.joined(ticket).expect("joined").leader.as_str(), ids[1]);
}

#[test]
fn cooperative_members_keep_what_they_have_through_a_second_rebalance() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    // The leader revokes in one generation and assigns in the next; the broker only has to hand both round.
    for generation in 2..4 {
        let leader = bench.send_join(join("g", &ids[0]).offering(&[("range", &format!("owned-{generation}"))]));
        let follower = bench.send_join(join("g", &ids[1]).offering(&[("range", &format!("owned-{generation}"))]));
        let responses = [bench.joined(leader).expect("joined"), bench.joined(follower).expect("joined")];
        assert!(responses.iter().all(|response| response.generation_id == generation));
        bench.sync_all("g", &responses);
    }
}
