//! Shapes of the requests about topics, configs and the placement of partitions.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_configs_request, alter_partition_reassignments_request, alter_replica_log_dirs_request,
    create_partitions_request, create_topics_request, delete_topics_request, describe_configs_request,
    describe_log_dirs_request, elect_leaders_request, incremental_alter_configs_request,
    list_partition_reassignments_request,
};

use super::super::shape::{
    ARRAY_OF_INT8, ARRAY_OF_INT32, ARRAY_OF_STRING, BOOL, INT8, INT16, INT32, STRING, Shape, UUID, field, structs,
};

/// CreateTopics (19).
pub(super) static CREATE_TOPICS: Shape = Shape {
    flexible_from: 5,
    fields: &[
        field(
            "topics",
            structs::<create_topics_request::CreatableTopic>(&[
                field("name", STRING),
                field("num_partitions", INT32),
                field("replication_factor", INT16),
                field(
                    "assignments",
                    structs::<create_topics_request::CreatableReplicaAssignment>(&[
                        field("partition_index", INT32),
                        field("broker_ids", ARRAY_OF_INT32),
                    ]),
                ),
                field(
                    "configs",
                    structs::<create_topics_request::CreatableTopicConfig>(&[
                        field("name", STRING),
                        field("value", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
        field("timeout_ms", INT32),
        field("validate_only", BOOL),
    ],
};

/// DeleteTopics (20).
pub(super) static DELETE_TOPICS: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field(
            "topics",
            structs::<delete_topics_request::DeleteTopicState>(&[
                field("name", STRING).nullable(),
                field("topic_id", UUID),
            ]),
        )
        .since(6),
        field("topic_names", ARRAY_OF_STRING).until(5),
        field("timeout_ms", INT32),
    ],
};

/// DescribeConfigs (32).
pub(super) static DESCRIBE_CONFIGS: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field(
            "resources",
            structs::<describe_configs_request::DescribeConfigsResource>(&[
                field("resource_type", INT8),
                field("resource_name", STRING),
                field("configuration_keys", ARRAY_OF_STRING).nullable(),
            ]),
        ),
        field("include_synonyms", BOOL),
        field("include_documentation", BOOL).since(3),
    ],
};

/// AlterConfigs (33).
pub(super) static ALTER_CONFIGS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field(
            "resources",
            structs::<alter_configs_request::AlterConfigsResource>(&[
                field("resource_type", INT8),
                field("resource_name", STRING),
                field(
                    "configs",
                    structs::<alter_configs_request::AlterableConfig>(&[
                        field("name", STRING),
                        field("value", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
        field("validate_only", BOOL),
    ],
};

/// AlterReplicaLogDirs (34).
pub(super) static ALTER_REPLICA_LOG_DIRS: Shape = Shape {
    flexible_from: 2,
    fields: &[field(
        "dirs",
        structs::<alter_replica_log_dirs_request::AlterReplicaLogDir>(&[
            field("path", STRING),
            field(
                "topics",
                structs::<alter_replica_log_dirs_request::AlterReplicaLogDirTopic>(&[
                    field("name", STRING),
                    field("partitions", ARRAY_OF_INT32),
                ]),
            ),
        ]),
    )],
};

/// DescribeLogDirs (35).
pub(super) static DESCRIBE_LOG_DIRS: Shape = Shape {
    flexible_from: 2,
    fields: &[field(
        "topics",
        structs::<describe_log_dirs_request::DescribableLogDirTopic>(&[
            field("topic", STRING),
            field("partitions", ARRAY_OF_INT32),
        ]),
    )
    .nullable()],
};

/// CreatePartitions (37).
pub(super) static CREATE_PARTITIONS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field(
            "topics",
            structs::<create_partitions_request::CreatePartitionsTopic>(&[
                field("name", STRING),
                field("count", INT32),
                field(
                    "assignments",
                    structs::<create_partitions_request::CreatePartitionsAssignment>(&[field(
                        "broker_ids",
                        ARRAY_OF_INT32,
                    )]),
                )
                .nullable(),
            ]),
        ),
        field("timeout_ms", INT32),
        field("validate_only", BOOL),
    ],
};

/// ElectLeaders (43).
pub(super) static ELECT_LEADERS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("election_type", INT8).since(1),
        field(
            "topic_partitions",
            structs::<elect_leaders_request::TopicPartitions>(&[
                field("topic", STRING),
                field("partitions", ARRAY_OF_INT32),
            ]),
        )
        .nullable(),
        field("timeout_ms", INT32),
    ],
};

/// IncrementalAlterConfigs (44).
pub(super) static INCREMENTAL_ALTER_CONFIGS: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field(
            "resources",
            structs::<incremental_alter_configs_request::AlterConfigsResource>(&[
                field("resource_type", INT8),
                field("resource_name", STRING),
                field(
                    "configs",
                    structs::<incremental_alter_configs_request::AlterableConfig>(&[
                        field("name", STRING),
                        field("config_operation", INT8),
                        field("value", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
        field("validate_only", BOOL),
    ],
};

/// AlterPartitionReassignments (45).
pub(super) static ALTER_PARTITION_REASSIGNMENTS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field("allow_replication_factor_change", BOOL).since(1),
        field(
            "topics",
            structs::<alter_partition_reassignments_request::ReassignableTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<alter_partition_reassignments_request::ReassignablePartition>(&[
                        field("partition_index", INT32),
                        field("replicas", ARRAY_OF_INT32).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// ListPartitionReassignments (46).
pub(super) static LIST_PARTITION_REASSIGNMENTS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field(
            "topics",
            structs::<list_partition_reassignments_request::ListPartitionReassignmentsTopics>(&[
                field("name", STRING),
                field("partition_indexes", ARRAY_OF_INT32),
            ]),
        )
        .nullable(),
    ],
};

/// ListConfigResources (74).
pub(super) static LIST_CONFIG_RESOURCES: Shape =
    Shape { flexible_from: 0, fields: &[field("resource_types", ARRAY_OF_INT8).since(1)] };
