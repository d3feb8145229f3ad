//! A cluster in the tests' hands: an image, and the context in which requests are decided against it.

use std::collections::BTreeMap;

use uuid::Uuid;
use weir_controller::decide::{
    ApiError, ConfigCatalog, Context, ControllerRequest, ControllerResponse, Defaults, decide,
};
use weir_controller::image::{ConfigResource, MetadataImage, PartitionRegistration, ResourceConfigs};
use weir_controller::record::{
    BrokerFeature, BrokerRegistrationChangeRecord, ClusterIdRecord, ConfigRecord, ConfigResourceType,
    FeatureLevelRecord, LeaderRecoveryState, MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex};

/// Knows four topic configs, of which `cleanup.policy` is a list.
pub(crate) struct FewConfigs;

impl ConfigCatalog for FewConfigs {
    fn validate(
        &self,
        resource: &ConfigResource,
        configs: &ResourceConfigs,
        _existing: &ResourceConfigs,
    ) -> Result<(), ApiError> {
        const KNOWN: [&str; 4] =
            ["cleanup.policy", "min.insync.replicas", "retention.ms", "unclean.leader.election.enable"];
        match configs.keys().find(|key| !KNOWN.contains(&&***key)) {
            Some(key) if resource.resource_type == ConfigResourceType::Topic => {
                Err(ApiError::new(ErrorCode::InvalidConfig, format!("Unknown topic config name: {key}")))
            }
            _ => Ok(()),
        }
    }

    fn is_list(&self, _resource_type: ConfigResourceType, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn default_value(&self, _resource_type: ConfigResourceType, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".to_owned())
    }
}

/// An image, and what decisions need besides it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) image: MetadataImage,
    pub(crate) defaults: Defaults,
    pub(crate) next_offset: i64,
    pub(crate) seed: u64,
    fresh_topic_ids: u64,
}

pub(crate) const ORDERS: Uuid = Uuid::from_u64_pair(0xfeed, 1);

pub(crate) fn directory(broker: i32) -> Uuid {
    Uuid::from_u64_pair(0xd1, broker as u64)
}

pub(crate) fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// A registration of a broker with one directory, whose epoch is ten times its id.
pub(crate) fn registration(broker: i32, rack: Option<&str>, fenced: bool) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker: BrokerId(broker),
        is_migrating_zk_broker: false,
        incarnation_id: Uuid::from_u64_pair(0x1c, broker as u64),
        broker_epoch: BrokerEpoch(10 * i64::from(broker)),
        endpoints: vec![],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_level: 7,
            max_supported_level: 29,
        }],
        rack: rack.map(Into::into),
        fenced,
        in_controlled_shutdown: false,
        log_dirs: vec![directory(broker)],
        cordoned_log_dirs: None,
    }
}

impl Cluster {
    /// A cluster of brokers that serve.
    pub(crate) fn of(ids: &[i32]) -> Self {
        let mut cluster = Self {
            image: MetadataImage::default(),
            defaults: Defaults::default(),
            next_offset: 1000,
            seed: 0,
            fresh_topic_ids: 100,
        };
        cluster.defaults.supported_features = BTreeMap::from([("metadata.version".into(), (7, 29))]);
        cluster.apply(ClusterIdRecord { cluster_id: "cluster".into() });
        cluster.apply(FeatureLevelRecord { name: "metadata.version".into(), level: 25 });
        for id in ids {
            cluster.apply(registration(*id, None, false));
        }
        cluster
    }

    pub(crate) fn apply(&mut self, record: impl Into<MetadataRecord>) {
        self.image.apply(&record.into()).unwrap();
    }

    /// Adds a topic whose partitions have the replicas given, all in sync, the first leading.
    pub(crate) fn with_topic(mut self, name: &str, topic_id: Uuid, partitions: &[&[i32]]) -> Self {
        self.apply(TopicRecord { name: name.into(), topic_id });
        for (index, replicas) in partitions.iter().enumerate() {
            self.apply(partition(topic_id, index as i32, replicas));
        }
        self
    }

    pub(crate) fn with_config(mut self, resource: ConfigResource, key: &str, value: &str) -> Self {
        self.apply(ConfigRecord {
            resource_type: resource.resource_type,
            resource_name: resource.name,
            name: key.into(),
            value: Some(value.into()),
        });
        self
    }

    pub(crate) fn fence(mut self, broker: i32) -> Self {
        let epoch = self.image.broker(BrokerId(broker)).unwrap().epoch;
        self.apply(BrokerRegistrationChangeRecord {
            fenced: Some(true),
            ..BrokerRegistrationChangeRecord::new(BrokerId(broker), epoch)
        });
        self
    }

    pub(crate) fn partition(&self, topic_id: Uuid, index: i32) -> &PartitionRegistration {
        self.image.partition(topic_id, PartitionIndex(index)).unwrap()
    }

    /// Leader, ISR, leader epoch and partition epoch of a partition.
    pub(crate) fn leadership(&self, topic_id: Uuid, index: i32) -> (i32, Vec<i32>, i32, i32) {
        let partition = self.partition(topic_id, index);
        let isr = partition.isr.iter().map(|member| member.get()).collect();
        (partition.leader.get(), isr, partition.leader_epoch.get(), partition.partition_epoch.get())
    }

    /// Decides a request and applies its records.
    pub(crate) fn decide(
        &mut self,
        request: impl Into<ControllerRequest>,
    ) -> (Vec<MetadataRecord>, ControllerResponse) {
        let fresh_topic_ids = &mut self.fresh_topic_ids;
        let mut fresh_topic_id = || {
            *fresh_topic_ids += 1;
            Uuid::from_u64_pair(0xfeed, *fresh_topic_ids)
        };
        let mut context = Context {
            next_offset: Offset(self.next_offset),
            seed: self.seed,
            fresh_topic_id: &mut fresh_topic_id,
            catalog: &FewConfigs,
            defaults: &self.defaults,
        };
        let decision = decide(&self.image, &request.into(), &mut context);
        self.next_offset += 1;
        for record in &decision.records {
            self.image.apply(record).unwrap_or_else(|error| panic!("{error}: {record:?}"));
        }
        (decision.records, decision.response)
    }
}

pub(crate) fn partition(topic_id: Uuid, index: i32, replicas: &[i32]) -> PartitionRecord {
    PartitionRecord {
        partition: PartitionIndex(index),
        topic_id,
        replicas: brokers(replicas),
        isr: brokers(replicas),
        removing_replicas: vec![],
        adding_replicas: vec![],
        leader: BrokerId(replicas[0]),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories: replicas.iter().map(|replica| directory(*replica)).collect(),
        leader_recovery_state: LeaderRecoveryState::Recovered,
        eligible_leader_replicas: None,
        last_known_elr: None,
    }
}

/// Unwraps the response of a request's own kind.
macro_rules! decided {
    ($cluster:expr, $kind:ident($request:expr)) => {{
        let (records, response) = $cluster.decide($request);
        match response {
            weir_controller::decide::ControllerResponse::$kind(response) => (records, response),
            other => panic!("{other:?}"),
        }
    }};
}
pub(crate) use decided;

/// The error that Kafka's client would show.
pub(crate) fn error(code: ErrorCode, message: &str) -> ApiError {
    ApiError::new(code, message)
}
