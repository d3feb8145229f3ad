//! A fetch session, from the side of who fetches (KIP-227).

use ahash::AHashSet;

use crate::fetch_session::{INITIAL_EPOCH, NO_SESSION};
use crate::partition::PartitionKey;

/// What the leader holds for this fetcher.
#[derive(Debug)]
pub(super) struct Session {
    /// The session's id; that of the one before while a new one is asked for, so that the leader can let go of it.
    id: i32,
    /// The epoch of the next request.
    epoch: i32,
    /// What the leader is to drop with the next request.
    forgotten: AHashSet<PartitionKey>,
}

impl Session {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { id: NO_SESSION, epoch: INITIAL_EPOCH, forgotten: AHashSet::new() }
    }

    /// The next request names everything, and begins another session.
    pub(super) fn reset(&mut self) {
        self.epoch = INITIAL_EPOCH;
        self.forgotten.clear();
    }

    /// The leader need not fetch this any more.
    pub(super) fn forget(&mut self, key: PartitionKey) {
        if self.epoch != INITIAL_EPOCH {
            self.forgotten.insert(key);
        }
    }

    /// The leader is asked for this again, before it was told to drop it: it drops what a request forgets, also if it asks for it.
    pub(super) fn remember(&mut self, key: &PartitionKey) {
        self.forgotten.remove(key);
    }

    /// The id and epoch of the next request, and what it forgets.
    pub(super) fn next_request(&mut self) -> (i32, i32, Vec<PartitionKey>) {
        (self.id, self.epoch, self.forgotten.drain().collect())
    }

    /// The leader answered in this session, or in none. Returns false if the next request must name everything.
    pub(super) fn on_answer(&mut self, id: i32) -> bool {
        self.epoch = match id {
            NO_SESSION => INITIAL_EPOCH,
            // 0 asks for another session.
            _ if self.epoch == i32::MAX => 1,
            _ => self.epoch + 1,
        };
        self.id = id;
        id != NO_SESSION
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_protocol::ids::PartitionIndex;

    use super::*;

    const KEY: PartitionKey = (Uuid::nil(), PartitionIndex(3));

    #[test]
    fn a_session_counts_its_requests() {
        let mut session = Session::new();
        assert_eq!(session.next_request(), (0, 0, vec![]));
        assert!(session.on_answer(7));
        session.forget(KEY);
        assert_eq!(session.next_request(), (7, 1, vec![KEY]));
        assert!(session.on_answer(7));
        assert_eq!(session.next_request(), (7, 2, vec![]));
    }

    #[test]
    fn a_new_session_names_the_one_that_it_replaces() {
        let mut session = Session::new();
        session.on_answer(7);
        session.forget(KEY);
        session.reset();
        assert_eq!(session.next_request(), (7, 0, vec![]));
    }

    #[test]
    fn a_request_does_not_forget_what_it_asks_for() {
        let mut session = Session::new();
        session.on_answer(7);
        session.forget(KEY);
        session.remember(&KEY);
        assert_eq!(session.next_request(), (7, 1, vec![]));
    }

    #[test]
    fn a_leader_without_room_for_sessions_is_told_everything_each_time() {
        let mut session = Session::new();
        assert!(!session.on_answer(0));
        session.forget(KEY);
        assert_eq!(session.next_request(), (0, 0, vec![]));
    }
}
