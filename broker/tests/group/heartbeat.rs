//! Heartbeat: sessions kept, rebalances announced, strangers refused.

use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

#[test]
fn heartbeats_keep_a_member_in_the_group() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    for _ in 0..10 {
        bench.advance(SESSION_MS - 1);
        assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::None);
    }
    bench.advance(SESSION_MS);
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn strangers_and_stale_generations_are_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.heartbeat("g", "m", 1), ErrorCode::UnknownMemberId);
    let ids = bench.stable_group("g", 1);
    assert_eq!(bench.heartbeat("g", "m", 1), ErrorCode::UnknownMemberId);
    assert_eq!(bench.heartbeat("g", &ids[0], 0), ErrorCode::IllegalGeneration);
    assert_eq!(bench.heartbeat("g", &ids[0], 2), ErrorCode::IllegalGeneration);
    let pending = bench.new_id(join("g", ""));
    assert_eq!(bench.heartbeat("g", &pending, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_refused_heartbeat_does_not_keep_the_session() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.heartbeat("g", &ids[0], 2), ErrorCode::IllegalGeneration);
    bench.advance(1);
    assert_eq!(bench.state("g"), "Empty");
}

#[test]
fn while_the_assignment_is_awaited_heartbeats_are_simply_taken() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    bench.send_join(join("g", &id));
    bench.advance(INITIAL_DELAY_MS);
    assert_eq!(bench.state("g"), "CompletingRebalance");
    assert_eq!(bench.heartbeat("g", &id, 1), ErrorCode::None);
}

#[test]
fn during_a_rebalance_heartbeats_count_and_say_so() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    bench.send_join(join("g", &ids[0]));
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::RebalanceInProgress);
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::RebalanceInProgress);
}
