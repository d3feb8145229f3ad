//! How long no partition's write was acknowledged: the time that a fault costs whoever writes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The times of acknowledgements, a partition each.
#[derive(Debug)]
pub struct Gaps {
    partitions: Vec<Mutex<Gap>>,
}

#[derive(Debug)]
struct Gap {
    /// Of the last acknowledgement; before the first, of the beginning.
    last: Instant,
    longest: Duration,
    is_written: bool,
}

impl Gaps {
    /// Of so many partitions, from now on.
    pub fn new(partitions: i32) -> Gaps {
        let now = Instant::now();
        let gap = || Mutex::new(Gap { last: now, longest: Duration::ZERO, is_written: false });
        Gaps { partitions: (0..partitions).map(|_| gap()).collect() }
    }

    /// A write to `partition` was acknowledged.
    pub fn acknowledged(&self, partition: i32) {
        self.acknowledged_at(partition, Instant::now());
    }

    fn acknowledged_at(&self, partition: i32, now: Instant) {
        let Some(gap) = usize::try_from(partition).ok().and_then(|partition| self.partitions.get(partition)) else {
            return;
        };
        let mut gap = gap.lock().unwrap_or_else(PoisonError::into_inner);
        gap.longest = gap.longest.max(now.saturating_duration_since(gap.last));
        gap.last = now;
        gap.is_written = true;
    }

    /// Whether a write to each partition has been acknowledged.
    pub fn are_all_written(&self) -> bool {
        self.partitions.iter().all(|gap| gap.lock().unwrap_or_else(PoisonError::into_inner).is_written)
    }

    /// Forgets the longest gaps so far; what has been going on since the last acknowledgement still counts.
    pub fn begin(&self) {
        for gap in &self.partitions {
            gap.lock().unwrap_or_else(PoisonError::into_inner).longest = Duration::ZERO;
        }
    }

    /// The longest gap of each partition since [`Self::begin`], one that has not ended included.
    pub fn longest(&self) -> Vec<Duration> {
        self.longest_at(Instant::now())
    }

    fn longest_at(&self, now: Instant) -> Vec<Duration> {
        let gaps = self.partitions.iter().map(|gap| gap.lock().unwrap_or_else(PoisonError::into_inner));
        gaps.map(|gap| gap.longest.max(now.saturating_duration_since(gap.last))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_has_not_ended_counts_and_one_before_the_beginning_does_not() {
        let gaps = Gaps::new(2);
        let later = |ms| Instant::now() + Duration::from_millis(ms);
        gaps.acknowledged_at(0, later(500));
        assert!(!gaps.are_all_written());
        assert!(gaps.longest_at(later(500))[0] >= Duration::from_millis(400));
        gaps.begin();
        let longest = gaps.longest_at(later(600));
        assert!(longest[0] < Duration::from_millis(400) && longest[1] >= Duration::from_millis(500), "{longest:?}");
    }
}
