//! Shapes of the requests about producer ids and transactions.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{add_partitions_to_txn_request, txn_offset_commit_request, write_txn_markers_request};

use super::super::shape::{
    ARRAY_OF_INT32, ARRAY_OF_INT64, ARRAY_OF_STRING, BOOL, INT16, INT32, INT64, STRING, Shape, field, structs,
};

/// InitProducerId (22).
pub(super) static INIT_PRODUCER_ID: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("transactional_id", STRING).nullable(),
        field("transaction_timeout_ms", INT32),
        field("producer_id", INT64).since(3),
        field("producer_epoch", INT16).since(3),
    ],
};

/// AddPartitionsToTxn (24).
pub(super) static ADD_PARTITIONS_TO_TXN: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field(
            "transactions",
            structs::<add_partitions_to_txn_request::AddPartitionsToTxnTransaction>(&[
                field("transactional_id", STRING),
                field("producer_id", INT64),
                field("producer_epoch", INT16),
                field("verify_only", BOOL),
                field(
                    "topics",
                    structs::<add_partitions_to_txn_request::AddPartitionsToTxnTopic>(&[
                        field("name", STRING),
                        field("partitions", ARRAY_OF_INT32),
                    ]),
                ),
            ]),
        )
        .since(4),
        field("v3_and_below_transactional_id", STRING).until(3),
        field("v3_and_below_producer_id", INT64).until(3),
        field("v3_and_below_producer_epoch", INT16).until(3),
        field(
            "v3_and_below_topics",
            structs::<add_partitions_to_txn_request::AddPartitionsToTxnTopic>(&[
                field("name", STRING),
                field("partitions", ARRAY_OF_INT32),
            ]),
        )
        .until(3),
    ],
};

/// AddOffsetsToTxn (25).
pub(super) static ADD_OFFSETS_TO_TXN: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("transactional_id", STRING),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("group_id", STRING),
    ],
};

/// EndTxn (26).
pub(super) static END_TXN: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("transactional_id", STRING),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("committed", BOOL),
    ],
};

/// WriteTxnMarkers (27).
pub(super) static WRITE_TXN_MARKERS: Shape = Shape {
    flexible_from: 1,
    fields: &[field(
        "markers",
        structs::<write_txn_markers_request::WritableTxnMarker>(&[
            field("producer_id", INT64),
            field("producer_epoch", INT16),
            field("transaction_result", BOOL),
            field(
                "topics",
                structs::<write_txn_markers_request::WritableTxnMarkerTopic>(&[
                    field("name", STRING),
                    field("partition_indexes", ARRAY_OF_INT32),
                ]),
            ),
            field("coordinator_epoch", INT32),
        ]),
    )],
};

/// TxnOffsetCommit (28).
pub(super) static TXN_OFFSET_COMMIT: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("transactional_id", STRING),
        field("group_id", STRING),
        field("producer_id", INT64),
        field("producer_epoch", INT16),
        field("generation_id", INT32).since(3),
        field("member_id", STRING).since(3),
        field("group_instance_id", STRING).since(3).nullable(),
        field(
            "topics",
            structs::<txn_offset_commit_request::TxnOffsetCommitRequestTopic>(&[
                field("name", STRING),
                field(
                    "partitions",
                    structs::<txn_offset_commit_request::TxnOffsetCommitRequestPartition>(&[
                        field("partition_index", INT32),
                        field("committed_offset", INT64),
                        field("committed_leader_epoch", INT32).since(2),
                        field("committed_metadata", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// DescribeTransactions (65).
pub(super) static DESCRIBE_TRANSACTIONS: Shape =
    Shape { flexible_from: 0, fields: &[field("transactional_ids", ARRAY_OF_STRING)] };

/// ListTransactions (66).
pub(super) static LIST_TRANSACTIONS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("state_filters", ARRAY_OF_STRING),
        field("producer_id_filters", ARRAY_OF_INT64),
        field("duration_filter", INT64).since(1),
        field("transactional_id_pattern", STRING).since(2).nullable(),
    ],
};
