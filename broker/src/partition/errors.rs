//! What a partition refuses, in Kafka's error codes: the one place where the log's errors become the protocol's.

use std::fmt;

use weir_protocol::error_code::ErrorCode;
use weir_storage::log::{AppendError, LogStartError, ReadError};
use weir_storage::manager::CreateError;
use weir_storage::producer_state::ProducerStateError;

/// An error code, and the words that go with it where the protocol has room for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What was wrong, if the code does not say it all.
    pub message: Option<String>,
}

impl PartitionError {
    /// A code with words of its own.
    pub fn new(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self { code, message: Some(message.to_string()) }
    }
}

impl From<ErrorCode> for PartitionError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

impl From<CreateError> for PartitionError {
    fn from(error: CreateError) -> Self {
        let code = match error {
            // Soon: the log is being recovered, or an earlier topic of the name is being deleted.
            CreateError::Loading(_) | CreateError::OtherTopic { .. } => ErrorCode::NotLeaderOrFollower,
            _ => ErrorCode::KafkaStorageError,
        };
        Self::new(code, error)
    }
}

impl From<AppendError> for PartitionError {
    fn from(error: AppendError) -> Self {
        Self::new(append_error(&error), error)
    }
}

impl From<LogStartError> for PartitionError {
    fn from(error: LogStartError) -> Self {
        let LogStartError::BeyondHighWatermark { .. } = error;
        Self::new(ErrorCode::OffsetOutOfRange, error)
    }
}

impl From<ReadError> for PartitionError {
    fn from(error: ReadError) -> Self {
        Self::new(read_error(&error), error)
    }
}

/// The code of a refused append.
pub fn append_error(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::CorruptBatch(_) => ErrorCode::CorruptMessage,
        AppendError::UnsupportedFormat(_) => ErrorCode::UnsupportedForMessageFormat,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::InvalidTimestamp(_) => ErrorCode::InvalidTimestamp,
        AppendError::InvalidRecord(_) => ErrorCode::InvalidRecord,
        AppendError::Producer(error) => producer_error(error),
        AppendError::OffsetsOutOfOrder { .. } => ErrorCode::UnknownServerError,
        // Retriable: another replica may lead, or there may be room again.
        AppendError::Io(_)
        | AppendError::DirOffline { .. }
        | AppendError::DiskFull { .. }
        | AppendError::OutOfHandles => ErrorCode::KafkaStorageError,
        // The partition is being deleted; the metadata will say so.
        AppendError::Closed => ErrorCode::NotLeaderOrFollower,
    }
}

fn producer_error(error: &ProducerStateError) -> ErrorCode {
    match error {
        ProducerStateError::OutOfOrderSequence { .. } | ProducerStateError::NewEpochNotAtZero { .. } => {
            ErrorCode::OutOfOrderSequenceNumber
        }
        ProducerStateError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        ProducerStateError::ExpectedTransactional { .. } => ErrorCode::InvalidTxnState,
        ProducerStateError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
    }
}

/// The code of a failed read.
pub fn read_error(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
        ReadError::Io(_) => ErrorCode::KafkaStorageError,
    }
}
