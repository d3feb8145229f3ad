//! Bugs that can be planted, one a rule: the suite proves that it would find each.

use clap::ValueEnum;

use crate::group::rules::Rule;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bug {
    /// A leader acknowledges what it has appended, before its followers have it.
    AcknowledgeOnAppend,
    /// A follower promises what it has been sent before it is in its log.
    PromiseBeforeAppend,
    /// A follower that is told where its log parts from the leader's goes on without cutting it.
    IgnoreDivergence,
    /// A leader that has been replaced goes on as before.
    KeepLeadingAfterEpoch,
    /// A leader forgets what it has asked for, and counts with the ISR from before until the metadata tells.
    ForgetProposal,
    /// The controller elects any replica that lives, in sync or not.
    ElectOutsideIsr,
    /// A leader goes on committing while fewer replicas are in sync than it takes to know who else has everything.
    CommitBelowMinIsr,
    /// A machine that lost power is taken at its word that its logs are what they were.
    TrustUncleanStart,
    /// A follower takes the answer to an earlier fetch for one to the fetch under way.
    AppendLateAnswers,
    /// The group coordinator answers an OffsetCommit as soon as it is in its own log.
    AnswerCommitOnAppend,
    /// It shows offsets as soon as they are in its own log.
    ShowOffsetsOnAppend,
    /// It goes on answering when the partition has another leader.
    AnswerWhenDeposed,
    /// It reads its log up to the high watermark that it happens to know.
    LoadToHighWatermark,
    /// It reads the offsets from its log and leaves the generations.
    LoadOffsetsAlone,
    /// It reads generations from its log without their members.
    LoadNoMembers,
    /// It gives each member of a generation what the first was given.
    GiveAllOneAssignment,
    /// It tells nobody that the generation is over.
    KeepMembersInTheDark,
}

impl Bug {
    pub(crate) fn all() -> &'static [Bug] {
        Self::value_variants()
    }

    /// The rule of the groups that finds it; the others do not count then, so that each proves itself.
    pub(crate) fn group_rule(self) -> Option<Rule> {
        match self {
            Bug::AnswerCommitOnAppend => Some(Rule::CommitsStay),
            Bug::ShowOffsetsOnAppend | Bug::AnswerWhenDeposed => Some(Rule::OnlyCommittedIsShown),
            Bug::LoadToHighWatermark => Some(Rule::StateIsTheLogs),
            Bug::LoadOffsetsAlone => Some(Rule::GenerationsGoOn),
            Bug::LoadNoMembers => Some(Rule::MembersKeepOffsets),
            Bug::GiveAllOneAssignment => Some(Rule::OneOwner),
            Bug::KeepMembersInTheDark => Some(Rule::MembersAreTold),
            _ => None,
        }
    }
}
