//! Deadlines of one shard, by name.
//!
//! A timer that is moved later keeps its place in the order until that place comes up: a heartbeat, which moves a session
//! a little further every few seconds, costs one map update. So the first place may be early, never late.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{GroupId, MemberId};

/// What a deadline is for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    /// A member, joined or pending, has been silent for its session timeout.
    Session(GroupId, MemberId),
    /// A rebalance has waited long enough for members to rejoin.
    Join(GroupId),
    /// A generation has waited long enough for its members' SyncGroup.
    Sync(GroupId),
    /// Offsets and groups are to be checked for expiry.
    OffsetExpiry,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: BTreeMap<Timer, Deadline>,
    order: BTreeSet<(i64, Timer)>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    due_ms: i64,
    /// Where it stands in `order`; at or before `due_ms`.
    place_ms: i64,
}

impl Timers {
    /// Sets or moves a timer.
    pub(crate) fn schedule(&mut self, timer: Timer, due_ms: i64) {
        if let Some(deadline) = self.deadlines.get_mut(&timer) {
            deadline.due_ms = due_ms;
            if deadline.place_ms <= due_ms {
                return;
            }
            let place_ms = std::mem::replace(&mut deadline.place_ms, due_ms);
            self.order.remove(&(place_ms, timer.clone()));
        } else {
            self.deadlines.insert(timer.clone(), Deadline { due_ms, place_ms: due_ms });
        }
        self.order.insert((due_ms, timer));
    }

    /// Forgets a timer, if it was set.
    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(deadline) = self.deadlines.remove(timer) {
            self.order.remove(&(deadline.place_ms, timer.clone()));
        }
    }

    /// The moment to call [`Timers::pop_due`] again: at or before the first deadline.
    pub(crate) fn next_deadline_ms(&self) -> Option<i64> {
        self.order.first().map(|(place_ms, _)| *place_ms)
    }

    /// Takes out one timer that is due.
    pub(crate) fn pop_due(&mut self, now_ms: i64) -> Option<Timer> {
        while self.next_deadline_ms().is_some_and(|place_ms| place_ms <= now_ms) {
            let (_, timer) = self.order.pop_first()?;
            let deadline = self.deadlines.get_mut(&timer)?;
            if deadline.due_ms <= now_ms {
                self.deadlines.remove(&timer);
                return Some(timer);
            }
            deadline.place_ms = deadline.due_ms;
            self.order.insert((deadline.due_ms, timer));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(group: &str) -> Timer {
        Timer::Sync(GroupId::from(group))
    }

    #[test]
    fn timers_come_up_in_order_and_once() {
        let mut timers = Timers::default();
        timers.schedule(sync("b"), 20);
        timers.schedule(sync("a"), 10);
        assert_eq!(timers.next_deadline_ms(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(20), Some(sync("a")));
        assert_eq!(timers.pop_due(20), Some(sync("b")));
        assert_eq!((timers.pop_due(20), timers.next_deadline_ms()), (None, None));
    }

    #[test]
    fn a_timer_moved_later_does_not_fire_at_its_old_time() {
        let mut timers = Timers::default();
        timers.schedule(sync("a"), 10);
        timers.schedule(sync("a"), 30);
        assert_eq!(timers.next_deadline_ms(), Some(10));
        assert_eq!(timers.pop_due(10), None);
        assert_eq!(timers.next_deadline_ms(), Some(30));
        assert_eq!(timers.pop_due(30), Some(sync("a")));
    }

    #[test]
    fn a_timer_moved_earlier_fires_early() {
        let mut timers = Timers::default();
        timers.schedule(sync("a"), 30);
        timers.schedule(sync("a"), 10);
        assert_eq!(timers.pop_due(10), Some(sync("a")));
        assert_eq!(timers.pop_due(30), None);
    }

    #[test]
    fn a_cancelled_timer_never_fires() {
        let mut timers = Timers::default();
        timers.schedule(sync("a"), 10);
        timers.schedule(sync("a"), 15);
        timers.cancel(&sync("a"));
        timers.cancel(&sync("a"));
        assert_eq!((timers.pop_due(20), timers.next_deadline_ms()), (None, None));
    }
}
