//! What goes into an append beside the batches, and what comes out.

use weir_protocol::ids::Offset;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client: everything is checked, offsets and epoch are assigned.
    Client,
    /// A coordinator of this broker: sizes and sequences are its own affair.
    Coordinator,
    /// The Raft log of the controller: offsets and epochs come with the batches and must continue the log.
    RaftLeader,
    /// A follower or a recovery: a leader has checked it all.
    Replication,
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// The offset of the first record; of the first record of the earlier batch if this is a duplicate.
    pub first_offset: Offset,
    /// The offset of the last record, likewise.
    pub last_offset: Offset,
    /// The leader's clock in the records if the topic wants that, else -1.
    pub log_append_time_ms: i64,
    /// Where the log starts.
    pub log_start_offset: Offset,
    /// What was written; 0 for a duplicate.
    pub bytes: u64,
    /// The producer had sent this batch before; nothing was written.
    pub duplicate: bool,
    /// `flush.messages` records are unflushed now: an acknowledgement has to wait for an fsync.
    pub needs_fsync: bool,
    /// As many records.
    pub record_count: u64,
    /// The largest timestamp in the append, -1 if none.
    pub max_timestamp: i64,
    /// Where the log ends now.
    pub log_end_offset: Offset,
}
