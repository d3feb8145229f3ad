//! RegisterBroker.

use uuid::Uuid;
use weir_controller::decide::{ApiError, LogState, RegisterBrokerRequest};
use weir_controller::image::{DIRECTORY_LOST, DIRECTORY_UNASSIGNED};
use weir_controller::record::{BrokerFeature, BrokerRegistrationChangeRecord, MetadataRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, decided, directory, error};

/// A new incarnation of a broker that serves at once.
fn request(broker: i32) -> RegisterBrokerRequest {
    RegisterBrokerRequest {
        broker: BrokerId(broker),
        cluster_id: "cluster".into(),
        incarnation_id: Uuid::from_u128(77),
        endpoints: vec![],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_level: 7,
            max_supported_level: 29,
        }],
        rack: Some("zone-a".into()),
        log_dirs: vec![directory(broker)],
        fenced: false,
        log_state: LogState::Intact,
        previous_broker_epoch: None,
        earlier_session_open: false,
    }
}

fn refuses(request: RegisterBrokerRequest, expected: ApiError) {
    let (records, response) = decided!(Cluster::of(&[1, 2]), RegisterBroker(request));
    assert_eq!((records, response), (vec![], Err(expected)));
}

#[test]
fn the_epoch_is_the_offset_of_the_record() {
    let mut cluster = Cluster::of(&[]);
    cluster.next_offset = 41;
    let (records, response) = decided!(cluster, RegisterBroker(request(5)));
    assert_eq!((records.len(), response), (1, Ok(BrokerEpoch(41))));
    let broker = cluster.image.broker(BrokerId(5)).unwrap();
    assert_eq!((broker.epoch, broker.rack.as_deref(), broker.fenced), (BrokerEpoch(41), Some("zone-a"), false));
}

#[test]
fn the_same_incarnation_keeps_its_epoch_and_state() {
    let mut cluster = Cluster::of(&[1]).fence(1);
    let incarnation_id = cluster.image.broker(BrokerId(1)).unwrap().incarnation_id;
    let (records, response) = decided!(cluster, RegisterBroker(RegisterBrokerRequest { incarnation_id, ..request(1) }));
    assert_eq!((records.len(), response), (1, Ok(BrokerEpoch(10))));
    assert!(cluster.image.broker(BrokerId(1)).unwrap().fenced);
}

#[test]
fn what_was_cordoned_stays_so_over_a_restart_until_the_broker_says_otherwise() {
    let mut cluster = Cluster::of(&[1, 2]);
    let cordoned = Some(vec![directory(2)]);
    cluster.apply(BrokerRegistrationChangeRecord {
        cordoned_log_dirs: cordoned.clone(),
        ..BrokerRegistrationChangeRecord::new(BrokerId(2), BrokerEpoch(20))
    });
    decided!(cluster, RegisterBroker(request(2))).1.unwrap();
    assert_eq!(cluster.image.broker(BrokerId(2)).unwrap().cordoned_log_dirs, cordoned);
}

#[test]
fn the_restart_of_a_single_node_with_intact_logs_writes_one_record() {
    let mut cluster = Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1], &[1]]);
    let (records, _) = decided!(cluster, RegisterBroker(request(1)));
    assert!(matches!(&records[..], [MetadataRecord::RegisterBroker(_)]));
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1], 0, 0));
}

#[test]
fn a_broker_that_may_have_lost_its_tails_leads_again_in_a_later_epoch() {
    let mut cluster = Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1]]);
    let lossy = RegisterBrokerRequest { log_state: LogState::TailsMayBeLost, ..request(1) };
    decided!(cluster, RegisterBroker(lossy.clone())).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1], 2, 2));
    // Fenced, it leaves its partitions without a leader.
    let mut cluster = Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1]]);
    decided!(cluster, RegisterBroker(RegisterBrokerRequest { fenced: true, ..lossy })).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (-1, vec![1], 1, 1));
}

#[test]
fn a_new_incarnation_leaves_the_isrs_that_have_others() {
    let mut cluster = Cluster::of(&[1, 2, 3]).with_topic("orders", ORDERS, &[&[1, 2, 3], &[2, 1], &[3, 2]]);
    decided!(cluster, RegisterBroker(request(1))).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0), (2, vec![2, 3], 1, 1));
    assert_eq!(cluster.leadership(ORDERS, 1), (2, vec![2], 0, 1));
    assert_eq!(cluster.leadership(ORDERS, 2), (3, vec![3, 2], 0, 0));
}

#[test]
fn a_broker_that_comes_back_on_another_disk_gets_its_replicas_anew_but_for_those_that_nobody_else_has() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2], &[1]]);
    let blank = RegisterBrokerRequest { log_dirs: vec![directory(9)], ..request(1) };
    decided!(cluster, RegisterBroker(blank)).1.unwrap();
    let directory_of = |index| {
        let partition = cluster.image.partition(ORDERS, PartitionIndex(index)).unwrap();
        partition.directory_of(BrokerId(1)).unwrap()
    };
    // An empty log leads neither: one has another leader, and one waits for its operator.
    assert_eq!((cluster.leadership(ORDERS, 0).0, cluster.leadership(ORDERS, 0).1), (2, vec![2]));
    assert_eq!((cluster.leadership(ORDERS, 1).0, cluster.leadership(ORDERS, 1).1), (-1, vec![1]));
    assert_eq!((directory_of(0), directory_of(1)), (DIRECTORY_UNASSIGNED, DIRECTORY_LOST));
}

#[test]
fn a_broker_that_brings_one_of_its_disks_back_keeps_its_placement() {
    let mut cluster = Cluster::of(&[1, 2]).with_topic("orders", ORDERS, &[&[1, 2]]);
    let more = RegisterBrokerRequest { log_dirs: vec![directory(1), directory(9)], ..request(1) };
    decided!(cluster, RegisterBroker(more)).1.unwrap();
    let partition = cluster.image.partition(ORDERS, PartitionIndex(0)).unwrap();
    assert!(!partition.directories.contains(&DIRECTORY_UNASSIGNED), "{partition:?}");
}

#[test]
fn a_second_live_incarnation_is_refused() {
    let message = "Another broker is registered with that broker id. If the broker was recently restarted this should \
                   self-resolve once the heartbeat manager expires the broker's session.";
    refuses(
        RegisterBrokerRequest { earlier_session_open: true, ..request(1) },
        error(ErrorCode::DuplicateBrokerRegistration, message),
    );
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    refuses(
        RegisterBrokerRequest { cluster_id: "other".into(), ..request(1) },
        error(ErrorCode::InconsistentClusterId, "Expected cluster ID cluster, but got cluster ID other"),
    );
}

#[test]
fn directories_must_be_the_brokers_own() {
    let with = |log_dirs| RegisterBrokerRequest { log_dirs, ..request(1) };
    let invalid = |message: &str| error(ErrorCode::InvalidRegistration, message);
    refuses(with(vec![]), invalid("No directories specified in request"));
    refuses(with(vec![Uuid::from_u128(2)]), invalid("Reserved directory ID in request"));
    refuses(with(vec![directory(1), directory(1)]), invalid("Duplicate directory ID in request"));
    let taken = format!("Broker 2 is already registered with directory {}", directory(2));
    refuses(with(vec![directory(1), directory(2)]), invalid(&taken));
}

#[test]
fn a_broker_must_support_every_finalized_feature() {
    refuses(
        RegisterBrokerRequest { features: vec![], ..request(1) },
        error(ErrorCode::InvalidRegistration, "Request features do not contain 'metadata.version'"),
    );
    let mut old = request(1);
    old.features[0].max_supported_level = 20;
    refuses(
        old,
        error(
            ErrorCode::UnsupportedVersion,
            "Unable to register because the broker does not support finalized version 25 of metadata.version. The broker \
             wants a version between 7 and 20, inclusive.",
        ),
    );
}
