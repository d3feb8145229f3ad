//! DescribeGroups and ListGroups.

use weir_broker::group::ListFilter;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::ListGroupsRequest;

use crate::harness::*;

#[test]
fn a_stable_group_shows_its_members() {
    let mut bench = Bench::new();
    let ids = bench.stable_group("g", 1);
    let group = bench.describe("g");
    assert_eq!(
        (group.group_state.as_str(), group.protocol_type.as_str(), group.protocol_data.as_str()),
        ("Stable", "consumer", "range")
    );
    let member = &group.members[0];
    assert_eq!((member.member_id.as_str(), member.client_id.as_str()), (&*ids[0], "client"));
    assert_eq!(member.client_host.as_str(), "/127.0.0.1");
    assert_eq!((member.member_metadata.as_ref(), member.member_assignment.as_ref()), (&b"meta"[..], ids[0].as_bytes()));
}

#[test]
fn a_rebalancing_group_shows_no_protocol_and_no_metadata() {
    let mut bench = Bench::new();
    let id = bench.new_id(join("g", ""));
    bench.send_join(join("g", &id));
    let group = bench.describe("g");
    assert_eq!((group.group_state.as_str(), group.protocol_data.as_str()), ("PreparingRebalance", ""));
    assert_eq!((group.members.len(), group.members[0].member_metadata.len()), (1, 0));
}

#[test]
fn an_unknown_group_is_dead_and_from_version_6_an_error() {
    let bench = Bench::new();
    let old = bench.shard.describe_group(&group_id("g"), 5);
    assert_eq!((old.group_state.as_str(), code(old.error_code)), ("Dead", ErrorCode::None));
    let new = bench.shard.describe_group(&group_id("g"), 6);
    assert_eq!((new.group_state.as_str(), code(new.error_code)), ("Dead", ErrorCode::GroupIdNotFound));
    assert_eq!(new.error_message.as_deref(), Some("Group g not found."));
}

fn list(bench: &Bench, states: &[&str], types: &[&str]) -> Vec<String> {
    let request = ListGroupsRequest::default()
        .with_states_filter(states.iter().map(|name| text(name)).collect())
        .with_types_filter(types.iter().map(|name| text(name)).collect());
    let mut listed = Vec::new();
    bench.shard.list_groups(&ListFilter::of(&request), &mut listed);
    let line = |group: &weir_protocol::messages::list_groups_response::ListedGroup| {
        format!("{} {} {} {}", group.group_id.as_str(), group.protocol_type, group.group_state, group.group_type)
    };
    listed.iter().map(line).collect()
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut bench = Bench::new();
    bench.stable_group("busy", 1);
    bench.commit_simple("simple", "topic", 0, 1);
    let (busy, simple) = ("busy consumer Stable classic", "simple  Empty classic");
    assert_eq!(list(&bench, &[], &[]), [busy, simple]);
    assert_eq!(list(&bench, &["stable"], &[]), [busy]);
    assert_eq!(list(&bench, &["Empty", "Dead"], &["Classic"]), [simple]);
    assert_eq!(list(&bench, &[], &["consumer"]), [""; 0]);
    assert_eq!(list(&bench, &["nonsense"], &[]), [""; 0]);
}
