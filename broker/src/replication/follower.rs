//! A partition's follower in one leader epoch: what it asks its leader, and what it makes of the answer.
//!
//! ```text
//!             +--------------------------------------------------+
//!             v                                                  |
//!  next_fetch --> request --> on_answer --> Append / Truncate / StartAt --> done by the caller, then on_log_changed
//!             ^                        \--> Wait (an error that passes) ----> again at the time it names
//!             |                         \-> Stop (another epoch, no such partition): the metadata says what comes next
//! ```
//!
//! A fetch at an offset promises that everything below it is in this log (and on disk where the topic asks for it), so the next one is
//! made only from the log as it is after the last answer was taken in. Divergence is found by the leader, which is told the epoch of the
//! last record here (`LastFetchedEpoch`, KIP-595). Kafka's `AbstractFetcherThread`, without its threads.

use weir_controller::image::PartitionRegistration;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, LeaderEpoch, Offset};

use super::truncation::{EpochEnd, Truncation, truncation};

/// The longest that a follower waits after an error that passes (`replica.fetch.backoff.ms`).
pub const DEFAULT_BACKOFF_MS: i64 = 1_000;

/// What it waits after the first of them; the wait doubles with each. Short, for a follower often hears of a new leader before the
/// leader itself does, and acknowledgements wait for it meanwhile.
const FIRST_BACKOFF_MS: i64 = 10;

/// The follower's own log, as far as its decisions need it.
pub trait LocalLog {
    /// Where it starts.
    fn log_start_offset(&self) -> Offset;
    /// Where it ends.
    fn log_end_offset(&self) -> Offset;
    /// What is known to be committed.
    fn high_watermark(&self) -> Offset;
    /// The epoch of the last record, or -1.
    fn latest_epoch(&self) -> LeaderEpoch;
    /// The largest epoch that is not above `epoch`, and its end.
    fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
}

/// What to ask the leader for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextFetch {
    /// The epoch in which it is believed to lead.
    pub current_leader_epoch: LeaderEpoch,
    /// Where the log here ends.
    pub fetch_offset: Offset,
    /// The epoch of the last record here, or -1.
    pub last_fetched_epoch: LeaderEpoch,
    /// Where the log here starts.
    pub log_start_offset: Offset,
}

/// What the leader answered for this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// What went wrong, if something did.
    pub error: ErrorCode,
    /// The offset that was asked for.
    pub fetch_offset: Offset,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// Where the leader's log starts.
    pub log_start_offset: Offset,
    /// Where both logs part, if they do.
    pub diverging: Option<EpochEnd>,
    /// How many bytes of records came.
    pub records_bytes: usize,
}

/// What is to be done about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerStep {
    /// Append what came, if anything did, then move both offsets of the log forward to these.
    Append {
        /// What is committed, and is here once the records are.
        high_watermark: Offset,
        /// Where the leader's log starts.
        log_start_offset: Offset,
    },
    /// Cut the log.
    Truncate(Truncation),
    /// The leader has nothing that would continue this log: ask it where its own starts and ends (ListOffsets), then [`FollowerState::restart_at`].
    AskForRange,
    /// Fetch again, but not before this time.
    Wait {
        /// On the clock of the calls.
        until_ms: i64,
    },
    /// Nothing more can be fetched in this epoch.
    Stop,
    /// The answer is to an earlier question: the log has changed since.
    Ignore,
}

/// A follower, from the metadata that names its leader to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerState {
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    waits_until_ms: i64,
    /// The next wait.
    backoff_ms: i64,
    max_backoff_ms: i64,
    stopped: bool,
}

impl FollowerState {
    /// The metadata names the leader and its epoch.
    pub fn new(registration: &PartitionRegistration) -> Self {
        Self::with_max_backoff(registration, DEFAULT_BACKOFF_MS)
    }

    /// The same, never to wait longer than `max_backoff_ms`.
    pub fn with_max_backoff(registration: &PartitionRegistration, max_backoff_ms: i64) -> Self {
        Self {
            leader: registration.leader,
            leader_epoch: registration.leader_epoch,
            waits_until_ms: i64::MIN,
            backoff_ms: FIRST_BACKOFF_MS.min(max_backoff_ms),
            max_backoff_ms,
            stopped: !registration.has_leader(),
        }
    }

    /// Whom it follows.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// In which epoch.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// When it may fetch again, if it may.
    pub fn next_deadline(&self) -> Option<i64> {
        (!self.stopped).then_some(self.waits_until_ms)
    }

    /// What to ask for now.
    pub fn next_fetch(&self, now_ms: i64, log: &impl LocalLog) -> Option<NextFetch> {
        (!self.stopped && now_ms >= self.waits_until_ms).then(|| NextFetch {
            current_leader_epoch: self.leader_epoch,
            fetch_offset: log.log_end_offset(),
            last_fetched_epoch: log.latest_epoch(),
            log_start_offset: log.log_start_offset(),
        })
    }

    /// The leader answered a fetch of this epoch.
    pub fn on_answer(&mut self, now_ms: i64, answer: &FetchedPartition, log: &impl LocalLog) -> FollowerStep {
        if self.stopped || answer.fetch_offset != log.log_end_offset() {
            return FollowerStep::Ignore;
        }
        match answer.error {
            ErrorCode::None => {
                self.backoff_ms = FIRST_BACKOFF_MS.min(self.max_backoff_ms);
                Self::step(answer, log)
            }
            ErrorCode::OffsetOutOfRange => FollowerStep::AskForRange,
            // Older or newer than the leader: the metadata here, or there, is late. One of both will hear more.
            ErrorCode::FencedLeaderEpoch => {
                self.stopped = true;
                FollowerStep::Stop
            }
            _ => self.wait(now_ms),
        }
    }

    /// The leader could not be asked, or its answer could not be taken in.
    pub fn on_failure(&mut self, now_ms: i64) -> FollowerStep {
        self.wait(now_ms)
    }

    /// The leader's log holds `start..end`: where this log is to start over, or to be cut.
    ///
    /// A log that ends past the leader's is cut to it: the leader was elected uncleanly. One that ends before the leader's start has missed what was
    /// deleted meanwhile, and starts over there.
    pub fn restart_at(&self, start: Offset, end: Offset, log: &impl LocalLog) -> Restart {
        let here = log.log_end_offset();
        if here > end {
            Restart::TruncateTo(end.max(log.log_start_offset()))
        } else if here < start {
            Restart::StartOverAt(start)
        } else {
            Restart::FetchAgain
        }
    }

    fn step(answer: &FetchedPartition, log: &impl LocalLog) -> FollowerStep {
        if let Some(diverging) = answer.diverging {
            return FollowerStep::Truncate(truncation(diverging, log.epoch_end(diverging.epoch), log.log_end_offset()));
        }
        FollowerStep::Append { high_watermark: answer.high_watermark, log_start_offset: answer.log_start_offset }
    }

    fn wait(&mut self, now_ms: i64) -> FollowerStep {
        self.waits_until_ms = now_ms.saturating_add(self.backoff_ms);
        self.backoff_ms = self.backoff_ms.saturating_mul(2).min(self.max_backoff_ms);
        FollowerStep::Wait { until_ms: self.waits_until_ms }
    }
}

/// What to do once the leader's range is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Cut the log here.
    TruncateTo(Offset),
    /// Drop everything and start here.
    StartOverAt(Offset),
    /// The leader has what continues this log after all.
    FetchAgain,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0..50 in epoch 1, 50..80 in epoch 3; everything below 60 is known to be committed.
    struct Log;

    impl LocalLog for Log {
        fn log_start_offset(&self) -> Offset {
            Offset(10)
        }
        fn log_end_offset(&self) -> Offset {
            Offset(80)
        }
        fn high_watermark(&self) -> Offset {
            Offset(60)
        }
        fn latest_epoch(&self) -> LeaderEpoch {
            LeaderEpoch(3)
        }
        fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
            match epoch.get() {
                ..1 => None,
                1..3 => Some(EpochEnd { epoch: LeaderEpoch(1), end_offset: Offset(50) }),
                3.. => Some(EpochEnd { epoch: LeaderEpoch(3), end_offset: Offset(80) }),
            }
        }
    }

    fn follower() -> FollowerState {
        FollowerState {
            leader: BrokerId(2),
            leader_epoch: LeaderEpoch(4),
            waits_until_ms: i64::MIN,
            backoff_ms: FIRST_BACKOFF_MS,
            max_backoff_ms: 25,
            stopped: false,
        }
    }

    fn answer() -> FetchedPartition {
        FetchedPartition {
            error: ErrorCode::None,
            fetch_offset: Offset(80),
            high_watermark: Offset(75),
            log_start_offset: Offset(10),
            diverging: None,
            records_bytes: 100,
        }
    }

    #[test]
    fn a_fetch_tells_what_is_in_the_log() {
        let next = follower().next_fetch(0, &Log).expect("nothing holds it up");
        let expected = NextFetch {
            current_leader_epoch: LeaderEpoch(4),
            fetch_offset: Offset(80),
            last_fetched_epoch: LeaderEpoch(3),
            log_start_offset: Offset(10),
        };
        assert_eq!(next, expected);
    }

    #[test]
    fn what_continues_the_log_is_appended() {
        let step = follower().on_answer(0, &answer(), &Log);
        assert_eq!(step, FollowerStep::Append { high_watermark: Offset(75), log_start_offset: Offset(10) });
    }

    #[test]
    fn where_both_logs_part_this_one_is_cut() {
        let diverging = EpochEnd { epoch: LeaderEpoch(2), end_offset: Offset(70) };
        let step = follower().on_answer(0, &FetchedPartition { diverging: Some(diverging), ..answer() }, &Log);
        assert_eq!(step, FollowerStep::Truncate(Truncation { to: Offset(50), agrees: false }));
    }

    #[test]
    fn an_answer_to_an_earlier_question_is_ignored() {
        let step = follower().on_answer(0, &FetchedPartition { fetch_offset: Offset(70), ..answer() }, &Log);
        assert_eq!(step, FollowerStep::Ignore);
    }

    #[test]
    fn after_an_error_that_passes_it_waits() {
        let mut follower = follower();
        let refused = FetchedPartition { error: ErrorCode::UnknownLeaderEpoch, ..answer() };
        assert_eq!(follower.on_answer(5, &refused, &Log), FollowerStep::Wait { until_ms: 15 });
        assert_eq!(follower.next_fetch(14, &Log), None);
        assert!(follower.next_fetch(15, &Log).is_some());
    }

    #[test]
    fn it_waits_twice_as_long_after_each_failure_up_to_a_bound_until_one_succeeds() {
        let mut follower = follower();
        let waits = [0; 4].map(|now_ms| follower.on_failure(now_ms));
        assert_eq!(waits, [10, 20, 25, 25].map(|until_ms| FollowerStep::Wait { until_ms }));
        follower.on_answer(30, &answer(), &Log);
        assert_eq!(follower.on_failure(0), FollowerStep::Wait { until_ms: 10 });
    }

    #[test]
    fn a_leader_of_a_later_epoch_ends_this_one() {
        let mut follower = follower();
        let fenced = FetchedPartition { error: ErrorCode::FencedLeaderEpoch, ..answer() };
        assert_eq!(follower.on_answer(0, &fenced, &Log), FollowerStep::Stop);
        assert_eq!(follower.next_fetch(i64::MAX, &Log), None);
        assert_eq!(follower.next_deadline(), None);
    }

    #[test]
    fn a_log_that_the_leader_cannot_continue_starts_over_or_is_cut() {
        let out_of_range = FetchedPartition { error: ErrorCode::OffsetOutOfRange, ..answer() };
        assert_eq!(follower().on_answer(0, &out_of_range, &Log), FollowerStep::AskForRange);
        assert_eq!(follower().restart_at(Offset(200), Offset(300), &Log), Restart::StartOverAt(Offset(200)));
        assert_eq!(follower().restart_at(Offset(0), Offset(65), &Log), Restart::TruncateTo(Offset(65)));
        assert_eq!(follower().restart_at(Offset(0), Offset(5), &Log), Restart::TruncateTo(Offset(10)));
        assert_eq!(follower().restart_at(Offset(0), Offset(300), &Log), Restart::FetchAgain);
    }
}
