//! The clocks of a quorum with peers.
//!
//! Owns the durations; `clocks` keeps them. A quorum of one without learners ticks nothing; as soon as the membership has anybody else,
//! heartbeats and elections are on. A follower stands for election once its lease (`election_timeout_max`) and a random
//! part between the two timeouts have passed in silence, so the active controller's death is answered within twice
//! `election_timeout_max`, two calls and two fsyncs.

use std::time::Duration;

/// How a quorum with peers keeps time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumTiming {
    /// How often the active controller tells every member that it lives.
    pub heartbeat_interval: Duration,
    /// The least random part of the silence before a follower stands for election.
    pub election_timeout_min: Duration,
    /// The most of it, and how long a follower trusts the last heartbeat before that part begins.
    pub election_timeout_max: Duration,
    /// How long the lowest voter waits for the rest once a majority is ready to form a cluster.
    pub formation_grace: Duration,
    /// How long a start takes no for an answer (another cluster, another live process of this id) before it fails: what is
    /// just being restarted may still hold on to the past.
    pub refusal_patience: Duration,
    /// How long a node hears of no active controller before it asks whether it is still a member.
    pub lost_sight: Duration,
    /// How long a member without a vote may be silent before it is forgotten; one that comes back joins again.
    pub learner_patience: Duration,
}

impl Default for QuorumTiming {
    /// Metadata writes resume within 1.2 s of the silence of the active controller (of its death the voters know sooner), and three
    /// heartbeats may be late. Slower than a lost host has to be noticed anyway, for an idle cluster pays for every heartbeat.
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(285),
            election_timeout_min: Duration::from_millis(300),
            election_timeout_max: Duration::from_millis(600),
            formation_grace: Duration::from_secs(2),
            refusal_patience: Duration::from_secs(3),
            lost_sight: Duration::from_secs(10),
            // Kafka's patience with an observer.
            learner_patience: Duration::from_secs(300),
        }
    }
}

impl QuorumTiming {
    /// Without an acknowledgement of a majority for this long, an active controller no longer says that it is one.
    pub(crate) fn quorum_loss(&self) -> Duration {
        self.election_timeout_max * 4
    }
}
