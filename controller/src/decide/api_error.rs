//! An error as a client sees it: a code, and a text where Kafka gives one.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_protocol::error_code::ErrorCode;

/// Why an item of a request, or the whole of it, was refused (Kafka's `ApiError`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The text beside it; Kafka leaves it out of some answers.
    pub message: Option<String>,
}

impl ApiError {
    /// A code with a text of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// A code with no text.
    pub fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

impl From<ErrorCode> for ApiError {
    /// A code with Kafka's default text for it.
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.code.name()),
            None => f.write_str(self.code.name()),
        }
    }
}

impl std::error::Error for ApiError {}
