//! Whether this process may have been away for so long that others have given it up: stopped, or its machine asleep.
//!
//! Goes by the machine's time since it booted, sleep included (CLOCK_BOOTTIME), and by nobody else's clock. A broker that is cut off leads until
//! the metadata say otherwise, and goes on. One that was away comes back with requests that were sent to a leader, finds them in its sockets,
//! and would answer them although somebody else has long led: until a heartbeat has been answered and what the metadata said meanwhile is
//! seen, it acknowledges nothing that only it has, and reads nothing to consumers.
//!
//! Invariant: whoever asks after the process has come back, and before it is confirmed, is told that nothing is certain, also when no other
//! thread of it has run yet.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

/// What is known of a process's presence.
#[derive(Debug)]
pub(crate) struct Presence {
    /// How long it may be away without anybody giving it up; the thread of its life runs more often than that.
    patience_ms: i64,
    /// When that thread last ran.
    last_ran_ms: AtomicI64,
    was_away: AtomicBool,
    confirmed: Notify,
    clock: fn() -> i64,
}

impl Presence {
    /// Of a process that is there. Whoever has nobody to be given up by has endless patience.
    pub(super) fn new(patience: Option<Duration>) -> Self {
        Self::with_clock(patience, since_boot_ms)
    }

    fn with_clock(patience: Option<Duration>, clock: fn() -> i64) -> Self {
        let patience_ms = patience.map_or(i64::MAX, |patience| i64::try_from(patience.as_millis()).unwrap_or(i64::MAX));
        let last_ran_ms = AtomicI64::new(clock());
        Self { patience_ms, last_ran_ms, was_away: AtomicBool::new(false), confirmed: Notify::new(), clock }
    }

    /// Whether it is certain that nobody has given this process up for being away.
    pub(crate) fn is_certain(&self) -> bool {
        self.patience_ms == i64::MAX || (!self.was_away.load(Ordering::Acquire) && self.gap_ms() <= self.patience_ms)
    }

    /// Returns once it is.
    pub(crate) async fn until_certain(&self) {
        loop {
            let confirmed = self.confirmed.notified();
            tokio::pin!(confirmed);
            confirmed.as_mut().enable();
            if self.is_certain() {
                return;
            }
            confirmed.await;
        }
    }

    /// The thread of its life runs. Returns how long the process was away, if that was too long.
    pub(super) fn on_run(&self) -> Option<Duration> {
        let gap_ms = self.gap_ms();
        let too_long = gap_ms > self.patience_ms;
        if too_long {
            // Before the gap is closed, so that nobody sees neither.
            self.was_away.store(true, Ordering::Release);
        }
        self.last_ran_ms.store((self.clock)(), Ordering::Release);
        too_long.then(|| Duration::from_millis(gap_ms.unsigned_abs()))
    }

    /// Whether it waits to be confirmed.
    pub(super) fn was_away(&self) -> bool {
        self.was_away.load(Ordering::Acquire)
    }

    /// The controller was heard, and what it said is seen here.
    pub(super) fn on_confirmed(&self) {
        if self.gap_ms() <= self.patience_ms {
            self.was_away.store(false, Ordering::Release);
            self.confirmed.notify_waiters();
        }
    }

    fn gap_ms(&self) -> i64 {
        (self.clock)() - self.last_ran_ms.load(Ordering::Acquire)
    }
}

fn since_boot_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW_MS: Cell<i64> = const { Cell::new(0) };
    }

    fn presence() -> Presence {
        Presence::with_clock(Some(Duration::from_millis(1_500)), || NOW_MS.get())
    }

    #[test]
    fn whoever_was_away_too_long_is_uncertain_before_any_other_thread_has_run() {
        let presence = presence();
        NOW_MS.set(1_500);
        assert!(presence.is_certain());
        NOW_MS.set(1_501);
        assert!(!presence.is_certain());
        assert_eq!(presence.on_run(), Some(Duration::from_millis(1_501)));
        assert!(!presence.is_certain(), "until it is confirmed");
        presence.on_confirmed();
        assert!(presence.is_certain());
    }

    #[test]
    fn a_thread_that_runs_often_enough_keeps_it_certain() {
        let presence = presence();
        for now_ms in (0..10_000).step_by(1_400) {
            NOW_MS.set(now_ms);
            assert_eq!(presence.on_run(), None);
            assert!(presence.is_certain());
        }
    }

    #[test]
    fn a_confirmation_from_before_it_was_away_again_confirms_nothing() {
        let presence = presence();
        NOW_MS.set(2_000);
        presence.on_run();
        NOW_MS.set(4_000);
        presence.on_confirmed();
        assert!(!presence.is_certain());
        presence.on_run();
        presence.on_confirmed();
        assert!(presence.is_certain());
    }

    #[test]
    fn a_node_that_is_alone_is_always_certain() {
        let presence = Presence::with_clock(None, || NOW_MS.get());
        NOW_MS.set(i64::MAX / 2);
        assert!(presence.is_certain());
        assert_eq!(presence.on_run(), None);
    }

    #[tokio::test]
    async fn who_waits_for_certainty_hears_of_the_confirmation() {
        let presence = presence();
        NOW_MS.set(2_000);
        presence.on_run();
        let waiting = presence.until_certain();
        tokio::pin!(waiting);
        assert!(futures_poll(waiting.as_mut()).await.is_none());
        presence.on_confirmed();
        waiting.await;
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
