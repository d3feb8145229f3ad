//! Shapes of the requests about share groups.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_share_group_offsets_request, delete_share_group_offsets_request, delete_share_group_state_request,
    describe_share_group_offsets_request, initialize_share_group_state_request, read_share_group_state_request,
    read_share_group_state_summary_request, share_acknowledge_request, share_fetch_request,
    write_share_group_state_request,
};

use super::super::shape::{
    ARRAY_OF_INT8, ARRAY_OF_INT32, ARRAY_OF_STRING, BOOL, INT8, INT16, INT32, INT64, STRING, Shape, UUID, field,
    structs,
};

/// ShareGroupHeartbeat (76).
pub(super) static SHARE_GROUP_HEARTBEAT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field("member_id", STRING),
        field("member_epoch", INT32),
        field("rack_id", STRING).nullable(),
        field("subscribed_topic_names", ARRAY_OF_STRING).nullable(),
    ],
};

/// ShareGroupDescribe (77).
pub(super) static SHARE_GROUP_DESCRIBE: Shape = Shape {
    flexible_from: 0,
    fields: &[field("group_ids", ARRAY_OF_STRING), field("include_authorized_operations", BOOL)],
};

/// ShareFetch (78).
pub(super) static SHARE_FETCH: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING).nullable(),
        field("member_id", STRING).nullable(),
        field("share_session_epoch", INT32),
        field("max_wait_ms", INT32),
        field("min_bytes", INT32),
        field("max_bytes", INT32),
        field("max_records", INT32),
        field("batch_size", INT32),
        field(
            "topics",
            structs::<share_fetch_request::FetchTopic>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<share_fetch_request::FetchPartition>(&[
                        field("partition_index", INT32),
                        field(
                            "acknowledgement_batches",
                            structs::<share_fetch_request::AcknowledgementBatch>(&[
                                field("first_offset", INT64),
                                field("last_offset", INT64),
                                field("acknowledge_types", ARRAY_OF_INT8),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
        field(
            "forgotten_topics_data",
            structs::<share_fetch_request::ForgottenTopic>(&[
                field("topic_id", UUID),
                field("partitions", ARRAY_OF_INT32),
            ]),
        ),
    ],
};

/// ShareAcknowledge (79).
pub(super) static SHARE_ACKNOWLEDGE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING).nullable(),
        field("member_id", STRING).nullable(),
        field("share_session_epoch", INT32),
        field(
            "topics",
            structs::<share_acknowledge_request::AcknowledgeTopic>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<share_acknowledge_request::AcknowledgePartition>(&[
                        field("partition_index", INT32),
                        field(
                            "acknowledgement_batches",
                            structs::<share_acknowledge_request::AcknowledgementBatch>(&[
                                field("first_offset", INT64),
                                field("last_offset", INT64),
                                field("acknowledge_types", ARRAY_OF_INT8),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
    ],
};

/// InitializeShareGroupState (83).
pub(super) static INITIALIZE_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<initialize_share_group_state_request::InitializeStateData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<initialize_share_group_state_request::PartitionData>(&[
                        field("partition", INT32),
                        field("state_epoch", INT32),
                        field("start_offset", INT64),
                    ]),
                ),
            ]),
        ),
    ],
};

/// ReadShareGroupState (84).
pub(super) static READ_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<read_share_group_state_request::ReadStateData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<read_share_group_state_request::PartitionData>(&[
                        field("partition", INT32),
                        field("leader_epoch", INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// WriteShareGroupState (85).
pub(super) static WRITE_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<write_share_group_state_request::WriteStateData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<write_share_group_state_request::PartitionData>(&[
                        field("partition", INT32),
                        field("state_epoch", INT32),
                        field("leader_epoch", INT32),
                        field("start_offset", INT64),
                        field(
                            "state_batches",
                            structs::<write_share_group_state_request::StateBatch>(&[
                                field("first_offset", INT64),
                                field("last_offset", INT64),
                                field("delivery_state", INT8),
                                field("delivery_count", INT16),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DeleteShareGroupState (86).
pub(super) static DELETE_SHARE_GROUP_STATE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<delete_share_group_state_request::DeleteStateData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<delete_share_group_state_request::PartitionData>(&[field("partition", INT32)]),
                ),
            ]),
        ),
    ],
};

/// ReadShareGroupStateSummary (87).
pub(super) static READ_SHARE_GROUP_STATE_SUMMARY: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<read_share_group_state_summary_request::ReadStateSummaryData>(&[
                field("topic_id", UUID),
                field(
                    "partitions",
                    structs::<read_share_group_state_summary_request::PartitionData>(&[
                        field("partition", INT32),
                        field("leader_epoch", INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeShareGroupOffsets (90).
pub(super) static DESCRIBE_SHARE_GROUP_OFFSETS: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "groups",
        structs::<describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup>(&[
            field("group_id", STRING),
            field(
                "topics",
                structs::<describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic>(&[
                    field("topic_name", STRING),
                    field("partitions", ARRAY_OF_INT32),
                ]),
            )
            .nullable(),
        ]),
    )],
};

/// AlterShareGroupOffsets (91).
pub(super) static ALTER_SHARE_GROUP_OFFSETS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition>(&[
                        field("partition_index", INT32),
                        field("start_offset", INT64),
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
        field("group_id", STRING),
        field(
            "topics",
            structs::<delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic>(&[field(
                "topic_name",
                STRING,
            )]),
        ),
    ],
};
