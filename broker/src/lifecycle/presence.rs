//! Whether others may have given this process up: because it was away (stopped, or its machine asleep), or because it is not heard.
//!
//! Goes by the machine's time since it booted, sleep included (CLOCK_BOOTTIME), and by nobody else's clock. One that was away comes back
//! with requests that were sent to a leader, finds them in its sockets, and would answer them although somebody else has long led: until a
//! heartbeat has been answered and what the metadata said meanwhile is seen, it acknowledges nothing that only it has, and reads nothing
//! to consumers.
//!
//! One that is cut off runs, and clients may reach it: to them it is as good as dead, and has to say so, or they wait. It is heard while less
//! than a session has passed since it sent the last heartbeat that was answered; the controller counts from later on. That alone says
//! nothing of others: with no controller left nobody is given up, and data go on. So a leader goes by both: where neither the controller
//! hears this broker nor a follower that may be elected has fetched ([`crate::replication::LeaderState::is_followed_since`]), it refuses clients until
//! one of them is there again ([`crate::partition::Partition::refuse_if_cut_off`]). What has no other replica, and a node that is
//! alone, are never cut off. A node that is the active controller and loses its quorum answers nobody's heartbeats, its own neither.
//!
//! Invariant: whoever asks after the process has come back, and before it is confirmed, is told that nothing is certain, also when no other
//! thread of it has run yet.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

/// How long others have patience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// With a process that does not run; the thread of its life runs more often than that.
    pub(super) away: Duration,
    /// With one that is not heard.
    pub(super) session: Duration,
    /// How long the followers of a broker that is not heard may be silent. Less than a session: whoever is told to follow another stops
    /// when the session is over, and its silence begins only then.
    pub(super) followers: Duration,
}

impl Patience {
    /// A follower that has nothing to fetch asks again after `fetch_wait`.
    pub(super) fn new(session: Duration, heartbeat_interval: Duration, fetch_wait: Duration) -> Self {
        Self {
            // It was last heard an interval before its thread last ran, or later. The thread waits for one answer half a session at most.
            away: session.saturating_sub(heartbeat_interval).max(session / 2 + heartbeat_interval),
            session,
            followers: (session / 2).max(fetch_wait + fetch_wait / 2),
        }
    }
}

/// What is known of a process's presence.
#[derive(Debug)]
pub(crate) struct Presence {
    /// How long it may be away without anybody giving it up.
    patience_ms: i64,
    session_ms: i64,
    followers_ms: i64,
    /// When the last heartbeat was sent that the active controller answered; before that, when the process began.
    last_heard_ms: AtomicI64,
    /// When that thread last ran.
    last_ran_ms: AtomicI64,
    was_away: AtomicBool,
    confirmed: Notify,
    clock: fn() -> i64,
}

impl Presence {
    /// Of a process that is there. Whoever has nobody to be given up by has endless patience.
    pub(super) fn new(patience: Option<Patience>) -> Self {
        Self::with_clock(patience, since_boot_ms)
    }

    fn with_clock(patience: Option<Patience>, clock: fn() -> i64) -> Self {
        let millis = |of: fn(Patience) -> Duration| {
            patience.map_or(i64::MAX, |patience| i64::try_from(of(patience).as_millis()).unwrap_or(i64::MAX))
        };
        let now_ms = clock();
        Self {
            patience_ms: millis(|patience| patience.away),
            session_ms: millis(|patience| patience.session),
            followers_ms: millis(|patience| patience.followers),
            last_heard_ms: AtomicI64::new(now_ms),
            last_ran_ms: AtomicI64::new(now_ms),
            was_away: AtomicBool::new(false),
            confirmed: Notify::new(),
            clock,
        }
    }

    /// Its time.
    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Whether the active controller still hears this broker, as far as that can be known here.
    pub(crate) fn is_heard(&self) -> bool {
        self.session_ms == i64::MAX || self.now_ms() - self.last_heard_ms.load(Ordering::Acquire) <= self.session_ms
    }

    /// How long the followers of a broker that is not heard may be silent.
    pub(crate) fn followers_patience_ms(&self) -> i64 {
        self.followers_ms
    }

    /// A heartbeat that was sent then is answered. What the metadata said until then is to be seen before, if it was not heard.
    pub(super) fn on_heard(&self, sent_ms: i64) {
        self.last_heard_ms.fetch_max(sent_ms, Ordering::AcqRel);
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
impl Presence {
    /// Of a process that the controller has not heard for long, whose followers may be silent for so long.
    pub(crate) fn unheard(followers_ms: i64) -> Self {
        Self { session_ms: -1, followers_ms, ..Self::new(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW_MS: Cell<i64> = const { Cell::new(0) };
    }

    fn presence() -> Presence {
        let (session, interval, wait) = (1_500, 375, 500);
        let [session, interval, wait] = [session, interval, wait].map(Duration::from_millis);
        let patience = Patience { away: session, ..Patience::new(session, interval, wait) };
        Presence::with_clock(Some(patience), || NOW_MS.get())
    }

    #[test]
    fn it_is_heard_for_a_session_from_when_the_last_answered_heartbeat_was_sent() {
        let presence = presence();
        NOW_MS.set(1_400);
        presence.on_heard(700);
        presence.on_heard(300);
        NOW_MS.set(2_200);
        assert!(presence.is_heard());
        NOW_MS.set(2_201);
        assert!(!presence.is_heard());
        presence.on_heard(2_000);
        assert!(presence.is_heard());
    }

    #[test]
    fn followers_may_be_silent_for_less_than_a_session_but_longer_than_they_wait() {
        let [session, interval] = [1_500, 375].map(Duration::from_millis);
        let of = |wait| Patience::new(session, interval, Duration::from_millis(wait)).followers.as_millis();
        assert_eq!((of(500), of(2_000)), (750, 3_000));
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
        assert!(presence.is_certain() && presence.is_heard());
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
