//! The simulated controller: real decisions against a real image, real sessions by its own clock, the metadata log as a list.
//!
//! The quorum behind it is not part of this world: what is committed stays committed. Its requests are answered late, twice or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_controller::decide::{
    AlterPartitionRequest, ApiError, BrokerHeartbeatRequest, ConfigCatalog, Context, ControllerRequest,
    ControllerResponse, Defaults, FenceBrokerRequest, LogState, PartitionIsrChange, RegisterBrokerRequest,
    TopicIsrChanges, decide,
};
use weir_controller::image::{ConfigResource, ELIGIBLE_LEADER_REPLICAS_FEATURE, MetadataImage, ResourceConfigs};
use weir_controller::liveness::Liveness;
use weir_controller::record::{
    BrokerFeature, ClusterIdRecord, ConfigRecord, ConfigResourceType, FeatureLevelRecord, LeaderRecoveryState,
    MetadataRecord, PartitionRecord, TopicRecord,
};
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicId};

use crate::broker::MIN_INSYNC;
use crate::message::{Address, Commit, Message};
use crate::planted::Bug;

/// `broker.session.timeout.ms`.
const SESSION_TIMEOUT: Duration = Duration::from_millis(1_500);
const CLUSTER: &str = "simulated";
const TOPIC: &str = "topic";
const FEATURE: &str = "metadata.version";

/// No config means anything here.
struct NoConfigs;

impl ConfigCatalog for NoConfigs {
    fn validate(&self, _: &ConfigResource, _: &ResourceConfigs, _: &ResourceConfigs) -> Result<(), ApiError> {
        Ok(())
    }

    fn is_list(&self, _: ConfigResourceType, _: &str) -> bool {
        false
    }

    fn default_value(&self, _: ConfigResourceType, _: &str) -> Option<String> {
        None
    }

    fn min_insync_replicas(&self, _: &MetadataImage, _: &str) -> usize {
        MIN_INSYNC
    }
}

pub(crate) struct Controller {
    pub(crate) image: MetadataImage,
    pub(crate) log: Vec<Commit>,
    topic: TopicId,
    /// The start of the simulated time; only differences count.
    start: Instant,
    liveness: Liveness,
}

impl Controller {
    pub(crate) fn new(topic: TopicId, brokers: &[BrokerId], partitions: usize, bug: Option<Bug>) -> Self {
        let (image, start) = (MetadataImage::default(), Instant::now());
        let mut liveness = Liveness::new(start, SESSION_TIMEOUT);
        liveness.on_active(start, &image);
        let mut controller = Self { image, log: Vec::new(), topic, start, liveness };
        let mut records: Vec<MetadataRecord> = vec![
            ClusterIdRecord { cluster_id: CLUSTER.into() }.into(),
            FeatureLevelRecord { name: FEATURE.into(), level: 25 }.into(),
            FeatureLevelRecord { name: ELIGIBLE_LEADER_REPLICAS_FEATURE.into(), level: 1 }.into(),
            TopicRecord { name: TOPIC.into(), topic_id: topic }.into(),
        ];
        let rotated = |by: usize| {
            let mut replicas = brokers.to_vec();
            replicas.rotate_left(by % brokers.len());
            replicas.truncate(3);
            replicas
        };
        records.extend((0..partitions).map(|index| partition_record(topic, index, rotated(index)).into()));
        if bug == Some(Bug::ElectOutsideIsr) {
            let config = ConfigRecord {
                resource_type: ConfigResourceType::Topic,
                resource_name: TOPIC.into(),
                name: "unclean.leader.election.enable".into(),
                value: Some("true".into()),
            };
            records.push(config.into());
        }
        controller.commit(records);
        controller
    }

    fn commit(&mut self, records: Vec<MetadataRecord>) {
        if records.is_empty() {
            return;
        }
        for record in &records {
            self.image.apply(record).expect("a decision can be applied");
        }
        self.log.push(Arc::new(records));
    }

    fn decide(&mut self, request: impl Into<ControllerRequest>) -> ControllerResponse {
        let mut fresh_topic_id = Uuid::nil;
        let defaults =
            Defaults { supported_features: BTreeMap::from([(FEATURE.into(), (7, 29))]), ..Defaults::default() };
        let mut context = Context {
            next_offset: Offset(self.log.len() as i64),
            seed: 0,
            fresh_topic_id: &mut fresh_topic_id,
            catalog: &NoConfigs,
            defaults: &defaults,
        };
        let decision = decide(&self.image, &request.into(), &mut context);
        self.commit(decision.records);
        decision.response
    }

    fn at(&self, now_ms: i64) -> Instant {
        self.start + Duration::from_millis(now_ms.unsigned_abs())
    }

    /// Fences who has been silent. Dials never tell anything in this world, whose brokers keep no connections.
    pub(crate) fn on_tick(&mut self, now_ms: i64) {
        let now = self.at(now_ms);
        for silent in self.liveness.poll(now).fence {
            self.decide(FenceBrokerRequest { broker: silent.broker, broker_epoch: silent.epoch });
        }
        self.liveness.follow(now, &self.image);
    }

    pub(crate) fn on_message(&mut self, now_ms: i64, message: Message) -> Option<(Address, Message)> {
        match message {
            Message::Register { broker, incarnation, log_state } => {
                self.register(now_ms, broker, incarnation, log_state)
            }
            Message::Heartbeat(request) => self.heartbeat(now_ms, request),
            Message::MetadataFetch { broker, from } => {
                let commits = self.log.get(from..)?.to_vec();
                (!commits.is_empty()).then_some((Address::Broker(broker), Message::Metadata { from, commits }))
            }
            Message::AlterPartition { partition, from, broker_epoch, epoch, proposal } => {
                let asked = proposal.partition_epoch;
                let change = PartitionIsrChange {
                    partition: PartitionIndex(partition as i32),
                    leader_epoch: epoch,
                    partition_epoch: asked,
                    new_isr: proposal.isr,
                    leader_recovery_state: LeaderRecoveryState::Recovered,
                };
                let topics = vec![TopicIsrChanges { topic_id: self.topic, partitions: vec![change] }];
                let request = AlterPartitionRequest { broker: from, broker_epoch, topics };
                let ControllerResponse::AlterPartition(response) = self.decide(request) else { return None };
                let outcome = match response {
                    Ok(mut topics) => topics.pop()?.partitions.pop()?.outcome,
                    Err(error) => Err(error.code),
                };
                Some((Address::Broker(from), Message::Altered { partition, epoch, asked, outcome }))
            }
            _ => None,
        }
    }

    fn register(
        &mut self,
        now_ms: i64,
        broker: BrokerId,
        incarnation: Uuid,
        log_state: LogState,
    ) -> Option<(Address, Message)> {
        let features = [(FEATURE, 29), (ELIGIBLE_LEADER_REPLICAS_FEATURE, 1)];
        let feature = |(name, max_supported_level): (&str, i16)| BrokerFeature {
            name: name.into(),
            min_supported_level: 0,
            max_supported_level,
        };
        let request = RegisterBrokerRequest {
            broker,
            cluster_id: CLUSTER.into(),
            incarnation_id: incarnation,
            endpoints: Vec::new(),
            features: features.map(feature).to_vec(),
            rack: None,
            log_dirs: vec![directory(broker)],
            fenced: true,
            log_state,
            previous_broker_epoch: None,
            earlier_session_open: false,
        };
        let ControllerResponse::RegisterBroker(response) = self.decide(request) else { return None };
        let epoch = response.ok()?;
        self.hear(now_ms, broker, epoch);
        Some((Address::Broker(broker), Message::Registered { incarnation, epoch }))
    }

    fn heartbeat(&mut self, now_ms: i64, request: BrokerHeartbeatRequest) -> Option<(Address, Message)> {
        let (broker, epoch) = (request.broker, request.broker_epoch);
        if let ControllerResponse::BrokerHeartbeat(Ok(_)) = self.decide(request) {
            self.hear(now_ms, broker, epoch);
        }
        None
    }

    fn hear(&mut self, now_ms: i64, broker: BrokerId, epoch: BrokerEpoch) {
        let now = self.at(now_ms);
        self.liveness.follow(now, &self.image);
        self.liveness.on_heard(now, broker, epoch);
    }

    /// Whom a client would ask; it may be out of date in its own way.
    pub(crate) fn leader_of(&self, partition: usize) -> Option<BrokerId> {
        let registration = self.image.partition(self.topic, PartitionIndex(partition as i32))?;
        registration.has_leader().then_some(registration.leader)
    }
}

fn directory(broker: BrokerId) -> Uuid {
    Uuid::from_u64_pair(0xd1, broker.get() as u64 + 1_000)
}

fn partition_record(topic_id: TopicId, index: usize, replicas: Vec<BrokerId>) -> PartitionRecord {
    PartitionRecord {
        partition: PartitionIndex(index as i32),
        topic_id,
        isr: replicas.clone(),
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: BrokerId::NONE,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories: replicas.iter().map(|broker| directory(*broker)).collect(),
        replicas,
        leader_recovery_state: LeaderRecoveryState::Recovered,
        eligible_leader_replicas: None,
        last_known_elr: None,
    }
}
