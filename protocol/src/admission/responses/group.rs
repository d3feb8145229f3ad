//! Shapes of the responses about consumer groups and their offsets.
//!
//! The facts are those of Kafka 4.3's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    consumer_group_describe_response, consumer_group_heartbeat_response, delete_groups_response,
    describe_groups_response, find_coordinator_response, join_group_response, leave_group_response,
    list_groups_response, offset_commit_response, offset_delete_response, offset_fetch_response,
};

use super::super::shape::{
    ARRAY_OF_INT32, ARRAY_OF_STRING, BOOL, BYTES, INT8, INT16, INT32, INT64, NEVER, STRING, Shape, UUID, field, nested,
    structs,
};

/// OffsetCommit (8).
pub(super) static OFFSET_COMMIT: Shape = Shape {
    flexible_from: 8,
    fields: &[
        field("throttle_time_ms", INT32).since(3),
        field(
            "topics",
            structs::<offset_commit_response::OffsetCommitResponseTopic>(&[
                field("name", STRING).until(9),
                field("topic_id", UUID).since(10),
                field(
                    "partitions",
                    structs::<offset_commit_response::OffsetCommitResponsePartition>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                    ]),
                ),
            ]),
        ),
    ],
};

/// OffsetFetch (9).
pub(super) static OFFSET_FETCH: Shape = Shape {
    flexible_from: 6,
    fields: &[
        field("throttle_time_ms", INT32).since(3),
        field(
            "topics",
            structs::<offset_fetch_response::OffsetFetchResponseTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<offset_fetch_response::OffsetFetchResponsePartition>(&[
                        field("partition_index", INT32),
                        field("committed_offset", INT64),
                        field("committed_leader_epoch", INT32).since(5),
                        field("metadata", STRING).nullable(),
                        field("error_code", INT16),
                    ]),
                ),
            ]),
        )
        .until(7),
        field("error_code", INT16).since(2).until(7),
        field(
            "groups",
            structs::<offset_fetch_response::OffsetFetchResponseGroup>(&[
                field("group_id", STRING),
                field(
                    "topics",
                    structs::<offset_fetch_response::OffsetFetchResponseTopics>(&[
                        field("name", STRING).until(9),
                        field("topic_id", UUID).since(10),
                        field(
                            "partitions",
                            structs::<offset_fetch_response::OffsetFetchResponsePartitions>(&[
                                field("partition_index", INT32),
                                field("committed_offset", INT64),
                                field("committed_leader_epoch", INT32),
                                field("metadata", STRING).nullable(),
                                field("error_code", INT16),
                            ]),
                        ),
                    ]),
                ),
                field("error_code", INT16),
            ]),
        )
        .since(8),
    ],
};

/// FindCoordinator (10).
pub(super) static FIND_COORDINATOR: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16).until(3),
        field("error_message", STRING).since(1).until(3).nullable(),
        field("node_id", INT32).until(3),
        field("host", STRING).until(3),
        field("port", INT32).until(3),
        field(
            "coordinators",
            structs::<find_coordinator_response::Coordinator>(&[
                field("key", STRING),
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        )
        .since(4),
    ],
};

/// JoinGroup (11).
pub(super) static JOIN_GROUP: Shape = Shape {
    flexible_from: 6,
    fields: &[
        field("throttle_time_ms", INT32).since(2),
        field("error_code", INT16),
        field("generation_id", INT32),
        field("protocol_type", STRING).since(7).nullable(),
        field("protocol_name", STRING).nullable_since(7),
        field("leader", STRING),
        field("skip_assignment", BOOL).since(9),
        field("member_id", STRING),
        field(
            "members",
            structs::<join_group_response::JoinGroupResponseMember>(&[
                field("member_id", STRING),
                field("group_instance_id", STRING).since(5).nullable(),
                field("metadata", BYTES),
            ]),
        ),
    ],
};

/// Heartbeat (12).
pub(super) static HEARTBEAT: Shape =
    Shape { flexible_from: 4, fields: &[field("throttle_time_ms", INT32).since(1), field("error_code", INT16)] };

/// LeaveGroup (13).
pub(super) static LEAVE_GROUP: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16),
        field(
            "members",
            structs::<leave_group_response::MemberResponse>(&[
                field("member_id", STRING),
                field("group_instance_id", STRING).nullable(),
                field("error_code", INT16),
            ]),
        )
        .since(3),
    ],
};

/// SyncGroup (14).
pub(super) static SYNC_GROUP: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16),
        field("protocol_type", STRING).since(5).nullable(),
        field("protocol_name", STRING).since(5).nullable(),
        field("assignment", BYTES),
    ],
};

/// DescribeGroups (15).
pub(super) static DESCRIBE_GROUPS: Shape = Shape {
    flexible_from: 5,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field(
            "groups",
            structs::<describe_groups_response::DescribedGroup>(&[
                field("error_code", INT16),
                field("error_message", STRING).since(6).nullable(),
                field("group_id", STRING),
                field("group_state", STRING),
                field("protocol_type", STRING),
                field("protocol_data", STRING),
                field(
                    "members",
                    structs::<describe_groups_response::DescribedGroupMember>(&[
                        field("member_id", STRING),
                        field("group_instance_id", STRING).since(4).nullable(),
                        field("client_id", STRING),
                        field("client_host", STRING),
                        field("member_metadata", BYTES),
                        field("member_assignment", BYTES),
                    ]),
                ),
                field("authorized_operations", INT32).since(3),
            ]),
        ),
    ],
};

/// ListGroups (16).
pub(super) static LIST_GROUPS: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32).since(1),
        field("error_code", INT16),
        field(
            "groups",
            structs::<list_groups_response::ListedGroup>(&[
                field("group_id", STRING),
                field("protocol_type", STRING),
                field("group_state", STRING).since(4),
                field("group_type", STRING).since(5),
            ]),
        ),
    ],
};

/// DeleteGroups (42).
pub(super) static DELETE_GROUPS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "results",
            structs::<delete_groups_response::DeletableGroupResult>(&[
                field("group_id", STRING),
                field("error_code", INT16),
            ]),
        ),
    ],
};

/// OffsetDelete (47).
pub(super) static OFFSET_DELETE: Shape = Shape {
    flexible_from: NEVER,
    fields: &[
        field("error_code", INT16),
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<offset_delete_response::OffsetDeleteResponseTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<offset_delete_response::OffsetDeleteResponsePartition>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                    ]),
                ),
            ]),
        ),
    ],
};

/// ConsumerGroupHeartbeat (68).
pub(super) static CONSUMER_GROUP_HEARTBEAT: Shape = Shape {
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
                structs::<consumer_group_heartbeat_response::TopicPartitions>(&[
                    field("topic_id", UUID),
                    field("partitions", ARRAY_OF_INT32),
                ]),
            )]),
        )
        .nullable(),
    ],
};

/// ConsumerGroupDescribe (69).
pub(super) static CONSUMER_GROUP_DESCRIBE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "groups",
            structs::<consumer_group_describe_response::DescribedGroup>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field("group_id", STRING),
                field("group_state", STRING),
                field("group_epoch", INT32),
                field("assignment_epoch", INT32),
                field("assignor_name", STRING),
                field(
                    "members",
                    structs::<consumer_group_describe_response::Member>(&[
                        field("member_id", STRING),
                        field("instance_id", STRING).nullable(),
                        field("rack_id", STRING).nullable(),
                        field("member_epoch", INT32),
                        field("client_id", STRING),
                        field("client_host", STRING),
                        field("subscribed_topic_names", ARRAY_OF_STRING),
                        field("subscribed_topic_regex", STRING).nullable(),
                        field(
                            "assignment",
                            nested(&[field(
                                "topic_partitions",
                                structs::<consumer_group_describe_response::TopicPartitions>(&[
                                    field("topic_id", UUID),
                                    field("topic_name", STRING),
                                    field("partitions", ARRAY_OF_INT32),
                                ]),
                            )]),
                        ),
                        field(
                            "target_assignment",
                            nested(&[field(
                                "topic_partitions",
                                structs::<consumer_group_describe_response::TopicPartitions>(&[
                                    field("topic_id", UUID),
                                    field("topic_name", STRING),
                                    field("partitions", ARRAY_OF_INT32),
                                ]),
                            )]),
                        ),
                        field("member_type", INT8).since(1),
                    ]),
                ),
                field("authorized_operations", INT32),
            ]),
        ),
    ],
};
