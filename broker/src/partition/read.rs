//! Reading from a partition: for its followers up to its end, for consumers up to what is committed.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset};
use weir_storage::log::{AbortedTxn, FileSlice, ReadUpperBound};

use super::{Partition, PartitionError};

/// How much of the log a consumer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the first transaction that is still open.
    ReadCommitted,
}

impl Isolation {
    /// The wire's number: everything but 1 is the weaker level, as in Kafka.
    pub fn from_wire(level: i8) -> Self {
        if level == 1 { Self::ReadCommitted } else { Self::ReadUncommitted }
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A consumer.
    Consumer {
        /// How much it sees.
        isolation: Isolation,
        /// Whether a follower may serve it (KIP-392).
        takes_followers: bool,
    },
    /// A follower, which sees all there is.
    Follower,
}

impl Reader {
    /// Whether it is told of aborted transactions.
    pub fn sees_aborted(self) -> bool {
        matches!(self, Self::Consumer { isolation: Isolation::ReadCommitted, .. })
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct Read {
    /// The records, as a slice of a segment file; `None` if there are none.
    pub slice: Option<FileSlice>,
    /// Aborted transactions among them, for a reader of committed records.
    pub aborted_transactions: Vec<AbortedTxn>,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable_offset: Offset,
    /// The log start offset.
    pub log_start_offset: Offset,
    /// Where the log ends.
    pub log_end_offset: Offset,
}

/// A failed read, with what may be said of the partition all the same.
#[derive(Clone, Debug)]
pub struct ReadFailure {
    /// Why.
    pub error: PartitionError,
    /// The high watermark, or none.
    pub high_watermark: Offset,
    /// The log start offset, or none.
    pub log_start_offset: Offset,
}

impl From<PartitionError> for ReadFailure {
    fn from(error: PartitionError) -> Self {
        Self { error, high_watermark: Offset::NONE, log_start_offset: Offset::NONE }
    }
}

impl Partition {
    /// Reads at most `max_bytes` from `from`; with `min_one` at least a whole batch (KIP-74).
    pub fn read(
        &self,
        from: Offset,
        believed: LeaderEpoch,
        reader: Reader,
        max_bytes: u32,
        min_one: bool,
    ) -> Result<Read, ReadFailure> {
        self.check_reader(believed, reader)?;
        let log = &self.log().map_err(ReadFailure::from)?;
        let high_watermark = log.high_watermark();
        let last_stable_offset = log.last_stable_offset();
        let log_start_offset = log.log_start_offset();
        let failure = |error| ReadFailure { error, high_watermark, log_start_offset };
        if from < log_start_offset || from > log.log_end_offset() {
            return Err(failure(ErrorCode::OffsetOutOfRange.into()));
        }
        let end = match reader {
            Reader::Consumer { isolation: Isolation::ReadCommitted, .. } => last_stable_offset,
            Reader::Consumer { isolation: Isolation::ReadUncommitted, .. } => high_watermark,
            Reader::Follower => ReadUpperBound::LOG_END.0,
        };
        let read = log.read(from, max_bytes, ReadUpperBound(end), min_one).map_err(|error| failure(error.into()))?;
        let aborted_transactions = match reader.sees_aborted() && read.slice.is_some() {
            true => log.aborted_transactions(from, end).map_err(|error| failure(error.into()))?,
            false => Vec::new(),
        };
        let log_end_offset = read.log_end_offset;
        let slice = read.slice;
        Ok(Read { slice, aborted_transactions, high_watermark, last_stable_offset, log_start_offset, log_end_offset })
    }

    /// Where the epoch `asked` ends in the log of its leader, for whoever believes that it leads in the epoch `believed`.
    pub fn end_of_epoch(
        &self,
        believed: LeaderEpoch,
        asked: LeaderEpoch,
        is_follower: bool,
    ) -> Result<(LeaderEpoch, Offset), PartitionError> {
        if !is_follower {
            self.refuse_if_cut_off()?;
        }
        self.check_leadership(believed)?;
        Ok(self.log()?.end_offset_for_epoch(asked))
    }

    fn check_reader(&self, believed: LeaderEpoch, reader: Reader) -> Result<(), PartitionError> {
        if reader != Reader::Follower {
            self.refuse_if_cut_off()?;
        }
        let tenure = self.tenure.read();
        match reader {
            Reader::Consumer { takes_followers: true, .. } if tenure.follows() => tenure.check_epoch(believed),
            _ => tenure.check_leadership(believed),
        }
        .map(drop)
    }
}
