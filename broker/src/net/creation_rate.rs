//! How many connections a second are taken (`max.connection.creation.rate`).
//!
//! A generic cell rate limiter: a second's worth may come at once, and after that the rate holds. A pure core: time is an
//! argument.

use std::time::Duration;

use tokio::time::Instant;

/// What may come at once.
const BURST: Duration = Duration::from_secs(1);

/// The moment up to which the rate is used up.
#[derive(Debug, Default)]
pub(super) struct CreationRate {
    used_until: Option<Instant>,
}

/// When the next connection may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Now,
    At(Instant),
    Never,
}

impl CreationRate {
    /// When the next connection may be taken at so many a second.
    pub(super) fn next(&self, per_second: u32, now: Instant) -> Next {
        match self.used_until {
            _ if per_second == 0 => Next::Never,
            Some(until) if until > now + BURST => Next::At(until - BURST),
            _ => Next::Now,
        }
    }

    /// Counts a connection.
    pub(super) fn count(&mut self, per_second: u32, now: Instant) {
        let share = BURST / per_second.max(1);
        self.used_until = Some(self.used_until.map_or(now, |until| until.max(now)) + share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_comes_at_once_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut rate = CreationRate::default();
        let mut now = start;
        let mut taken = Vec::new();
        while taken.len() < 30 {
            match rate.next(10, now) {
                Next::Now => {
                    rate.count(10, now);
                    taken.push(now - start);
                }
                Next::At(at) => now = at,
                Next::Never => unreachable!(),
            }
        }
        assert_eq!(taken[10], Duration::ZERO);
        assert_eq!((taken[11], taken[29]), (Duration::from_millis(100), Duration::from_millis(1900)));
    }

    #[test]
    fn a_rate_of_nothing_takes_nobody_until_it_is_raised() {
        let now = Instant::now();
        let rate = CreationRate::default();
        assert_eq!((rate.next(0, now), rate.next(1, now)), (Next::Never, Next::Now));
    }
}
