//! Shapes of the requests about consumer groups and their offsets.
//!
//! The facts are those of Kafka 4.3's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    consumer_group_heartbeat_request, join_group_request, leave_group_request, offset_commit_request,
    offset_delete_request, offset_fetch_request, sync_group_request,
};

use super::super::shape::{
    ARRAY_OF_INT32, ARRAY_OF_STRING, BOOL, BYTES, INT8, INT32, INT64, NEVER, STRING, Shape, UUID, field, structs,
};

/// OffsetCommit (8).
pub(super) static OFFSET_COMMIT: Shape = Shape {
    flexible_from: 8,
    fields: &[
        field("group_id", STRING),
        field("generation_id_or_member_epoch", INT32),
        field("member_id", STRING),
        field("group_instance_id", STRING).since(7).nullable(),
        field("retention_time_ms", INT64).until(4),
        field(
            "topics",
            structs::<offset_commit_request::OffsetCommitRequestTopic>(&[
                field("name", STRING).until(9),
                field("topic_id", UUID).since(10),
                field(
                    "partitions",
                    structs::<offset_commit_request::OffsetCommitRequestPartition>(&[
                        field("partition_index", INT32),
                        field("committed_offset", INT64),
                        field("committed_leader_epoch", INT32).since(6),
                        field("committed_metadata", STRING).nullable(),
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
        field("group_id", STRING).until(7),
        field(
            "topics",
            structs::<offset_fetch_request::OffsetFetchRequestTopic>(&[
                field("name", STRING),
                field("partition_indexes", ARRAY_OF_INT32),
            ]),
        )
        .until(7)
        .nullable_since(2),
        field(
            "groups",
            structs::<offset_fetch_request::OffsetFetchRequestGroup>(&[
                field("group_id", STRING),
                field("member_id", STRING).since(9).nullable(),
                field("member_epoch", INT32).since(9),
                field(
                    "topics",
                    structs::<offset_fetch_request::OffsetFetchRequestTopics>(&[
                        field("name", STRING).until(9),
                        field("topic_id", UUID).since(10),
                        field("partition_indexes", ARRAY_OF_INT32),
                    ]),
                )
                .nullable(),
            ]),
        )
        .since(8),
        field("require_stable", BOOL).since(7),
    ],
};

/// FindCoordinator (10).
pub(super) static FIND_COORDINATOR: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("key", STRING).until(3),
        field("key_type", INT8).since(1),
        field("coordinator_keys", ARRAY_OF_STRING).since(4),
    ],
};

/// JoinGroup (11).
pub(super) static JOIN_GROUP: Shape = Shape {
    flexible_from: 6,
    fields: &[
        field("group_id", STRING),
        field("session_timeout_ms", INT32),
        field("rebalance_timeout_ms", INT32).since(1),
        field("member_id", STRING),
        field("group_instance_id", STRING).since(5).nullable(),
        field("protocol_type", STRING),
        field(
            "protocols",
            structs::<join_group_request::JoinGroupRequestProtocol>(&[field("name", STRING), field("metadata", BYTES)]),
        ),
        field("reason", STRING).since(8).nullable(),
    ],
};

/// Heartbeat (12).
pub(super) static HEARTBEAT: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("group_id", STRING),
        field("generation_id", INT32),
        field("member_id", STRING),
        field("group_instance_id", STRING).since(3).nullable(),
    ],
};

/// LeaveGroup (13).
pub(super) static LEAVE_GROUP: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("group_id", STRING),
        field("member_id", STRING).until(2),
        field(
            "members",
            structs::<leave_group_request::MemberIdentity>(&[
                field("member_id", STRING),
                field("group_instance_id", STRING).nullable(),
                field("reason", STRING).since(5).nullable(),
            ]),
        )
        .since(3),
    ],
};

/// SyncGroup (14).
pub(super) static SYNC_GROUP: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("group_id", STRING),
        field("generation_id", INT32),
        field("member_id", STRING),
        field("group_instance_id", STRING).since(3).nullable(),
        field("protocol_type", STRING).since(5).nullable(),
        field("protocol_name", STRING).since(5).nullable(),
        field(
            "assignments",
            structs::<sync_group_request::SyncGroupRequestAssignment>(&[
                field("member_id", STRING),
                field("assignment", BYTES),
            ]),
        ),
    ],
};

/// DescribeGroups (15).
pub(super) static DESCRIBE_GROUPS: Shape = Shape {
    flexible_from: 5,
    fields: &[field("groups", ARRAY_OF_STRING), field("include_authorized_operations", BOOL).since(3)],
};

/// ListGroups (16).
pub(super) static LIST_GROUPS: Shape = Shape {
    flexible_from: 3,
    fields: &[field("states_filter", ARRAY_OF_STRING).since(4), field("types_filter", ARRAY_OF_STRING).since(5)],
};

/// DeleteGroups (42).
pub(super) static DELETE_GROUPS: Shape = Shape { flexible_from: 2, fields: &[field("groups_names", ARRAY_OF_STRING)] };

/// OffsetDelete (47).
pub(super) static OFFSET_DELETE: Shape = Shape {
    flexible_from: NEVER,
    fields: &[
        field("group_id", STRING),
        field(
            "topics",
            structs::<offset_delete_request::OffsetDeleteRequestTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<offset_delete_request::OffsetDeleteRequestPartition>(&[field("partition_index", INT32)]),
                ),
            ]),
        ),
    ],
};

/// ConsumerGroupHeartbeat (68).
pub(super) static CONSUMER_GROUP_HEARTBEAT: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("group_id", STRING),
        field("member_id", STRING),
        field("member_epoch", INT32),
        field("instance_id", STRING).nullable(),
        field("rack_id", STRING).nullable(),
        field("rebalance_timeout_ms", INT32),
        field("subscribed_topic_names", ARRAY_OF_STRING).nullable(),
        field("subscribed_topic_regex", STRING).since(1).nullable(),
        field("server_assignor", STRING).nullable(),
        field(
            "topic_partitions",
            structs::<consumer_group_heartbeat_request::TopicPartitions>(&[
                field("topic_id", UUID),
                field("partitions", ARRAY_OF_INT32),
            ]),
        )
        .nullable(),
    ],
};

/// ConsumerGroupDescribe (69).
pub(super) static CONSUMER_GROUP_DESCRIBE: Shape = Shape {
    flexible_from: 0,
    fields: &[field("group_ids", ARRAY_OF_STRING), field("include_authorized_operations", BOOL)],
};
