//! Shapes of the responses about the cluster as a whole and its quotas.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{
    alter_client_quotas_response, describe_client_quotas_response, describe_cluster_response, update_features_response,
};

use super::super::shape::{BOOL, INT8, INT16, INT32, INT64, STRING, Shape, field, structs};

/// DescribeClientQuotas (48).
pub(super) static DESCRIBE_CLIENT_QUOTAS: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "entries",
            structs::<describe_client_quotas_response::EntryData>(&[
                field(
                    "entity",
                    structs::<describe_client_quotas_response::EntityData>(&[
                        field("entity_type", STRING),
                        field("entity_name", STRING).nullable(),
                    ]),
                ),
                field(
                    "values",
                    structs::<describe_client_quotas_response::ValueData>(&[
                        field("key", STRING),
                        field("value", INT64),
                    ]),
                ),
            ]),
        )
        .nullable(),
    ],
};

/// AlterClientQuotas (49).
pub(super) static ALTER_CLIENT_QUOTAS: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field("throttle_time_ms", INT32),
        field(
            "entries",
            structs::<alter_client_quotas_response::EntryData>(&[
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
                field(
                    "entity",
                    structs::<alter_client_quotas_response::EntityData>(&[
                        field("entity_type", STRING),
                        field("entity_name", STRING).nullable(),
                    ]),
                ),
            ]),
        ),
    ],
};

/// UpdateFeatures (57).
pub(super) static UPDATE_FEATURES: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field(
            "results",
            structs::<update_features_response::UpdatableFeatureResult>(&[
                field("feature", STRING),
                field("error_code", INT16),
                field("error_message", STRING).nullable(),
            ]),
        )
        .until(1),
    ],
};

/// DescribeCluster (60).
pub(super) static DESCRIBE_CLUSTER: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field("endpoint_type", INT8).since(1),
        field("cluster_id", STRING),
        field("controller_id", INT32),
        field(
            "brokers",
            structs::<describe_cluster_response::DescribeClusterBroker>(&[
                field("broker_id", INT32),
                field("host", STRING),
                field("port", INT32),
                field("rack", STRING).nullable(),
                field("is_fenced", BOOL).since(2),
            ]),
        ),
        field("cluster_authorized_operations", INT32),
    ],
};

/// UnregisterBroker (64).
pub(super) static UNREGISTER_BROKER: Shape = Shape {
    flexible_from: 0,
    fields: &[field("throttle_time_ms", INT32), field("error_code", INT16), field("error_message", STRING).nullable()],
};
