//! Whether the disk of a log directory still answers: a frozen file system, a dead array or a lost network mount fails nothing, it
//! only never returns.
//!
//! Owns the count of changes under way ([`ChangesUnderWay`], two atomic additions a change) and the judgement ([`StallWatch`], pure):
//! while changes are under way and none has ended for as long as one is patient, nothing will, and the directory is stalled until
//! the last of them has ended. A slow disk ends one now and then; an idle one has none under way. Neither is stalled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many changes of a directory are under way, and how many have ended.
///
/// ```text
/// 63           32 31            0
/// |     ended    |  under way   |
/// ```
#[derive(Debug, Default)]
pub(crate) struct ChangesUnderWay(AtomicU64);

/// A change of the disk that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Change<'a>(&'a ChangesUnderWay);

/// Both counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    ended: u32,
    under_way: u32,
}

const BEGUN: u64 = 1;
const ENDED: u64 = (1 << 32) - BEGUN;

impl ChangesUnderWay {
    #[inline]
    pub(crate) fn begin(&self) -> Change<'_> {
        self.0.fetch_add(BEGUN, Ordering::Relaxed);
        Change(self)
    }

    pub(crate) fn progress(&self) -> Progress {
        let counts = self.0.load(Ordering::Relaxed);
        Progress { ended: (counts >> 32) as u32, under_way: counts as u32 }
    }
}

impl Drop for Change<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.fetch_add(ENDED, Ordering::Relaxed);
    }
}

/// What somebody who looks now and then makes of the counts.
#[derive(Debug, Default)]
pub(crate) struct StallWatch {
    /// What had ended when it was first seen that something is under way and nothing ends.
    waiting: Option<(u32, Instant)>,
    stalled: bool,
}

impl StallWatch {
    /// Looks at `now`; whether the directory is stalled.
    pub(crate) fn look(&mut self, now: Instant, progress: Progress, patience: Duration) -> bool {
        if progress.under_way == 0 {
            (self.waiting, self.stalled) = (None, false);
            return false;
        }
        match self.waiting {
            Some((ended, since)) if ended == progress.ended => {
                self.stalled |= now.saturating_duration_since(since) >= patience;
            }
            _ => self.waiting = Some((progress.ended, now)),
        }
        self.stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1500);

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_directory_is_stalled_once_nothing_has_ended_for_that_long() {
        let (changes, mut watch, start) = (ChangesUnderWay::default(), StallWatch::default(), Instant::now());
        let change = changes.begin();
        for (ms, stalled) in [(0, false), (300, false), (1499, false), (1500, true), (60_000, true)] {
            assert_eq!(watch.look(at(start, ms), changes.progress(), PATIENCE), stalled, "after {ms} ms");
        }
        drop(change);
        assert!(!watch.look(at(start, 60_300), changes.progress(), PATIENCE));
    }

    #[test]
    fn a_slow_disk_is_not_stalled_while_something_ends_now_and_then() {
        let (changes, mut watch, start) = (ChangesUnderWay::default(), StallWatch::default(), Instant::now());
        let _slowest = changes.begin();
        for round in 0..20 {
            assert!(!watch.look(at(start, round * 1_400), changes.progress(), PATIENCE));
            drop(changes.begin());
        }
    }

    #[test]
    fn an_idle_disk_is_never_stalled() {
        let (changes, mut watch, start) = (ChangesUnderWay::default(), StallWatch::default(), Instant::now());
        drop(changes.begin());
        assert!(!watch.look(start, changes.progress(), PATIENCE));
        assert!(!watch.look(at(start, 100_000), changes.progress(), PATIENCE));
    }

    #[test]
    fn a_stalled_directory_is_back_only_when_everything_that_waited_has_ended() {
        let (changes, mut watch, start) = (ChangesUnderWay::default(), StallWatch::default(), Instant::now());
        let (first, second) = (changes.begin(), changes.begin());
        watch.look(start, changes.progress(), PATIENCE);
        assert!(watch.look(at(start, 2_000), changes.progress(), PATIENCE));
        drop(first);
        assert!(watch.look(at(start, 2_300), changes.progress(), PATIENCE));
        drop(second);
        assert!(!watch.look(at(start, 2_600), changes.progress(), PATIENCE));
    }
}
