//! Brokers as the active controller sees them: connected, heard, silent, dead.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;
use weir_controller::decide::{
    AlterPartitionRequest, BrokerHeartbeatRequest, ControllerRequest, ControllerResponse, CreateTopicsRequest,
    FenceBrokerRequest, IsrMember, NewTopic, PartitionIsrChange, RegisterBrokerRequest, RegisterBrokerResponse,
    ReplicaAssignment, TopicIsrChanges,
};
use weir_controller::image::MetadataImage;
use weir_controller::liveness::DialOutcome;
use weir_controller::quorum::{
    BrokerDialer, Controller, LivenessConfig, PeerFuture, PeerRpcKind, QuorumTiming, SubmitError,
};
use weir_controller::record::{BrokerEndpoint, LeaderRecoveryState};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, Offset, PartitionIndex};

use crate::cluster::{create, register_as};
use crate::peers::Quorum;

/// Longer than any test: whoever is fenced with it was found dead.
const NEVER: Duration = Duration::from_secs(600);

/// The listeners of brokers: a port refuses unless somebody is there.
#[derive(Clone, Default)]
struct Doors(Arc<Mutex<BTreeSet<u16>>>);

impl BrokerDialer for Doors {
    fn dial(&self, _host: &str, port: u16) -> PeerFuture<DialOutcome> {
        let open = self.0.lock().contains(&port);
        Box::pin(async move { if open { DialOutcome::Answered } else { DialOutcome::Refused } })
    }
}

/// Three controllers that watch brokers, and the brokers' doors.
struct Watched {
    quorum: Quorum,
    doors: Doors,
}

fn incarnation(broker: i32) -> Uuid {
    Uuid::from_u128(broker as u128)
}

fn port(broker: i32) -> u16 {
    9_000 + u16::try_from(broker).unwrap()
}

impl Watched {
    fn with_session_timeout(session_timeout: Duration) -> Self {
        Self::of(Quorum::of(3), session_timeout)
    }

    fn of(mut quorum: Quorum, session_timeout: Duration) -> Self {
        let doors = Doors::default();
        let dialer = Arc::new(doors.clone());
        quorum.liveness = Some(LivenessConfig { session_timeout, listener: None, dialer });
        quorum.start_all();
        Self { quorum, doors }
    }

    fn registration(&self, broker: i32, incarnation_id: Uuid) -> RegisterBrokerRequest {
        let registration = register_as(self.quorum.node(1).controller());
        let endpoint = BrokerEndpoint { port: port(broker), ..registration.endpoints[0].clone() };
        RegisterBrokerRequest {
            broker: BrokerId(broker),
            incarnation_id,
            endpoints: vec![endpoint],
            log_dirs: vec![Uuid::from_u128(5_000 + broker as u128)],
            ..registration
        }
    }

    /// Asks whoever leads, until somebody who does has answered.
    fn ask(&self, request: &ControllerRequest) -> ControllerResponse {
        self.quorum.wait("an active controller", || {
            let leader = self.quorum.leader();
            self.quorum.submit(self.quorum.node(leader), request.clone()).ok()
        })
    }

    fn register(&self, broker: i32, incarnation: Uuid) -> RegisterBrokerResponse {
        match self.ask(&self.registration(broker, incarnation).into()) {
            ControllerResponse::RegisterBroker(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// A broker that listens, is connected to the active controller, and serves.
    fn start_broker(&self, broker: i32) -> BrokerEpoch {
        self.doors.0.lock().insert(port(broker));
        self.active().broker_session_opened(BrokerId(broker), incarnation(broker));
        self.register(broker, incarnation(broker)).unwrap()
    }

    fn heartbeat(&self, broker: i32, broker_epoch: BrokerEpoch) {
        let request = BrokerHeartbeatRequest {
            broker: BrokerId(broker),
            broker_epoch,
            current_metadata_offset: Offset(i64::MAX),
            want_fence: false,
            want_shut_down: false,
            offline_log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        };
        match self.ask(&request.into()) {
            ControllerResponse::BrokerHeartbeat(answer) => drop(answer.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn active(&self) -> &Arc<Controller> {
        self.quorum.node(self.quorum.leader()).controller()
    }

    fn image(&self) -> Arc<MetadataImage> {
        self.active().image()
    }

    fn serves(&self, broker: i32) -> bool {
        self.image().is_active(BrokerId(broker))
    }
}

#[test]
fn a_dead_broker_is_fenced_long_before_its_session_times_out_and_a_disconnected_one_is_not() {
    let watched = Watched::with_session_timeout(NEVER);
    watched.start_broker(1);
    watched.start_broker(2);
    // The first only lost its connection.
    watched.active().broker_session_closed(BrokerId(1), incarnation(1));
    watched.doors.0.lock().remove(&port(2));
    watched.active().broker_session_closed(BrokerId(2), incarnation(2));
    watched.quorum.wait("the dead broker to be fenced", || (!watched.serves(2)).then_some(()));
    assert!(watched.serves(1));
}

#[test]
fn a_silent_broker_is_fenced_although_it_is_connected_and_one_that_is_heard_is_not() {
    let watched = Watched::with_session_timeout(Duration::from_millis(900));
    let epoch = watched.start_broker(1);
    watched.start_broker(2);
    watched.quorum.wait("the silent broker to be fenced", || {
        watched.heartbeat(1, epoch);
        (!watched.serves(2)).then_some(())
    });
    assert!(watched.serves(1));
}

#[test]
fn a_fenced_broker_that_is_heard_again_serves_again() {
    let watched = Watched::with_session_timeout(Duration::from_millis(600));
    let epoch = watched.start_broker(1);
    watched.quorum.wait("the silent broker to be fenced", || (!watched.serves(1)).then_some(()));
    watched.heartbeat(1, epoch);
    assert!(watched.serves(1));
}

#[test]
fn a_second_process_of_a_broker_is_refused_until_the_first_has_hung_up() {
    let watched = Watched::with_session_timeout(NEVER);
    let first = watched.start_broker(1);
    let second = Uuid::from_u128(77);
    assert_eq!(watched.register(1, second).unwrap_err().code, ErrorCode::DuplicateBrokerRegistration);
    watched.active().broker_session_closed(BrokerId(1), incarnation(1));
    let second = watched.register(1, second).unwrap();
    assert!(second > first);
}

#[test]
fn a_second_node_with_the_id_of_a_broker_is_refused_by_a_new_active_controller_and_a_restart_is_not() {
    let mut watched = Watched::with_session_timeout(NEVER);
    let first = watched.start_broker(1);
    let restarted = watched.registration(1, Uuid::from_u128(77));
    let impostor = RegisterBrokerRequest { log_dirs: vec![Uuid::from_u128(6_000)], ..restarted.clone() };
    let leader = watched.quorum.leader();
    watched.quorum.kill(leader);
    match watched.ask(&impostor.into()) {
        ControllerResponse::RegisterBroker(Err(error)) => {
            assert_eq!(error.code, ErrorCode::DuplicateBrokerRegistration);
        }
        other => panic!("{other:?}"),
    }
    match watched.ask(&restarted.into()) {
        ControllerResponse::RegisterBroker(epoch) => assert!(epoch.unwrap() > first),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_active_controller_finds_the_broker_that_died_with_the_old_one() {
    let mut watched = Watched::with_session_timeout(NEVER);
    watched.start_broker(1);
    watched.start_broker(2);
    let leader = watched.quorum.leader();
    watched.doors.0.lock().remove(&port(2));
    watched.quorum.kill(leader);
    watched.quorum.wait("the dead broker to be fenced", || (!watched.serves(2)).then_some(()));
    assert!(watched.serves(1));
}

#[test]
fn a_cut_off_controller_that_loses_a_brokers_connection_too_follows_when_it_is_back() {
    let watched = Watched::with_session_timeout(NEVER);
    watched.start_broker(1);
    let quorum = &watched.quorum;
    let cut_off = quorum.leader();
    quorum.wires.cut_off(quorum.node(cut_off).port(), &quorum.ports());
    let node = quorum.node(cut_off);
    // It is answered once the majority counts as lost.
    let answer = quorum.submit(node, create("minority", 1).into());
    assert!(matches!(answer, Err(SubmitError::NotController { .. })), "{answer:?}");
    node.controller().broker_session_closed(BrokerId(1), incarnation(1));
    quorum.create("majority");
    quorum.wires.mend();
    assert_eq!(quorum.agreed_topics(), ["majority"]);
}

#[test]
fn a_controller_whose_first_entry_is_committed_late_looks_after_brokers_from_then_on() {
    let mut quorum = Quorum::of(3);
    quorum.timing = QuorumTiming {
        heartbeat_interval: Duration::from_millis(100),
        election_timeout_min: Duration::from_millis(200),
        election_timeout_max: Duration::from_millis(400),
        ..quorum.timing
    };
    let mut watched = Watched::of(quorum, NEVER);
    watched.start_broker(1);
    watched.start_broker(2);
    let former = watched.quorum.leader();
    // Whoever leads next is elected and followed, and never learns that its first entry is on a disk.
    watched.quorum.wires.lose_answers(PeerRpcKind::AppendEntries);
    watched.doors.0.lock().remove(&port(2));
    watched.quorum.kill(former);
    let answer = watched.quorum.submit(watched.quorum.node(watched.quorum.leader()), create("early", 1).into());
    assert!(matches!(answer, Err(SubmitError::NotController { .. })), "{answer:?}");
    watched.quorum.wires.answer_again();
    watched.quorum.wait("the dead broker to be fenced", || (!watched.serves(2)).then_some(()));
    assert!(watched.serves(1));
}

#[test]
fn a_leadership_returns_to_its_preferred_replica_once_that_is_in_sync_again() {
    let mut quorum = Quorum::of(3);
    quorum.leader_rebalance_interval = Some(Duration::from_millis(100));
    let watched = Watched::of(quorum, NEVER);
    let epochs = [1, 2].map(|broker| watched.start_broker(broker));
    let assignment = ReplicaAssignment { partition: PartitionIndex(0), brokers: vec![BrokerId(1), BrokerId(2)] };
    let topic = NewTopic {
        name: "a".into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assignment],
        configs: Vec::new(),
    };
    watched.ask(&CreateTopicsRequest { topics: vec![topic], validate_only: false }.into());
    let leader = |watched: &Watched| watched.image().partition_by_name("a", PartitionIndex(0)).unwrap().leader.get();
    assert_eq!(leader(&watched), 1);
    watched.ask(&FenceBrokerRequest { broker: BrokerId(1), broker_epoch: epochs[0] }.into());
    assert_eq!(leader(&watched), 2);
    watched.heartbeat(1, epochs[0]);
    let image = watched.image();
    let (topic, partition) = (image.topic_id("a").unwrap(), image.partition_by_name("a", PartitionIndex(0)).unwrap());
    let member = |broker: i32, broker_epoch| IsrMember { broker: BrokerId(broker), broker_epoch };
    let change = PartitionIsrChange {
        partition: PartitionIndex(0),
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        new_isr: vec![member(2, epochs[1]), member(1, epochs[0])],
        leader_recovery_state: LeaderRecoveryState::Recovered,
    };
    let topics = vec![TopicIsrChanges { topic_id: topic, partitions: vec![change] }];
    watched.ask(&AlterPartitionRequest { broker: BrokerId(2), broker_epoch: epochs[1], topics }.into());
    watched.quorum.wait("the leadership to return", || (leader(&watched) == 1).then_some(()));
}
