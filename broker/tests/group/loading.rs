//! A shard that is loaded from its log, and one that is given up.

use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

#[test]
fn a_loaded_group_goes_on_in_its_generation() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    bench.fail_over();
    assert_eq!(bench.state("g"), "Stable");
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::None);
    assert_eq!(bench.sync_now(sync("g", &ids[1], 1)).assignment.as_ref(), ids[1].as_bytes());
    assert_eq!(bench.commit(&member_commit("g", &ids[1], 1), 9), [ErrorCode::None]);
    let member = &bench.describe("g").members[0];
    assert_eq!((member.client_id.as_str(), member.member_metadata.as_ref()), ("client", &b"meta"[..]));
}

#[test]
fn loaded_members_have_a_full_session_to_be_heard_from() {
    let mut bench = Bench::new();
    bench.stable_group("g", 1);
    bench.advance(SESSION_MS - 1);
    bench.fail_over();
    bench.advance(SESSION_MS - 1);
    assert_eq!(bench.state("g"), "Stable");
    bench.advance(1);
    assert_eq!(bench.state("g"), "Empty");
}

#[test]
fn a_loaded_static_member_can_be_replaced() {
    let mut bench = Bench::new();
    bench.stabilize("g", vec![join("g", "").with_instance("a")], INITIAL_DELAY_MS);
    bench.fail_over();
    let response = bench.join_now(join("g", "").with_instance("a"));
    assert_eq!((response.generation_id, response.skip_assignment), (1, true));
}

#[test]
fn a_loaded_member_that_offers_more_than_the_log_knows_rebalances() {
    let mut bench = Bench::new();
    let both: &[(&str, &str)] = &[("range", "r"), ("sticky", "s")];
    let offer = |member: &str| join("g", member).offering(both);
    let (a, b) = (bench.new_id(offer("")), bench.new_id(offer("")));
    let ids = bench.stabilize("g", vec![offer(&a), offer(&b)], INITIAL_DELAY_MS);
    bench.fail_over();
    bench.send_join(offer(&ids[1]));
    assert_eq!(bench.state("g"), "PreparingRebalance");
}

#[test]
fn a_generation_that_was_not_stored_is_forgotten() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    let ticket = bench.send_join(join("g", &ids[0]));
    assert_eq!(bench.joined(ticket).expect("joined").generation_id, 2);
    bench.fail_over();
    assert_eq!(bench.heartbeat("g", &ids[0], 2), ErrorCode::IllegalGeneration);
    assert_eq!(bench.heartbeat("g", &ids[0], 1), ErrorCode::None);
}

#[test]
fn whoever_waits_is_told_to_look_for_the_coordinator() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("joining", 2);
    let join_ticket = bench.send_join(join("joining", &ids[0]));
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("syncing", ""))).collect();
    ids.iter().for_each(|id| {
        bench.send_join(join("syncing", id));
    });
    bench.advance(2 * INITIAL_DELAY_MS);
    let sync_ticket = bench.send_sync(sync("syncing", &ids[1], 1));
    bench.fail_over();
    assert_eq!(code(bench.joined(join_ticket).expect("answered").error_code), ErrorCode::NotCoordinator);
    assert_eq!(code(bench.synced(sync_ticket).expect("answered").error_code), ErrorCode::NotCoordinator);
    assert_eq!(bench.parked_count(), 0);
}
