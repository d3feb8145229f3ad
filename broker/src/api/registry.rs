//! Which APIs this broker has built, on which listeners, and what ApiVersions says of them.

use weir_protocol::api::{self, ApiKey, ApiVersions};

/// The kinds of listener, by who is meant to ask there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Clients and brokers.
    Broker,
    /// Controllers, brokers, and administrators whose tools are told controllers (KIP-919).
    Controller,
}

/// Every API that is answered.
pub(super) static BUILT: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::UnregisterBroker,
    ApiKey::ListConfigResources,
    ApiKey::DescribeTopicPartitions,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
];

/// Whether `key` is answered on that kind of listener.
pub(super) fn is_built(key: ApiKey, on: ListenerKind) -> bool {
    let belongs = match on {
        ListenerKind::Broker => api::listeners(key).broker,
        // Fetch reads the metadata log there, which Weir's quorum does otherwise.
        ListenerKind::Controller => api::listeners(key).controller && key != ApiKey::Fetch,
    };
    belongs && BUILT.contains(&key)
}

/// The versions to advertise on that kind of listener.
pub(super) fn advertised(on: ListenerKind) -> impl Iterator<Item = ApiVersions> {
    BUILT.iter().filter(move |key| is_built(**key, on)).map(|&key| api::versions(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_listener_offers_what_administers_and_no_data() {
        for administers in
            [ApiKey::ApiVersions, ApiKey::CreateTopics, ApiKey::DescribeCluster, ApiKey::UnregisterBroker]
        {
            assert!(is_built(administers, ListenerKind::Controller), "{administers:?}");
        }
        for of_brokers in [ApiKey::Fetch, ApiKey::Produce, ApiKey::Metadata, ApiKey::JoinGroup, ApiKey::DescribeLogDirs]
        {
            assert!(is_built(of_brokers, ListenerKind::Broker), "{of_brokers:?}");
            assert!(!is_built(of_brokers, ListenerKind::Controller), "{of_brokers:?}");
        }
    }
}
