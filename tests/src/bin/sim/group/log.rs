//! The partition of `__consumer_offsets` as the coordinator sees it: what `group_log` is in the broker, over a simulated replica.
//!
//! The replica belongs to its broker, which tells here where it stands before the coordinator is called, and takes what was appended after.
//! `append`, `is_replicated` and `on_replicated` answer as their namesakes in `broker::group_log` do.

use std::sync::Mutex;

use bytes::BytesMut;
use weir_broker::group::{OffsetsLog, ReplicatedCallback};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};

use super::records::{MAX_BATCH_BYTES, Records};
use crate::model_log::Entry;
use crate::planted::Bug;

/// What the coordinator may know of the replica.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// The epoch in which it leads, if it does.
    pub(super) leads: Option<LeaderEpoch>,
    pub(super) log_end: Offset,
    pub(super) high_watermark: Offset,
    pub(super) is_under_min_isr: bool,
}

struct Waiting {
    leader_epoch: LeaderEpoch,
    end: Offset,
    callback: ReplicatedCallback,
}

#[derive(Default)]
struct State {
    standing: Standing,
    appended: Vec<Entry>,
    waiting: Vec<Waiting>,
    load_requested: Option<LeaderEpoch>,
    says_all_is_replicated: bool,
}

pub(super) struct GroupLog {
    records: Records,
    bug: Option<Bug>,
    state: Mutex<State>,
}

impl GroupLog {
    pub(super) fn new(records: Records, bug: Option<Bug>) -> Self {
        Self { records, bug, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }

    pub(super) fn stand(&self, standing: Standing) {
        self.state().standing = standing;
    }

    /// For planted bugs.
    pub(super) fn say_all_is_replicated(&self, yes: bool) {
        self.state().says_all_is_replicated = yes;
    }

    pub(super) fn take_appended(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state().appended)
    }

    pub(super) fn take_load_request(&self) -> Option<LeaderEpoch> {
        self.state().load_requested.take()
    }

    /// Those whose wait is over, and how it ended.
    pub(super) fn take_done(&self) -> Vec<(ReplicatedCallback, Result<(), ErrorCode>)> {
        let mut state = self.state();
        let standing = state.standing;
        let is_done =
            |waiting: &Waiting| waiting.leader_epoch_is_over(standing) || standing.high_watermark >= waiting.end;
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut state.waiting).into_iter().partition(is_done);
        state.waiting = waiting;
        let end = |waiting: Waiting| {
            let outcome = waiting.outcome(standing);
            (waiting.callback, outcome)
        };
        done.into_iter().map(end).collect()
    }
}

impl Waiting {
    fn leader_epoch_is_over(&self, standing: Standing) -> bool {
        standing.leads != Some(self.leader_epoch)
    }

    fn outcome(&self, standing: Standing) -> Result<(), ErrorCode> {
        if self.leader_epoch_is_over(standing) {
            Err(ErrorCode::NotLeaderOrFollower)
        } else if standing.is_under_min_isr {
            Err(ErrorCode::NotEnoughReplicasAfterAppend)
        } else {
            Ok(())
        }
    }
}

impl OffsetsLog for GroupLog {
    fn append(&self, _: PartitionIndex, leader_epoch: LeaderEpoch, batch: BytesMut) -> Result<Offset, ErrorCode> {
        let mut state = self.state();
        if state.standing.leads != Some(leader_epoch) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if state.standing.is_under_min_isr {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let first = state.standing.log_end;
        let numbers = self.records.keep(batch.freeze());
        state.standing.log_end = first + numbers.len() as i64;
        state.appended.extend(numbers.into_iter().map(|value| Entry { epoch: leader_epoch, value }));
        Ok(first)
    }

    fn max_batch_bytes(&self, _: PartitionIndex) -> usize {
        MAX_BATCH_BYTES
    }

    fn is_replicated(&self, _: PartitionIndex, leader_epoch: LeaderEpoch, end: Offset) -> bool {
        let state = self.state();
        let leads = state.standing.leads == Some(leader_epoch) || self.bug == Some(Bug::AnswerWhenDeposed);
        state.says_all_is_replicated || leads && state.standing.high_watermark >= end
    }

    fn on_replicated(&self, _: PartitionIndex, leader_epoch: LeaderEpoch, end: Offset, callback: ReplicatedCallback) {
        self.state().waiting.push(Waiting { leader_epoch, end, callback });
    }

    /// What is simulated here is who leads, not who is heard.
    fn is_cut_off(&self, _: PartitionIndex) -> bool {
        false
    }

    fn request_load(&self, _: PartitionIndex, leader_epoch: LeaderEpoch) {
        self.state().load_requested = Some(leader_epoch);
    }
}
