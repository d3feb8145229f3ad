//! Requests that wait for something to happen: Kafka's `DelayedOperationPurgatory`, turned inside out.
//!
//! A waiting request watches the keys that could complete it (partitions, mostly), looks at their state, and sleeps until
//! one of them is notified, its deadline passes or the purgatory closes. Then it decides for itself whether it has enough
//! (`min_bytes`, the high watermark) and sleeps again if not. The purgatory knows no condition and runs no timer thread; an
//! operation that is dropped leaves it at once.
//!
//! No wake-up is lost: [`Purgatory::watch`] registers *before* its caller looks, and [`Purgatory::notify`] is called
//! *after* the change is visible; a fence on both sides makes one of the two see the other. With nobody waiting, a
//! notification costs that fence and one load.
//!
//! Bounded by [`MAX_WATCHED_KEYS`]; a watch beyond it answers [`Wake::Full`] at once, so the request is answered with
//! what there is.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use slab::Slab;
use tokio::time::Instant;

use crate::alarm::Alarm;

/// How many (operation, key) pairs may wait in one purgatory.
pub const MAX_WATCHED_KEYS: usize = 1 << 20;

/// Keys are spread over this many locks.
const SHARDS: usize = 64;

/// Why a watch woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// One of its keys was notified: look again.
    Notified,
    /// Its deadline passed: answer with what there is.
    Deadline,
    /// The purgatory closed (shutdown): answer with what there is.
    Closed,
    /// Too many operations wait: answer with what there is.
    Full,
}

/// Operations that wait, by key.
#[derive(Debug)]
pub struct Purgatory<K> {
    shards: Box<[Shard<K>]>,
    hasher: ahash::RandomState,
    watched_keys: AtomicUsize,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Shard<K> {
    /// Registrations in `parked`: read without the lock by `notify`.
    count: AtomicUsize,
    parked: Mutex<HashMap<K, Slab<Arc<Sleeper>>, ahash::RandomState>>,
}

/// The part of a watch that its notifiers reach.
#[derive(Debug, Default)]
struct Sleeper {
    notified: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Sleeper {
    fn wake(&self) {
        if !self.notified.swap(true, Ordering::AcqRel)
            && let Some(waker) = self.waker.lock().take()
        {
            waker.wake();
        }
    }
}

impl<K: Hash + Eq + Clone> Default for Purgatory<K> {
    fn default() -> Purgatory<K> {
        Purgatory::new()
    }
}

impl<K: Hash + Eq + Clone> Purgatory<K> {
    /// An empty purgatory.
    pub fn new() -> Purgatory<K> {
        let hasher = ahash::RandomState::new();
        let shard = || Shard { count: AtomicUsize::new(0), parked: Mutex::new(HashMap::with_hasher(hasher.clone())) };
        Purgatory {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: hasher.clone(),
            watched_keys: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Watches `keys` until the watch is dropped. Look at their state after this returns, never before.
    pub fn watch(self: &Arc<Self>, keys: impl IntoIterator<Item = K>, deadline: Option<Instant>) -> Watch<K> {
        let sleeper = Arc::new(Sleeper::default());
        let mut registrations = Vec::new();
        let mut full = false;
        for key in keys {
            if self.watched_keys.fetch_add(1, Ordering::Relaxed) >= MAX_WATCHED_KEYS {
                self.watched_keys.fetch_sub(1, Ordering::Relaxed);
                full = true;
                break;
            }
            let shard = self.shard(&key);
            let mut parked = shard.parked.lock();
            let slot = parked.entry(key.clone()).or_default().insert(Arc::clone(&sleeper));
            shard.count.fetch_add(1, Ordering::Relaxed);
            drop(parked);
            registrations.push((key, slot));
        }
        // Pairs with the fence in `notify`: the caller's look at the state comes after the counts are visible.
        fence(Ordering::SeqCst);
        Watch { purgatory: Arc::clone(self), sleeper, registrations, deadline, alarm: Alarm::default(), full }
    }

    /// Something about `key` changed: wakes whoever watches it, and says how many that were. Call it after the change
    /// is visible, and without a lock that a woken operation would want.
    pub fn notify(&self, key: &K) -> usize {
        // Pairs with the fence in `watch`: either we see its count, or it sees our change.
        fence(Ordering::SeqCst);
        let shard = self.shard(key);
        if shard.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let parked = shard.parked.lock();
        let Some(sleepers) = parked.get(key) else { return 0 };
        sleepers.iter().for_each(|(_, sleeper)| sleeper.wake());
        sleepers.len()
    }

    /// Wakes every operation, those to come included, with [`Wake::Closed`].
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let parked = shard.parked.lock();
            parked.values().flat_map(Slab::iter).for_each(|(_, sleeper)| sleeper.wake());
        }
    }

    /// How many (operation, key) pairs wait.
    pub fn watched_keys(&self) -> usize {
        self.watched_keys.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &K) -> &Shard<K> {
        // The map below uses the low and the top bits of the same hash: take others.
        &self.shards[(self.hasher.hash_one(key) >> 32) as usize % SHARDS]
    }

    fn leave(&self, key: &K, slot: usize) {
        let shard = self.shard(key);
        let mut parked = shard.parked.lock();
        if let Some(sleepers) = parked.get_mut(key) {
            sleepers.remove(slot);
            if sleepers.is_empty() {
                parked.remove(key);
            }
        }
        shard.count.fetch_sub(1, Ordering::Relaxed);
        drop(parked);
        self.watched_keys.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One operation's registration under its keys. Dropping it leaves the purgatory.
#[derive(Debug)]
pub struct Watch<K: Hash + Eq + Clone> {
    purgatory: Arc<Purgatory<K>>,
    sleeper: Arc<Sleeper>,
    registrations: Vec<(K, usize)>,
    deadline: Option<Instant>,
    alarm: Alarm,
    full: bool,
}

impl<K: Hash + Eq + Clone> Watch<K> {
    /// Sleeps until another time from now on.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Exchanges the alarm that tells of the deadline: one that an earlier watch left armed is cheaper than a new one.
    pub fn swap_alarm(&mut self, alarm: Alarm) -> Alarm {
        std::mem::replace(&mut self.alarm, alarm)
    }

    /// Sleeps until a key is notified or the wait is over. A notification since the last wake counts.
    pub async fn wake(&mut self) -> Wake {
        poll_fn(|context| self.poll_wake(context)).await
    }

    /// [`Watch::wake`] for hand-written futures.
    pub fn poll_wake(&mut self, context: &mut Context<'_>) -> Poll<Wake> {
        if let Some(wake) = self.over() {
            return Poll::Ready(wake);
        }
        if !self.take_notification() {
            let mut waker = self.sleeper.waker.lock();
            match &*waker {
                Some(known) if known.will_wake(context.waker()) => {}
                _ => *waker = Some(context.waker().clone()),
            }
            drop(waker);
            // A notifier between the look and the waker found no waker to wake.
            if !self.take_notification() {
                return self.poll_deadline(context);
            }
        }
        Poll::Ready(self.over().unwrap_or(Wake::Notified))
    }

    fn over(&self) -> Option<Wake> {
        if self.purgatory.closed.load(Ordering::Acquire) {
            return Some(Wake::Closed);
        }
        self.full.then_some(Wake::Full)
    }

    fn take_notification(&self) -> bool {
        self.sleeper.notified.load(Ordering::Acquire) && self.sleeper.notified.swap(false, Ordering::AcqRel)
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Wake> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        self.alarm.poll(context, deadline).map(|()| Wake::Deadline)
    }
}

impl<K: Hash + Eq + Clone> Drop for Watch<K> {
    fn drop(&mut self) {
        for (key, slot) in &self.registrations {
            self.purgatory.leave(key, *slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    fn poll<K: Hash + Eq + Clone>(watch: &mut Watch<K>) -> Poll<Wake> {
        watch.poll_wake(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn any_of_its_keys_wakes_a_watch_and_others_do_not() {
        let purgatory = Arc::new(Purgatory::new());
        let mut watch = purgatory.watch(["a", "b"], None);
        assert_eq!(poll(&mut watch), Poll::Pending);
        assert_eq!(purgatory.notify(&"c"), 0);
        assert_eq!(poll(&mut watch), Poll::Pending);
        for key in ["b", "a", "b"] {
            assert_eq!(purgatory.notify(&key), 1);
            assert_eq!(poll(&mut watch), Poll::Ready(Wake::Notified));
            assert_eq!(poll(&mut watch), Poll::Pending);
        }
    }

    #[test]
    fn a_notification_between_watching_and_sleeping_is_not_lost() {
        let purgatory = Arc::new(Purgatory::new());
        let mut watch = purgatory.watch([1], None);
        purgatory.notify(&1);
        assert_eq!(poll(&mut watch), Poll::Ready(Wake::Notified));
    }

    #[test]
    fn the_deadline_wakes_a_watch_that_nobody_notifies() {
        runtime().block_on(async {
            let purgatory = Arc::new(Purgatory::new());
            let mut watch = purgatory.watch([1], Some(Instant::now() + Duration::from_millis(1)));
            assert_eq!(watch.wake().await, Wake::Deadline);
        });
    }

    #[test]
    fn closing_wakes_those_who_wait_and_those_to_come() {
        let purgatory = Arc::new(Purgatory::new());
        let mut before = purgatory.watch([1], None);
        assert_eq!(poll(&mut before), Poll::Pending);
        purgatory.close();
        assert_eq!(poll(&mut before), Poll::Ready(Wake::Closed));
        assert_eq!(poll(&mut purgatory.watch([2], None)), Poll::Ready(Wake::Closed));
    }

    #[test]
    fn a_dropped_watch_leaves_nothing_behind() {
        let purgatory = Arc::new(Purgatory::new());
        let watches: Vec<_> = (0..1000).map(|n| purgatory.watch([n % 10, 10 + n], None)).collect();
        assert_eq!(purgatory.watched_keys(), 2000);
        assert_eq!(purgatory.notify(&3), 100);
        drop(watches);
        assert_eq!(purgatory.watched_keys(), 0);
        assert_eq!(purgatory.notify(&3), 0);
        assert!(purgatory.shards.iter().all(|shard| shard.parked.lock().is_empty()));
    }

    #[test]
    fn beyond_the_bound_a_watch_answers_at_once() {
        let purgatory = Arc::new(Purgatory::new());
        let crowd = purgatory.watch(0..MAX_WATCHED_KEYS, None);
        assert_eq!(poll(&mut purgatory.watch([1], None)), Poll::Ready(Wake::Full));
        drop(crowd);
        assert_eq!(poll(&mut purgatory.watch([1], None)), Poll::Pending);
    }

    /// Each side hands the other a number and waits for the answer: one lost wake-up would hang the test.
    #[test]
    fn no_wake_up_is_lost_between_threads() {
        const ROUNDS: usize = 20_000;
        let purgatory = Arc::new(Purgatory::new());
        let state = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let side = |me: usize| {
            let (purgatory, state) = (Arc::clone(&purgatory), Arc::clone(&state));
            std::thread::spawn(move || {
                runtime().block_on(async move {
                    for round in 1..=ROUNDS {
                        state[me].store(round, Ordering::Relaxed);
                        purgatory.notify(&me);
                        let mut watch = purgatory.watch([1 - me], None);
                        while state[1 - me].load(Ordering::Relaxed) < round {
                            watch.wake().await;
                        }
                    }
                });
            })
        };
        let sides = [side(0), side(1)];
        sides.into_iter().for_each(|side| side.join().unwrap());
    }
}
