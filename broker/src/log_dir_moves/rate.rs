//! How fast replicas may be copied between log directories (`replica.alter.log.dirs.io.max.bytes.per.second`). Pure; time is an argument.

use std::time::{Duration, Instant};

/// The rate over time: what was copied beyond it is waited for. What was not used is not saved up.
#[derive(Debug)]
pub(super) struct Rate {
    /// When what has been copied so far is paid for.
    paid_at: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { paid_at: now }
    }

    /// Notes that `bytes` were copied at `now`, and yields how long to wait before more.
    pub(super) fn copied(&mut self, now: Instant, bytes: u64, bytes_per_second: u64) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        self.paid_at = self.paid_at.max(now) + cost;
        self.paid_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_waited_for_at_the_rate() {
        let now = Instant::now();
        let mut rate = Rate::new(now);
        assert_eq!(rate.copied(now, 500, 1_000), Duration::from_millis(500));
        assert_eq!(rate.copied(now, 1_000, 1_000), Duration::from_millis(1_500));
        assert_eq!(rate.copied(now + Duration::from_secs(1), 100, 1_000), Duration::from_millis(600));
    }

    #[test]
    fn time_in_which_nothing_was_copied_is_not_made_up_for() {
        let now = Instant::now();
        let mut rate = Rate::new(now);
        let later = now + Duration::from_secs(100);
        assert_eq!(rate.copied(later, 1_000, 1_000), Duration::from_secs(1));
    }

    #[test]
    fn without_a_limit_nothing_is_waited_for() {
        let now = Instant::now();
        assert!(Rate::new(now).copied(now, 1 << 30, u64::MAX) < Duration::from_micros(1));
    }
}
