//! Whether a broker whose connection closed is dead: dials to its listener, one after the other.
//!
//! ```text
//!            connection closes                 due               refused twice within DEATH_WINDOW
//!   Quiet ----------------------> Due(at) ------------> UnderWay -----------------------------------> Dead
//!     ^                             ^                      |
//!     |  heard, or connected again  +----------------------+ any other outcome, or the first refusal
//!     +--- from anywhere            +--- from Due and Dead, later: nobody can be fenced now
//! ```
//!
//! A process that is being torn down may still accept while its listener closes, so what was answered is dialled again until
//! the broker is heard or its deadline passes.

use std::time::{Duration, Instant};

/// Two refusals no further apart than this are a death.
pub const DEATH_WINDOW: Duration = Duration::from_millis(50);

/// How long after a refusal the second dial follows.
const REDIAL_AFTER_REFUSAL: Duration = Duration::from_millis(10);

/// How long after any other outcome the next dial follows.
const REDIAL_AFTER_ANSWER: Duration = Duration::from_millis(50);

/// What became of a dial to a broker's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialOutcome {
    /// Somebody accepted.
    Answered,
    /// The host lives and nobody listens there.
    Refused,
    /// Nothing is known of the broker: no answer in time, no way to it, no handle for the dial.
    Unknown(String),
}

/// How far the question is whether one process is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nobody asks.
    Quiet,
    /// A dial is due.
    Due { at: Instant, refused: Option<Instant> },
    /// A dial is under way, known by its number.
    UnderWay { number: u64, refused: Option<Instant> },
    /// It is dead.
    Dead,
}

impl Probe {
    /// The question is asked.
    pub(crate) fn begin(now: Instant) -> Self {
        Self::Due { at: now, refused: None }
    }

    /// Becomes under way if a dial is due.
    pub(crate) fn take_due(&mut self, now: Instant, number: u64) -> bool {
        match *self {
            Self::Due { at, refused } if at <= now => {
                *self = Self::UnderWay { number, refused };
                true
            }
            _ => false,
        }
    }

    /// What a dial tells; nothing if the question is no longer asked, or was asked anew since.
    pub(crate) fn on_dialled(&mut self, now: Instant, number: u64, outcome: &DialOutcome) {
        let Self::UnderWay { number: awaited, refused } = *self else { return };
        if awaited != number {
            return;
        }
        *self = match (outcome, refused) {
            (DialOutcome::Refused, Some(first)) if now.saturating_duration_since(first) <= DEATH_WINDOW => Self::Dead,
            (DialOutcome::Refused, _) => Self::Due { at: now + REDIAL_AFTER_REFUSAL, refused: Some(now) },
            _ => Self::Due { at: now + REDIAL_AFTER_ANSWER, refused: None },
        };
    }

    /// What is to be done cannot be done now: it is asked anew a while later.
    pub(crate) fn put_off(&mut self, now: Instant) {
        let later = now + REDIAL_AFTER_ANSWER;
        *self = match *self {
            Self::Due { at, .. } => Self::Due { at: at.max(later), refused: None },
            Self::Dead => Self::begin(later),
            Self::Quiet | Self::UnderWay { .. } => return,
        };
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Quiet | Self::UnderWay { .. } => None,
            Self::Due { at, .. } => Some(*at),
            Self::Dead => Some(now),
        }
    }
}
