//! What a leader knows of one follower: how far it is, and when it last had everything.
//!
//! ```text
//!  fetch at the leader's end             -> caught up now
//!  fetch at or past the end of last time -> caught up when it fetched last time
//! ```
//!
//! A follower that keeps fetching under constant load never sees the leader's end, but it is in sync as long as each of its fetches
//! reaches what the one before could have seen (KAFKA-2213, Kafka's `Replica.updateFetchStateOrThrow`).

use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

/// A fetch, as far as it tells of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Who fetches.
    pub broker: BrokerId,
    /// In which of its lives (KIP-903), or -1 from one that does not say.
    pub broker_epoch: BrokerEpoch,
    /// The epoch in which it takes the other for the leader.
    pub current_leader_epoch: LeaderEpoch,
    /// Everything below is in its log.
    pub fetch_offset: Offset,
    /// The epoch of its last record, or -1.
    pub last_fetched_epoch: LeaderEpoch,
    /// Where its log starts.
    pub log_start_offset: Offset,
}

/// A fetch that was sent by an earlier life of its broker: it says nothing about this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broker {broker} fetched in its epoch {fetched}, but is known in epoch {known}")]
pub struct StaleFetch {
    /// The broker.
    pub broker: BrokerId,
    /// The epoch of the fetch.
    pub fetched: BrokerEpoch,
    /// The epoch of an earlier fetch.
    pub known: BrokerEpoch,
}

/// A follower, as its leader sees it since this leader's epoch began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerProgress {
    broker: BrokerId,
    broker_epoch: BrokerEpoch,
    /// Whether the metadata says that it may join the ISR.
    is_eligible: bool,
    log_end_offset: Option<Offset>,
    log_start_offset: Offset,
    last_fetch_ms: i64,
    /// The leader's end when it fetched last.
    seen_end: Offset,
    last_caught_up_ms: i64,
}

impl FollowerProgress {
    /// A follower of which nothing is known. One that was in sync when the epoch began has until `now_ms` plus the lag that is
    /// allowed to show itself.
    pub(super) fn new(broker: BrokerId, was_in_sync: bool, now_ms: i64) -> Self {
        Self {
            broker,
            broker_epoch: BrokerEpoch::NONE,
            is_eligible: false,
            log_end_offset: None,
            log_start_offset: Offset::NONE,
            last_fetch_ms: i64::MIN,
            seen_end: Offset::NONE,
            last_caught_up_ms: if was_in_sync { now_ms } else { i64::MIN },
        }
    }

    /// Who it is.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// The life in which it fetched last, or -1.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch
    }

    /// Whether the metadata says that it may join the ISR: registered in this life, unfenced, not about to stop (KIP-841, KIP-903).
    pub fn is_eligible(&self) -> bool {
        self.is_eligible
    }

    pub(super) fn set_eligible(&mut self, is_eligible: bool) {
        self.is_eligible = is_eligible;
    }

    /// The end of its log, once it has fetched in this epoch.
    pub fn log_end_offset(&self) -> Option<Offset> {
        self.log_end_offset
    }

    /// Where its log starts, or -1.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// When it last had everything.
    pub fn last_caught_up_ms(&self) -> i64 {
        self.last_caught_up_ms
    }

    /// When it last fetched.
    pub fn last_fetch_ms(&self) -> i64 {
        self.last_fetch_ms
    }

    pub(super) fn on_fetch(
        &mut self,
        now_ms: i64,
        fetch: &FollowerFetch,
        leader_end: Offset,
    ) -> Result<(), StaleFetch> {
        if fetch.broker_epoch != BrokerEpoch::NONE && fetch.broker_epoch < self.broker_epoch {
            return Err(StaleFetch { broker: self.broker, fetched: fetch.broker_epoch, known: self.broker_epoch });
        }
        if fetch.fetch_offset >= leader_end {
            self.last_caught_up_ms = self.last_caught_up_ms.max(now_ms);
        } else if self.log_end_offset.is_some() && fetch.fetch_offset >= self.seen_end {
            self.last_caught_up_ms = self.last_caught_up_ms.max(self.last_fetch_ms);
        }
        self.broker_epoch = fetch.broker_epoch;
        self.log_end_offset = Some(fetch.fetch_offset);
        self.log_start_offset = fetch.log_start_offset;
        self.last_fetch_ms = now_ms;
        self.seen_end = leader_end;
        Ok(())
    }

    /// Whether it has everything, or had it no longer than `max_lag_ms` ago.
    pub(super) fn is_caught_up(&self, now_ms: i64, leader_end: Offset, max_lag_ms: i64) -> bool {
        self.log_end_offset == Some(leader_end) || now_ms.saturating_sub(self.last_caught_up_ms) <= max_lag_ms
    }
}
