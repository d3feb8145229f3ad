//! Shapes of the responses about records and where they are.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    delete_records_response, describe_producers_response, describe_topic_partitions_response, fetch_response,
    list_offsets_response, metadata_response, offset_for_leader_epoch_response, produce_response,
};

use super::super::shape::{
    ARRAY_OF_INT32, BOOL, BYTES, INT16, INT32, INT64, STRING, Shape, UUID, field, nested, structs,
};

/// Produce (0).
pub(super) static PRODUCE: Shape = Shape {
    flexible_from: 9,
    fields: &[
        field(
            "responses",
            structs::<produce_response::TopicProduceResponse>(&[
                field("name", STRING).until(12),
                field("topic_id", UUID).since(13),
                field(
                    "partition_responses",
                    structs::<produce_response::PartitionProduceResponse>(&[
                        field("index", INT32),
                        field("error_code", INT16),
                        field("base_offset", INT64),
                        field("log_append_time_ms", INT64),
                        field("log_start_offset", INT64).since(5),
                        field(
                            "record_errors",
                            structs::<produce_response::BatchIndexAndErrorMessage>(&[
                                field("batch_index", INT32),
                                field("batch_index_error_message", STRING).nullable(),
                            ]),
                        )
                        .since(8),
                        field("error_message", STRING).since(8).nullable(),
                        field("current_leader", nested(&[field("leader_id", INT32), field("leader_epoch", INT32)]))
                            .tag(0)
                            .since(10),
                    ]),
                ),
            ]),
        ),
        field("throttle_time_ms", INT32),
        field(
            "node_endpoints",
            structs::<produce_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("rack", STRING).nullable(),
            ]),
        )
        .tag(0)
        .since(10),
    ],
};

/// Fetch (1).
pub(super) static FETCH: Shape = Shape {
    flexible_from: 12,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(7),
        field("session_id", INT32).since(7),
        field(
            "responses",
            structs::<fetch_response::FetchableTopicResponse>(&[
                field("topic", STRING).until(12),
                field("topic_id", UUID).since(13),
                field(
                    "partitions",
                    structs::<fetch_response::PartitionData>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("high_watermark", INT64),
                        field("last_stable_offset", INT64),
                        field("log_start_offset", INT64).since(5),
                        field("diverging_epoch", nested(&[field("epoch", INT32), field("end_offset", INT64)]))
                            .tag(0)
                            .since(12),
                        field("current_leader", nested(&[field("leader_id", INT32), field("leader_epoch", INT32)]))
                            .tag(1)
                            .since(12),
                        field("snapshot_id", nested(&[field("end_offset", INT64), field("epoch", INT32)]))
                            .tag(2)
                            .since(12),
                        field(
                            "aborted_transactions",
                            structs::<fetch_response::AbortedTransaction>(&[
                                field("producer_id", INT64),
                                field("first_offset", INT64),
                            ]),
                        )
                        .nullable(),
                        field("preferred_read_replica", INT32).since(11),
                        field("records", BYTES).nullable(),
                    ]),
                ),
            ]),
        ),
        field(
            "node_endpoints",
            structs::<fetch_response::NodeEndpoint>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("rack", STRING).nullable(),
            ]),
        )
        .tag(0)
        .since(16),
    ],
};

/// ListOffsets (2).
pub(super) static LIST_OFFSETS: Shape = Shape {
    flexible_from: 6,
    fields: &[
        field("throttle_time_ms", INT32).since(2),
        field(
            "topics",
            structs::<list_offsets_response::ListOffsetsTopicResponse>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<list_offsets_response::ListOffsetsPartitionResponse>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("timestamp", INT64),
                        field("offset", INT64),
                        field("leader_epoch", INT32).since(4),
                    ]),
                ),
            ]),
        ),
    ],
};

/// Metadata (3).
pub(super) static METADATA: Shape = Shape {
    flexible_from: 9,
    fields: &[
        field("throttle_time_ms", INT32).since(3),
        field(
            "brokers",
            structs::<metadata_response::MetadataResponseBroker>(&[
                field("node_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("rack", STRING).since(1).nullable(),
            ]),
        ),
        field("cluster_id", STRING).since(2).nullable(),
        field("controller_id", INT32).since(1),
        field(
            "topics",
            structs::<metadata_response::MetadataResponseTopic>(&[
                field("error_code", INT16),
                field("name", STRING).nullable_since(12),
                field("topic_id", UUID).since(10),
                field("is_internal", BOOL).since(1),
                field(
                    "partitions",
                    structs::<metadata_response::MetadataResponsePartition>(&[
                        field("error_code", INT16),
                        field("partition_index", INT32),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32).since(7),
                        field("replica_nodes", ARRAY_OF_INT32),
                        field("isr_nodes", ARRAY_OF_INT32),
                        field("offline_replicas", ARRAY_OF_INT32).since(5),
                    ]),
                ),
                field("topic_authorized_operations", INT32).since(8),
            ]),
        ),
        field("cluster_authorized_operations", INT32).since(8).until(10),
        field("error_code", INT16).since(13),
    ],
};

/// DeleteRecords (21).
pub(super) static DELETE_RECORDS: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<delete_records_response::DeleteRecordsTopicResult>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<delete_records_response::DeleteRecordsPartitionResult>(&[
                        field("partition_index", INT32),
                        field("low_watermark", INT64),
                        field("error_code", INT16),
                    ]),
                ),
            ]),
        ),
    ],
};

/// OffsetForLeaderEpoch (23).
pub(super) static OFFSET_FOR_LEADER_EPOCH: Shape = Shape {
    flexible_from: 4,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<offset_for_leader_epoch_response::OffsetForLeaderTopicResult>(&[
                field("topic", STRING),
                field(
                    "partitions",
                    structs::<offset_for_leader_epoch_response::EpochEndOffset>(&[
                        field("error_code", INT16),
                        field("partition", INT32),
                        field("leader_epoch", INT32),
                        field("end_offset", INT64),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeProducers (61).
pub(super) static DESCRIBE_PRODUCERS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<describe_producers_response::TopicResponse>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<describe_producers_response::PartitionResponse>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                        field("error_message", STRING).nullable(),
                        field(
                            "active_producers",
                            structs::<describe_producers_response::ProducerState>(&[
                                field("producer_id", INT64),
                                field("producer_epoch", INT32),
                                field("last_sequence", INT32),
                                field("last_timestamp", INT64),
                                field("coordinator_epoch", INT32),
                                field("current_txn_start_offset", INT64),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeTopicPartitions (75).
pub(super) static DESCRIBE_TOPIC_PARTITIONS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic>(&[
                field("error_code", INT16),
                field("name", STRING).nullable(),
                field("topic_id", UUID),
                field("is_internal", BOOL),
                field(
                    "partitions",
                    structs::<describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition>(&[
                        field("error_code", INT16),
                        field("partition_index", INT32),
                        field("leader_id", INT32),
                        field("leader_epoch", INT32),
                        field("replica_nodes", ARRAY_OF_INT32),
                        field("isr_nodes", ARRAY_OF_INT32),
                        field("eligible_leader_replicas", ARRAY_OF_INT32).nullable(),
                        field("last_known_elr", ARRAY_OF_INT32).nullable(),
                        field("offline_replicas", ARRAY_OF_INT32),
                    ]),
                ),
                field("topic_authorized_operations", INT32),
            ]),
        ),
        field("next_cursor", nested(&[field("topic_name", STRING), field("partition_index", INT32)])).nullable(),
    ],
};
