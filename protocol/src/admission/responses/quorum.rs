//! Shapes of the responses about controllers, and brokers that talk to them.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_partition_response, assign_replicas_to_dirs_response, begin_quorum_epoch_response, describe_quorum_response,
    end_quorum_epoch_response, fetch_snapshot_response, vote_response,
};

use super::super::shape::{
    ARRAY_OF_INT32, BOOL, BYTES, INT8, INT16, INT32, INT64, STRING, Shape, UUID, field, nested, structs,
};

/// Vote (52).
pub(super) static VOTE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("error_code", INT16),
        field(
            "topics",
            structs::<vote_response::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<vote_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                        field("vote_granted", BOOL),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<vote_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT16),
            ]),
        )
        .tag(0)
        .since(1),
    ],
};

/// BeginQuorumEpoch (53).
pub(super) static BEGIN_QUORUM_EPOCH: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("error_code", INT16),
        field(
            "topics",
            structs::<begin_quorum_epoch_response::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<begin_quorum_epoch_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<begin_quorum_epoch_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT16),
            ]),
        )
        .tag(0)
        .since(1),
    ],
};

/// EndQuorumEpoch (54).
pub(super) static END_QUORUM_EPOCH: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("error_code", INT16),
        field(
            "topics",
            structs::<end_quorum_epoch_response::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<end_quorum_epoch_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<end_quorum_epoch_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT16),
            ]),
        )
        .tag(0)
        .since(1),
    ],
};

/// DescribeQuorum (55).
pub(super) static DESCRIBE_QUORUM: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("error_code", INT16),
        field("error_message", STRING).since(2).nullable(),
        field(
            "topics",
            structs::<describe_quorum_response::TopicData>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<describe_quorum_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).since(2).nullable(),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                        field("high_watermark", INT64),
                        field(
                            "current_voters",
                            structs::<describe_quorum_response::ReplicaState>(&[
                                field("replica_id", INT32),
                                field("replica_directory_id", UUID).since(2),
                                field("log_end_offset", INT64),
                                field("last_fetch_timestamp", INT64).since(1),
                                field("last_caught_up_timestamp", INT64).since(1),
                            ]),
                        ),
                        field(
                            "observers",
                            structs::<describe_quorum_response::ReplicaState>(&[
                                field("replica_id", INT32),
                                field("replica_directory_id", UUID).since(2),
                                field("log_end_offset", INT64),
                                field("last_fetch_timestamp", INT64).since(1),
                                field("last_caught_up_timestamp", INT64).since(1),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
        field(
            "nodes",
            structs::<describe_quorum_response::Node>(&[
                field("node_id", INT32),
                field(
                    "listeners",
                    structs::<describe_quorum_response::Listener>(&[
                        field("name", STRING),
                        field("host", STRING),
                        field("port", INT16),
                    ]),
                ),
            ]),
        )
        .since(2),
    ],
};

/// AlterPartition (56).
pub(super) static ALTER_PARTITION: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field(
            "topics",
            structs::<alter_partition_response::TopicData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<alter_partition_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                        field("isr", ARRAY_OF_INT32),
                        field("leader_recovery_state", INT8),
                        field("partition_epoch", INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// Envelope (58).
pub(super) static ENVELOPE: Shape =
    Shape { flexible_from: 0, fields: &[field("response_data", BYTES).nullable(), field("error_code", INT16)] };

/// FetchSnapshot (59).
pub(super) static FETCH_SNAPSHOT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field(
            "topics",
            structs::<fetch_snapshot_response::TopicSnapshot>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<fetch_snapshot_response::PartitionSnapshot>(&[
                        field("index", INT32),
                        field("error_code", INT16),
                        field("snapshot_id", nested(&[field("end_offset", INT64), field("epoch", INT32)])),
                        field("current_leader", nested(&[field("leader_id", INT32), field("leader_epoch", INT32)]))
                            .tag(0),
                        field("size", INT64),
                        field("position", INT64),
                        field("unaligned_records", BYTES),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<fetch_snapshot_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT16),
            ]),
        )
        .tag(0)
        .since(1),
    ],
};

/// BrokerRegistration (62).
pub(super) static BROKER_REGISTRATION: Shape = Shape {
    flexible_from: 0,
    fields: &[field("throttle_time_ms", INT32), field("error_code", INT16), field("broker_epoch", INT64)],
};

/// BrokerHeartbeat (63).
pub(super) static BROKER_HEARTBEAT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("is_caught_up", BOOL),
        field("is_fenced", BOOL),
        field("should_shut_down", BOOL),
    ],
};

/// AllocateProducerIds (67).
pub(super) static ALLOCATE_PRODUCER_IDS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("producer_id_start", INT64),
        field("producer_id_len", INT32),
    ],
};

/// ControllerRegistration (70).
pub(super) static CONTROLLER_REGISTRATION: Shape = Shape {
    flexible_from: 0,
    fields: &[field("throttle_time_ms", INT32), field("error_code", INT16), field("error_message", STRING).nullable()],
};

/// AssignReplicasToDirs (73).
pub(super) static ASSIGN_REPLICAS_TO_DIRS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field(
            "directories",
            structs::<assign_replicas_to_dirs_response::DirectoryData>(&[
                field("id", UUID),
                field(
                    "topics",
                    structs::<assign_replicas_to_dirs_response::TopicData>(&[
                        field("topic_id", UUID),
                        field(
                            "partitions",
                            structs::<assign_replicas_to_dirs_response::PartitionData>(&[
                                field("partition_index", INT32),
                                field("error_code", INT16),
                            ]),
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
    fields: &[field("throttle_time_ms", INT32), field("error_code", INT16), field("error_message", STRING).nullable()],
};

/// RemoveRaftVoter (81).
pub(super) static REMOVE_RAFT_VOTER: Shape = Shape {
    flexible_from: 0,
    fields: &[field("throttle_time_ms", INT32), field("error_code", INT16), field("error_message", STRING).nullable()],
};

/// UpdateRaftVoter (82).
pub(super) static UPDATE_RAFT_VOTER: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field(
            "current_leader",
            nested(&[
                field("leader_id", INT32),
                field("leader_epoch", INT32),
                field("host", STRING),
                field("port", INT32),
            ]),
        )
        .tag(0),
    ],
};
