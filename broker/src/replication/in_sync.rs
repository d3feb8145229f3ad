//! The in-sync replicas of a partition as its leader counts them: what is committed, and at most one proposal under way (KIP-497).
//!
//! ```text
//!               propose                      committed / metadata tells a newer partition epoch
//!   Committed ----------> Pending --------------------------------------------------------------> Committed
//!                            |  refused, or nobody knows what became of it
//!                            +--> stays Pending and is sent again, until the metadata tells
//! ```
//!
//! A proposal whose answer was lost may have been committed: it is never forgotten before the controller's word is known. Whoever a proposal adds
//! counts at once for the high watermark; whoever it removes counts until the removal is committed.

use weir_controller::decide::{AlteredPartition, IsrMember};
use weir_controller::image::PartitionRegistration;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, PartitionEpoch};

/// What a leader asks of the controller; the leader epoch is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The partition epoch that the leader knows.
    pub partition_epoch: PartitionEpoch,
    /// The ISR that it wants, each member in the life in which it fetched.
    pub isr: Vec<IsrMember>,
}

/// What is to be done after an answer of the controller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// It is committed.
    Committed,
    /// It is refused for good: what was committed before holds.
    Dropped,
    /// Nobody knows: it is sent again as it is.
    SendAgain,
    /// This leader's time is over, or its partition gone; only the metadata can say more.
    Superseded,
}

/// The committed ISR and what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSyncReplicas {
    committed: Vec<BrokerId>,
    /// Whether the controller counts on replicas outside to have all that is committed (KIP-966).
    has_eligible: bool,
    partition_epoch: PartitionEpoch,
    pending: Option<Vec<IsrMember>>,
}

impl InSyncReplicas {
    pub(super) fn new(registration: &PartitionRegistration) -> Self {
        Self {
            committed: registration.isr.to_vec(),
            has_eligible: !registration.eligible_leader_replicas().is_empty(),
            partition_epoch: registration.partition_epoch,
            pending: None,
        }
    }

    /// What the controller has committed, as far as this leader knows.
    pub fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    /// The partition epoch of that.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Whether an answer is awaited.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether `broker` counts for the high watermark: it is committed or asked for.
    pub fn is_in_maximal(&self, broker: BrokerId) -> bool {
        self.committed.contains(&broker)
            || self.pending.as_ref().is_some_and(|isr| isr.iter().any(|member| member.broker == broker))
    }

    /// Whether replicas outside may be elected for having all that is committed: nothing more is, until there are none.
    pub fn has_eligible(&self) -> bool {
        self.has_eligible
    }

    /// How many surely are in sync, however the answer falls: what `min.insync.replicas` is held against.
    pub fn certain_count(&self) -> usize {
        match &self.pending {
            None => self.committed.len(),
            Some(isr) => self.committed.iter().filter(|id| isr.iter().any(|member| member.broker == **id)).count(),
        }
    }

    /// Asks for another ISR. Nothing if an answer is awaited.
    pub(super) fn propose(&mut self, isr: Vec<IsrMember>) -> Option<IsrProposal> {
        if self.pending.is_some() {
            return None;
        }
        self.pending = Some(isr.clone());
        Some(IsrProposal { partition_epoch: self.partition_epoch, isr })
    }

    /// The proposal under way, to be sent again.
    pub(super) fn proposal(&self) -> Option<IsrProposal> {
        let isr = self.pending.clone()?;
        Some(IsrProposal { partition_epoch: self.partition_epoch, isr })
    }

    /// The controller answered the proposal made at `asked`.
    pub(super) fn on_answer(
        &mut self,
        asked: PartitionEpoch,
        answer: Result<&AlteredPartition, ErrorCode>,
    ) -> ProposalOutcome {
        if self.pending.is_none() || asked != self.partition_epoch {
            // The metadata was faster.
            return ProposalOutcome::Superseded;
        }
        match answer {
            Ok(altered) if altered.partition_epoch < self.partition_epoch => ProposalOutcome::Superseded,
            Ok(altered) => {
                self.pending = None;
                self.committed.clone_from(&altered.isr);
                self.has_eligible = !altered.eligible_leader_replicas.is_empty();
                self.partition_epoch = altered.partition_epoch;
                ProposalOutcome::Committed
            }
            // A member restarted or was fenced, or the request was wrong: nothing was changed.
            Err(ErrorCode::IneligibleReplica | ErrorCode::InvalidRequest | ErrorCode::OperationNotAttempted) => {
                self.pending = None;
                ProposalOutcome::Dropped
            }
            Err(
                ErrorCode::FencedLeaderEpoch
                | ErrorCode::NewLeaderElected
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::UnknownTopicId
                | ErrorCode::UnknownTopicOrPartition,
            ) => ProposalOutcome::Superseded,
            Err(_) => ProposalOutcome::SendAgain,
        }
    }

    /// The metadata tells the partition at this leader epoch. True if it was news.
    pub(super) fn on_metadata(&mut self, registration: &PartitionRegistration) -> bool {
        if registration.partition_epoch <= self.partition_epoch {
            return false;
        }
        *self = Self::new(registration);
        true
    }

    /// The committed ISR with what `change` makes of it, each member in the life that `epoch_of` tells.
    pub(super) fn with(
        &self,
        keep: impl Fn(BrokerId) -> bool,
        added: Option<BrokerId>,
        epoch_of: impl Fn(BrokerId) -> BrokerEpoch,
    ) -> Vec<IsrMember> {
        let kept = self.committed.iter().copied().filter(|broker| keep(*broker));
        kept.chain(added).map(|broker| IsrMember { broker, broker_epoch: epoch_of(broker) }).collect()
    }
}
