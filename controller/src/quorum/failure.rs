//! Why a controller stopped by itself, and what a submission gets instead of an answer.
//!
//! Owns the errors of the running controller and their Kafka codes. A failure is final: the node is fenced (it publishes no
//! further change and answers every submission with the failure) until it is restarted.

use std::sync::Arc;

use weir_protocol::error_code::ErrorCode;

use super::readable::OfNewerBuild;
use super::types::RaftNodeId;

/// What ended the controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControllerFailure {
    /// The metadata log, the vote or a snapshot could not be written, made durable or read.
    #[error(
        "the metadata log failed: {reason}; nothing that was acknowledged is lost, but this node can change no metadata until its disk works and it is restarted"
    )]
    Storage {
        /// What the disk said, and where.
        reason: String,
    },
    /// A committed record that this node cannot apply.
    #[error(
        "the metadata record at offset {offset} (epoch {epoch}) cannot be applied: {reason}; this node stops applying metadata here and is fenced"
    )]
    Replay {
        /// The offset of its log entry.
        offset: u64,
        /// The term of its log entry.
        epoch: u64,
        /// Which record of the entry, and why.
        reason: String,
    },
    /// Something in the metadata that this build does not know.
    #[error("{place}: {found}; this node stops applying metadata here and is fenced")]
    OfNewerBuild {
        /// Where it stands.
        place: String,
        /// What stands there.
        found: OfNewerBuild,
    },
    /// A defect: a task of the quorum ended that never should.
    #[error("the quorum ended unexpectedly: {reason}")]
    Ended {
        /// What is known of it.
        reason: String,
    },
}

/// Why a request to the controller has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Another node is the active controller, or none is.
    #[error("this node is not the active controller")]
    NotController {
        /// Who is, as far as is known.
        leader: Option<RaftNodeId>,
    },
    /// No active controller answered before the deadline; whether the request was carried out is unknown.
    #[error("no active controller answered in time")]
    TimedOut,
    /// The controller is stopping; whether the request was carried out is unknown if it was already taken.
    #[error("the controller is shutting down")]
    ShuttingDown,
    /// The controller stopped because of a failure; whether the request was carried out is unknown.
    #[error("{0}")]
    Failed(Arc<ControllerFailure>),
    /// What the request asks for does not fit one atomic change.
    #[error("the change is too large: {0}")]
    TooLarge(String),
    /// A defect: the decision made a record that the image refuses. Nothing was changed.
    #[error("the controller decided on a record that it cannot apply: {0}")]
    Undecidable(String),
}

impl SubmitError {
    /// What a Kafka client is told.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::NotController { .. } | Self::ShuttingDown | Self::Failed(_) => ErrorCode::NotController,
            Self::TimedOut => ErrorCode::RequestTimedOut,
            Self::TooLarge(_) => ErrorCode::PolicyViolation,
            Self::Undecidable(_) => ErrorCode::UnknownServerError,
        }
    }
}
