//! ReportLogs: the longest log leads where nobody is known to have everything.

use uuid::Uuid;
use weir_controller::decide::{LogReport, ReportLogsRequest};
use weir_controller::image::ConfigResource;
use weir_controller::record::{FeatureLevelRecord, LeaderRecoveryState, PartitionChangeRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};

use crate::cluster::{Cluster, ORDERS, brokers, decided};

/// A partition of 1, 2 and 3, which needs two in sync. 3 led last, and it and 2 restarted uncleanly.
fn leaderless() -> Cluster {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.apply(FeatureLevelRecord { name: "eligible.leader.replicas.version".into(), level: 1 });
    let min_isr = (ConfigResource::default_broker(), "min.insync.replicas");
    let mut cluster = cluster.with_config(min_isr.0, min_isr.1, "2").with_topic("orders", ORDERS, &[&[1, 2, 3]]);
    cluster.apply(PartitionChangeRecord {
        leader: Some(BrokerId::NONE),
        isr: Some(vec![]),
        last_known_elr: Some(brokers(&[3, 2])),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    cluster
}

/// A log whose last record is of `last_epoch`, in the partition's present leader epoch.
fn log(last_epoch: i32, log_end: i64) -> LogReport {
    LogReport {
        topic_id: ORDERS,
        partition: PartitionIndex(0),
        leader_epoch: LeaderEpoch(1),
        last_epoch: LeaderEpoch(last_epoch),
        log_end: Offset(log_end),
    }
}

fn epoch(broker: i32) -> BrokerEpoch {
    BrokerEpoch(10 * i64::from(broker))
}

/// The broker reports last, the others before it; how many partitions got a leader.
fn report(cluster: &mut Cluster, broker: i32, own: LogReport, others: &[(i32, LogReport)]) -> usize {
    report_when(false, cluster, broker, own, others)
}

fn report_when(
    is_overdue: bool,
    cluster: &mut Cluster,
    broker: i32,
    own: LogReport,
    others: &[(i32, LogReport)],
) -> usize {
    let others = others.iter().map(|(id, log)| (BrokerId(*id), epoch(*id), *log)).collect();
    let request = ReportLogsRequest {
        broker: BrokerId(broker),
        broker_epoch: epoch(broker),
        logs: vec![own],
        others,
        is_overdue,
    };
    decided!(cluster, ReportLogs(request)).1.unwrap()
}

#[test]
fn the_longest_log_of_the_newest_epoch_leads() {
    let mut cluster = leaderless();
    assert_eq!(report(&mut cluster, 1, log(0, 9), &[(2, log(1, 7)), (3, log(1, 6))]), 1);
    assert_eq!(cluster.leadership(ORDERS, 0), (2, vec![2], 2, 2));
    let partition = cluster.partition(ORDERS, 0);
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovering);
    assert!(partition.last_known_elr().is_empty());
}

#[test]
fn among_equals_the_last_leader_leads() {
    let mut cluster = leaderless();
    report(&mut cluster, 1, log(1, 7), &[(2, log(1, 7)), (3, log(1, 7))]);
    assert_eq!(cluster.leadership(ORDERS, 0).0, 3);
}

#[test]
fn nobody_leads_before_all_that_serve_have_answered() {
    let mut cluster = leaderless();
    assert_eq!(report(&mut cluster, 2, log(1, 7), &[(3, log(1, 6))]), 0);
    assert_eq!(cluster.leadership(ORDERS, 0).0, -1);
    assert_eq!(report_when(true, &mut cluster, 2, log(1, 7), &[(3, log(1, 6))]), 0, "it serves and is about to answer");
}

#[test]
fn who_is_away_and_none_of_the_last_known_is_waited_for_only_for_a_while() {
    let mut cluster = leaderless().fence(1);
    let (own, others) = (log(1, 7), [(3, log(1, 6))]);
    assert_eq!(report(&mut cluster, 2, own, &others), 0);
    assert_eq!(report_when(true, &mut cluster, 2, own, &others), 1);
}

#[test]
fn the_last_known_ones_are_waited_for_also_while_they_are_away() {
    let mut cluster = leaderless().fence(3);
    assert_eq!(report(&mut cluster, 2, log(1, 7), &[(1, log(1, 6)), (3, log(1, 9))]), 0);
}

#[test]
fn what_was_said_in_an_earlier_life_or_of_an_earlier_epoch_does_not_count() {
    let old = LogReport { leader_epoch: LeaderEpoch(0), ..log(1, 6) };
    assert_eq!(report(&mut leaderless(), 1, log(1, 7), &[(2, log(1, 7)), (3, old)]), 0);
    let others = vec![(BrokerId(2), epoch(2), log(1, 7)), (BrokerId(3), BrokerEpoch(29), log(1, 9))];
    let request = ReportLogsRequest {
        broker: BrokerId(1),
        broker_epoch: epoch(1),
        logs: vec![log(1, 7)],
        others,
        is_overdue: false,
    };
    assert_eq!(decided!(leaderless(), ReportLogs(request.clone())).1, Ok(0));
    let stale = ReportLogsRequest { broker_epoch: BrokerEpoch(9), ..request };
    assert_eq!(decided!(leaderless(), ReportLogs(stale)).1.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
}

#[test]
fn a_partition_that_somebody_may_lead_cleanly_waits_for_no_report() {
    let mut led = leaderless();
    led.apply(PartitionChangeRecord {
        eligible_leader_replicas: Some(brokers(&[1])),
        ..PartitionChangeRecord::new(ORDERS, PartitionIndex(0))
    });
    assert_eq!(report(&mut led, 1, log(1, 9), &[(2, log(1, 7)), (3, log(1, 6))]), 0);
    let unknown = LogReport { topic_id: Uuid::from_u128(5), ..log(1, 1) };
    assert_eq!(report(&mut leaderless(), 1, unknown, &[]), 0);
}
