//! What holds back the catching up of throttled replicas on this broker, as leader and as follower (KIP-73).

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Partition;
use crate::replication::Throttle;

/// Which end of a replica's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaSide {
    /// What leaders here send to followers.
    Leader,
    /// What followers here fetch.
    Follower,
}

/// Both rates.
#[derive(Debug)]
pub struct Throttles {
    leader: SharedThrottle,
    follower: SharedThrottle,
}

/// One rate, with what it has counted.
#[derive(Debug)]
pub struct SharedThrottle {
    throttle: Mutex<Throttle>,
    bytes: AtomicU64,
}

impl Throttles {
    /// Without limits; once there are, `burst_ms` worth of them may pass at once.
    pub fn new(burst_ms: u64) -> Self {
        let throttle = || SharedThrottle { throttle: Mutex::new(Throttle::new(burst_ms)), bytes: AtomicU64::new(0) };
        Self { leader: throttle(), follower: throttle() }
    }

    /// The rate of one side.
    pub fn of(&self, side: ReplicaSide) -> &SharedThrottle {
        match side {
            ReplicaSide::Leader => &self.leader,
            ReplicaSide::Follower => &self.follower,
        }
    }
}

impl SharedThrottle {
    /// Changes the limit, in bytes a second.
    pub fn set_limit(&self, now_ms: i64, limit: Option<u64>) {
        self.throttle.lock().set_limit(now_ms, limit);
    }

    /// Counts bytes of throttled replicas.
    pub fn record(&self, now_ms: i64, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.throttle.lock().record(now_ms, bytes);
    }

    /// When to look again, if more has passed by now than the rate allows.
    pub fn exceeded_until(&self, now_ms: i64) -> Option<i64> {
        self.throttle.lock().exceeded_until(now_ms)
    }

    /// The bytes of throttled replicas so far.
    pub fn bytes(&self) -> &AtomicU64 {
        &self.bytes
    }
}

impl Partition {
    /// Whether the traffic of the replica here counts against the rate of `side`.
    pub fn is_throttled(&self, side: ReplicaSide) -> bool {
        let config = self.topic.config.load();
        let throttled = match side {
            ReplicaSide::Leader => &config.leader_throttled,
            ReplicaSide::Follower => &config.follower_throttled,
        };
        throttled.contains(self.index, self.local.id())
    }
}
