//! The memory that all unfinished requests share (`queued.max.request.bytes`).
//!
//! A frame that would grow beyond it is not read on until others finish. So that giants which together hold everything
//! do not wait for each other, one of those that have begun may overdraw: the memory in use never exceeds the bound by more
//! than one frame and what a read brings. A connection that waits too long is closed by its owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// A bound on bytes, shared by every connection.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    /// Whether somebody overdraws.
    overdrawn: AtomicBool,
    waiting: AtomicBool,
    /// At most one a connection, by the connection's own bound.
    wakers: Mutex<Vec<Waker>>,
}

impl MemoryBudget {
    pub(super) fn new(limit_bytes: u64) -> MemoryBudget {
        MemoryBudget {
            limit_bytes,
            used_bytes: AtomicU64::new(0),
            overdrawn: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            wakers: Mutex::new(Vec::new()),
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.limit_bytes);
        self.used_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    fn give(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.wake_waiting();
    }

    fn wake_waiting(&self) {
        if self.waiting.load(Ordering::SeqCst) {
            let mut wakers = self.wakers.lock();
            self.waiting.store(false, Ordering::SeqCst);
            let woken = std::mem::take(&mut *wakers);
            drop(wakers);
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

/// What one connection holds of the budget.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
    overdraws: bool,
}

impl Reservation {
    /// Less than this is not worth the shared counter: the number of connections bounds it.
    const FREE_BYTES: usize = 16 * 1024;

    pub(super) fn new(budget: Arc<MemoryBudget>) -> Reservation {
        Reservation { budget, bytes: 0, overdraws: false }
    }

    /// Holds `bytes` from now on, or leaves things as they are if that is too much.
    pub(super) fn try_resize(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if bytes > Reservation::FREE_BYTES && more > 0 && self.budget.take(more as u64) {
            self.bytes = bytes;
        } else if bytes <= Reservation::FREE_BYTES || more == 0 || self.may_overdraw() {
            self.resize(bytes);
        } else {
            return false;
        }
        true
    }

    fn may_overdraw(&mut self) -> bool {
        self.overdraws |= self.bytes > 0 && !self.budget.overdrawn.swap(true, Ordering::SeqCst);
        self.overdraws
    }

    /// Holds `bytes` from now on, beyond the limit if need be: for bytes that have arrived already.
    pub(super) fn resize(&mut self, bytes: usize) {
        let bytes = if bytes > Reservation::FREE_BYTES { bytes } else { 0 };
        if bytes > self.bytes {
            self.budget.used_bytes.fetch_add((bytes - self.bytes) as u64, Ordering::SeqCst);
        } else if bytes < self.bytes {
            self.budget.give((self.bytes - bytes) as u64);
        }
        self.bytes = bytes;
        if bytes == 0 && self.overdraws {
            self.overdraws = false;
            self.budget.overdrawn.store(false, Ordering::SeqCst);
            self.budget.wake_waiting();
        }
    }

    /// Whether all connections together hold more than they may, and this one may not overdraw.
    pub(super) fn is_exhausted(&mut self) -> bool {
        self.budget.used_bytes.load(Ordering::SeqCst) > self.budget.limit_bytes && !self.may_overdraw()
    }

    /// Wakes `waker` once somebody gives memory back. Try again after calling this.
    pub(super) fn wait(&self, waker: &Waker) {
        let mut wakers = self.budget.wakers.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.budget.waiting.store(true, Ordering::SeqCst);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_wait_for_each_other_one_may_go_on() {
        let budget = Arc::new(MemoryBudget::new(100_000));
        let [mut first, mut second, mut third] = [(); 3].map(|()| Reservation::new(Arc::clone(&budget)));
        assert!(first.try_resize(50_000) && second.try_resize(50_000));
        assert!(!third.try_resize(20_000), "who has not begun waits");
        assert!(first.try_resize(90_000));
        assert!(!second.try_resize(90_000), "one overdraws at a time");
        first.resize(0);
        assert!(second.try_resize(90_000));
        drop((first, second));
        assert!(third.try_resize(20_000));
        drop(third);
        assert_eq!(budget.used_bytes.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn small_frames_are_free() {
        let mut small = Reservation::new(Arc::new(MemoryBudget::new(0)));
        assert!(small.try_resize(Reservation::FREE_BYTES));
        assert!(!small.try_resize(Reservation::FREE_BYTES + 1));
    }
}
