//! The shapes of what comes from clients: every request that the codec crate decodes.
//!
//! Owns the way from an API key to the shape of its request. The facts come from Kafka's message definitions, not from
//! the codec crate: where the two disagree, the round trips in `tests/admission_round_trip.rs` fail.

mod cluster;
mod connection;
mod data;
mod group;
mod quorum;
mod security;
mod share;
mod topic;
mod transaction;

use super::shape::Shape;
use crate::api::ApiKey;

/// The shape of the body of a request.
pub fn shape_of(key: ApiKey) -> &'static Shape {
    match key {
        ApiKey::Produce => &data::PRODUCE,
        ApiKey::Fetch => &data::FETCH,
        ApiKey::ListOffsets => &data::LIST_OFFSETS,
        ApiKey::Metadata => &data::METADATA,
        ApiKey::OffsetCommit => &group::OFFSET_COMMIT,
        ApiKey::OffsetFetch => &group::OFFSET_FETCH,
        ApiKey::FindCoordinator => &group::FIND_COORDINATOR,
        ApiKey::JoinGroup => &group::JOIN_GROUP,
        ApiKey::Heartbeat => &group::HEARTBEAT,
        ApiKey::LeaveGroup => &group::LEAVE_GROUP,
        ApiKey::SyncGroup => &group::SYNC_GROUP,
        ApiKey::DescribeGroups => &group::DESCRIBE_GROUPS,
        ApiKey::ListGroups => &group::LIST_GROUPS,
        ApiKey::SaslHandshake => &connection::SASL_HANDSHAKE,
        ApiKey::ApiVersions => &connection::API_VERSIONS,
        ApiKey::CreateTopics => &topic::CREATE_TOPICS,
        ApiKey::DeleteTopics => &topic::DELETE_TOPICS,
        ApiKey::DeleteRecords => &data::DELETE_RECORDS,
        ApiKey::InitProducerId => &transaction::INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => &data::OFFSET_FOR_LEADER_EPOCH,
        ApiKey::AddPartitionsToTxn => &transaction::ADD_PARTITIONS_TO_TXN,
        ApiKey::AddOffsetsToTxn => &transaction::ADD_OFFSETS_TO_TXN,
        ApiKey::EndTxn => &transaction::END_TXN,
        ApiKey::WriteTxnMarkers => &transaction::WRITE_TXN_MARKERS,
        ApiKey::TxnOffsetCommit => &transaction::TXN_OFFSET_COMMIT,
        ApiKey::DescribeAcls => &security::DESCRIBE_ACLS,
        ApiKey::CreateAcls => &security::CREATE_ACLS,
        ApiKey::DeleteAcls => &security::DELETE_ACLS,
        ApiKey::DescribeConfigs => &topic::DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => &topic::ALTER_CONFIGS,
        ApiKey::AlterReplicaLogDirs => &topic::ALTER_REPLICA_LOG_DIRS,
        ApiKey::DescribeLogDirs => &topic::DESCRIBE_LOG_DIRS,
        ApiKey::SaslAuthenticate => &connection::SASL_AUTHENTICATE,
        ApiKey::CreatePartitions => &topic::CREATE_PARTITIONS,
        ApiKey::CreateDelegationToken => &security::CREATE_DELEGATION_TOKEN,
        ApiKey::RenewDelegationToken => &security::RENEW_DELEGATION_TOKEN,
        ApiKey::ExpireDelegationToken => &security::EXPIRE_DELEGATION_TOKEN,
        ApiKey::DescribeDelegationToken => &security::DESCRIBE_DELEGATION_TOKEN,
        ApiKey::DeleteGroups => &group::DELETE_GROUPS,
        ApiKey::ElectLeaders => &topic::ELECT_LEADERS,
        ApiKey::IncrementalAlterConfigs => &topic::INCREMENTAL_ALTER_CONFIGS,
        ApiKey::AlterPartitionReassignments => &topic::ALTER_PARTITION_REASSIGNMENTS,
        ApiKey::ListPartitionReassignments => &topic::LIST_PARTITION_REASSIGNMENTS,
        ApiKey::OffsetDelete => &group::OFFSET_DELETE,
        ApiKey::DescribeClientQuotas => &cluster::DESCRIBE_CLIENT_QUOTAS,
        ApiKey::AlterClientQuotas => &cluster::ALTER_CLIENT_QUOTAS,
        ApiKey::DescribeUserScramCredentials => &security::DESCRIBE_USER_SCRAM_CREDENTIALS,
        ApiKey::AlterUserScramCredentials => &security::ALTER_USER_SCRAM_CREDENTIALS,
        ApiKey::Vote => &quorum::VOTE,
        ApiKey::BeginQuorumEpoch => &quorum::BEGIN_QUORUM_EPOCH,
        ApiKey::EndQuorumEpoch => &quorum::END_QUORUM_EPOCH,
        ApiKey::DescribeQuorum => &quorum::DESCRIBE_QUORUM,
        ApiKey::AlterPartition => &quorum::ALTER_PARTITION,
        ApiKey::UpdateFeatures => &cluster::UPDATE_FEATURES,
        ApiKey::Envelope => &quorum::ENVELOPE,
        ApiKey::FetchSnapshot => &quorum::FETCH_SNAPSHOT,
        ApiKey::DescribeCluster => &cluster::DESCRIBE_CLUSTER,
        ApiKey::DescribeProducers => &data::DESCRIBE_PRODUCERS,
        ApiKey::BrokerRegistration => &quorum::BROKER_REGISTRATION,
        ApiKey::BrokerHeartbeat => &quorum::BROKER_HEARTBEAT,
        ApiKey::UnregisterBroker => &cluster::UNREGISTER_BROKER,
        ApiKey::DescribeTransactions => &transaction::DESCRIBE_TRANSACTIONS,
        ApiKey::ListTransactions => &transaction::LIST_TRANSACTIONS,
        ApiKey::AllocateProducerIds => &quorum::ALLOCATE_PRODUCER_IDS,
        ApiKey::ConsumerGroupHeartbeat => &group::CONSUMER_GROUP_HEARTBEAT,
        ApiKey::ConsumerGroupDescribe => &group::CONSUMER_GROUP_DESCRIBE,
        ApiKey::ControllerRegistration => &quorum::CONTROLLER_REGISTRATION,
        ApiKey::GetTelemetrySubscriptions => &connection::GET_TELEMETRY_SUBSCRIPTIONS,
        ApiKey::PushTelemetry => &connection::PUSH_TELEMETRY,
        ApiKey::AssignReplicasToDirs => &quorum::ASSIGN_REPLICAS_TO_DIRS,
        ApiKey::ListConfigResources => &topic::LIST_CONFIG_RESOURCES,
        ApiKey::DescribeTopicPartitions => &data::DESCRIBE_TOPIC_PARTITIONS,
        ApiKey::ShareGroupHeartbeat => &share::SHARE_GROUP_HEARTBEAT,
        ApiKey::ShareGroupDescribe => &share::SHARE_GROUP_DESCRIBE,
        ApiKey::ShareFetch => &share::SHARE_FETCH,
        ApiKey::ShareAcknowledge => &share::SHARE_ACKNOWLEDGE,
        ApiKey::AddRaftVoter => &quorum::ADD_RAFT_VOTER,
        ApiKey::RemoveRaftVoter => &quorum::REMOVE_RAFT_VOTER,
        ApiKey::UpdateRaftVoter => &quorum::UPDATE_RAFT_VOTER,
        ApiKey::InitializeShareGroupState => &share::INITIALIZE_SHARE_GROUP_STATE,
        ApiKey::ReadShareGroupState => &share::READ_SHARE_GROUP_STATE,
        ApiKey::WriteShareGroupState => &share::WRITE_SHARE_GROUP_STATE,
        ApiKey::DeleteShareGroupState => &share::DELETE_SHARE_GROUP_STATE,
        ApiKey::ReadShareGroupStateSummary => &share::READ_SHARE_GROUP_STATE_SUMMARY,
        ApiKey::DescribeShareGroupOffsets => &share::DESCRIBE_SHARE_GROUP_OFFSETS,
        ApiKey::AlterShareGroupOffsets => &share::ALTER_SHARE_GROUP_OFFSETS,
        ApiKey::DeleteShareGroupOffsets => &share::DELETE_SHARE_GROUP_OFFSETS,
    }
}
