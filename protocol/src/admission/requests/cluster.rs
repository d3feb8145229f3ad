//! Shapes of the requests about the cluster as a whole and its quotas.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::{alter_client_quotas_request, describe_client_quotas_request, update_features_request};

use super::super::shape::{BOOL, INT8, INT16, INT32, INT64, STRING, Shape, field, structs};

/// DescribeClientQuotas (48).
pub(super) static DESCRIBE_CLIENT_QUOTAS: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field(
            "components",
            structs::<describe_client_quotas_request::ComponentData>(&[
                field("entity_type", STRING),
                field("match_type", INT8),
                field("match", STRING).nullable(),
            ]),
        ),
        field("strict", BOOL),
    ],
};

/// AlterClientQuotas (49).
pub(super) static ALTER_CLIENT_QUOTAS: Shape = Shape {
    flexible_from: 1,
    fields: &[
        field(
            "entries",
            structs::<alter_client_quotas_request::EntryData>(&[
                field(
                    "entity",
                    structs::<alter_client_quotas_request::EntityData>(&[
                        field("entity_type", STRING),
                        field("entity_name", STRING).nullable(),
                    ]),
                ),
                field(
                    "ops",
                    structs::<alter_client_quotas_request::OpData>(&[
                        field("key", STRING),
                        field("value", INT64),
                        field("remove", BOOL),
                    ]),
                ),
            ]),
        ),
        field("validate_only", BOOL),
    ],
};

/// UpdateFeatures (57).
pub(super) static UPDATE_FEATURES: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field(
            "feature_updates",
            structs::<update_features_request::FeatureUpdateKey>(&[
                field("feature", STRING),
                field("max_version_level", INT16),
                field("allow_downgrade", BOOL).until(0),
                field("upgrade_type", INT8).since(1),
            ]),
        ),
        field("validate_only", BOOL).since(1),
    ],
};

/// DescribeCluster (60).
pub(super) static DESCRIBE_CLUSTER: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("include_cluster_authorized_operations", BOOL),
        field("endpoint_type", INT8).since(1),
        field("include_fenced_brokers", BOOL).since(2),
    ],
};

/// UnregisterBroker (64).
pub(super) static UNREGISTER_BROKER: Shape = Shape { flexible_from: 0, fields: &[field("broker_id", INT32)] };
