//! FenceBroker.

use weir_controller::decide::FenceBrokerRequest;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use crate::cluster::{Cluster, ORDERS, decided};

fn silent(broker: i32, epoch: i64) -> FenceBrokerRequest {
    FenceBrokerRequest { broker: BrokerId(broker), broker_epoch: BrokerEpoch(epoch) }
}

#[test]
fn a_silent_broker_gives_up_its_leaderships_and_its_places_in_one_change() {
    let mut cluster = Cluster::of(&[1, 2, 3]).with_topic("orders", ORDERS, &[&[1, 2, 3], &[2, 1, 3]]);
    let (_, response) = decided!(cluster, FenceBroker(silent(1, 10)));
    assert_eq!(response, Ok(()));
    assert!(!cluster.image.is_active(BrokerId(1)));
    assert_eq!(cluster.leadership(ORDERS, 0), (2, vec![2, 3], 1, 1));
    assert_eq!(cluster.leadership(ORDERS, 1), (2, vec![2, 3], 0, 1));
}

#[test]
fn a_partition_that_only_it_could_lead_has_no_leader_and_keeps_it_in_sync() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1]]);
    let (_, response) = decided!(cluster, FenceBroker(silent(1, 10)));
    assert_eq!(response, Ok(()));
    assert_eq!(cluster.leadership(ORDERS, 0), (-1, vec![1], 1, 1));
}

#[test]
fn a_broker_that_has_registered_since_is_left_alone() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2]]);
    let (records, response) = decided!(cluster, FenceBroker(silent(1, 9)));
    assert_eq!((records, response.unwrap_err().code), (vec![], ErrorCode::StaleBrokerEpoch));
}

#[test]
fn a_broker_that_is_out_of_service_stays_so() {
    let mut cluster = Cluster::of(&[1, 2]).fence(1);
    let (records, response) = decided!(cluster, FenceBroker(silent(1, 10)));
    assert_eq!((records, response), (vec![], Ok(())));
}
