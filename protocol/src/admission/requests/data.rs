//! Shapes of the requests about records and where they are.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    delete_records_request, describe_producers_request, describe_topic_partitions_request, fetch_request,
    list_offsets_request, metadata_request, offset_for_leader_epoch_request, produce_request,
};

use super::super::shape::{
    ARRAY_OF_INT32, BOOL, BYTES, INT8, INT16, INT32, INT64, STRING, Shape, UUID, field, nested, structs,
};

/// Produce (0).
pub(super) static PRODUCE: Shape = Shape {
    flexible_from: 9,
    fields: &[
        field("transactional_id", STRING).nullable(),
        field("acks", INT16),
        field("timeout_ms", INT32),
        field(
            "topic_data",
            structs::<produce_request::TopicProduceData>(&[
                field("name", STRING).until(12),
                field("topic_id", UUID).since(13),
                field(
                    "partition_data",
                    structs::<produce_request::PartitionProduceData>(&[
                        field("index", INT32),
                        field("records", BYTES).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// Fetch (1).
pub(super) static FETCH: Shape = Shape {
    flexible_from: 12,
    fields: &[
        field("cluster_id", STRING).tag(0).since(12).nullable(),
        field("replica_id", INT32).until(14),
        field("replica_state", nested(&[field("replica_id", INT32), field("replica_epoch", INT64)])).tag(1).since(15),
        field("max_wait_ms", INT32),
        field("min_bytes", INT32),
        field("max_bytes", INT32),
        field("isolation_level", INT8),
        field("session_id", INT32).since(7),
        field("session_epoch", INT32).since(7),
        field(
            "topics",
            structs::<fetch_request::FetchTopic>(&[
                field("topic", STRING).until(12),
                field("topic_id", UUID).since(13),
                field(
                    "partitions",
                    structs::<fetch_request::FetchPartition>(&[
                        field("partition", INT32),
                        field("current_leader_epoch", INT32).since(9),
                        field("fetch_offset", INT64),
                        field("last_fetched_epoch", INT32).since(12),
                        field("log_start_offset", INT64).since(5),
                        field("partition_max_bytes", INT32),
                        field("replica_directory_id", UUID).tag(0).since(17),
                        field("high_watermark", INT64).tag(1).since(18),
                    ]),
                ),
            ]),
        ),
        field(
            "forgotten_topics_data",
            structs::<fetch_request::ForgottenTopic>(&[
                field("topic", STRING).until(12),
                field("topic_id", UUID).since(13),
                field("partitions", ARRAY_OF_INT32),
            ]),
        )
        .since(7),
        field("rack_id", STRING).since(11),
    ],
};

/// ListOffsets (2).
pub(super) static LIST_OFFSETS: Shape = Shape {
    flexible_from: 6,
    fields: &[
        field("replica_id", INT32),
        field("isolation_level", INT8).since(2),
        field(
            "topics",
            structs::<list_offsets_request::ListOffsetsTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<list_offsets_request::ListOffsetsPartition>(&[
                        field("partition_index", INT32),
                        field("current_leader_epoch", INT32).since(4),
                        field("timestamp", INT64),
                    ]),
                ),
            ]),
        ),
        field("timeout_ms", INT32).since(10),
    ],
};

/// Metadata (3).
pub(super) static METADATA: Shape = Shape {
    flexible_from: 9,
    fields: &[
        field(
            "topics",
            structs::<metadata_request::MetadataRequestTopic>(&[
                field("topic_id", UUID).since(10),
                field("name", STRING).nullable_since(10),
            ]),
        )
        .nullable_since(1),
        field("allow_auto_topic_creation", BOOL).since(4),
        field("include_cluster_authorized_operations", BOOL).since(8).until(10),
        field("include_topic_authorized_operations", BOOL).since(8),
    ],
};

/// DeleteRecords (21).
pub(super) static DELETE_RECORDS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field(
            "topics",
            structs::<delete_records_request::DeleteRecordsTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<delete_records_request::DeleteRecordsPartition>(&[
                        field("partition_index", INT32),
                        field("offset", INT64),
                    ]),
                ),
            ]),
        ),
        field("timeout_ms", INT32),
    ],
};

/// OffsetForLeaderEpoch (23).
pub(super) static OFFSET_FOR_LEADER_EPOCH: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("replica_id", INT32).since(3),
        field(
            "topics",
            structs::<offset_for_leader_epoch_request::OffsetForLeaderTopic>(&[
                field("topic", STRING),
                field(
                    "partitions",
                    structs::<offset_for_leader_epoch_request::OffsetForLeaderPartition>(&[
                        field("partition", INT32),
                        field("current_leader_epoch", INT32),
                        field("leader_epoch", INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeProducers (61).
pub(super) static DESCRIBE_PRODUCERS: Shape = Shape {
    flexible_from: 0,
    fields: &[field(
        "topics",
        structs::<describe_producers_request::TopicRequest>(&[
            field("name", STRING),
            field("partition_indexes", ARRAY_OF_INT32),
        ]),
    )],
};

/// DescribeTopicPartitions (75).
pub(super) static DESCRIBE_TOPIC_PARTITIONS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("topics", structs::<describe_topic_partitions_request::TopicRequest>(&[field("name", STRING)])),
        field("response_partition_limit", INT32),
        field("cursor", nested(&[field("topic_name", STRING), field("partition_index", INT32)])).nullable(),
    ],
};
