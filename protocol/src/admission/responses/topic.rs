//! Shapes of the responses about topics, configs and the placement of partitions.
//!
//! The facts are those of Kafka 4.3's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_configs_response, alter_partition_reassignments_response, alter_replica_log_dirs_response,
    create_partitions_response, create_topics_response, delete_topics_response, describe_configs_response,
    describe_log_dirs_response, elect_leaders_response, incremental_alter_configs_response,
    list_config_resources_response, list_partition_reassignments_response,
};

use super::super::shape::{ARRAY_OF_INT32, BOOL, INT8, INT16, INT32, INT64, STRING, Shape, UUID, field, structs};
use crate::newer::DescribedLogDir;

/// CreateTopics (19).
pub(super) static CREATE_TOPICS: Shape = Shape {
    flexible_from: 5,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<create_topics_response::CreatableTopicResult>(&[
                field("name", STRING),
                field("topic_id", UUID).since(7),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field("topic_config_error_code", INT16).tag(0).since(5),
                field("num_partitions", INT32).since(5),
                field("replication_factor", INT16).since(5),
                field(
                    "configs",
                    structs::<create_topics_response::CreatableTopicConfigs>(&[
                        field("name", STRING),
                        field("value", STRING).nullable(),
                        field("read_only", BOOL),
                        field("config_source", INT8),
                        field("is_sensitive", BOOL),
                    ]),
                )
                .since(5)
                .nullable(),
            ]),
        ),
    ],
};

/// DeleteTopics (20).
pub(super) static DELETE_TOPICS: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "responses",
            structs::<delete_topics_response::DeletableTopicResult>(&[
                field("name", STRING).nullable_since(6),
                field("topic_id", UUID).since(6),
                field("error_code", INT16),
                field("error_message", STRING).since(5).nullable(),
            ]),
        ),
    ],
};

/// DescribeConfigs (32).
pub(super) static DESCRIBE_CONFIGS: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "results",
            structs::<describe_configs_response::DescribeConfigsResult>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field("resource_type", INT8),
                field("resource_name", STRING),
                field(
                    "configs",
                    structs::<describe_configs_response::DescribeConfigsResourceResult>(&[
                        field("name", STRING),
                        field("value", STRING).nullable(),
                        field("read_only", BOOL),
                        field("config_source", INT8),
                        field("is_sensitive", BOOL),
                        field(
                            "synonyms",
                            structs::<describe_configs_response::DescribeConfigsSynonym>(&[
                                field("name", STRING),
                                field("value", STRING).nullable(),
                                field("source", INT8),
                            ]),
                        ),
                        field("config_type", INT8).since(3),
                        field("documentation", STRING).since(3).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// AlterConfigs (33).
pub(super) static ALTER_CONFIGS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "responses",
            structs::<alter_configs_response::AlterConfigsResourceResponse>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field("resource_type", INT8),
                field("resource_name", STRING),
            ]),
        ),
    ],
};

/// AlterReplicaLogDirs (34).
pub(super) static ALTER_REPLICA_LOG_DIRS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "results",
            structs::<alter_replica_log_dirs_response::AlterReplicaLogDirTopicResult>(&[
                field("topic_name", STRING),
                field(
                    "partitions",
                    structs::<alter_replica_log_dirs_response::AlterReplicaLogDirPartitionResult>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeLogDirs (35).
pub(super) static DESCRIBE_LOG_DIRS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(3),
        field(
            "results",
            structs::<DescribedLogDir>(&[
                field("error_code", INT16),
                field("log_dir", STRING),
                field(
                    "topics",
                    structs::<describe_log_dirs_response::DescribeLogDirsTopic>(&[
                        field("name", STRING),
                        field(
                            "partitions",
                            structs::<describe_log_dirs_response::DescribeLogDirsPartition>(&[
                                field("partition_index", INT32),
                                field("partition_size", INT64),
                                field("offset_lag", INT64),
                                field("is_future_key", BOOL),
                            ]),
                        ),
                    ]),
                ),
                field("total_bytes", INT64).since(4),
                field("usable_bytes", INT64).since(4),
                field("is_cordoned", BOOL).since(5),
            ]),
        ),
    ],
};

/// CreatePartitions (37).
pub(super) static CREATE_PARTITIONS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "results",
            structs::<create_partitions_response::CreatePartitionsTopicResult>(&[
                field("name", STRING),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        ),
    ],
};

/// ElectLeaders (43).
pub(super) static ELECT_LEADERS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(1),
        field(
            "replica_election_results",
            structs::<elect_leaders_response::ReplicaElectionResult>(&[
                field("topic", STRING),
                field(
                    "partition_result",
                    structs::<elect_leaders_response::PartitionResult>(&[
                        field("partition_id", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// IncrementalAlterConfigs (44).
pub(super) static INCREMENTAL_ALTER_CONFIGS: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "responses",
            structs::<incremental_alter_configs_response::AlterConfigsResourceResponse>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field("resource_type", INT8),
                field("resource_name", STRING),
            ]),
        ),
    ],
};

/// AlterPartitionReassignments (45).
pub(super) static ALTER_PARTITION_REASSIGNMENTS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("allow_replication_factor_change", BOOL).since(1),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "responses",
            structs::<alter_partition_reassignments_response::ReassignableTopicResponse>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<alter_partition_reassignments_response::ReassignablePartitionResponse>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
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
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "topics",
            structs::<list_partition_reassignments_response::OngoingTopicReassignment>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<list_partition_reassignments_response::OngoingPartitionReassignment>(&[
                        field("partition_index", INT32),
                        field("replicas", ARRAY_OF_INT32),
                        field("adding_replicas", ARRAY_OF_INT32),
                        field("removing_replicas", ARRAY_OF_INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// ListConfigResources (74).
pub(super) static LIST_CONFIG_RESOURCES: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field(
            "config_resources",
            structs::<list_config_resources_response::ConfigResource>(&[
                field("resource_name", STRING),
                field("resource_type", INT8).since(1),
            ]),
        ),
    ],
};
