//! How many bytes a second the catching up of throttled replicas may take (KIP-73).
//!
//! A bucket of what is owed: bytes fill it as they pass, the rate empties it, and whoever finds it above its burst waits until it is
//! not. So the rate holds over any length of time, however large a single answer is; Kafka's `ReplicationQuotaManager` forgets
//! what is older than its samples, and lets more through where an answer is worth more than all of them.

/// The longest that anybody waits before it looks again: the rate may have been raised, or the replica freed, meanwhile.
const MAX_PAUSE_MS: i64 = 1_000;

/// One side's rate: what leaders here send, or what followers here fetch.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// In bytes a second; none is no limit.
    limit: Option<u64>,
    /// How much of the rate may pass at once, as the time that it would take.
    burst_ms: u64,
    /// Bytes that passed and are not paid for yet, times a thousand: a millisecond pays for `limit` of these.
    owed: u64,
    /// Until when `owed` has been paid off.
    paid_at_ms: i64,
}

impl Throttle {
    /// No limit; once there is one, `burst_ms` worth of it may pass at once.
    pub fn new(burst_ms: u64) -> Self {
        Self { limit: None, burst_ms, owed: 0, paid_at_ms: i64::MIN }
    }

    /// Changes the limit, in bytes a second. What is owed stays owed.
    pub fn set_limit(&mut self, now_ms: i64, limit: Option<u64>) {
        self.pay(now_ms);
        self.limit = limit;
    }

    /// Counts bytes of throttled replicas, whether they were held back or not: in-sync ones are not, and count.
    pub fn record(&mut self, now_ms: i64, bytes: u64) {
        self.pay(now_ms);
        if self.limit.is_some() {
            self.owed = self.owed.saturating_add(bytes.saturating_mul(1_000));
        }
    }

    /// When to look again, if more has passed by now than the rate allows.
    pub fn exceeded_until(&mut self, now_ms: i64) -> Option<i64> {
        self.pay(now_ms);
        let limit = self.limit?;
        let excess = self.owed.saturating_sub(limit.saturating_mul(self.burst_ms));
        if excess == 0 && limit > 0 {
            return None;
        }
        // A rate of nothing lets nothing through.
        let pause_ms = excess.div_ceil(limit.max(1)).clamp(1, MAX_PAUSE_MS as u64) as i64;
        Some(now_ms.saturating_add(if limit == 0 { MAX_PAUSE_MS } else { pause_ms }))
    }

    fn pay(&mut self, now_ms: i64) {
        let elapsed_ms = u64::try_from(now_ms.saturating_sub(self.paid_at_ms)).unwrap_or(0);
        self.paid_at_ms = self.paid_at_ms.max(now_ms);
        self.owed = match self.limit {
            Some(limit) => self.owed.saturating_sub(limit.saturating_mul(elapsed_ms)),
            None => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn limited(limit: u64) -> Throttle {
        let mut throttle = Throttle::new(1_000);
        throttle.set_limit(0, Some(limit));
        throttle
    }

    #[test]
    fn without_a_limit_nothing_is_held_back() {
        let mut throttle = Throttle::new(1_000);
        throttle.record(0, u64::MAX);
        assert_eq!(throttle.exceeded_until(0), None);
    }

    #[test]
    fn the_rate_holds_over_a_minute_however_large_an_answer_is() {
        let mut throttle = limited(100 * KIB);
        let (mut now_ms, mut passed) = (0, 0);
        while now_ms < 60_000 {
            match throttle.exceeded_until(now_ms) {
                None => {
                    throttle.record(now_ms, 1_000 * KIB);
                    passed += 1_000 * KIB;
                    now_ms += 1;
                }
                Some(until_ms) => now_ms = until_ms,
            }
        }
        // A minute's worth, the burst and one answer that was under way.
        assert!((6_000 * KIB..=7_100 * KIB).contains(&passed), "{passed}");
    }

    #[test]
    fn what_is_owed_is_waited_for_to_the_millisecond() {
        let mut throttle = limited(1_000);
        throttle.record(0, 1_500);
        assert_eq!(throttle.exceeded_until(0), Some(500));
        assert_eq!(throttle.exceeded_until(499), Some(500));
        assert_eq!(throttle.exceeded_until(500), None);
    }

    #[test]
    fn nobody_waits_long_for_a_rate_that_may_be_raised() {
        let mut throttle = limited(1);
        throttle.record(0, 1 << 30);
        assert_eq!(throttle.exceeded_until(0), Some(MAX_PAUSE_MS));
        throttle.set_limit(10, Some(1 << 30));
        assert_eq!(throttle.exceeded_until(10), None);
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_through() {
        let mut throttle = limited(0);
        assert_eq!(throttle.exceeded_until(7), Some(7 + MAX_PAUSE_MS));
    }

    #[test]
    fn a_limit_that_is_taken_away_forgives_what_is_owed() {
        let mut throttle = limited(1);
        throttle.record(0, 1 << 30);
        throttle.set_limit(1, None);
        throttle.set_limit(2, Some(1));
        assert_eq!(throttle.exceeded_until(2), None);
    }
}
