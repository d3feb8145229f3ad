//! Retention of offsets and groups (KIP-211).

use weir_broker::group::GroupConfig;

use crate::harness::*;

const RETENTION_MS: i64 = 7 * 24 * 3_600_000;
const CHECK_MS: i64 = 600_000;

fn has_offset(bench: &Bench, topic: &str) -> bool {
    bench.durable().offsets().get("g", topic, 0).is_some()
}

#[test]
fn offsets_of_a_consumer_without_a_group_expire_after_their_commit() {
    let mut bench = Bench::new();
    bench.commit_simple("g", "old", 0, 1);
    bench.advance(CHECK_MS);
    bench.commit_simple("g", "new", 0, 1);
    bench.advance(RETENTION_MS - CHECK_MS - 1);
    assert!(has_offset(&bench, "old"));
    bench.advance(1);
    assert!(!has_offset(&bench, "old") && has_offset(&bench, "new"));
    assert_eq!(bench.state("g"), "Empty");
    bench.advance(CHECK_MS);
    // The group goes with its last offset.
    assert_eq!((has_offset(&bench, "new"), bench.state("g").as_str()), (false, "Dead"));
}

#[test]
fn offsets_of_a_group_expire_after_it_became_empty() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    bench.commit(&member_commit("g", &ids[0], 1), 9);
    for _ in 0..2 * RETENTION_MS / CHECK_MS {
        // A member that lives keeps them, however old they are.
        for _ in 0..CHECK_MS / (SESSION_MS / 2) {
            bench.advance(SESSION_MS / 2);
            bench.heartbeat("g", &ids[0], 1);
        }
    }
    assert!(has_offset(&bench, "topic"));
    bench.leave("g", &[(&ids[0], None)]);
    bench.advance(RETENTION_MS - CHECK_MS);
    assert!(has_offset(&bench, "topic"));
    bench.advance(2 * CHECK_MS);
    assert_eq!((has_offset(&bench, "topic"), bench.state("g").as_str()), (false, "Dead"));
}

#[test]
fn in_a_stable_group_offsets_of_topics_nobody_subscribes_to_expire() {
    let mut bench = Bench::with(GroupConfig { offsets_retention_ms: 2 * CHECK_MS, ..GroupConfig::default() });
    bench.commit_simple("g", "mine", 0, 1);
    bench.commit_simple("g", "dropped", 0, 1);
    let subscribed = |member: &str| join("g", member).subscribing(&["mine"]).with_timeouts(1_800_000, REBALANCE_MS);
    let id = bench.new_id(subscribed(""));
    let ids = bench.stabilize("g", vec![subscribed(&id)], INITIAL_DELAY_MS);
    for _ in 0..3 {
        bench.advance(CHECK_MS);
        bench.heartbeat("g", &ids[0], 1);
    }
    assert!(has_offset(&bench, "mine") && !has_offset(&bench, "dropped"));
    assert_eq!(bench.state("g"), "Stable");
}

#[test]
fn while_a_group_rebalances_nothing_expires() {
    let mut bench = Bench::with(GroupConfig { offsets_retention_ms: CHECK_MS, ..GroupConfig::default() });
    bench.commit_simple("g", "topic", 0, 1);
    let slow = |member: &str| join("g", member).subscribing(&[]).with_timeouts(1_800_000, 1_800_000);
    let id = bench.new_id(slow(""));
    let ids = bench.stabilize("g", vec![slow(&id)], INITIAL_DELAY_MS);
    let newcomer = bench.new_id(slow(""));
    bench.send_join(slow(&newcomer));
    bench.advance(CHECK_MS);
    assert_eq!((has_offset(&bench, "topic"), bench.state("g").as_str()), (true, "PreparingRebalance"));
    assert_eq!(bench.describe("g").members.iter().filter(|member| member.member_id.as_str() == ids[0]).count(), 1);
}

#[test]
fn an_offset_with_a_retention_of_its_own_keeps_to_it() {
    let mut bench = Bench::new();
    bench.commit(&commit_request("g", "topic", 0, 1).with_retention_time_ms(CHECK_MS), 4);
    bench.advance(CHECK_MS - 1);
    assert!(has_offset(&bench, "topic"));
    bench.advance(1);
    assert!(!has_offset(&bench, "topic"));
}

#[test]
fn a_group_with_neither_members_nor_offsets_goes_at_the_next_check() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    bench.leave("g", &[(&ids[0], None)]);
    assert_eq!(bench.state("g"), "Empty");
    bench.advance(CHECK_MS);
    assert_eq!(bench.state("g"), "Dead");
}

#[test]
fn a_group_that_expects_a_member_does_not_go() {
    let mut bench = Bench::new();
    bench.advance(CHECK_MS - 1);
    let id = bench.new_id(join("g", ""));
    bench.advance(1);
    assert_eq!(bench.state("g"), "Empty");
    let ticket = bench.send_join(join("g", &id));
    bench.advance(INITIAL_DELAY_MS);
    assert_eq!(bench.joined(ticket).expect("joined").generation_id, 1);
}

#[test]
fn an_offset_that_is_committed_while_the_check_comes_up_is_kept() {
    let mut bench = Bench::with(GroupConfig { offsets_retention_ms: 1, ..GroupConfig::default() });
    bench.commit_simple("g", "topic", 0, 1);
    // The next operation finds the check due, as it does when it comes before the timers' task.
    bench.now.monotonic_ms += CHECK_MS;
    bench.now.wall_ms += CHECK_MS;
    let request = commit_request("g", "topic", 0, 2);
    bench.run(|shard, now, effects| {
        shard.commit_offsets(now, 9, &request, effects);
        shard.on_timeout(now, effects);
    });
    let committed = bench.durable().offsets().get("g", "topic", 0).map(|offset| offset.value.offset);
    assert_eq!(committed, Some(2));
    bench.advance(CHECK_MS);
    assert_eq!(bench.state("g"), "Dead");
}
