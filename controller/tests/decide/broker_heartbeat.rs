//! BrokerHeartbeat.

use weir_controller::decide::{BrokerHeartbeatRequest, BrokerState};
use weir_controller::image::ConfigResource;
use weir_controller::record::{BrokerRegistrationChangeRecord, MetadataRecord, RegisterBrokerRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, Offset};

use crate::cluster::{Cluster, ORDERS, decided, directory, registration};

fn heartbeat(broker: i32) -> BrokerHeartbeatRequest {
    BrokerHeartbeatRequest {
        broker: BrokerId(broker),
        broker_epoch: BrokerEpoch(10 * i64::from(broker)),
        current_metadata_offset: Offset(1000),
        want_fence: false,
        want_shut_down: false,
        offline_log_dirs: vec![],
        cordoned_log_dirs: None,
    }
}

fn change(broker: i32) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord::new(BrokerId(broker), BrokerEpoch(10 * i64::from(broker)))
}

fn state(is_caught_up: bool, is_fenced: bool, should_shut_down: bool) -> BrokerState {
    BrokerState { is_caught_up, is_fenced, should_shut_down }
}

#[test]
fn a_heartbeat_that_changes_nothing_writes_nothing() {
    let (records, response) = decided!(Cluster::of(&[1]), BrokerHeartbeat(heartbeat(1)));
    assert_eq!((records, response), (vec![], Ok(state(true, false, false))));
}

#[test]
fn a_fenced_broker_serves_once_it_has_applied_its_registration() {
    let mut cluster = Cluster::of(&[1]).fence(1);
    let behind = BrokerHeartbeatRequest { current_metadata_offset: Offset(9), ..heartbeat(1) };
    let (records, response) = decided!(cluster, BrokerHeartbeat(behind));
    assert_eq!((records, response), (vec![], Ok(state(false, true, false))));
    let (records, response) = decided!(cluster, BrokerHeartbeat(heartbeat(1)));
    assert_eq!(records, [BrokerRegistrationChangeRecord { fenced: Some(false), ..change(1) }.into()]);
    assert_eq!(response, Ok(state(true, false, false)));
}

#[test]
fn a_broker_that_wants_to_be_fenced_gives_up_its_partitions_and_leads_again_when_it_returns() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1], &[1, 2]]);
    decided!(cluster, BrokerHeartbeat(BrokerHeartbeatRequest { want_fence: true, ..heartbeat(1) })).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (-1, vec![1], 1, 1));
    assert_eq!(cluster.leadership(ORDERS, 1), (2, vec![2], 1, 1));
    assert!(!cluster.image.is_active(BrokerId(1)));
    decided!(cluster, BrokerHeartbeat(heartbeat(1))).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1], 2, 2));
    assert_eq!(cluster.leadership(ORDERS, 1), (2, vec![2], 1, 1));
}

#[test]
fn a_controlled_shutdown_moves_leaderships_before_the_broker_stops() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2], &[1]]);
    let stop = BrokerHeartbeatRequest { want_shut_down: true, ..heartbeat(1) };
    let (records, response) = decided!(cluster, BrokerHeartbeat(stop.clone()));
    assert_eq!(response, Ok(state(true, false, false)));
    assert_eq!(records[0], BrokerRegistrationChangeRecord { in_controlled_shutdown: true, ..change(1) }.into());
    assert_eq!(cluster.leadership(ORDERS, 0), (2, vec![2], 1, 1));
    let (records, response) = decided!(cluster, BrokerHeartbeat(stop));
    assert_eq!(response, Ok(state(true, true, true)));
    assert_eq!(records, [BrokerRegistrationChangeRecord { fenced: Some(true), ..change(1) }.into()]);
    // What no other can lead stays its own: its logs are intact when it returns.
    assert_eq!(cluster.leadership(ORDERS, 1), (1, vec![1], 0, 0));
}

#[test]
fn a_single_node_stops_at_once() {
    let mut cluster = Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1]]);
    let stop = BrokerHeartbeatRequest { want_shut_down: true, ..heartbeat(1) };
    let (records, response) = decided!(cluster, BrokerHeartbeat(stop));
    assert_eq!((records.len(), response), (1, Ok(state(true, true, true))));
}

#[test]
fn an_unclean_leader_is_elected_only_where_that_is_allowed() {
    use weir_controller::record::PartitionChangeRecord;
    let shrink = |cluster: &mut Cluster| {
        let partition = weir_protocol::ids::PartitionIndex(0);
        cluster.apply(PartitionChangeRecord {
            isr: Some(vec![BrokerId(1)]),
            ..PartitionChangeRecord::new(ORDERS, partition)
        });
    };
    let fence = BrokerHeartbeatRequest { want_fence: true, ..heartbeat(1) };
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2]]);
    shrink(&mut cluster);
    let mut unclean =
        cluster.clone().with_config(ConfigResource::default_broker(), "unclean.leader.election.enable", "true");
    decided!(cluster, BrokerHeartbeat(fence.clone())).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (-1, vec![1], 1, 2));
    decided!(unclean, BrokerHeartbeat(fence)).1.unwrap();
    assert_eq!(unclean.leadership(ORDERS, 0), (2, vec![2], 1, 2));
    assert_eq!(unclean.partition(ORDERS, 0).leader_recovery_state.code(), 1);
}

#[test]
fn a_directory_that_failed_takes_its_replicas_out() {
    let mut cluster = Cluster::of(&[2]).with_topic("orders", ORDERS, &[&[2]]);
    cluster.apply(RegisterBrokerRecord { log_dirs: vec![directory(1), directory(9)], ..registration(1, None, false) });
    let mut cluster = cluster.with_topic("more", uuid::Uuid::from_u128(500), &[&[1, 2]]);
    let failed = BrokerHeartbeatRequest { offline_log_dirs: vec![directory(1)], ..heartbeat(1) };
    let (records, _) = decided!(cluster, BrokerHeartbeat(failed.clone()));
    let lost = BrokerRegistrationChangeRecord { log_dirs: vec![directory(9)], ..change(1) };
    assert_eq!(records[0], MetadataRecord::from(lost));
    assert_eq!(cluster.leadership(uuid::Uuid::from_u128(500), 0), (2, vec![2], 1, 1));
    let (records, _) = decided!(cluster, BrokerHeartbeat(failed));
    assert_eq!(records, []);
}

#[test]
fn an_earlier_life_of_a_broker_is_told_so() {
    let stale = BrokerHeartbeatRequest { broker_epoch: BrokerEpoch(3), ..heartbeat(1) };
    let (records, response) = decided!(Cluster::of(&[1]), BrokerHeartbeat(stale));
    assert_eq!((records, response.unwrap_err().code), (vec![], ErrorCode::StaleBrokerEpoch));
}

#[test]
fn what_a_broker_cordons_is_written_once_and_placement_goes_by_it() {
    let mut cluster = Cluster::of(&[1, 2]);
    let cordoned = |dirs: Vec<_>| BrokerHeartbeatRequest { cordoned_log_dirs: Some(dirs), ..heartbeat(2) };
    let (records, _) = decided!(cluster, BrokerHeartbeat(cordoned(vec![directory(2)])));
    let expected = BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(vec![directory(2)]), ..change(2) };
    assert_eq!(records, [MetadataRecord::from(expected)]);
    assert_eq!(cluster.image.broker(BrokerId(2)).unwrap().uncordoned_log_dirs().count(), 0);
    assert!(decided!(cluster, BrokerHeartbeat(cordoned(vec![directory(2)]))).0.is_empty());
    decided!(cluster, BrokerHeartbeat(cordoned(vec![]))).1.unwrap();
    assert_eq!(cluster.image.broker(BrokerId(2)).unwrap().uncordoned_log_dirs().count(), 1);
}

#[test]
fn a_broker_that_has_never_cordoned_anything_writes_nothing() {
    let quiet = BrokerHeartbeatRequest { cordoned_log_dirs: Some(vec![]), ..heartbeat(1) };
    assert!(decided!(Cluster::of(&[1]), BrokerHeartbeat(quiet)).0.is_empty());
}
