//! Eligible leader replicas (KIP-966): who may lead without being in the ISR, and what an unclean start takes away.

use uuid::Uuid;
use weir_controller::decide::{
    AlterPartitionRequest, BrokerHeartbeatRequest, ConfigOperation, ConfigOperationType, ElectLeadersRequest,
    ElectionType, FeatureUpdate, FeatureUpdateType, FenceBrokerRequest, IncrementalAlterConfigsRequest, IsrMember,
    LogState, PartitionIsrChange, RegisterBrokerRequest, ResourceConfigOperations, TopicIsrChanges,
    UnregisterBrokerRequest, UpdateFeaturesRequest,
};
use weir_controller::image::{ConfigResource, DIRECTORY_LOST};
use weir_controller::record::{BrokerFeature, FeatureLevelRecord, LeaderRecoveryState, MetadataRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, Offset, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, decided, directory, error};

const FEATURE: &str = "eligible.leader.replicas.version";
const MIN_ISR: &str = "min.insync.replicas";

/// Three brokers and a partition on all of them, which needs two in sync.
fn cluster() -> Cluster {
    cluster_of(&[1, 2, 3], 2)
}

fn cluster_of(replicas: &[i32], min_isr: usize) -> Cluster {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.defaults.supported_features.insert(FEATURE.into(), (0, 1));
    cluster.apply(FeatureLevelRecord { name: FEATURE.into(), level: 1 });
    let cluster = cluster.with_config(ConfigResource::default_broker(), MIN_ISR, &min_isr.to_string());
    cluster.with_topic("orders", ORDERS, &[replicas])
}

/// Leader, ISR, eligible leaders and last known ones.
fn state(cluster: &Cluster) -> (i32, Vec<i32>, Vec<i32>, Vec<i32>) {
    let partition = cluster.partition(ORDERS, 0);
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    let outsiders = (ids(partition.eligible_leader_replicas()), ids(partition.last_known_elr()));
    (partition.leader.get(), ids(&partition.isr), outsiders.0, outsiders.1)
}

fn epoch(cluster: &Cluster, broker: i32) -> BrokerEpoch {
    cluster.image.broker(BrokerId(broker)).unwrap().epoch
}

fn fence(cluster: &mut Cluster, broker: i32) {
    let broker_epoch = epoch(cluster, broker);
    decided!(cluster, FenceBroker(FenceBrokerRequest { broker: BrokerId(broker), broker_epoch })).1.unwrap();
}

fn request(broker: i32, log_state: LogState) -> RegisterBrokerRequest {
    let feature =
        |name: &str, min, max| BrokerFeature { name: name.into(), min_supported_level: min, max_supported_level: max };
    RegisterBrokerRequest {
        broker: BrokerId(broker),
        cluster_id: "cluster".into(),
        incarnation_id: Uuid::new_v4(),
        endpoints: vec![],
        features: vec![feature("metadata.version", 7, 29), feature(FEATURE, 0, 1)],
        rack: None,
        log_dirs: vec![directory(broker)],
        fenced: true,
        log_state,
        previous_broker_epoch: None,
        earlier_session_open: false,
    }
}

fn register(cluster: &mut Cluster, broker: i32, log_state: LogState) {
    decided!(cluster, RegisterBroker(request(broker, log_state))).1.unwrap();
}

/// The broker serves.
fn unfence(cluster: &mut Cluster, broker: i32) {
    heartbeat(cluster, broker, false);
}

fn heartbeat(cluster: &mut Cluster, broker: i32, want_shut_down: bool) {
    let request = BrokerHeartbeatRequest {
        broker: BrokerId(broker),
        broker_epoch: epoch(cluster, broker),
        current_metadata_offset: Offset(i64::MAX),
        want_fence: false,
        want_shut_down,
        offline_log_dirs: vec![],
        cordoned_log_dirs: None,
    };
    decided!(cluster, BrokerHeartbeat(request)).1.unwrap();
}

/// The leader asks for another ISR.
fn alter_isr(cluster: &mut Cluster, isr: &[i32]) {
    let now = cluster.partition(ORDERS, 0).clone();
    let member = |id: &i32| IsrMember { broker: BrokerId(*id), broker_epoch: epoch(cluster, *id) };
    let change = PartitionIsrChange {
        partition: PartitionIndex(0),
        leader_epoch: now.leader_epoch,
        partition_epoch: now.partition_epoch,
        new_isr: isr.iter().map(member).collect(),
        leader_recovery_state: LeaderRecoveryState::Recovered,
    };
    let topics = vec![TopicIsrChanges { topic_id: ORDERS, partitions: vec![change] }];
    let request = AlterPartitionRequest { broker: now.leader, broker_epoch: epoch(cluster, now.leader.get()), topics };
    decided!(cluster, AlterPartition(request)).1.unwrap()[0].partitions[0].outcome.clone().unwrap();
}

fn set(cluster: &mut Cluster, resource: ConfigResource, key: &str, value: &str) -> Result<(), ErrorCode> {
    let operation = ConfigOperationType::Set;
    let operations = vec![ConfigOperation { key: key.into(), operation, value: Some(value.into()) }];
    let resources = vec![ResourceConfigOperations { resource, operations }];
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    let (_, response) = decided!(cluster, IncrementalAlterConfigs(request));
    response.resources[0].outcome.clone().map_err(|error| error.code)
}

#[test]
fn whoever_leaves_an_isr_that_is_too_small_stays_eligible_until_it_is_large_enough() {
    let mut cluster = cluster();
    alter_isr(&mut cluster, &[1, 2]);
    assert_eq!(state(&cluster), (1, vec![1, 2], vec![], vec![]), "two are enough");
    alter_isr(&mut cluster, &[1]);
    assert_eq!(state(&cluster), (1, vec![1], vec![2], vec![]));
    alter_isr(&mut cluster, &[1, 3]);
    assert_eq!(state(&cluster), (1, vec![1, 3], vec![], vec![]));
}

#[test]
fn a_topic_cannot_need_more_replicas_than_it_has() {
    let mut cluster = cluster_of(&[1, 2], 3);
    alter_isr(&mut cluster, &[1]);
    assert_eq!(state(&cluster), (1, vec![1], vec![2], vec![]));
    alter_isr(&mut cluster, &[1, 2]);
    assert_eq!(state(&cluster), (1, vec![1, 2], vec![], vec![]));
}

#[test]
fn the_last_replica_in_sync_leaves_the_isr_and_others_that_have_everything_lead() {
    let mut cluster = cluster();
    fence(&mut cluster, 3);
    fence(&mut cluster, 2);
    assert_eq!(state(&cluster), (1, vec![1], vec![2], vec![]));
    fence(&mut cluster, 1);
    assert_eq!(state(&cluster), (-1, vec![], vec![1, 2], vec![1]));
    // One that fell out while two were in sync has missed what they committed.
    unfence(&mut cluster, 3);
    assert_eq!(state(&cluster).0, -1);
    unfence(&mut cluster, 2);
    assert_eq!(state(&cluster), (2, vec![2], vec![1], vec![]));
    assert_eq!(cluster.partition(ORDERS, 0).leader_recovery_state, LeaderRecoveryState::Recovered);
}

#[test]
fn nobody_eligible_leads_while_somebody_in_sync_does() {
    let mut cluster = cluster_of(&[2, 1, 3], 2);
    fence(&mut cluster, 3);
    fence(&mut cluster, 2);
    unfence(&mut cluster, 2);
    let request = ElectLeadersRequest { election_type: ElectionType::Preferred, partitions: None };
    let (_, response) = decided!(cluster, ElectLeaders(request));
    assert_eq!(response.partitions[0].outcome, Err(ErrorCode::PreferredLeaderNotAvailable.into()));
    assert_eq!(state(&cluster), (1, vec![1], vec![2], vec![]));
}

#[test]
fn an_unclean_start_leaves_isr_and_eligible_leaders() {
    let mut cluster = cluster();
    fence(&mut cluster, 3);
    fence(&mut cluster, 2);
    register(&mut cluster, 2, LogState::TailsMayBeLost);
    assert_eq!(state(&cluster), (1, vec![1], vec![], vec![2]));
    unfence(&mut cluster, 2);
    fence(&mut cluster, 1);
    // What 2 has lost may be what only 1 has.
    assert_eq!(state(&cluster), (-1, vec![], vec![1], vec![1, 2]));
    register(&mut cluster, 1, LogState::Intact);
    unfence(&mut cluster, 1);
    assert_eq!(state(&cluster), (1, vec![1], vec![], vec![2]));
}

#[test]
fn an_unclean_start_leaves_even_as_the_last_member_and_the_last_known_leader_leads_again() {
    let mut cluster = cluster_of(&[1], 1);
    register(&mut cluster, 1, LogState::TailsMayBeLost);
    assert_eq!(state(&cluster), (-1, vec![], vec![], vec![1]));
    unfence(&mut cluster, 1);
    assert_eq!(state(&cluster), (1, vec![1], vec![], vec![]));
    assert_eq!(cluster.partition(ORDERS, 0).leader_recovery_state, LeaderRecoveryState::Recovering);
}

#[test]
fn logs_that_were_closed_by_an_earlier_life_than_the_last_are_not_trusted() {
    for (closed_by, expected) in [(10, (2, vec![2, 3])), (9, (2, vec![2, 3]))] {
        let mut cluster = cluster();
        let previous_broker_epoch = Some(BrokerEpoch(closed_by));
        let request = RegisterBrokerRequest { previous_broker_epoch, ..request(1, LogState::Intact) };
        decided!(cluster, RegisterBroker(request)).1.unwrap();
        let (leader, isr, ..) = state(&cluster);
        assert_eq!((leader, isr), expected);
    }
    let restarted = |closed_by| {
        let mut cluster = cluster_of(&[1], 1);
        let previous_broker_epoch = Some(BrokerEpoch(closed_by));
        let request = RegisterBrokerRequest { previous_broker_epoch, ..request(1, LogState::Intact) };
        decided!(cluster, RegisterBroker(request)).1.unwrap();
        state(&cluster)
    };
    assert_eq!(restarted(10), (1, vec![1], vec![], vec![]));
    assert_eq!(restarted(9), (-1, vec![], vec![], vec![1]));
}

#[test]
fn a_partition_whose_directory_a_broker_does_not_bring_back_counts_on_it_no_more() {
    let mut cluster = cluster_of(&[1, 2], 2);
    fence(&mut cluster, 2);
    fence(&mut cluster, 1);
    assert_eq!(state(&cluster), (-1, vec![], vec![1, 2], vec![1]));
    let elsewhere =
        RegisterBrokerRequest { log_dirs: vec![directory(1), directory(9)], ..request(1, LogState::Intact) };
    decided!(cluster, RegisterBroker(elsewhere)).1.unwrap();
    assert_eq!(state(&cluster).2, [1, 2], "it is there, beside another");
    let blank = RegisterBrokerRequest { log_dirs: vec![directory(9)], ..request(1, LogState::Intact) };
    decided!(cluster, RegisterBroker(blank)).1.unwrap();
    assert_eq!(state(&cluster), (-1, vec![], vec![2], vec![1]));
    // 2 has everything: 1 copies it when it is back.
    assert_ne!(cluster.partition(ORDERS, 0).directory_of(BrokerId(1)), Some(DIRECTORY_LOST));
    unfence(&mut cluster, 1);
    assert_eq!(state(&cluster).0, -1);
    unfence(&mut cluster, 2);
    assert_eq!(state(&cluster).0, 2);
}

#[test]
fn who_is_unregistered_is_not_waited_for() {
    let mut cluster = cluster();
    alter_isr(&mut cluster, &[1, 2]);
    alter_isr(&mut cluster, &[1]);
    decided!(cluster, UnregisterBroker(UnregisterBrokerRequest { broker: BrokerId(2) })).1.unwrap();
    assert_eq!(state(&cluster), (1, vec![1], vec![], vec![2]));
}

#[test]
fn a_planned_stop_hands_over_to_an_eligible_leader_where_nobody_is_in_sync() {
    let mut cluster = cluster();
    alter_isr(&mut cluster, &[1, 2]);
    alter_isr(&mut cluster, &[1]);
    heartbeat(&mut cluster, 1, true);
    assert_eq!(state(&cluster), (2, vec![2], vec![1], vec![]));
}

#[test]
fn what_nobody_else_can_lead_stays_with_a_broker_that_stops() {
    let mut cluster = cluster_of(&[1], 1);
    heartbeat(&mut cluster, 1, true);
    register(&mut cluster, 1, LogState::Intact);
    assert_eq!(state(&cluster), (1, vec![1], vec![], vec![]));
    assert_eq!(cluster.leadership(ORDERS, 0).3, 0, "nothing was written");
}

#[test]
fn an_operator_has_an_unclean_leader_elected_over_those_that_are_gone() {
    let mut cluster = cluster();
    for broker in [3, 2, 1] {
        fence(&mut cluster, broker);
    }
    unfence(&mut cluster, 3);
    let request = ElectLeadersRequest { election_type: ElectionType::Unclean, partitions: None };
    let (_, response) = decided!(cluster, ElectLeaders(request));
    assert_eq!(response.partitions[0].outcome, Ok(()));
    assert_eq!(state(&cluster), (3, vec![3], vec![], vec![]));
    assert_eq!(cluster.partition(ORDERS, 0).leader_recovery_state, LeaderRecoveryState::Recovering);
}

#[test]
fn allowing_unclean_elections_elects_at_once() {
    let mut cluster = cluster();
    for broker in [3, 2, 1] {
        fence(&mut cluster, broker);
    }
    unfence(&mut cluster, 3);
    set(&mut cluster, ConfigResource::topic("orders"), "unclean.leader.election.enable", "true").unwrap();
    assert_eq!(state(&cluster), (3, vec![3], vec![], vec![]));
}

#[test]
fn a_smaller_minimum_forgets_the_eligible_only_where_enough_are_in_sync() {
    let mut cluster = cluster();
    alter_isr(&mut cluster, &[1, 2]);
    alter_isr(&mut cluster, &[1]);
    set(&mut cluster, ConfigResource::default_broker(), MIN_ISR, "3").unwrap();
    assert_eq!(state(&cluster), (1, vec![1], vec![2], vec![]));
    set(&mut cluster, ConfigResource::default_broker(), MIN_ISR, "1").unwrap();
    assert_eq!(state(&cluster), (1, vec![1], vec![], vec![]));
    fence(&mut cluster, 1);
    set(&mut cluster, ConfigResource::default_broker(), MIN_ISR, "2").unwrap();
    assert_eq!(state(&cluster), (-1, vec![], vec![1], vec![1]), "nobody is in sync: 1 still has everything");
}

#[test]
fn a_broker_has_no_minimum_of_its_own() {
    let mut cluster = cluster();
    assert_eq!(set(&mut cluster, ConfigResource::broker(BrokerId(1)), MIN_ISR, "1"), Err(ErrorCode::InvalidConfig));
}

fn finalize(cluster: &mut Cluster, level: i16) -> (Vec<MetadataRecord>, Result<(), weir_controller::decide::ApiError>) {
    let update_type = if level == 0 { FeatureUpdateType::SafeDowngrade } else { FeatureUpdateType::Upgrade };
    let updates = vec![FeatureUpdate { name: FEATURE.into(), level, update_type }];
    decided!(cluster, UpdateFeatures(UpdateFeaturesRequest { updates, ..UpdateFeaturesRequest::default() }))
}

#[test]
fn without_the_feature_an_isr_keeps_its_last_member_and_with_it_brokers_lose_their_own_minimum() {
    let mut cluster = cluster();
    for broker in [3, 2, 1] {
        fence(&mut cluster, broker);
    }
    finalize(&mut cluster, 0).1.unwrap();
    assert_eq!(state(&cluster), (-1, vec![1, 2], vec![], vec![]));
    unfence(&mut cluster, 1);
    assert_eq!(state(&cluster).0, 1);
    set(&mut cluster, ConfigResource::broker(BrokerId(1)), MIN_ISR, "1").unwrap();
    for broker in [1, 2, 3] {
        let supports = RegisterBrokerRequest { fenced: false, ..request(broker, LogState::Intact) };
        decided!(cluster, RegisterBroker(supports)).1.unwrap();
    }
    finalize(&mut cluster, 1).1.unwrap();
    assert_eq!(cluster.image.configs(&ConfigResource::broker(BrokerId(1))), None);
}

#[test]
fn the_feature_needs_metadata_that_know_of_it() {
    let mut cluster = cluster();
    finalize(&mut cluster, 0).1.unwrap();
    for broker in [1, 2, 3] {
        register(&mut cluster, broker, LogState::Intact);
    }
    cluster.apply(FeatureLevelRecord { name: "metadata.version".into(), level: 22 });
    let message = "Invalid update version 1 for feature eligible.leader.replicas.version. eligible.leader.replicas.version \
                   could not be set to 1 because it depends on metadata.version=23";
    let (records, outcome) = finalize(&mut cluster, 1);
    assert_eq!((records, outcome), (vec![], Err(error(ErrorCode::InvalidUpdateVersion, message))));
}
