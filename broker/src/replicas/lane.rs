//! Which of two ways a partition is fetched: at once, because acknowledgements wait for it, or beside that, because much is missing.
//!
//! A follower that was away fetches what it missed by the megabyte. On the connection and the thread on which it fetches what is
//! written now, each of those answers would stand between a record and its acknowledgement; so what is behind has a connection of its own to the
//! leader, and a thread that yields to all others.

/// The way that one partition is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// The replica is in sync, or about to be: a record is acknowledged once it is fetched here.
    InSync,
    /// Nobody waits for it: it is in no in-sync set, and has not been told yet that it has everything.
    CatchingUp,
}

impl Lane {
    /// Where a replica begins that is in the in-sync set or not. Who is in sync has everything that is committed: a change of leader
    /// must not hold it back.
    pub(super) fn of(is_in_sync: bool) -> Self {
        if is_in_sync { Self::InSync } else { Self::CatchingUp }
    }

    /// The lane that a replica is to change to after an answer, if it is. One that has been taken out of the in-sync set makes
    /// room for the others only once an answer leaves it behind: who is about to be taken in is in no in-sync set either.
    pub(super) fn change(self, has_caught_up: bool, is_in_sync: impl FnOnce() -> bool) -> Option<Self> {
        match self {
            Self::CatchingUp if has_caught_up => Some(Self::InSync),
            Self::InSync if !has_caught_up && !is_in_sync() => Some(Self::CatchingUp),
            Self::CatchingUp | Self::InSync => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_is_behind_and_in_no_in_sync_set_is_fetched_beside_the_others() {
        assert_eq!(Lane::of(false), Lane::CatchingUp);
        assert_eq!(Lane::CatchingUp.change(false, || false), None);
        assert_eq!(Lane::InSync.change(false, || false), Some(Lane::CatchingUp));
    }

    #[test]
    fn one_that_has_caught_up_is_fetched_with_those_that_acknowledgements_wait_for() {
        assert_eq!(Lane::CatchingUp.change(true, || false), Some(Lane::InSync));
        assert_eq!(Lane::InSync.change(true, || false), None);
    }

    #[test]
    fn one_in_sync_stays_whatever_an_answer_left_out() {
        assert_eq!(Lane::of(true), Lane::InSync);
        assert_eq!(Lane::InSync.change(false, || true), None);
    }
}
