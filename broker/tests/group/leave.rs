//! LeaveGroup: one or many, and what it does to the others.

use weir_protocol::error_code::ErrorCode;

use crate::harness::*;

#[test]
fn the_last_to_leave_empties_the_group_at_once() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    assert_eq!(bench.leave("g", &[(&ids[0], None)]), [ErrorCode::None]);
    assert_eq!(bench.state("g"), "Empty");
}

#[test]
fn a_leave_makes_the_others_rebalance_without_waiting_for_the_one_that_left() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    assert_eq!(bench.leave("g", &[(&ids[0], None)]), [ErrorCode::None]);
    assert_eq!(bench.heartbeat("g", &ids[1], 1), ErrorCode::RebalanceInProgress);
    let ticket = bench.send_join(join("g", &ids[1]));
    let response = bench.joined(ticket).expect("joined");
    assert_eq!((response.generation_id, response.leader.as_str()), (2, &*ids[1]));
}

#[test]
fn a_leave_completes_a_rebalance_that_waited_for_it() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 2);
    let leader = bench.send_join(join("g", &ids[0]));
    bench.leave("g", &[(&ids[1], None)]);
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 1);
}

#[test]
fn a_leave_does_not_cut_the_initial_delay_short() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..2).map(|_| bench.new_id(join("g", ""))).collect();
    let tickets: Vec<_> = ids.iter().map(|id| bench.send_join(join("g", id))).collect();
    bench.leave("g", &[(&ids[1], None)]);
    assert_eq!(code(bench.joined(tickets[1]).expect("sent away").error_code), ErrorCode::UnknownMemberId);
    assert_eq!(bench.joined(tickets[0]), None);
    bench.advance(2 * INITIAL_DELAY_MS);
    assert_eq!(bench.joined(tickets[0]).expect("joined").members.len(), 1);
}

#[test]
fn when_all_leave_during_the_initial_delay_the_group_is_empty_after_it() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    bench.send_join(join("g", &id));
    bench.leave("g", &[(&id, None)]);
    bench.advance(INITIAL_DELAY_MS);
    assert_eq!((bench.state("g").as_str(), bench.parked_count()), ("Empty", 0));
}

#[test]
fn an_id_that_was_handed_out_can_be_given_back() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    let pending = bench.new_id(join("g", ""));
    let leader = bench.send_join(join("g", &ids[0]));
    assert_eq!(bench.leave("g", &[(&pending, None)]), [ErrorCode::None]);
    assert_eq!(bench.joined(leader).expect("joined").members.len(), 1);
}

#[test]
fn each_of_many_has_an_answer_of_its_own() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 3);
    let leaving: [(&str, Option<&str>); 3] = [(&ids[1], None), ("stranger", None), (&ids[2], None)];
    assert_eq!(bench.leave("g", &leaving), [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::None]);
    assert_eq!(bench.describe("g").members.len(), 1);
}

#[test]
fn leaving_a_group_that_is_not_there_names_each_member_unknown() {
    let mut bench = Bench::new();
    let unknown = [ErrorCode::UnknownMemberId, ErrorCode::UnknownMemberId];
    assert_eq!(bench.leave("g", &[("a", None), ("", Some("b"))]), unknown);
}

#[test]
fn strangers_do_not_disturb_the_group() {
    let mut bench = Bench::new();
    bench.stable_group("g", 1);
    assert_eq!(bench.leave("g", &[("stranger", None)]), [ErrorCode::UnknownMemberId]);
    assert_eq!(bench.state("g"), "Stable");
}
