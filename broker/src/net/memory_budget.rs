//! The memory that all unfinished requests share (`queued.max.request.bytes`).
//!
//! A frame that would grow beyond it is not read on until others finish; a connection that waits too long for that is
//! closed by its owner, so a crowd of unfinished giants cannot hold the memory for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// A bound on bytes, shared by every connection.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    waiting: AtomicBool,
    /// At most one a connection, by the connection's own bound.
    wakers: Mutex<Vec<Waker>>,
}

impl MemoryBudget {
    pub(super) fn new(limit_bytes: u64) -> MemoryBudget {
        MemoryBudget {
            limit_bytes,
            used_bytes: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            wakers: Mutex::new(Vec::new()),
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let before = self.used_bytes.fetch_add(bytes, Ordering::SeqCst);
        if before + bytes > self.limit_bytes {
            self.give(bytes);
            return false;
        }
        true
    }

    fn give(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::SeqCst);
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
}

impl Reservation {
    /// Less than this is not worth the shared counter: the number of connections bounds it.
    const FREE_BYTES: usize = 16 * 1024;

    pub(super) fn new(budget: Arc<MemoryBudget>) -> Reservation {
        Reservation { budget, bytes: 0 }
    }

    /// Holds `bytes` from now on, or leaves things as they are if that is too much.
    pub(super) fn try_resize(&mut self, bytes: usize) -> bool {
        if bytes > Reservation::FREE_BYTES && bytes > self.bytes {
            if !self.budget.take((bytes - self.bytes) as u64) {
                return false;
            }
            self.bytes = bytes;
        } else {
            self.resize(bytes);
        }
        true
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
    }

    /// Whether all connections together hold more than they may.
    pub(super) fn is_exceeded(&self) -> bool {
        self.budget.used_bytes.load(Ordering::SeqCst) > self.budget.limit_bytes
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
