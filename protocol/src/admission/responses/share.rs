//! Shapes of the responses about share groups.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_share_group_offsets_response, delete_share_group_offsets_response, delete_share_group_state_response,
    describe_share_group_offsets_response, initialize_share_group_state_response, read_share_group_state_response,
    read_share_group_state_summary_response, share_acknowledge_response, share_fetch_response,
    share_group_describe_response, share_group_heartbeat_response, write_share_group_state_response,
};

use super::super::shape::{
    ARRAY_OF_INT32, ARRAY_OF_STRING, BYTES, INT8, INT16, INT32, INT64, STRING, Shape, UUID, field, nested, structs,
};

/// ShareGroupHeartbeat (76).
pub(super) static SHARE_GROUP_HEARTBEAT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field("member_id", STRING).nullable(),
        field("member_epoch", INT32),
        field("heartbeat_interval_ms", INT32),
        field(
            "assignment",
            nested(&[field(
                "topic_partitions",
                structs::<share_group_heartbeat_response::TopicPartitions>(&[
                    field("topic_id", UUID),
                    field("partitions", ARRAY_OF_INT32),
                ]),
            )]),
        )
        .nullable(),
    ],
};

/// ShareGroupDescribe (77).
pub(super) static SHARE_GROUP_DESCRIBE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "groups",
            structs::<share_group_describe_response::DescribedGroup>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field("group_id", STRING),
                field("group_state", STRING),
                field("group_epoch", INT32),
                field("assignment_epoch", INT32),
                field("assignor_name", STRING),
                field(
                    "members",
                    structs::<share_group_describe_response::Member>(&[
                        field("member_id", STRING),
                        field("rack_id", STRING).nullable(),
                        field("member_epoch", INT32),
                        field("client_id", STRING),
                        field("client_host", STRING),
                        field("subscribed_topic_names", ARRAY_OF_STRING),
                        field(
                            "assignment",
                            nested(&[field(
                                "topic_partitions",
                                structs::<share_group_describe_response::TopicPartitions>(&[
                                    field("topic_id", UUID),
                                    field("topic_name", STRING),
                                    field("partitions", ARRAY_OF_INT32),
                                ]),
                            )]),
                        ),
                    ]),
                ),
                field("authorized_operations", INT32),
            ]),
        ),
    ],
};

/// ShareFetch (78).
pub(super) static SHARE_FETCH: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field("acquisition_lock_timeout_ms", INT32),
        field(
            "responses",
            structs::<share_fetch_response::ShareFetchableTopicResponse>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<share_fetch_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
                        field("acknowledge_error_code", INT16),
                        field("acknowledge_error_message", STRING).nullable(),
                        field("current_leader", nested(&[field("leader_id", INT32), field("leader_epoch", INT32)])),
                        field("records", BYTES),
                        field(
                            "acquired_records",
                            structs::<share_fetch_response::AcquiredRecords>(&[
                                field("first_offset", INT64),
                                field("last_offset", INT64),
                                field("delivery_count", INT16),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<share_fetch_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("rack", STRING).nullable(),
            ]),
        ),
    ],
};

/// ShareAcknowledge (79).
pub(super) static SHARE_ACKNOWLEDGE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "responses",
            structs::<share_acknowledge_response::ShareAcknowledgeTopicResponse>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<share_acknowledge_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
                        field("current_leader", nested(&[field("leader_id", INT32), field("leader_epoch", INT32)])),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<share_acknowledge_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("rack", STRING).nullable(),
            ]),
        ),
    ],
};

/// InitializeShareGroupState (83).
pub(super) static INITIALIZE_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "results",
        structs::<initialize_share_group_state_response::InitializeStateResult>(&[
            field("topic_id", UUID),
            field(
                "partitions",
                structs::<initialize_share_group_state_response::PartitionResult>(&[
                    field("partition", INT32),
                    field("error_code", INT16),
                    field("error_message", STRING).nullable(),
                ]),
            ),
        ]),
    )],
};

/// ReadShareGroupState (84).
pub(super) static READ_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "results",
        structs::<read_share_group_state_response::ReadStateResult>(&[
            field("topic_id", UUID),
            field(
                "partitions",
                structs::<read_share_group_state_response::PartitionResult>(&[
                    field("partition", INT32),
                    field("error_code", INT16),
                    field("error_message", STRING).nullable(),
                    field("state_epoch", INT32),
                    field("start_offset", INT64),
                    field(
                        "state_batches",
                        structs::<read_share_group_state_response::StateBatch>(&[
                            field("first_offset", INT64),
                            field("last_offset", INT64),
                            field("delivery_state", INT8),
                            field("delivery_count", INT16),
                        ]),
                    ),
                ]),
            ),
        ]),
    )],
};

/// WriteShareGroupState (85).
pub(super) static WRITE_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "results",
        structs::<write_share_group_state_response::WriteStateResult>(&[
            field("topic_id", UUID),
            field(
                "partitions",
                structs::<write_share_group_state_response::PartitionResult>(&[
                    field("partition", INT32),
                    field("error_code", INT16),
                    field("error_message", STRING).nullable(),
                ]),
            ),
        ]),
    )],
};

/// DeleteShareGroupState (86).
pub(super) static DELETE_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "results",
        structs::<delete_share_group_state_response::DeleteStateResult>(&[
            field("topic_id", UUID),
            field(
                "partitions",
                structs::<delete_share_group_state_response::PartitionResult>(&[
                    field("partition", INT32),
                    field("error_code", INT16),
                    field("error_message", STRING).nullable(),
                ]),
            ),
        ]),
    )],
};

/// ReadShareGroupStateSummary (87).
pub(super) static READ_SHARE_GROUP_STATE_SUMMARY: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "results",
        structs::<read_share_group_state_summary_response::ReadStateSummaryResult>(&[
            field("topic_id", UUID),
            field(
                "partitions",
                structs::<read_share_group_state_summary_response::PartitionResult>(&[
                    field("partition", INT32),
                    field("error_code", INT16),
                    field("error_message", STRING).nullable(),
                    field("state_epoch", INT32),
                    field("leader_epoch", INT32),
                    field("start_offset", INT64),
                ]),
            ),
        ]),
    )],
};

/// DescribeShareGroupOffsets (90).
pub(super) static DESCRIBE_SHARE_GROUP_OFFSETS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "groups",
            structs::<describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup>(&[
                field("group_id", STRING),
                field(
                    "topics",
                    structs::<describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseTopic>(&[
                        field("topic_name", STRING),
                        field("topic_id", UUID),
                        field(
                            "partitions",
                            structs::<describe_share_group_offsets_response::DescribeShareGroupOffsetsResponsePartition>(
                                &[
                                    field("partition_index", INT32),
                                    field("start_offset", INT64),
                                    field("leader_epoch", INT32),
                                    field("error_code", INT16),
                                    field("error_message", STRING).nullable(),
                                ],
                            ),
                        ),
                    ]),
                ),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        ),
    ],
};

/// AlterShareGroupOffsets (91).
pub(super) static ALTER_SHARE_GROUP_OFFSETS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "responses",
            structs::<alter_share_group_offsets_response::AlterShareGroupOffsetsResponseTopic>(&[
                field("topic_name", STRING),
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<alter_share_group_offsets_response::AlterShareGroupOffsetsResponsePartition>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DeleteShareGroupOffsets (92).
pub(super) static DELETE_SHARE_GROUP_OFFSETS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "responses",
            structs::<delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic>(&[
                field("topic_name", STRING),
                field("topic_id", UUID),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        ),
    ],
};
