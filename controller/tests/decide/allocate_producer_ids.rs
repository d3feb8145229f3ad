//! AllocateProducerIds.

use weir_controller::decide::{AllocateProducerIdsRequest, PRODUCER_ID_BLOCK_SIZE, ProducerIdBlock};
use weir_controller::record::ProducerIdsRecord;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, ProducerId};

use crate::cluster::{Cluster, decided, error};

fn request(broker: i32, epoch: i64) -> AllocateProducerIdsRequest {
    AllocateProducerIdsRequest { broker: BrokerId(broker), broker_epoch: BrokerEpoch(epoch) }
}

#[test]
fn blocks_follow_each_other_without_a_gap() {
    let mut cluster = Cluster::of(&[1, 2]);
    for (broker, start) in [(1, 0), (2, 1000), (1, 2000)] {
        let (records, response) = decided!(cluster, AllocateProducerIds(request(broker, 10 * i64::from(broker))));
        let block = ProducerIdBlock { start: ProducerId(start), len: PRODUCER_ID_BLOCK_SIZE };
        assert_eq!(response, Ok(block));
        let record = ProducerIdsRecord {
            broker: BrokerId(broker),
            broker_epoch: BrokerEpoch(10 * i64::from(broker)),
            next_producer_id: ProducerId(start + 1000),
        };
        assert_eq!(records, [record.into()]);
    }
}

#[test]
fn an_earlier_life_of_a_broker_gets_none() {
    let mut cluster = Cluster::of(&[1]);
    let (records, response) = decided!(cluster, AllocateProducerIds(request(1, 9)));
    let message = "Expected broker epoch 10, but got broker epoch 9";
    assert_eq!((records, response), (vec![], Err(error(ErrorCode::StaleBrokerEpoch, message))));
    let (_, response) = decided!(cluster, AllocateProducerIds(request(7, 9)));
    let message = "No broker registration found for broker id 7";
    assert_eq!(response, Err(error(ErrorCode::StaleBrokerEpoch, message)));
}

#[test]
fn the_last_producer_id_is_not_passed() {
    let mut cluster = Cluster::of(&[1]);
    cluster.apply(ProducerIdsRecord {
        broker: BrokerId(1),
        broker_epoch: BrokerEpoch(10),
        next_producer_id: ProducerId(i64::MAX - 500),
    });
    let (records, response) = decided!(cluster, AllocateProducerIds(request(1, 10)));
    assert_eq!((records, response.unwrap_err().code), (vec![], ErrorCode::UnknownServerError));
}
