//! Bugs that can be planted, one a rule: the suite proves that it would find each.

use clap::ValueEnum;

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
}

impl Bug {
    pub(crate) fn all() -> &'static [Bug] {
        Self::value_variants()
    }
}
