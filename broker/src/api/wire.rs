//! Between the codec's types and ours.

use std::sync::Arc;

use weir_controller::decide::ApiError;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::{BrokerId as WireBrokerId, StrBytes, TopicName};

/// Text for a response.
pub(super) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A topic's name for a response.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Broker ids for a response.
pub(super) fn broker_ids(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| WireBrokerId(id.get())).collect()
}

/// Broker ids of a request.
pub(super) fn our_broker_ids(ids: &[WireBrokerId]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(id.0)).collect()
}

/// Text of a request, copied so that it does not keep the request's buffer alive.
pub(super) fn owned(text: &StrBytes) -> Arc<str> {
    Arc::from(&**text)
}

/// An outcome's error code and message; zero and nothing where it went well.
pub(super) fn error_fields<T>(outcome: &Result<T, ApiError>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(_) => (0, None),
        Err(error) => (error.code.code(), error.message.clone().map(StrBytes::from_string)),
    }
}
