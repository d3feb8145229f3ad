//! UnregisterBroker.

use weir_controller::decide::UnregisterBrokerRequest;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use crate::cluster::{Cluster, ORDERS, decided, error};

#[test]
fn a_broker_that_leaves_gives_up_its_partitions() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2], &[1]]);
    let (_, response) = decided!(cluster, UnregisterBroker(UnregisterBrokerRequest { broker: BrokerId(1) }));
    assert_eq!(response, Ok(()));
    assert!(cluster.image.broker(BrokerId(1)).is_none());
    assert_eq!(cluster.leadership(ORDERS, 0), (2, vec![2], 1, 1));
    assert_eq!(cluster.leadership(ORDERS, 1), (-1, vec![1], 1, 1));
}

#[test]
fn a_broker_that_is_not_there_cannot_leave() {
    let request = UnregisterBrokerRequest { broker: BrokerId(9) };
    let (records, response) = decided!(Cluster::of(&[1]), UnregisterBroker(request));
    let expected = error(ErrorCode::BrokerIdNotRegistered, "Broker ID 9 is not currently registered");
    assert_eq!((records, response), (vec![], Err(expected)));
}
