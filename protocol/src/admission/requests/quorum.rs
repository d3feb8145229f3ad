//! Shapes of the requests about controllers, and brokers that talk to them.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    add_raft_voter_request, alter_partition_request, assign_replicas_to_dirs_request, begin_quorum_epoch_request,
    broker_registration_request, controller_registration_request, describe_quorum_request, end_quorum_epoch_request,
    fetch_snapshot_request, update_raft_voter_request, vote_request,
};

use super::super::shape::{
    ARRAY_OF_INT32, ARRAY_OF_UUID, BOOL, BYTES, INT8, INT16, INT32, INT64, STRING, Shape, UUID, field, nested, structs,
};

/// Vote (52).
pub(super) static VOTE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("cluster_id", STRING).nullable(),
        field("voter_id", INT32).since(1),
        field(
            "topics",
            structs::<vote_request::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<vote_request::PartitionData>(&[
                        field("partition_index", INT32),
                        field("replica_epoch", INT32),
                        field("replica_id", INT32),
                        field("replica_directory_id", UUID).since(1),
                        field("voter_directory_id", UUID).since(1),
                        field("last_offset_epoch", INT32),
                        field("last_offset", INT64),
                        field("pre_vote", BOOL).since(2),
                    ]),
                ),
            ]),
        ),
    ],
};

/// BeginQuorumEpoch (53).
pub(super) static BEGIN_QUORUM_EPOCH: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("cluster_id", STRING).nullable(),
        field("voter_id", INT32).since(1),
        field(
            "topics",
            structs::<begin_quorum_epoch_request::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<begin_quorum_epoch_request::PartitionData>(&[
                        field("partition_index", INT32),
                        field("voter_directory_id", UUID).since(1),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                    ]),
                ),
            ]),
        ),
        field(
            "leader_endpoints",
            structs::<begin_quorum_epoch_request::LeaderEndpoint>(&[
                field("name", STRING),
                field("host", STRING),
                field("port", INT16),
            ]),
        )
        .since(1),
    ],
};

/// EndQuorumEpoch (54).
pub(super) static END_QUORUM_EPOCH: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("cluster_id", STRING).nullable(),
        field(
            "topics",
            structs::<end_quorum_epoch_request::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<end_quorum_epoch_request::PartitionData>(&[
                        field("partition_index", INT32),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                        field("preferred_successors", ARRAY_OF_INT32).until(0),
                        field(
                            "preferred_candidates",
                            structs::<end_quorum_epoch_request::ReplicaInfo>(&[
                                field("candidate_id", INT32),
                                field("candidate_directory_id", UUID),
                            ]),
                        )
                        .since(1),
                    ]),
                ),
            ]),
        ),
        field(
            "leader_endpoints",
            structs::<end_quorum_epoch_request::LeaderEndpoint>(&[
                field("name", STRING),
                field("host", STRING),
                field("port", INT16),
            ]),
        )
        .since(1),
    ],
};

/// DescribeQuorum (55).
pub(super) static DESCRIBE_QUORUM: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "topics",
        structs::<describe_quorum_request::TopicData>(&[
            field("topic_name", STRING),
            field("partitions", structs::<describe_quorum_request::PartitionData>(&[field("partition_index", INT32)])),
        ]),
    )],
};

/// AlterPartition (56).
pub(super) static ALTER_PARTITION: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("broker_id", INT32),
        field("broker_epoch", INT64),
        field(
            "topics",
            structs::<alter_partition_request::TopicData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<alter_partition_request::PartitionData>(&[
                        field("partition_index", INT32),
                        field("leader_epoch", INT32),
                        field("new_isr", ARRAY_OF_INT32).until(2),
                        field(
                            "new_isr_with_epochs",
                            structs::<alter_partition_request::BrokerState>(&[
                                field("broker_id", INT32),
                                field("broker_epoch", INT64),
                            ]),
                        )
                        .since(3),
                        field("leader_recovery_state", INT8),
                        field("partition_epoch", INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// Envelope (58).
pub(super) static ENVELOPE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("request_data", BYTES),
        field("request_principal", BYTES).nullable(),
        field("client_host_address", BYTES),
    ],
};

/// FetchSnapshot (59).
pub(super) static FETCH_SNAPSHOT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("cluster_id", STRING).tag(0).nullable(),
        field("replica_id", INT32),
        field("max_bytes", INT32),
        field(
            "topics",
            structs::<fetch_snapshot_request::TopicSnapshot>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<fetch_snapshot_request::PartitionSnapshot>(&[
                        field("partition", INT32),
                        field("current_leader_epoch", INT32),
                        field("snapshot_id", nested(&[field("end_offset", INT64), field("epoch", INT32)])),
                        field("position", INT64),
                        field("replica_directory_id", UUID).tag(0).since(1),
                    ]),
                ),
            ]),
        ),
    ],
};

/// BrokerRegistration (62).
pub(super) static BROKER_REGISTRATION: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("broker_id", INT32),
        field("cluster_id", STRING),
        field("incarnation_id", UUID),
        field(
            "listeners",
            structs::<broker_registration_request::Listener>(&[
                field("name", STRING),
                field("host", STRING),
                field("port", INT16),
                field("security_protocol", INT16),
            ]),
        ),
        field(
            "features",
            structs::<broker_registration_request::Feature>(&[
                field("name", STRING),
                field("min_supported_version", INT16),
                field("max_supported_version", INT16),
            ]),
        ),
        field("rack", STRING).nullable(),
        field("is_migrating_zk_broker", BOOL).since(1),
        field("log_dirs", ARRAY_OF_UUID).since(2),
        field("previous_broker_epoch", INT64).since(3),
    ],
};

/// BrokerHeartbeat (63).
pub(super) static BROKER_HEARTBEAT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("broker_id", INT32),
        field("broker_epoch", INT64),
        field("current_metadata_offset", INT64),
        field("want_fence", BOOL),
        field("want_shut_down", BOOL),
        field("offline_log_dirs", ARRAY_OF_UUID).tag(0).since(1),
    ],
};

/// AllocateProducerIds (67).
pub(super) static ALLOCATE_PRODUCER_IDS: Shape =
    Shape { flexible_from: 0, fields: &[field("broker_id", INT32), field("broker_epoch", INT64)] };

/// ControllerRegistration (70).
pub(super) static CONTROLLER_REGISTRATION: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("controller_id", INT32),
        field("incarnation_id", UUID),
        field("zk_migration_ready", BOOL),
        field(
            "listeners",
            structs::<controller_registration_request::Listener>(&[
                field("name", STRING),
                field("host", STRING),
                field("port", INT16),
                field("security_protocol", INT16),
            ]),
        ),
        field(
            "features",
            structs::<controller_registration_request::Feature>(&[
                field("name", STRING),
                field("min_supported_version", INT16),
                field("max_supported_version", INT16),
            ]),
        ),
    ],
};

/// AssignReplicasToDirs (73).
pub(super) static ASSIGN_REPLICAS_TO_DIRS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("broker_id", INT32),
        field("broker_epoch", INT64),
        field(
            "directories",
            structs::<assign_replicas_to_dirs_request::DirectoryData>(&[
                field("id", UUID),
                field(
                    "topics",
                    structs::<assign_replicas_to_dirs_request::TopicData>(&[
                        field("topic_id", UUID),
                        field(
                            "partitions",
                            structs::<assign_replicas_to_dirs_request::PartitionData>(&[field(
                                "partition_index",
                                INT32,
                            )]),
                        ),
                    ]),
                ),
            ]),
        ),
    ],
};

/// AddRaftVoter (80).
pub(super) static ADD_RAFT_VOTER: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("cluster_id", STRING).nullable(),
        field("timeout_ms", INT32),
        field("voter_id", INT32),
        field("voter_directory_id", UUID),
        field(
            "listeners",
            structs::<add_raft_voter_request::Listener>(&[
                field("name", STRING),
                field("host", STRING),
                field("port", INT16),
            ]),
        ),
    ],
};

/// RemoveRaftVoter (81).
pub(super) static REMOVE_RAFT_VOTER: Shape = Shape {
    flexible_from: 0,
    fields: &[field("cluster_id", STRING).nullable(), field("voter_id", INT32), field("voter_directory_id", UUID)],
};

/// UpdateRaftVoter (82).
pub(super) static UPDATE_RAFT_VOTER: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("cluster_id", STRING).nullable(),
        field("current_leader_epoch", INT32),
        field("voter_id", INT32),
        field("voter_directory_id", UUID),
        field(
            "listeners",
            structs::<update_raft_voter_request::Listener>(&[
                field("name", STRING),
                field("host", STRING),
                field("port", INT16),
            ]),
        ),
        field(
            "k_raft_version_feature",
            nested(&[field("min_supported_version", INT16), field("max_supported_version", INT16)]),
        ),
    ],
};
