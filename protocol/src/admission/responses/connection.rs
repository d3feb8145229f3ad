//! Shapes of the responses about what a connection says about itself: versions, authentication, telemetry.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use kafka_protocol::messages::api_versions_response;

use super::super::shape::{
    ARRAY_OF_INT8, ARRAY_OF_STRING, BOOL, BYTES, INT16, INT32, INT64, NEVER, STRING, Shape, UUID, field, structs,
};

/// SaslHandshake (17).
pub(super) static SASL_HANDSHAKE: Shape =
    Shape { flexible_from: NEVER, fields: &[field("error_code", INT16), field("mechanisms", ARRAY_OF_STRING)] };

/// ApiVersions (18).
pub(super) static API_VERSIONS: Shape = Shape {
    flexible_from: 3,
    fields: &[
        field("error_code", INT16),
        field(
            "api_keys",
            structs::<api_versions_response::ApiVersion>(&[
                field("api_key", INT16),
                field("min_version", INT16),
                field("max_version", INT16),
            ]),
        ),
        field("throttle_time_ms", INT32).since(1),
        field(
            "supported_features",
            structs::<api_versions_response::SupportedFeatureKey>(&[
                field("name", STRING),
                field("min_version", INT16),
                field("max_version", INT16),
            ]),
        )
        .tag(0)
        .since(3),
        field("finalized_features_epoch", INT64).tag(1).since(3),
        field(
            "finalized_features",
            structs::<api_versions_response::FinalizedFeatureKey>(&[
                field("name", STRING),
                field("max_version_level", INT16),
                field("min_version_level", INT16),
            ]),
        )
        .tag(2)
        .since(3),
        field("zk_migration_ready", BOOL).tag(3).since(3),
    ],
};

/// SaslAuthenticate (36).
pub(super) static SASL_AUTHENTICATE: Shape = Shape {
    flexible_from: 2,
    fields: &[
        field("error_code", INT16),
        field("error_message", STRING).nullable(),
        field("auth_bytes", BYTES),
        field("session_lifetime_ms", INT64).since(1),
    ],
};

/// GetTelemetrySubscriptions (71).
pub(super) static GET_TELEMETRY_SUBSCRIPTIONS: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("throttle_time_ms", INT32),
        field("error_code", INT16),
        field("client_instance_id", UUID),
        field("subscription_id", INT32),
        field("accepted_compression_types", ARRAY_OF_INT8),
        field("push_interval_ms", INT32),
        field("telemetry_max_bytes", INT32),
        field("delta_temporality", BOOL),
        field("requested_metrics", ARRAY_OF_STRING),
    ],
};

/// PushTelemetry (72).
pub(super) static PUSH_TELEMETRY: Shape =
    Shape { flexible_from: 0, fields: &[field("throttle_time_ms", INT32), field("error_code", INT16)] };
