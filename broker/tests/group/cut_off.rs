//! A coordinator whose broker is cut off sends everybody elsewhere, and comes back with what its log has.

use weir_broker::group::GroupConfig;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::LeaderEpoch;
use weir_protocol::messages::{DescribeGroupsRequest, ListGroupsRequest};

use crate::fake_broker::*;
use crate::harness::*;

#[test]
fn everything_that_is_asked_is_refused_so_that_clients_look_for_their_coordinator() {
    let broker = Broker::leading();
    assert_eq!(commit_code(&ready(broker.commit("g", 42))), ErrorCode::None);
    broker.log.cut_off(true);
    assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
    assert_eq!(code(ready(broker.join(join("g", ""))).error_code), ErrorCode::NotCoordinator);
    assert_eq!(code(ready(broker.sync(sync("g", "m", 1))).error_code), ErrorCode::NotCoordinator);
    assert_eq!(commit_code(&ready(broker.commit("g", 43))), ErrorCode::NotCoordinator);
    assert_eq!(code(ready(broker.fetch("g")).groups[0].error_code), ErrorCode::NotCoordinator);
    let described = DescribeGroupsRequest::default().with_groups(vec![group_id("g")]);
    let described = broker.coordinator.describe_groups(&context(6), &described);
    assert_eq!(code(described.groups[0].error_code), ErrorCode::NotCoordinator);
    let listed = broker.coordinator.list_groups(&ListGroupsRequest::default());
    assert_eq!((code(listed.error_code), listed.groups.len()), (ErrorCode::None, 0));
    assert!(broker.log.reloads().is_empty(), "nothing is read while it is cut off");
}

#[test]
fn a_partition_that_is_being_loaded_is_refused_too() {
    let broker = Broker::started(GroupConfig::default());
    assert!(broker.coordinator.begin_load(broker.coordinator.partition_of("g"), EPOCH));
    broker.log.cut_off(true);
    assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn whoever_waits_for_a_rebalance_is_released() {
    let broker = Broker::started(GroupConfig::default());
    broker.load_all(EPOCH);
    let waiting = broker.join(join("g", "").at_version(3));
    assert!(is_later(&waiting));
    broker.coordinator.look_whether_cut_off();
    broker.log.cut_off(true);
    broker.coordinator.look_whether_cut_off();
    assert_eq!(code(waiting.await.error_code), ErrorCode::NotCoordinator);
}

#[test]
fn once_it_is_heard_again_and_still_leads_it_goes_on_with_what_its_log_has() {
    let broker = Broker::leading();
    let partition = broker.coordinator.partition_of("g");
    assert_eq!(commit_code(&ready(broker.commit("g", 42))), ErrorCode::None);
    broker.log.cut_off(true);
    broker.coordinator.look_whether_cut_off();
    broker.log.cut_off(false);
    broker.coordinator.look_whether_cut_off();
    assert_eq!(broker.log.reloads().len(), 50, "each partition once");
    broker.coordinator.look_whether_cut_off();
    assert_eq!(broker.log.reloads().len(), 50, "and not again");
    assert_eq!(broker.heartbeat("g"), ErrorCode::None, "a member keeps its place while its group is loaded");
    broker.load(partition, EPOCH).expect("loads");
    assert_eq!(broker.fetched("g"), 42);
}

#[test]
fn a_request_alone_notices_that_it_is_heard_again() {
    let broker = Broker::leading();
    broker.log.cut_off(true);
    assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
    broker.log.cut_off(false);
    assert_eq!(commit_code(&ready(broker.commit("g", 1))), ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(broker.log.reloads(), [(broker.coordinator.partition_of("g"), EPOCH)]);
}

#[test]
fn whoever_was_elected_meanwhile_takes_over_and_nothing_is_loaded() {
    let broker = Broker::leading();
    let partition = broker.coordinator.partition_of("g");
    broker.log.cut_off(true);
    broker.coordinator.look_whether_cut_off();
    broker.coordinator.unload(partition, LeaderEpoch(EPOCH.0 + 1));
    broker.log.cut_off(false);
    assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
    assert!(broker.log.reloads().is_empty());
    broker.load(partition, LeaderEpoch(EPOCH.0 + 2)).expect("it may lead again");
    assert_eq!(commit_code(&ready(broker.commit("g", 1))), ErrorCode::None);
}
