//! Why an operation on a log is refused or fails: one enum an operation.
//!
//! Messages are close to Kafka's, for clients show them. The broker maps each variant to one error code.

use std::io;

use weir_protocol::ids::{LeaderEpoch, Offset};
use weir_protocol::records::BatchError;

use crate::producer_state::ProducerStateError;
use crate::segment::load::SegmentLoadError;

/// Why an append is refused or fails. Nothing was appended, and the log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE: a length, a count or the CRC is wrong.
    #[error("Record is corrupt: {0}")]
    CorruptBatch(BatchError),
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT: not format v2.
    #[error("{0}")]
    UnsupportedFormat(BatchError),
    /// MESSAGE_TOO_LARGE: a batch is over `max.message.bytes`.
    #[error(
        "The record batch size in the append is {size_bytes} bytes which exceeds the maximum configured value of {max_bytes}."
    )]
    TooLarge {
        /// Of the batch.
        size_bytes: usize,
        /// What the topic allows.
        max_bytes: u32,
    },
    /// RECORD_LIST_TOO_LARGE: the append does not fit a segment.
    #[error(
        "Message batch size is {size_bytes} bytes in append, which exceeds the maximum configured segment size of {segment_bytes}."
    )]
    LargerThanSegment {
        /// Of the whole append.
        size_bytes: usize,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// INVALID_TIMESTAMP: outside what `message.timestamp.*` allows.
    #[error("{0}")]
    InvalidTimestamp(String),
    /// INVALID_RECORD: the batch breaks a rule of the topic or of the protocol.
    #[error("{0}")]
    InvalidRecord(String),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE or TRANSACTION_COORDINATOR_FENCED.
    #[error(transparent)]
    Producer(#[from] ProducerStateError),
    /// The offsets of a replicated batch do not continue this log.
    #[error("Append at offsets {first}..={last}, but the log ends at {log_end}")]
    OffsetsOutOfOrder {
        /// The first offset of the append.
        first: Offset,
        /// The last offset of its first batch.
        last: Offset,
        /// Where the log ends.
        log_end: Offset,
    },
    /// A write failed. The directory is offline from now on (KAFKA_STORAGE_ERROR).
    #[error("append failed, the log directory goes offline: {0}")]
    Io(#[source] io::Error),
    /// The directory went offline earlier (KAFKA_STORAGE_ERROR).
    #[error("log directory {dir} is offline: {reason}")]
    DirOffline {
        /// The directory.
        dir: String,
        /// What failed.
        reason: String,
    },
    /// The disk is full, or at its reserve mark. What was written of this append was taken back; later ones may succeed.
    #[error("no space left in log directory {dir}")]
    DiskFull {
        /// The directory.
        dir: String,
    },
    /// The process may open no more files: a limit of the host, not a fault of the disk. Later appends may succeed.
    #[error("cannot open a file of the log: the process has too many open files")]
    OutOfHandles,
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}

impl From<BatchError> for AppendError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::LegacyMagic { .. } | BatchError::UnknownMagic { .. } => Self::UnsupportedFormat(error),
            _ => Self::CorruptBatch(error),
        }
    }
}

/// Why a read fails.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE.
    #[error("Received request for offset {offset}, but we only have log segments upto {log_end} and from {log_start}.")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// Where the log starts.
        log_start: Offset,
        /// Where the log ends.
        log_end: Offset,
    },
    /// CORRUPT_MESSAGE: what is on disk there is not a batch.
    #[error("log is corrupt in segment {base_offset}: {reason}")]
    Corrupt {
        /// Of the segment.
        base_offset: Offset,
        /// What is wrong, and where.
        reason: String,
    },
    /// KAFKA_STORAGE_ERROR: the file does not read.
    #[error("read failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a log does not open.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A segment does not load.
    #[error(transparent)]
    Segment(#[from] SegmentLoadError),
    /// A file does not read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why the start of a log does not move.
#[derive(Debug, thiserror::Error)]
pub enum LogStartError {
    /// OFFSET_OUT_OF_RANGE: beyond the high watermark.
    #[error("cannot move the log start to {offset}, the high watermark is {high_watermark}")]
    BeyondHighWatermark {
        /// What was asked for.
        offset: Offset,
        /// The limit.
        high_watermark: Offset,
    },
}

/// Why the log could not be changed on disk. The directory is offline.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It failed now.
    #[error("{doing} failed, the log directory goes offline: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// It failed earlier.
    #[error("log directory {dir} is offline: {reason}")]
    DirOffline {
        /// The directory.
        dir: String,
        /// What failed then.
        reason: String,
    },
    /// The disk is full; nothing is offline, try again when there is room.
    #[error("no space left in log directory {dir}")]
    DiskFull {
        /// The directory.
        dir: String,
    },
    /// The process may open no more files; nothing is offline.
    #[error("the process has too many open files")]
    OutOfHandles,
}

impl From<StorageError> for AppendError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io { error, .. } => Self::Io(error),
            StorageError::DirOffline { dir, reason } => Self::DirOffline { dir, reason },
            StorageError::DiskFull { dir } => Self::DiskFull { dir },
            StorageError::OutOfHandles => Self::OutOfHandles,
        }
    }
}

/// A leader epoch, and where it ends.
pub type EpochEnd = (LeaderEpoch, Offset);
