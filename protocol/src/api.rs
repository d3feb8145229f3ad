//! The table of API keys and the versions of each that Weir speaks.
//!
//! Owns which versions are advertised (what a Kafka 4.3 broker lists, cut to what the codec crate and [`crate::newer`]
//! decode), which are parsed, and on which listener a key belongs. Whether an API is *answered* is not said here: a
//! listener advertises the part of this table that it has handlers for.
//!
//! Advertised and parsed ranges are the same but for Produce: 0 to 2 are advertised and cannot be parsed, because older
//! librdkafka takes their absence for a broker without compression (KAFKA-18659).

use kafka_protocol::messages::ApiKey as Key;
use thiserror::Error;

pub use kafka_protocol::messages::ApiKey;

/// The first version of Produce that carries record batches v2, so the first that is parsed.
const PRODUCE_MIN_PARSED: i16 = 3;

/// An API key and the versions of it that are advertised, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersions {
    /// The API.
    pub key: ApiKey,
    /// The oldest version advertised.
    pub min: i16,
    /// The newest version advertised.
    pub max: i16,
}

impl ApiVersions {
    /// Whether a request at `version` can be decoded; narrower than what is advertised for Produce alone.
    pub const fn parses(&self, version: i16) -> bool {
        let min = if matches!(self.key, Key::Produce) { PRODUCE_MIN_PARSED } else { self.min };
        min <= version && version <= self.max
    }
}

/// The kinds of listener on which Kafka offers an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Clients and brokers talk to it.
    pub broker: bool,
    /// Controllers, brokers and administrators talk to it.
    pub controller: bool,
}

impl Listeners {
    const BROKER: Self = Self { broker: true, controller: false };
    const CONTROLLER: Self = Self { broker: false, controller: true };
    const BOTH: Self = Self { broker: true, controller: true };
    /// KRaft's own: Weir's quorum speaks otherwise, so these stay unknown on every listener.
    const NONE: Self = Self { broker: false, controller: false };
}

/// A request whose key or version is not in the table. Kafka closes the connection, except for ApiVersions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind}: key {key}, version {version}")]
pub struct UnsupportedApi {
    /// As read from the header.
    pub key: i16,
    /// As read from the header.
    pub version: i16,
    /// What is unknown about it.
    pub kind: UnsupportedKind,
}

impl UnsupportedApi {
    /// Whether this is ApiVersions at an unknown version, the one such request that gets an answer.
    pub const fn is_api_versions(&self) -> bool {
        self.key == Key::ApiVersions as i16
    }
}

/// What is unknown about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnsupportedKind {
    /// No API has this key.
    #[error("unknown API")]
    Key,
    /// The API is known and its version is not.
    #[error("unsupported API version")]
    Version,
}

struct Row {
    versions: ApiVersions,
    listeners: Listeners,
}

const fn row(key: ApiKey, min: i16, max: i16, listeners: Listeners) -> Row {
    Row { versions: ApiVersions { key, min, max }, listeners }
}

#[rustfmt::skip]
static TABLE: [Row; 87] = [
    row(ApiKey::Produce, 0, 13, Listeners::BROKER),
    row(ApiKey::Fetch, 4, 18, Listeners::BOTH),
    row(ApiKey::ListOffsets, 1, 11, Listeners::BROKER),
    row(ApiKey::Metadata, 0, 13, Listeners::BROKER),
    row(ApiKey::OffsetCommit, 2, 10, Listeners::BROKER),
    row(ApiKey::OffsetFetch, 1, 10, Listeners::BROKER),
    row(ApiKey::FindCoordinator, 0, 6, Listeners::BROKER),
    row(ApiKey::JoinGroup, 0, 9, Listeners::BROKER),
    row(ApiKey::Heartbeat, 0, 4, Listeners::BROKER),
    row(ApiKey::LeaveGroup, 0, 5, Listeners::BROKER),
    row(ApiKey::SyncGroup, 0, 5, Listeners::BROKER),
    row(ApiKey::DescribeGroups, 0, 6, Listeners::BROKER),
    row(ApiKey::ListGroups, 0, 5, Listeners::BROKER),
    row(ApiKey::SaslHandshake, 0, 1, Listeners::BOTH),
    row(ApiKey::ApiVersions, 0, 4, Listeners::BOTH),
    row(ApiKey::CreateTopics, 2, 7, Listeners::BOTH),
    row(ApiKey::DeleteTopics, 1, 6, Listeners::BOTH),
    row(ApiKey::DeleteRecords, 0, 2, Listeners::BROKER),
    row(ApiKey::InitProducerId, 0, 5, Listeners::BROKER),
    row(ApiKey::OffsetForLeaderEpoch, 2, 4, Listeners::BROKER),
    row(ApiKey::AddPartitionsToTxn, 0, 5, Listeners::BROKER),
    row(ApiKey::AddOffsetsToTxn, 0, 4, Listeners::BROKER),
    row(ApiKey::EndTxn, 0, 5, Listeners::BROKER),
    row(ApiKey::WriteTxnMarkers, 1, 1, Listeners::BROKER),
    row(ApiKey::TxnOffsetCommit, 0, 5, Listeners::BROKER),
    row(ApiKey::DescribeAcls, 1, 3, Listeners::BOTH),
    row(ApiKey::CreateAcls, 1, 3, Listeners::BOTH),
    row(ApiKey::DeleteAcls, 1, 3, Listeners::BOTH),
    row(ApiKey::DescribeConfigs, 1, 4, Listeners::BOTH),
    row(ApiKey::AlterConfigs, 0, 2, Listeners::BOTH),
    row(ApiKey::AlterReplicaLogDirs, 1, 2, Listeners::BROKER),
    row(ApiKey::DescribeLogDirs, 1, 5, Listeners::BROKER),
    row(ApiKey::SaslAuthenticate, 0, 2, Listeners::BOTH),
    row(ApiKey::CreatePartitions, 0, 3, Listeners::BOTH),
    row(ApiKey::CreateDelegationToken, 1, 3, Listeners::BOTH),
    row(ApiKey::RenewDelegationToken, 1, 2, Listeners::BOTH),
    row(ApiKey::ExpireDelegationToken, 1, 2, Listeners::BOTH),
    row(ApiKey::DescribeDelegationToken, 1, 3, Listeners::BOTH),
    row(ApiKey::DeleteGroups, 0, 2, Listeners::BROKER),
    row(ApiKey::ElectLeaders, 0, 2, Listeners::BOTH),
    row(ApiKey::IncrementalAlterConfigs, 0, 1, Listeners::BOTH),
    row(ApiKey::AlterPartitionReassignments, 0, 1, Listeners::BOTH),
    row(ApiKey::ListPartitionReassignments, 0, 0, Listeners::BOTH),
    row(ApiKey::OffsetDelete, 0, 0, Listeners::BROKER),
    row(ApiKey::DescribeClientQuotas, 0, 1, Listeners::BROKER),
    row(ApiKey::AlterClientQuotas, 0, 1, Listeners::BOTH),
    row(ApiKey::DescribeUserScramCredentials, 0, 0, Listeners::BOTH),
    row(ApiKey::AlterUserScramCredentials, 0, 0, Listeners::BOTH),
    row(ApiKey::Vote, 0, 2, Listeners::NONE),
    row(ApiKey::BeginQuorumEpoch, 0, 1, Listeners::NONE),
    row(ApiKey::EndQuorumEpoch, 0, 1, Listeners::NONE),
    row(ApiKey::DescribeQuorum, 0, 2, Listeners::BOTH),
    row(ApiKey::AlterPartition, 2, 3, Listeners::CONTROLLER),
    row(ApiKey::UpdateFeatures, 0, 2, Listeners::BOTH),
    row(ApiKey::Envelope, 0, 0, Listeners::CONTROLLER),
    row(ApiKey::FetchSnapshot, 0, 1, Listeners::NONE),
    row(ApiKey::DescribeCluster, 0, 2, Listeners::BOTH),
    row(ApiKey::DescribeProducers, 0, 0, Listeners::BROKER),
    row(ApiKey::BrokerRegistration, 0, 4, Listeners::CONTROLLER),
    row(ApiKey::BrokerHeartbeat, 0, 1, Listeners::CONTROLLER),
    row(ApiKey::UnregisterBroker, 0, 0, Listeners::BOTH),
    row(ApiKey::DescribeTransactions, 0, 0, Listeners::BROKER),
    row(ApiKey::ListTransactions, 0, 2, Listeners::BROKER),
    row(ApiKey::AllocateProducerIds, 0, 0, Listeners::CONTROLLER),
    row(ApiKey::ConsumerGroupHeartbeat, 0, 1, Listeners::BROKER),
    row(ApiKey::ConsumerGroupDescribe, 0, 1, Listeners::BROKER),
    row(ApiKey::ControllerRegistration, 0, 0, Listeners::CONTROLLER),
    row(ApiKey::GetTelemetrySubscriptions, 0, 0, Listeners::BROKER),
    row(ApiKey::PushTelemetry, 0, 0, Listeners::BROKER),
    row(ApiKey::AssignReplicasToDirs, 0, 0, Listeners::CONTROLLER),
    row(ApiKey::ListConfigResources, 0, 1, Listeners::BROKER),
    row(ApiKey::DescribeTopicPartitions, 0, 0, Listeners::BROKER),
    row(ApiKey::ShareGroupHeartbeat, 1, 1, Listeners::BROKER),
    row(ApiKey::ShareGroupDescribe, 1, 1, Listeners::BROKER),
    row(ApiKey::ShareFetch, 1, 1, Listeners::BROKER),
    row(ApiKey::ShareAcknowledge, 1, 1, Listeners::BROKER),
    row(ApiKey::AddRaftVoter, 0, 0, Listeners::BOTH),
    row(ApiKey::RemoveRaftVoter, 0, 0, Listeners::BOTH),
    row(ApiKey::UpdateRaftVoter, 0, 0, Listeners::NONE),
    row(ApiKey::InitializeShareGroupState, 0, 0, Listeners::BROKER),
    row(ApiKey::ReadShareGroupState, 0, 0, Listeners::BROKER),
    row(ApiKey::WriteShareGroupState, 0, 0, Listeners::BROKER),
    row(ApiKey::DeleteShareGroupState, 0, 0, Listeners::BROKER),
    row(ApiKey::ReadShareGroupStateSummary, 0, 0, Listeners::BROKER),
    row(ApiKey::DescribeShareGroupOffsets, 0, 0, Listeners::BROKER),
    row(ApiKey::AlterShareGroupOffsets, 0, 0, Listeners::BROKER),
    row(ApiKey::DeleteShareGroupOffsets, 0, 0, Listeners::BROKER),
];

const KEYS_END: usize = Key::DeleteShareGroupOffsets as usize + 1;
const NO_ROW: u8 = u8::MAX;

/// From a key to its row.
static ROW_OF_KEY: [u8; KEYS_END] = {
    let mut index = [NO_ROW; KEYS_END];
    let mut at = 0;
    while at < TABLE.len() {
        index[TABLE[at].versions.key as usize] = at as u8;
        at += 1;
    }
    index
};

fn row_of(key: i16) -> Option<&'static Row> {
    let row = *ROW_OF_KEY.get(usize::try_from(key).ok()?)?;
    TABLE.get(usize::from(row))
}

/// What is advertised for `key`.
pub fn versions(key: ApiKey) -> ApiVersions {
    row_of(key as i16).expect("every key of the codec crate has a row").versions
}

/// The listeners on which Kafka offers `key`; neither for KRaft's own APIs, which Weir does not speak.
pub fn listeners(key: ApiKey) -> Listeners {
    row_of(key as i16).expect("every key of the codec crate has a row").listeners
}

/// Every API that some listener may offer, by key.
pub fn all() -> impl Iterator<Item = ApiVersions> {
    TABLE.iter().filter(|row| row.listeners != Listeners::NONE).map(|row| row.versions)
}

/// The API of a request header, if its version can be decoded.
pub fn parses(key: i16, version: i16) -> Result<ApiKey, UnsupportedApi> {
    match row_of(key) {
        Some(row) if row.listeners == Listeners::NONE => {
            Err(UnsupportedApi { key, version, kind: UnsupportedKind::Key })
        }
        None => Err(UnsupportedApi { key, version, kind: UnsupportedKind::Key }),
        Some(row) if row.versions.parses(version) => Ok(row.versions.key),
        Some(_) => Err(UnsupportedApi { key, version, kind: UnsupportedKind::Version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_codec_crate_has_a_row_in_order() {
        let keys: Vec<ApiKey> = TABLE.iter().map(|row| row.versions.key).collect();
        assert_eq!(keys, ApiKey::iter().collect::<Vec<_>>());
    }

    /// The other direction, that these versions do decode, is in `tests/admission_round_trip.rs`: the codec crate's own
    /// list promises three versions that it then refuses (OffsetCommit 10, OffsetFetch 10, InitProducerId 6).
    #[test]
    fn nothing_older_or_newer_is_parsed_than_the_codec_crate_lists_or_we_declare() {
        for row in &TABLE {
            let mut listed = row.versions.key.valid_versions();
            match row.versions.key {
                ApiKey::ListOffsets => listed.max = 11,
                ApiKey::DescribeLogDirs => listed.max = 5,
                _ => {}
            }
            for version in -1..40 {
                if row.versions.parses(version) {
                    assert!(listed.min <= version && version <= listed.max, "{:?} {version}", row.versions.key);
                }
            }
        }
    }

    #[test]
    fn produce_is_advertised_from_0_and_parsed_from_3() {
        assert_eq!(versions(ApiKey::Produce), ApiVersions { key: ApiKey::Produce, min: 0, max: 13 });
        let refused = UnsupportedApi { key: 0, version: 2, kind: UnsupportedKind::Version };
        assert_eq!(parses(0, 2), Err(refused));
        assert_eq!(parses(0, 3), Ok(ApiKey::Produce));
    }

    #[test]
    fn the_unstable_version_of_init_producer_id_is_not_spoken() {
        assert_eq!(versions(ApiKey::InitProducerId).max, 5);
        assert!(parses(22, 6).is_err());
    }

    #[test]
    fn removed_foreign_and_unheard_of_keys_are_unknown() {
        for key in [-1, 4, 5, 6, 7, 52, 53, 54, 59, 82, 88, 89, 93, i16::MAX, i16::MIN] {
            assert_eq!(parses(key, 0), Err(UnsupportedApi { key, version: 0, kind: UnsupportedKind::Key }));
        }
        assert!(all().all(|api| api.key != ApiKey::Vote));
    }
}
