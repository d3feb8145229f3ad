//! Pure decisions: a request and an image give records and a response.
//!
//! Owns one file per request. A decision reads the image, never changes it, and knows no clock, random, socket or log:
//! ids, seeds and the offset that its records will get are arguments ([`Context`]). The requests of a batch decide one
//! after the other against a working image: clone the applied image (which costs nothing), and apply each decision's
//! records to the clone before the next request is decided.
//!
//! Errors have the codes and texts of Apache Kafka 4.3's controller, for clients show them to people.
//!
//! Invariant: the records of a decision apply without error to the image that it was decided against.

mod allocate_producer_ids;
mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod api_error;
mod assign_replicas_to_dirs;
mod broker_heartbeat;
mod catalog;
mod config_changes;
mod config_effects;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaderless;
mod elect_leaders;
mod election;
mod eligible;
mod fence_broker;
mod form_cluster;
mod incremental_alter_configs;
mod internal_replication;
mod lost_directories;
mod manual_assignment;
mod placement;
mod preferred_leaders;
mod register_broker;
mod report_logs;
mod topic_name;
mod unregister_broker;
mod update_features;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::ids::Offset;

use crate::image::MetadataImage;
use crate::record::MetadataRecord;

pub use allocate_producer_ids::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, PRODUCER_ID_BLOCK_SIZE, ProducerIdBlock,
};
pub use alter_configs::{AlterConfigsRequest, ResourceConfigValues};
pub use alter_partition::{
    AlterPartitionRequest, AlterPartitionResponse, AlteredPartition, IsrMember, PartitionIsrChange, PartitionIsrResult,
    TopicIsrChanges, TopicIsrResults,
};
pub use alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, PartitionReassignment,
    PartitionReassignmentResult,
};
pub use api_error::ApiError;
pub use assign_replicas_to_dirs::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, MAX_ASSIGNMENTS_PER_REQUEST, ReplicaDirectory,
};
pub use broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerState};
pub use catalog::{AnyConfig, ConfigCatalog};
pub use config_changes::{AlterConfigsResponse, ResourceResult};
pub use create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsResult, NewPartitions};
pub use create_topics::{CreateTopicResult, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic, NewTopic};
pub use delete_topics::{DeleteTopicResult, DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic, TopicRef};
pub use elect_leaderless::{ElectLeaderlessRequest, ElectLeaderlessResponse};
pub use elect_leaders::{ElectLeadersRequest, ElectLeadersResponse, ElectionType, PartitionElectionResult};
pub use fence_broker::{FenceBrokerRequest, FenceBrokerResponse};
pub use form_cluster::{FormClusterRequest, FormClusterResponse};
pub use incremental_alter_configs::{
    ConfigOperation, ConfigOperationType, IncrementalAlterConfigsRequest, ResourceConfigOperations,
};
pub use internal_replication::internal_replication_raises;
pub use lost_directories::is_on_other_disks;
pub use manual_assignment::ReplicaAssignment;
pub use preferred_leaders::returnable_leaderships;
pub use register_broker::{LogState, RegisterBrokerRequest, RegisterBrokerResponse};
pub use report_logs::{LogReport, ReportLogsRequest, ReportLogsResponse, awaits_reports};
pub use topic_name::{CLUSTER_METADATA_TOPIC, MAX_TOPIC_NAME_LENGTH, check_topic_name};
pub use unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
pub use update_features::{
    ControllerFeatures, FeatureUpdate, FeatureUpdateType, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

/// The most partitions that one request may create (Kafka's `MAX_PARTITIONS_PER_BATCH`).
pub const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

/// What a decision needs besides the image and the request.
pub struct Context<'a> {
    /// The offset in the metadata log that this decision's records will have; a registration's broker epoch.
    pub next_offset: Offset,
    /// Where placement starts among equals; a fresh random number for each request.
    pub seed: u64,
    /// Gives a topic id that was never used; random, and neither zero nor one.
    pub fresh_topic_id: &'a mut dyn FnMut() -> Uuid,
    /// What the configs mean.
    pub catalog: &'a dyn ConfigCatalog,
    /// What the controller's own configuration says.
    pub defaults: &'a Defaults,
}

/// The levels of each feature that a build can run: lowest, highest. One that is missing it can run at nought alone, which is off.
pub type SupportedFeatures = BTreeMap<Arc<str>, (i16, i16)>;

/// What the controller's own configuration says about requests that leave it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// Whether that is but a wish, for nobody set it: with fewer brokers a topic gets as many replicas as there are.
    pub replication_follows_brokers: bool,
    /// How many replicas internal topics should have once that many brokers serve, by name.
    pub internal_replication: BTreeMap<Arc<str>, i16>,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// The levels of each feature that this binary can run.
    pub supported_features: SupportedFeatures,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            num_partitions: 1,
            replication_factor: 1,
            replication_follows_brokers: false,
            internal_replication: BTreeMap::new(),
            delete_topic_enable: true,
            supported_features: BTreeMap::new(),
        }
    }
}

/// What was decided: records that become true together, and the answer once they have.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<R = ControllerResponse> {
    /// The records, empty if nothing changes.
    pub records: Vec<MetadataRecord>,
    /// The answer.
    pub response: R,
}

impl<R> Decision<R> {
    /// An answer without records.
    fn unchanged(response: R) -> Self {
        Self { records: Vec::new(), response }
    }

    fn map<S>(self, wrap: impl FnOnce(R) -> S) -> Decision<S> {
        Decision { records: self.records, response: wrap(self.response) }
    }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $variant:ident($request:ty) -> $response:ty = $decide:path;)*) => {
        /// A change that someone asks the controller for.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum ControllerRequest {
            $($(#[$doc])* $variant($request),)*
        }

        /// The answer to the request of the same name.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum ControllerResponse {
            $($(#[$doc])* $variant($response),)*
        }

        impl ControllerRequest {
            /// The request's name, for messages to people.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant),)* }
            }
        }

        /// Decides one request against an image.
        pub fn decide(image: &MetadataImage, request: &ControllerRequest, context: &mut Context<'_>) -> Decision {
            match request {
                $(ControllerRequest::$variant(request) => {
                    $decide(image, request, context).map(ControllerResponse::$variant)
                })*
            }
        }

        $(impl From<$request> for ControllerRequest {
            fn from(request: $request) -> Self {
                Self::$variant(request)
            }
        })*
    };
}

requests! {
    /// Name a cluster that has no name yet.
    FormCluster(FormClusterRequest) -> FormClusterResponse = form_cluster::decide;
    /// A broker starts.
    RegisterBroker(RegisterBrokerRequest) -> RegisterBrokerResponse = register_broker::decide;
    /// A broker is gone for good.
    UnregisterBroker(UnregisterBrokerRequest) -> UnregisterBrokerResponse = unregister_broker::decide;
    /// A broker lives, or wants to stop.
    BrokerHeartbeat(BrokerHeartbeatRequest) -> BrokerHeartbeatResponse = broker_heartbeat::decide;
    /// A broker has been silent for too long.
    FenceBroker(FenceBrokerRequest) -> FenceBrokerResponse = fence_broker::decide;
    /// Create topics.
    CreateTopics(CreateTopicsRequest) -> CreateTopicsResponse = create_topics::decide;
    /// Delete topics.
    DeleteTopics(DeleteTopicsRequest) -> DeleteTopicsResponse = delete_topics::decide;
    /// Add partitions to topics.
    CreatePartitions(CreatePartitionsRequest) -> CreatePartitionsResponse = create_partitions::decide;
    /// Set, delete, extend or cut single configs.
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) -> AlterConfigsResponse
        = incremental_alter_configs::decide;
    /// Replace all configs of resources.
    AlterConfigs(AlterConfigsRequest) -> AlterConfigsResponse = alter_configs::decide;
    /// Hand a block of producer ids to a broker.
    AllocateProducerIds(AllocateProducerIdsRequest) -> AllocateProducerIdsResponse = allocate_producer_ids::decide;
    /// Elect leaders because someone asks for it.
    ElectLeaders(ElectLeadersRequest) -> ElectLeadersResponse = elect_leaders::decide;
    /// Elect leaders where there are none.
    ElectLeaderless(ElectLeaderlessRequest) -> ElectLeaderlessResponse = elect_leaderless::decide;
    /// A leader asks for another ISR.
    AlterPartition(AlterPartitionRequest) -> AlterPartitionResponse = alter_partition::decide;
    /// Give partitions other replicas.
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest) -> AlterPartitionReassignmentsResponse
        = alter_partition_reassignments::decide;
    /// A broker tells in which of its directories replicas lie.
    AssignReplicasToDirs(AssignReplicasToDirsRequest) -> AssignReplicasToDirsResponse
        = assign_replicas_to_dirs::decide;
    /// A broker tells how far its logs reach that nobody leads.
    ReportLogs(ReportLogsRequest) -> ReportLogsResponse = report_logs::decide;
    /// Finalize feature levels.
    UpdateFeatures(UpdateFeaturesRequest) -> UpdateFeaturesResponse = update_features::decide;
}
