//! How many lines one place in the code may log.
//!
//! Each place has a budget of [`BURST_LINES`], and gets one line back every [`REFILL`]: what happens now and then is told
//! in full, and what happens a thousand times a second is told with its count. A pure core: time is an argument. There are
//! as many budgets as places that log, which the binary fixes.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::callsite::Identifier;

/// Lines that one place may log at once.
pub const BURST_LINES: u32 = 100;

/// How often one place may log a line once its burst is spent: with lines of ordinary length about 2 MB a day.
pub const REFILL: Duration = Duration::from_secs(10);

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is written.
    Write {
        /// Lines of the same place that were left out since the one before.
        left_out: u64,
        /// Whether the next one will be left out, unless time passes.
        is_last: bool,
    },
    /// It is counted.
    LeaveOut,
}

/// The budgets of all places.
#[derive(Debug, Default)]
pub struct LineLimits {
    budgets: Mutex<HashMap<Identifier, Budget>>,
}

#[derive(Debug)]
struct Budget {
    lines: u32,
    /// When the budget last got a line, or was full.
    refilled_at: Duration,
    left_out: u64,
}

impl LineLimits {
    /// Whether `place` may log a line now. `now` counts from any fixed moment.
    pub fn admit(&self, place: Identifier, now: Duration) -> Verdict {
        let mut budgets = self.budgets.lock();
        let full = Budget { lines: BURST_LINES, refilled_at: now, left_out: 0 };
        budgets.entry(place).or_insert(full).admit(now)
    }
}

impl Budget {
    fn admit(&mut self, now: Duration) -> Verdict {
        let refills = now.saturating_sub(self.refilled_at).as_nanos() / REFILL.as_nanos();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        if refills >= BURST_LINES - self.lines {
            (self.lines, self.refilled_at) = (BURST_LINES, now);
        } else {
            self.lines += refills;
            self.refilled_at += REFILL * refills;
        }
        if self.lines == 0 {
            self.left_out += 1;
            return Verdict::LeaveOut;
        }
        self.lines -= 1;
        Verdict::Write { left_out: std::mem::take(&mut self.left_out), is_last: self.lines == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget { lines: BURST_LINES, refilled_at: Duration::ZERO, left_out: 0 }
    }

    fn spend(budget: &mut Budget, lines: u32, now: Duration) -> Vec<Verdict> {
        (0..lines).map(|_| budget.admit(now)).collect()
    }

    const PLAIN: Verdict = Verdict::Write { left_out: 0, is_last: false };

    #[test]
    fn a_burst_is_written_and_its_last_line_says_so() {
        let mut budget = budget();
        let verdicts = spend(&mut budget, BURST_LINES + 2, Duration::ZERO);
        let (last, burst) = verdicts[..BURST_LINES as usize].split_last().unwrap();
        assert!(burst.iter().all(|verdict| *verdict == PLAIN));
        assert_eq!(*last, Verdict::Write { left_out: 0, is_last: true });
        assert_eq!(verdicts[BURST_LINES as usize..], [Verdict::LeaveOut; 2]);
    }

    #[test]
    fn a_spent_budget_gets_one_line_a_period_and_tells_what_was_left_out() {
        let mut budget = budget();
        spend(&mut budget, BURST_LINES + 7, Duration::ZERO);
        assert_eq!(budget.admit(REFILL - Duration::from_nanos(1)), Verdict::LeaveOut);
        assert_eq!(budget.admit(REFILL), Verdict::Write { left_out: 8, is_last: true });
        assert_eq!(budget.admit(REFILL), Verdict::LeaveOut);
    }

    #[test]
    fn a_quiet_place_has_its_whole_budget_again_and_no_more() {
        let mut budget = budget();
        spend(&mut budget, BURST_LINES, Duration::ZERO);
        let much_later = REFILL * (10 * BURST_LINES);
        let written = spend(&mut budget, 2 * BURST_LINES, much_later);
        assert_eq!(written.iter().filter(|verdict| **verdict != Verdict::LeaveOut).count(), BURST_LINES as usize);
    }

    #[test]
    fn what_is_logged_now_and_then_is_never_left_out() {
        let mut budget = budget();
        let verdicts = (0..10_000).map(|line| budget.admit(REFILL * line));
        assert!(verdicts.into_iter().all(|verdict| verdict == PLAIN));
    }
}
