//! The in-sync replicas that a leader asks for, between its core and the controller.

use std::sync::Arc;

use weir_controller::decide::AlteredPartition;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, PartitionEpoch};

use super::role::Leadership;
use super::{Partition, PartitionError};
use crate::replication::{IsrProposal, ProposalOutcome};

const CUT_OFF: &str = "this broker hears neither the controller nor followers: another may lead";

impl Partition {
    /// What is to be asked of the controller, if anything is: by the leader of which epoch, and which ISR.
    pub(crate) fn isr_proposal(&self) -> Option<(LeaderEpoch, IsrProposal)> {
        let tenure = self.tenure.read();
        let state = tenure.leadership()?.known()?.lock();
        Some((state.leader_epoch(), state.proposal()?))
    }

    /// The controller answered what the leader of `leader_epoch` proposed at `asked`.
    pub(crate) fn on_isr_answer(
        &self,
        leader_epoch: LeaderEpoch,
        asked: PartitionEpoch,
        answer: Result<&AlteredPartition, ErrorCode>,
    ) -> ProposalOutcome {
        let tenure = self.tenure.read();
        let known = tenure.leadership().and_then(Leadership::known).zip(self.opened_log());
        let Some((state, log)) = known.filter(|_| tenure.registration.leader_epoch == leader_epoch) else {
            return ProposalOutcome::Superseded;
        };
        let (outcome, high_watermark) = {
            let mut state = state.lock();
            let (outcome, _) = state.on_answer(asked, answer, self.local.now_ms());
            (outcome, state.high_watermark())
        };
        self.advance(&log, Some(high_watermark));
        outcome
    }

    /// Asks for an ISR without those that have not had everything for too long, if there are any.
    pub(crate) fn check_lag(self: &Arc<Self>) {
        let proposal = {
            let tenure = self.tenure.read();
            let Some(state) = tenure.leadership().and_then(Leadership::known) else { return };
            state.lock().on_lag_check(self.local.now_ms())
        };
        if proposal.is_some() {
            self.local.want_isr(self.clone());
        }
    }

    /// Whether neither the active controller nor an in-sync follower has been heard for so long that another may lead.
    pub(crate) fn is_cut_off(&self) -> bool {
        let Some(since_ms) = self.local.unheard_since_ms() else { return false };
        let tenure = self.tenure.read();
        let Some(leadership) = tenure.leadership() else { return false };
        // Where nobody has opened the log, followers have not had the time to fetch.
        leadership.known().is_some_and(|state| !state.lock().is_followed_since(since_ms))
    }

    /// What a client is told where this broker is cut off: to ask another who leads.
    pub(crate) fn refuse_if_cut_off(&self) -> Result<(), PartitionError> {
        match self.is_cut_off() {
            true => Err(PartitionError::new(ErrorCode::NotLeaderOrFollower, CUT_OFF)),
            false => Ok(()),
        }
    }

    /// Whether others follow this broker here.
    pub(crate) fn is_followed(&self) -> bool {
        self.tenure.read().leadership().is_some()
    }
}
