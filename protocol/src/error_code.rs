//! Kafka's error codes.
//!
//! Owns the enum of every code up to Kafka 4.4 with its name, text and whether a client retries it; all three are what
//! `org.apache.kafka.common.protocol.Errors` says, for clients print the text and act on the rest. Decides nothing:
//! which failure becomes which code is said where each API is answered.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($code:literal, $variant:ident, $retry:ident, $name:literal, $message:literal;)*) => {
        /// An error code of the protocol. `UnknownServerError` is -1 and `None` is 0, as in Kafka.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "i16", into = "i16")]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $name, "`: ", $message)] $variant = $code,)*
        }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The code with this number; a number that this build does not know is `UnknownServerError`, as in Kafka.
            pub const fn from_code(code: i16) -> ErrorCode {
                match code {
                    $($code => ErrorCode::$variant,)*
                    _ => ErrorCode::UnknownServerError,
                }
            }

            /// Kafka's name of it, in capitals.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $name,)*
                }
            }

            /// Kafka's default text for it, empty for `None`. It goes into `error_message` fields.
            pub const fn message(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $message,)*
                }
            }

            /// Whether clients try again by themselves (`RetriableException`).
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(ErrorCode::$variant => error_codes!(@$retry),)*
                }
            }
        }
    };
    (@retriable) => { true };
    (@final) => { false };
}

error_codes! {
    -1, UnknownServerError, final, "UNKNOWN_SERVER_ERROR", "The server experienced an unexpected error when processing the request.";
    0, None, final, "NONE", "";
    1, OffsetOutOfRange, final, "OFFSET_OUT_OF_RANGE", "The requested offset is not within the range of offsets maintained by the server.";
    2, CorruptMessage, retriable, "CORRUPT_MESSAGE", "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.";
    3, UnknownTopicOrPartition, retriable, "UNKNOWN_TOPIC_OR_PARTITION", "This server does not host this topic-partition.";
    4, InvalidFetchSize, final, "INVALID_FETCH_SIZE", "The requested fetch size is invalid.";
    5, LeaderNotAvailable, retriable, "LEADER_NOT_AVAILABLE", "There is no leader for this topic-partition as we are in the middle of a leadership election.";
    6, NotLeaderOrFollower, retriable, "NOT_LEADER_OR_FOLLOWER", "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.";
    7, RequestTimedOut, retriable, "REQUEST_TIMED_OUT", "The request timed out.";
    8, BrokerNotAvailable, final, "BROKER_NOT_AVAILABLE", "The broker is not available.";
    9, ReplicaNotAvailable, retriable, "REPLICA_NOT_AVAILABLE", "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.";
    10, MessageTooLarge, final, "MESSAGE_TOO_LARGE", "The request included a message larger than the max message size the server will accept.";
    11, StaleControllerEpoch, final, "STALE_CONTROLLER_EPOCH", "The controller moved to another broker.";
    12, OffsetMetadataTooLarge, final, "OFFSET_METADATA_TOO_LARGE", "The metadata field of the offset request was too large.";
    13, NetworkException, retriable, "NETWORK_EXCEPTION", "The server disconnected before a response was received.";
    14, CoordinatorLoadInProgress, retriable, "COORDINATOR_LOAD_IN_PROGRESS", "The coordinator is loading and hence can't process requests.";
    15, CoordinatorNotAvailable, retriable, "COORDINATOR_NOT_AVAILABLE", "The coordinator is not available.";
    16, NotCoordinator, retriable, "NOT_COORDINATOR", "This is not the correct coordinator.";
    17, InvalidTopicException, final, "INVALID_TOPIC_EXCEPTION", "The request attempted to perform an operation on an invalid topic.";
    18, RecordListTooLarge, final, "RECORD_LIST_TOO_LARGE", "The request included message batch larger than the configured segment size on the server.";
    19, NotEnoughReplicas, retriable, "NOT_ENOUGH_REPLICAS", "Messages are rejected since there are fewer in-sync replicas than required.";
    20, NotEnoughReplicasAfterAppend, retriable, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "Messages are written to the log, but to fewer in-sync replicas than required.";
    21, InvalidRequiredAcks, final, "INVALID_REQUIRED_ACKS", "Produce request specified an invalid value for required acks.";
    22, IllegalGeneration, final, "ILLEGAL_GENERATION", "Specified group generation id is not valid.";
    23, InconsistentGroupProtocol, final, "INCONSISTENT_GROUP_PROTOCOL", "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.";
    24, InvalidGroupId, final, "INVALID_GROUP_ID", "The group id is invalid.";
    25, UnknownMemberId, final, "UNKNOWN_MEMBER_ID", "The coordinator is not aware of this member.";
    26, InvalidSessionTimeout, final, "INVALID_SESSION_TIMEOUT", "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).";
    27, RebalanceInProgress, final, "REBALANCE_IN_PROGRESS", "The group is rebalancing, so a rejoin is needed.";
    28, InvalidCommitOffsetSize, final, "INVALID_COMMIT_OFFSET_SIZE", "The committing offset data size is not valid.";
    29, TopicAuthorizationFailed, final, "TOPIC_AUTHORIZATION_FAILED", "Topic authorization failed.";
    30, GroupAuthorizationFailed, final, "GROUP_AUTHORIZATION_FAILED", "Group authorization failed.";
    31, ClusterAuthorizationFailed, final, "CLUSTER_AUTHORIZATION_FAILED", "Cluster authorization failed.";
    32, InvalidTimestamp, final, "INVALID_TIMESTAMP", "The timestamp of the message is out of acceptable range.";
    33, UnsupportedSaslMechanism, final, "UNSUPPORTED_SASL_MECHANISM", "The broker does not support the requested SASL mechanism.";
    34, IllegalSaslState, final, "ILLEGAL_SASL_STATE", "Request is not valid given the current SASL state.";
    35, UnsupportedVersion, final, "UNSUPPORTED_VERSION", "The version of API is not supported.";
    36, TopicAlreadyExists, final, "TOPIC_ALREADY_EXISTS", "Topic with this name already exists.";
    37, InvalidPartitions, final, "INVALID_PARTITIONS", "Number of partitions is below 1.";
    38, InvalidReplicationFactor, final, "INVALID_REPLICATION_FACTOR", "Replication factor is below 1 or larger than the number of available brokers.";
    39, InvalidReplicaAssignment, final, "INVALID_REPLICA_ASSIGNMENT", "Replica assignment is invalid.";
    40, InvalidConfig, final, "INVALID_CONFIG", "Configuration is invalid.";
    41, NotController, retriable, "NOT_CONTROLLER", "This is not the correct controller for this cluster.";
    42, InvalidRequest, final, "INVALID_REQUEST", "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.";
    43, UnsupportedForMessageFormat, final, "UNSUPPORTED_FOR_MESSAGE_FORMAT", "The message format version on the broker does not support the request.";
    44, PolicyViolation, final, "POLICY_VIOLATION", "Request parameters do not satisfy the configured policy.";
    45, OutOfOrderSequenceNumber, final, "OUT_OF_ORDER_SEQUENCE_NUMBER", "The broker received an out of order sequence number.";
    46, DuplicateSequenceNumber, final, "DUPLICATE_SEQUENCE_NUMBER", "The broker received a duplicate sequence number.";
    47, InvalidProducerEpoch, final, "INVALID_PRODUCER_EPOCH", "Producer attempted to produce with an old epoch.";
    48, InvalidTxnState, final, "INVALID_TXN_STATE", "The producer attempted a transactional operation in an invalid state.";
    49, InvalidProducerIdMapping, final, "INVALID_PRODUCER_ID_MAPPING", "The producer attempted to use a producer id which is not currently assigned to its transactional id.";
    50, InvalidTransactionTimeout, final, "INVALID_TRANSACTION_TIMEOUT", "The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms).";
    51, ConcurrentTransactions, retriable, "CONCURRENT_TRANSACTIONS", "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing.";
    52, TransactionCoordinatorFenced, final, "TRANSACTION_COORDINATOR_FENCED", "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer.";
    53, TransactionalIdAuthorizationFailed, final, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "Transactional Id authorization failed.";
    54, SecurityDisabled, final, "SECURITY_DISABLED", "Security features are disabled.";
    55, OperationNotAttempted, final, "OPERATION_NOT_ATTEMPTED", "The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest.";
    56, KafkaStorageError, retriable, "KAFKA_STORAGE_ERROR", "Disk error when trying to access log file on the disk.";
    57, LogDirNotFound, final, "LOG_DIR_NOT_FOUND", "The user-specified log directory is not found in the broker config.";
    58, SaslAuthenticationFailed, final, "SASL_AUTHENTICATION_FAILED", "SASL Authentication failed.";
    59, UnknownProducerId, final, "UNKNOWN_PRODUCER_ID", "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.";
    60, ReassignmentInProgress, final, "REASSIGNMENT_IN_PROGRESS", "A partition reassignment is in progress.";
    61, DelegationTokenAuthDisabled, final, "DELEGATION_TOKEN_AUTH_DISABLED", "Delegation Token feature is not enabled.";
    62, DelegationTokenNotFound, final, "DELEGATION_TOKEN_NOT_FOUND", "Delegation Token is not found on server.";
    63, DelegationTokenOwnerMismatch, final, "DELEGATION_TOKEN_OWNER_MISMATCH", "Specified Principal is not valid Owner/Renewer.";
    64, DelegationTokenRequestNotAllowed, final, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels.";
    65, DelegationTokenAuthorizationFailed, final, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", "Delegation Token authorization failed.";
    66, DelegationTokenExpired, final, "DELEGATION_TOKEN_EXPIRED", "Delegation Token is expired.";
    67, InvalidPrincipalType, final, "INVALID_PRINCIPAL_TYPE", "Supplied principalType is not supported.";
    68, NonEmptyGroup, final, "NON_EMPTY_GROUP", "The group is not empty.";
    69, GroupIdNotFound, final, "GROUP_ID_NOT_FOUND", "The group id does not exist.";
    70, FetchSessionIdNotFound, retriable, "FETCH_SESSION_ID_NOT_FOUND", "The fetch session ID was not found.";
    71, InvalidFetchSessionEpoch, retriable, "INVALID_FETCH_SESSION_EPOCH", "The fetch session epoch is invalid.";
    72, ListenerNotFound, retriable, "LISTENER_NOT_FOUND", "There is no listener on the leader broker that matches the listener on which metadata request was processed.";
    73, TopicDeletionDisabled, final, "TOPIC_DELETION_DISABLED", "Topic deletion is disabled.";
    74, FencedLeaderEpoch, retriable, "FENCED_LEADER_EPOCH", "The leader epoch in the request is older than the epoch on the broker.";
    75, UnknownLeaderEpoch, retriable, "UNKNOWN_LEADER_EPOCH", "The leader epoch in the request is newer than the epoch on the broker.";
    76, UnsupportedCompressionType, final, "UNSUPPORTED_COMPRESSION_TYPE", "The requesting client does not support the compression type of given partition.";
    77, StaleBrokerEpoch, final, "STALE_BROKER_EPOCH", "Broker epoch has changed.";
    78, OffsetNotAvailable, retriable, "OFFSET_NOT_AVAILABLE", "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.";
    79, MemberIdRequired, final, "MEMBER_ID_REQUIRED", "The group member needs to have a valid member id before actually entering a consumer group.";
    80, PreferredLeaderNotAvailable, retriable, "PREFERRED_LEADER_NOT_AVAILABLE", "The preferred leader was not available.";
    81, GroupMaxSizeReached, final, "GROUP_MAX_SIZE_REACHED", "The group has reached its maximum size.";
    82, FencedInstanceId, final, "FENCED_INSTANCE_ID", "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.";
    83, EligibleLeadersNotAvailable, retriable, "ELIGIBLE_LEADERS_NOT_AVAILABLE", "Eligible topic partition leaders are not available.";
    84, ElectionNotNeeded, retriable, "ELECTION_NOT_NEEDED", "Leader election not needed for topic partition.";
    85, NoReassignmentInProgress, final, "NO_REASSIGNMENT_IN_PROGRESS", "No partition reassignment is in progress.";
    86, GroupSubscribedToTopic, final, "GROUP_SUBSCRIBED_TO_TOPIC", "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.";
    87, InvalidRecord, final, "INVALID_RECORD", "This record has failed the validation on broker and hence will be rejected.";
    88, UnstableOffsetCommit, retriable, "UNSTABLE_OFFSET_COMMIT", "There are unstable offsets that need to be cleared.";
    89, ThrottlingQuotaExceeded, retriable, "THROTTLING_QUOTA_EXCEEDED", "The throttling quota has been exceeded.";
    90, ProducerFenced, final, "PRODUCER_FENCED", "There is a newer producer with the same transactionalId which fences the current one.";
    91, ResourceNotFound, final, "RESOURCE_NOT_FOUND", "A request illegally referred to a resource that does not exist.";
    92, DuplicateResource, final, "DUPLICATE_RESOURCE", "A request illegally referred to the same resource twice.";
    93, UnacceptableCredential, final, "UNACCEPTABLE_CREDENTIAL", "Requested credential would not meet criteria for acceptability.";
    94, InconsistentVoterSet, final, "INCONSISTENT_VOTER_SET", "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.";
    95, InvalidUpdateVersion, final, "INVALID_UPDATE_VERSION", "The given update version was invalid.";
    96, FeatureUpdateFailed, final, "FEATURE_UPDATE_FAILED", "Unable to update finalized features due to an unexpected server error.";
    97, PrincipalDeserializationFailure, final, "PRINCIPAL_DESERIALIZATION_FAILURE", "Request principal deserialization failed during forwarding. This indicates an internal error on the broker cluster security setup.";
    98, SnapshotNotFound, final, "SNAPSHOT_NOT_FOUND", "Requested snapshot was not found.";
    99, PositionOutOfRange, final, "POSITION_OUT_OF_RANGE", "Requested position is not greater than or equal to zero, and less than the size of the snapshot.";
    100, UnknownTopicId, retriable, "UNKNOWN_TOPIC_ID", "This server does not host this topic ID.";
    101, DuplicateBrokerRegistration, final, "DUPLICATE_BROKER_REGISTRATION", "This broker ID is already in use.";
    102, BrokerIdNotRegistered, final, "BROKER_ID_NOT_REGISTERED", "The given broker ID was not registered.";
    103, InconsistentTopicId, retriable, "INCONSISTENT_TOPIC_ID", "The log's topic ID did not match the topic ID in the request.";
    104, InconsistentClusterId, final, "INCONSISTENT_CLUSTER_ID", "The clusterId in the request does not match that found on the server.";
    105, TransactionalIdNotFound, final, "TRANSACTIONAL_ID_NOT_FOUND", "The transactionalId could not be found.";
    106, FetchSessionTopicIdError, retriable, "FETCH_SESSION_TOPIC_ID_ERROR", "The fetch session encountered inconsistent topic ID usage.";
    107, IneligibleReplica, final, "INELIGIBLE_REPLICA", "The new ISR contains at least one ineligible replica.";
    108, NewLeaderElected, final, "NEW_LEADER_ELECTED", "The AlterPartition request successfully updated the partition state but the leader has changed.";
    109, OffsetMovedToTieredStorage, final, "OFFSET_MOVED_TO_TIERED_STORAGE", "The requested offset is moved to tiered storage.";
    110, FencedMemberEpoch, final, "FENCED_MEMBER_EPOCH", "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin.";
    111, UnreleasedInstanceId, final, "UNRELEASED_INSTANCE_ID", "The instance ID is still used by another member in the consumer group. That member must leave first.";
    112, UnsupportedAssignor, final, "UNSUPPORTED_ASSIGNOR", "The assignor or its version range is not supported by the consumer group.";
    113, StaleMemberEpoch, final, "STALE_MEMBER_EPOCH", "The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.";
    114, MismatchedEndpointType, final, "MISMATCHED_ENDPOINT_TYPE", "The request was sent to an endpoint of the wrong type.";
    115, UnsupportedEndpointType, final, "UNSUPPORTED_ENDPOINT_TYPE", "This endpoint type is not supported yet.";
    116, UnknownControllerId, final, "UNKNOWN_CONTROLLER_ID", "This controller ID is not known.";
    117, UnknownSubscriptionId, final, "UNKNOWN_SUBSCRIPTION_ID", "Client sent a push telemetry request with an invalid or outdated subscription ID.";
    118, TelemetryTooLarge, final, "TELEMETRY_TOO_LARGE", "Client sent a push telemetry request larger than the maximum size the broker will accept.";
    119, InvalidRegistration, final, "INVALID_REGISTRATION", "The controller has considered the broker registration to be invalid.";
    120, TransactionAbortable, final, "TRANSACTION_ABORTABLE", "The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID.";
    121, InvalidRecordState, final, "INVALID_RECORD_STATE", "The record state is invalid. The acknowledgement of delivery could not be completed.";
    122, ShareSessionNotFound, retriable, "SHARE_SESSION_NOT_FOUND", "The share session was not found.";
    123, InvalidShareSessionEpoch, retriable, "INVALID_SHARE_SESSION_EPOCH", "The share session epoch is invalid.";
    124, FencedStateEpoch, final, "FENCED_STATE_EPOCH", "The coordinator rejected the request because the state epoch did not match.";
    125, InvalidVoterKey, final, "INVALID_VOTER_KEY", "The voter key doesn't match the receiving replica's key.";
    126, DuplicateVoter, final, "DUPLICATE_VOTER", "The voter is already part of the set of voters.";
    127, VoterNotFound, final, "VOTER_NOT_FOUND", "The voter is not part of the set of voters.";
    128, InvalidRegularExpression, final, "INVALID_REGULAR_EXPRESSION", "The regular expression is not valid.";
    129, RebootstrapRequired, final, "REBOOTSTRAP_REQUIRED", "Client metadata is stale. The client should rebootstrap to obtain new metadata.";
    130, StreamsInvalidTopology, final, "STREAMS_INVALID_TOPOLOGY", "The supplied topology is invalid.";
    131, StreamsInvalidTopologyEpoch, final, "STREAMS_INVALID_TOPOLOGY_EPOCH", "The supplied topology epoch is invalid.";
    132, StreamsTopologyFenced, final, "STREAMS_TOPOLOGY_FENCED", "The supplied topology epoch is outdated.";
    133, ShareSessionLimitReached, retriable, "SHARE_SESSION_LIMIT_REACHED", "The limit of share sessions has been reached.";
    134, GroupDeletionFailed, final, "GROUP_DELETION_FAILED", "DeleteGroups could not complete; see the error message on the per-group result for details.";
    135, StreamsTopologyDescriptionUpdateFailed, final, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", "The broker could not process the topology description update; see the error message for details.";
    136, ControllerIdNotRegistered, final, "CONTROLLER_ID_NOT_REGISTERED", "The given controller ID was not registered.";
}

impl ErrorCode {
    /// The number as it goes over the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether this is `None`: no error.
    pub const fn is_none(self) -> bool {
        matches!(self, ErrorCode::None)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> ErrorCode {
        ErrorCode::from_code(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> i16 {
        error.code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for &error in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(error.code()), error);
        }
        assert_eq!(ErrorCode::ALL.len(), 138, "Kafka 4.4 has -1 to 136");
    }

    #[test]
    fn codes_have_no_gaps() {
        for (code, error) in (-1i16..).zip(ErrorCode::ALL) {
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn an_unknown_number_is_an_unknown_server_error() {
        assert_eq!(ErrorCode::from_code(i16::MAX), ErrorCode::UnknownServerError);
        assert_eq!(ErrorCode::from_code(-2), ErrorCode::UnknownServerError);
    }

    #[test]
    fn retriable_means_what_the_java_client_retries() {
        assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
        assert!(ErrorCode::KafkaStorageError.is_retriable());
        assert!(!ErrorCode::None.is_retriable());
        assert!(!ErrorCode::UnsupportedVersion.is_retriable());
        assert!(!ErrorCode::RecordListTooLarge.is_retriable());
    }
}
