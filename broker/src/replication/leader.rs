//! A partition's leader in one leader epoch: its followers' progress, the high watermark, and the ISR it asks for.
//!
//! Invariants: the high watermark never goes back, never passes the leader's end, and is never moved past the end of a replica that is in
//! the ISR or may be; a follower joins the ISR only when it has everything below the high watermark and everything from before this epoch.
//! One proposal is under way at a time. Kafka's `Partition` (`maybeIncrementLeaderHW`, `maybeExpandIsr`, `maybeShrinkIsr`).

use weir_controller::decide::{AlteredPartition, IsrMember};
use weir_controller::image::PartitionRegistration;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use super::follower_progress::{FollowerFetch, FollowerProgress, StaleFetch};
use super::in_sync::{InSyncReplicas, IsrProposal, ProposalOutcome};
use super::truncation::{EpochEnd, NoCommonEpoch, divergence};

/// What the metadata says of a broker that might join the ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Registered, unfenced and not about to stop.
    pub is_active: bool,
    /// The epoch of its registration.
    pub broker_epoch: BrokerEpoch,
}

impl Candidate {
    /// Whether the life that fetched is the one that is registered, and may be in sync.
    fn admits(self, fetched_in: BrokerEpoch) -> bool {
        self.is_active && (fetched_in == BrokerEpoch::NONE || fetched_in == self.broker_epoch)
    }
}

/// What follows from a fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchEffects {
    /// Where the follower's log parts from this one: it is told that, and gets no records.
    pub diverging: Option<EpochEnd>,
    /// Where the high watermark now is, if it moved.
    pub high_watermark: Option<Offset>,
    /// What to ask of the controller.
    pub proposal: Option<IsrProposal>,
}

/// Why a fetch is not answered with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefusal {
    /// The follower has yet to hear of this epoch.
    #[error("the fetch is of an earlier leader epoch")]
    FencedLeaderEpoch,
    /// The follower knows a later epoch than this leader.
    #[error("the fetch is of a later leader epoch")]
    UnknownLeaderEpoch,
    /// It does not replicate this partition.
    #[error("broker {0} has no replica of this partition")]
    NotAReplica(BrokerId),
    /// It was sent before its broker restarted.
    #[error(transparent)]
    Stale(#[from] StaleFetch),
    /// The log here does not hold that offset, nor ends there.
    #[error("offset {0} is outside of the log")]
    OffsetOutOfRange(Offset),
    /// Both logs have nothing in common.
    #[error(transparent)]
    NoCommonEpoch(#[from] NoCommonEpoch),
}

impl FetchRefusal {
    /// What the follower is told.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::NotAReplica(_) | Self::Stale(_) => ErrorCode::NotLeaderOrFollower,
            Self::OffsetOutOfRange(_) | Self::NoCommonEpoch(_) => ErrorCode::OffsetOutOfRange,
        }
    }
}

/// What the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `min.insync.replicas` of the topic.
    pub min_insync: usize,
    /// `replica.lag.time.max.ms`.
    pub max_lag_ms: i64,
}

/// The log of a broker that has just been elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogAtElection {
    /// Where it ends.
    pub log_end: Offset,
    /// What of it counts: all, or what is flushed where the topic asks for that.
    pub own_end: Offset,
    /// What the broker knew to be committed as a follower.
    pub high_watermark: Offset,
}

/// A leader, from its election to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderState {
    local: IsrMember,
    leader_epoch: LeaderEpoch,
    /// The leader's end when its epoch began: what a follower needs before it can be in sync.
    epoch_start: Offset,
    log_end: Offset,
    /// What the leader itself counts as having: its end, or what is flushed where the topic asks for that.
    own_end: Offset,
    high_watermark: Offset,
    followers: Vec<FollowerProgress>,
    isr: InSyncReplicas,
    replicas: usize,
    terms: Terms,
    began_ms: i64,
}

impl LeaderState {
    /// `local` has been elected, in the life that its epoch names.
    pub fn new(
        local: IsrMember,
        registration: &PartitionRegistration,
        log: LogAtElection,
        terms: Terms,
        now_ms: i64,
    ) -> Self {
        let mut leader = Self {
            local,
            leader_epoch: registration.leader_epoch,
            epoch_start: log.log_end,
            log_end: log.log_end,
            own_end: log.own_end,
            high_watermark: log.high_watermark.min(log.log_end),
            followers: Vec::new(),
            isr: InSyncReplicas::new(registration),
            replicas: registration.replicas.len(),
            terms,
            began_ms: now_ms,
        };
        leader.set_replicas(registration, now_ms);
        leader.advance_high_watermark(now_ms);
        leader
    }

    /// The epoch in which it leads.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Where the leader's log ends, as far as this has been told.
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    /// Everything below is on every replica that is in sync.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The high watermark as far as anyone may be told: none until it covers what was in the log when this leader took over. Until then it
    /// may be older than what an earlier leader has told (OFFSET_NOT_AVAILABLE, KIP-207).
    pub fn told_high_watermark(&self) -> Option<Offset> {
        (self.high_watermark >= self.epoch_start).then_some(self.high_watermark)
    }

    /// The in-sync replicas.
    pub fn in_sync(&self) -> &InSyncReplicas {
        &self.isr
    }

    /// What is known of the followers.
    pub fn followers(&self) -> &[FollowerProgress] {
        &self.followers
    }

    /// Whether fewer replicas are in sync than acks=all asks for. A topic cannot need more than it has. Where the controller keeps eligible
    /// leaders there are too few by its reckoning, whatever this broker takes the setting to be.
    pub fn is_under_min_isr(&self) -> bool {
        self.isr.has_eligible() || self.isr.certain_count() < self.terms.min_insync.min(self.replicas)
    }

    /// Whether a follower that may be elected has fetched since then, and so took this broker for the leader: of a broker that no controller
    /// hears that is all that tells it from one that is cut off. One whose epoch began later need not have been fetched from yet, and
    /// nobody else may lead what nobody else is in sync with or eligible for. Unclean elections are not reckoned with.
    pub fn is_followed_since(&self, since_ms: i64) -> bool {
        // Which followers are the eligible ones is the controller's to know; whom it was asked to take in it may have taken in.
        let may_lead = |broker| self.isr.has_eligible() || self.isr.is_in_maximal(broker);
        let mut rivals = self.followers.iter().filter(|it| may_lead(it.broker())).peekable();
        self.began_ms >= since_ms || rivals.peek().is_none() || rivals.any(|it| it.last_fetch_ms() >= since_ms)
    }

    /// `min.insync.replicas` changed. Returns the high watermark if it moved.
    pub fn set_min_insync(&mut self, min_insync: usize, now_ms: i64) -> Option<Offset> {
        self.terms.min_insync = min_insync;
        self.advance_high_watermark(now_ms)
    }

    /// The leader's log has grown. Returns the high watermark if it moved, which it does at once only where nobody else is in sync.
    pub fn on_append(&mut self, log_end: Offset, now_ms: i64) -> Option<Offset> {
        self.on_log(log_end, log_end, now_ms)
    }

    /// The leader's log has grown to `log_end`, or what counts of it to `own_end`: followers may fetch all of it, but the high watermark
    /// stays behind what the leader itself has flushed where the topic asks for that. A log never shrinks while it leads: what a caller
    /// knows of an earlier end says nothing new.
    pub fn on_log(&mut self, log_end: Offset, own_end: Offset, now_ms: i64) -> Option<Offset> {
        self.log_end = self.log_end.max(log_end);
        self.own_end = self.own_end.max(own_end).min(self.log_end);
        self.advance_high_watermark(now_ms)
    }

    /// A follower fetches from a log that starts at `log_start`; `common` is the largest epoch in it that is not above the follower's last, with its
    /// end. `candidate` tells what the metadata says of the follower; none if it is not a broker.
    ///
    /// Only a fetch that continues the leader's log promises anything. One that does not is told where both part.
    pub fn on_fetch(
        &mut self,
        now_ms: i64,
        fetch: &FollowerFetch,
        log_start: Offset,
        common: Option<EpochEnd>,
        candidate: Option<Candidate>,
    ) -> Result<FetchEffects, FetchRefusal> {
        if fetch.current_leader_epoch != self.leader_epoch {
            let older = fetch.current_leader_epoch < self.leader_epoch;
            return Err(if older { FetchRefusal::FencedLeaderEpoch } else { FetchRefusal::UnknownLeaderEpoch });
        }
        let log_end = self.log_end;
        let replica = self.followers.iter_mut().find(|follower| follower.broker() == fetch.broker);
        let follower = replica.ok_or(FetchRefusal::NotAReplica(fetch.broker))?;
        if let Some(diverging) = divergence(fetch.last_fetched_epoch, fetch.fetch_offset, common)? {
            return Ok(FetchEffects { diverging: Some(diverging), ..FetchEffects::default() });
        }
        if fetch.fetch_offset < log_start || fetch.fetch_offset > log_end {
            return Err(FetchRefusal::OffsetOutOfRange(fetch.fetch_offset));
        }
        follower.on_fetch(now_ms, fetch, log_end)?;
        follower.set_eligible(candidate.is_some_and(|candidate| candidate.admits(fetch.broker_epoch)));
        let high_watermark = self.advance_high_watermark(now_ms);
        let proposal = self.maybe_expand(fetch);
        Ok(FetchEffects { diverging: None, high_watermark, proposal })
    }

    /// The metadata says something new of a broker: one that was fenced holds nothing up any longer. Returns the high watermark if it moved.
    pub fn on_broker(&mut self, broker: BrokerId, candidate: Option<Candidate>, now_ms: i64) -> Option<Offset> {
        let follower = self.followers.iter_mut().find(|follower| follower.broker() == broker)?;
        let epoch = follower.broker_epoch();
        follower.set_eligible(candidate.is_some_and(|candidate| candidate.admits(epoch)));
        self.advance_high_watermark(now_ms)
    }

    /// Looks for members that have not had everything for too long, and asks for an ISR without them.
    pub fn on_lag_check(&mut self, now_ms: i64) -> Option<IsrProposal> {
        if self.isr.is_pending() {
            return None;
        }
        let lags = |broker: BrokerId| {
            let follower = self.followers.iter().find(|follower| follower.broker() == broker);
            follower.is_some_and(|follower| !follower.is_caught_up(now_ms, self.log_end, self.terms.max_lag_ms))
        };
        if !self.isr.committed().iter().any(|broker| lags(*broker)) {
            return None;
        }
        let isr = self.isr.with(|broker| !lags(broker), None, |broker| self.epoch_of(broker));
        self.isr.propose(isr)
    }

    /// Where the logs of the leader and of the followers that are alive start: everything below is deleted for good (`DeleteRecords`).
    pub fn low_watermark(&self, log_start: Offset, is_alive: impl Fn(BrokerId) -> bool) -> Offset {
        let alive = self.followers.iter().filter(|follower| is_alive(follower.broker()));
        alive.map(FollowerProgress::log_start_offset).fold(log_start, Offset::min)
    }

    /// The proposal that waits for an answer, to be sent to another controller.
    pub fn proposal(&self) -> Option<IsrProposal> {
        self.isr.proposal()
    }

    /// The controller answered the proposal made at partition epoch `asked`.
    pub fn on_answer(
        &mut self,
        asked: PartitionEpoch,
        answer: Result<&AlteredPartition, ErrorCode>,
        now_ms: i64,
    ) -> (ProposalOutcome, Option<Offset>) {
        let answer = match answer {
            Ok(altered) if altered.leader_epoch != self.leader_epoch || altered.leader != self.local.broker => {
                Err(ErrorCode::NewLeaderElected)
            }
            answer => answer,
        };
        let outcome = self.isr.on_answer(asked, answer);
        (outcome, self.advance_high_watermark(now_ms))
    }

    /// The metadata tells this partition, still at this leader epoch. Returns the high watermark if it moved.
    pub fn on_metadata(&mut self, registration: &PartitionRegistration, now_ms: i64) -> Option<Offset> {
        assert_eq!(registration.leader_epoch, self.leader_epoch, "another leader epoch is another leader state");
        if !self.isr.on_metadata(registration) {
            return None;
        }
        self.set_replicas(registration, now_ms);
        self.advance_high_watermark(now_ms)
    }

    fn set_replicas(&mut self, registration: &PartitionRegistration, now_ms: i64) {
        let known = std::mem::take(&mut self.followers);
        let others = registration.replicas.iter().copied().filter(|broker| *broker != self.local.broker);
        let follower = |broker: BrokerId| {
            let known = known.iter().find(|follower| follower.broker() == broker).cloned();
            known.unwrap_or_else(|| FollowerProgress::new(broker, registration.isr.contains(&broker), now_ms))
        };
        self.followers = others.map(follower).collect();
        self.replicas = registration.replicas.len();
    }

    fn epoch_of(&self, broker: BrokerId) -> BrokerEpoch {
        if broker == self.local.broker {
            return self.local.broker_epoch;
        }
        let follower = self.followers.iter().find(|follower| follower.broker() == broker);
        follower.map_or(BrokerEpoch::NONE, FollowerProgress::broker_epoch)
    }

    fn maybe_expand(&mut self, fetch: &FollowerFetch) -> Option<IsrProposal> {
        let follower = self.followers.iter().find(|follower| follower.broker() == fetch.broker)?;
        let has_all = fetch.fetch_offset >= self.high_watermark && fetch.fetch_offset >= self.epoch_start;
        if !has_all || !follower.is_eligible() || self.isr.is_pending() || self.isr.is_in_maximal(fetch.broker) {
            return None;
        }
        let isr = self.isr.with(|_| true, Some(fetch.broker), |broker| self.epoch_of(broker));
        self.isr.propose(isr)
    }

    /// Moves the high watermark to the end that every replica has which is in sync, may be, or is about to join: were it to pass one
    /// that is about to join, that one could never reach it under load (KAFKA-7128).
    fn advance_high_watermark(&mut self, now_ms: i64) -> Option<Offset> {
        // What acks=all would not acknowledge is not committed either (KIP-966).
        if self.is_under_min_isr() {
            return None;
        }
        let mut everyone_has = self.own_end;
        for follower in &self.followers {
            let counts = self.isr.is_in_maximal(follower.broker());
            match follower.log_end_offset() {
                Some(end) if counts || self.is_joining(follower, end, now_ms) => everyone_has = everyone_has.min(end),
                None if counts => return None,
                _ => {}
            }
        }
        let moved = everyone_has > self.high_watermark;
        if moved {
            self.high_watermark = everyone_has;
        }
        moved.then_some(everyone_has)
    }

    /// Whether a follower outside the ISR is on its way into it: it may join, keeps up, and has what is committed.
    fn is_joining(&self, follower: &FollowerProgress, end: Offset, now_ms: i64) -> bool {
        follower.is_eligible()
            && end >= self.high_watermark
            && end >= self.epoch_start
            && follower.is_caught_up(now_ms, self.log_end, self.terms.max_lag_ms)
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
