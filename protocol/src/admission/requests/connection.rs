//! Shapes of the requests about what a connection says about itself: versions, authentication, telemetry.
//!
//! The facts are those of Kafka 4.1's message definitions; [`super::super::shape`] explains the notation.

use super::super::shape::{BOOL, BYTES, INT8, INT32, NEVER, STRING, Shape, UUID, field};

/// SaslHandshake (17).
pub(super) static SASL_HANDSHAKE: Shape = Shape { flexible_from: NEVER, fields: &[field("mechanism", STRING)] };

/// ApiVersions (18).
pub(super) static API_VERSIONS: Shape = Shape {
    flexible_from: 3,
    fields: &[field("client_software_name", STRING).since(3), field("client_software_version", STRING).since(3)],
};

/// SaslAuthenticate (36).
pub(super) static SASL_AUTHENTICATE: Shape = Shape { flexible_from: 2, fields: &[field("auth_bytes", BYTES)] };

/// GetTelemetrySubscriptions (71).
pub(super) static GET_TELEMETRY_SUBSCRIPTIONS: Shape =
    Shape { flexible_from: 0, fields: &[field("client_instance_id", UUID)] };

/// PushTelemetry (72).
pub(super) static PUSH_TELEMETRY: Shape = Shape {
    flexible_from: 0,
    fields: &[
        field("client_instance_id", UUID),
        field("subscription_id", INT32),
        field("terminating", BOOL),
        field("compression_type", INT8),
        field("metrics", BYTES),
    ],
};
