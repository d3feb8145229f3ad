//! Shapes of the responses about producer ids and transactions.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    add_partitions_to_txn_response, describe_transactions_response, list_transactions_response,
    txn_offset_commit_response, write_txn_markers_response,
};

use super::super::shape::{ARRAY_OF_INT32, ARRAY_OF_STRING, INT16, INT32, INT64, STRING, Shape, field, structs};

/// InitProducerId (22).
pub(super) static INIT_PRODUCER_ID: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
    ],
};

/// AddPartitionsToTxn (24).
pub(super) static ADD_PARTITIONS_TO_TXN: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16).since(4),
        field(
            "results_by_transaction",
            structs::<add_partitions_to_txn_response::AddPartitionsToTxnResult>(&[
                field("transactional_id", STRING),
                field(
                    "topic_results",
                    structs::<add_partitions_to_txn_response::AddPartitionsToTxnTopicResult>(&[
                        field("name", STRING),
                        field(
                            "results_by_partition",
                            structs::<add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult>(&[
                                field("partition_index", INT32),
                                field("partition_error_code", INT16),
                            ]),
                        ),
                    ]),
                ),
            ]),
        )
        .since(4),
        field(
            "results_by_topic_v3_and_below",
            structs::<add_partitions_to_txn_response::AddPartitionsToTxnTopicResult>(&[
                field("name", STRING),
                field(
                    "results_by_partition",
                    structs::<add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult>(&[
                        field("partition_index", INT32),
                        field("partition_error_code", INT16),
                    ]),
                ),
            ]),
        )
        .until(3),
    ],
};

/// AddOffsetsToTxn (25).
pub(super) static ADD_OFFSETS_TO_TXN: Shape =
    Shape { flexible_from: 3, fields: &[field("throttle_time_ms", INT32), field("error_code", INT16)] };

/// EndTxn (26).
pub(super) static END_TXN: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("producer_id", INT64).since(5),
        field("producer_epoch", INT16).since(5),
    ],
};

/// WriteTxnMarkers (27).
pub(super) static WRITE_TXN_MARKERS: Shape = Shape {
    flexible_from: 1,
    fields: &[field(
        "markers",
        structs::<write_txn_markers_response::WritableTxnMarkerResult>(&[
            field("producer_id", INT64),
            field(
                "topics",
                structs::<write_txn_markers_response::WritableTxnMarkerTopicResult>(&[
                    field("name", STRING),
                    field(
                        "partitions",
                        structs::<write_txn_markers_response::WritableTxnMarkerPartitionResult>(&[
                            field("partition_index", INT32),
                            field("error_code", INT16),
                        ]),
                    ),
                ]),
            ),
        ]),
    )],
};

/// TxnOffsetCommit (28).
pub(super) static TXN_OFFSET_COMMIT: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "topics",
            structs::<txn_offset_commit_response::TxnOffsetCommitResponseTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<txn_offset_commit_response::TxnOffsetCommitResponsePartition>(&[
                        field("partition_index", INT32),
                        field("error_code", INT16),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeTransactions (65).
pub(super) static DESCRIBE_TRANSACTIONS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "transaction_states",
            structs::<describe_transactions_response::TransactionState>(&[
                field("error_code", INT16),
                field("transactional_id", STRING),
                field("transaction_state", STRING),
                field("transaction_timeout_ms", INT32),
                field("transaction_start_time_ms", INT64),
                field("producer_id", INT64),
                field("producer_epoch", INT16),
                field(
                    "topics",
                    structs::<describe_transactions_response::TopicData>(&[
                        field("topic", STRING),
                        field("partitions", ARRAY_OF_INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// ListTransactions (66).
pub(super) static LIST_TRANSACTIONS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("unknown_state_filters", ARRAY_OF_STRING),
        field(
            "transaction_states",
            structs::<list_transactions_response::TransactionState>(&[
                field("transactional_id", STRING),
                field("producer_id", INT64),
                field("transaction_state", STRING),
            ]),
        ),
    ],
};
