//! Record batches, format v2 (KIP-98): read in place, patched in place, built, and walked record by record.
//!
//! A broker's produce path needs [`batch::BatchHeader::parse`], [`batch::verify_crc`] and [`patch`] only: none of them
//! allocates or looks at a record. Whoever needs records takes [`RecordIter`] (they share the batch's memory) or
//! [`RecordSkim`] (nothing is copied or kept, and what is compressed passes through a small window). [`BatchBuilder`] writes
//! batches, [`transcode`] changes their codec.
//!
//! Never reads formats v0 and v1: a batch of one of them is refused by name, as a Kafka 4 broker does (KIP-724).
//! Nothing in here trusts a size, count or offset that the bytes do not bear out.

pub mod batch;
mod builder;
mod control;
mod iter;
mod packed;
pub mod patch;
mod record;
mod skim;
mod transcode;
mod varint;

pub use batch::{BatchError, BatchHeader, TimestampType, batches};
pub use builder::{BatchBuilder, BuildError};
pub use control::{ControlRecordError, ControlRecordType, EndTransactionMarker};
pub use iter::RecordIter;
pub use record::{Header, Record, RecordError, RecordView};
pub use skim::{RecordSkim, SkimmedRecord};
pub use transcode::{TranscodeError, TranscodeLimits, transcode};

/// "No timestamp" in a batch or a record.
pub const NO_TIMESTAMP: i64 = -1;
/// "No producer id" in a batch.
pub const NO_PRODUCER_ID: i64 = -1;
/// "No producer epoch" in a batch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// "No sequence" in a batch.
pub const NO_SEQUENCE: i32 = -1;
/// "No partition leader epoch" in a batch.
pub const NO_PARTITION_LEADER_EPOCH: i32 = -1;
