//! What an operation asks of the shell: records to append, and answers to requests that were parked.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::{JoinGroupResponse, StrBytes, SyncGroupResponse};

use crate::group::ids::Ticket;
use crate::group::record::{BATCH_OVERHEAD_BYTES, CoordinatorRecord};

/// The outcome of operations, in order. The shell appends the records, replays them at the offsets they got, and gives
/// the answers once the records are replicated; if the append fails it gives none of them and reloads the shard.
#[derive(Debug, PartialEq)]
pub struct Effects {
    /// To append and replay; none needs another beside it to make sense.
    pub records: Vec<CoordinatorRecord>,
    /// Answers to parked requests, the operation's own included.
    pub answers: Vec<Answer>,
    /// The largest batch that the log takes.
    max_batch_bytes: usize,
}

impl Default for Effects {
    /// No effects yet, for a log that takes anything.
    fn default() -> Self {
        Effects::for_log(usize::MAX)
    }
}

/// The answer to one JoinGroup or SyncGroup.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a JoinGroup.
    Join(Ticket, JoinGroupResponse),
    /// To a SyncGroup.
    Sync(Ticket, SyncGroupResponse),
}

impl Answer {
    /// Whose answer it is.
    pub fn ticket(&self) -> Ticket {
        match self {
            Answer::Join(ticket, _) | Answer::Sync(ticket, _) => *ticket,
        }
    }
}

impl Effects {
    /// No effects yet, for a log that takes batches up to this size.
    pub fn for_log(max_batch_bytes: usize) -> Self {
        Effects { records: Vec::new(), answers: Vec::new(), max_batch_bytes }
    }

    /// Whether the log takes the record. An operation whose record it does not take must leave the group as it was: what
    /// is only in memory would be lost with the shard.
    pub(super) fn fits(&self, record: &CoordinatorRecord) -> bool {
        record.size_bound_bytes().saturating_add(BATCH_OVERHEAD_BYTES) <= self.max_batch_bytes
    }

    pub(super) fn answer_join(&mut self, ticket: Ticket, response: JoinGroupResponse) {
        self.answers.push(Answer::Join(ticket, response));
    }

    pub(super) fn answer_sync(&mut self, ticket: Ticket, response: SyncGroupResponse) {
        self.answers.push(Answer::Sync(ticket, response));
    }
}

/// A JoinGroup's refusal; `member_id` tells the client under which id to go on.
pub(crate) fn join_error(member_id: StrBytes, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse::default().with_generation_id(-1).with_member_id(member_id).with_error_code(code.code())
}

/// A SyncGroup's refusal.
pub(crate) fn sync_error(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(code.code())
}
