//! AssignReplicasToDirs.

use uuid::Uuid;
use weir_controller::decide::{AssignReplicasToDirsRequest, BrokerHeartbeatRequest, ReplicaDirectory};
use weir_controller::image::{DIRECTORY_LOST, DIRECTORY_UNASSIGNED};
use weir_controller::record::{PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, Offset, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, decided, directory, partition, registration};

/// Another directory of broker 1, beside `directory(1)`.
const SECOND: Uuid = Uuid::from_u64_pair(0xd2, 1);

/// Brokers 1 and 2, of which 1 has two directories, and a topic on both whose replica on 1 has no directory yet.
fn cluster() -> Cluster {
    let mut cluster = Cluster::of(&[2]);
    cluster.apply(RegisterBrokerRecord { log_dirs: vec![directory(1), SECOND], ..registration(1, None, false) });
    cluster.apply(TopicRecord { name: "orders".into(), topic_id: ORDERS });
    let directories = vec![DIRECTORY_UNASSIGNED, directory(2)];
    cluster.apply(PartitionRecord { directories, ..partition(ORDERS, 0, &[1, 2]) });
    cluster
}

fn assign(directory: Uuid) -> AssignReplicasToDirsRequest {
    let assignment = ReplicaDirectory { topic_id: ORDERS, partition: PartitionIndex(0), directory };
    AssignReplicasToDirsRequest { broker: BrokerId(1), broker_epoch: BrokerEpoch(10), assignments: vec![assignment] }
}

#[test]
fn a_replica_lies_where_its_broker_says() {
    let mut cluster = cluster();
    let (records, response) = decided!(cluster, AssignReplicasToDirs(assign(SECOND)));
    let directories = Some(vec![SECOND, directory(2)]);
    let change = PartitionChangeRecord { directories, ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0)) };
    assert_eq!((records, response), (vec![change.into()], Ok(vec![Ok(())])));
    assert_eq!(cluster.leadership(ORDERS, 0), (1, vec![1, 2], 0, 1));
    let (records, response) = decided!(cluster, AssignReplicasToDirs(assign(SECOND)));
    assert_eq!((records, response), (vec![], Ok(vec![Ok(())])));
}

#[test]
fn a_replica_in_a_directory_that_failed_before_it_was_assigned_serves_no_more() {
    let mut cluster = cluster();
    let failed = BrokerHeartbeatRequest {
        broker: BrokerId(1),
        broker_epoch: BrokerEpoch(10),
        current_metadata_offset: Offset(1000),
        want_fence: false,
        want_shut_down: false,
        offline_log_dirs: vec![SECOND],
        cordoned_log_dirs: None,
    };
    decided!(cluster, BrokerHeartbeat(failed)).1.unwrap();
    assert_eq!(cluster.leadership(ORDERS, 0).0, 1, "nobody knew that it lay there");
    decided!(cluster, AssignReplicasToDirs(assign(SECOND))).1.unwrap();
    let (leader, isr, ..) = cluster.leadership(ORDERS, 0);
    assert_eq!((leader, isr), (2, vec![2]));
}

#[test]
fn a_replica_that_is_found_again_leads_where_nobody_does() {
    let mut cluster = cluster();
    cluster.apply(PartitionChangeRecord {
        leader: Some(BrokerId::NONE),
        isr: Some(vec![BrokerId(1)]),
        directories: Some(vec![DIRECTORY_LOST, directory(2)]),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    decided!(cluster, AssignReplicasToDirs(assign(directory(1)))).1.unwrap();
    let (leader, isr, ..) = cluster.leadership(ORDERS, 0);
    assert_eq!((leader, isr), (1, vec![1]));
}

#[test]
fn what_is_not_the_brokers_to_assign_is_refused_one_by_one() {
    let mut cluster = cluster().with_topic("other", Uuid::from_u128(500), &[&[2]]);
    let assignment =
        |topic_id, index| ReplicaDirectory { topic_id, partition: PartitionIndex(index), directory: directory(1) };
    let assignments =
        vec![assignment(Uuid::from_u128(1), 0), assignment(ORDERS, 7), assignment(Uuid::from_u128(500), 0)];
    let (records, response) =
        decided!(cluster, AssignReplicasToDirs(AssignReplicasToDirsRequest { assignments, ..assign(SECOND) }));
    let refused =
        [ErrorCode::UnknownTopicId, ErrorCode::UnknownTopicOrPartition, ErrorCode::NotLeaderOrFollower].map(Err);
    assert_eq!((records, response), (vec![], Ok(refused.to_vec())));
}

#[test]
fn an_earlier_life_of_a_broker_assigns_nothing() {
    let stale = AssignReplicasToDirsRequest { broker_epoch: BrokerEpoch(3), ..assign(SECOND) };
    let (records, response) = decided!(cluster(), AssignReplicasToDirs(stale));
    assert_eq!((records, response.unwrap_err().code), (vec![], ErrorCode::StaleBrokerEpoch));
}
