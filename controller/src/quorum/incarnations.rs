//! Which process of each member lives: a copied data directory makes two processes of one id, and only one may take part.
//!
//! A pure core; time is an argument. Every call and every answer carries the incarnation of the process that made it, drawn
//! at random at its start. Another one of the same id is a restart once the former has been silent for a while, and a second
//! live process before: that one is refused. While the former is heard it keeps its place.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::types::RaftNodeId;

/// How long a process has to be silent before another of the same id takes its place. A live member is heard by its leader
/// with every heartbeat; a restart waits at most this long.
pub(crate) const INCARNATION_SILENCE: Duration = Duration::from_millis(500);

/// Members that are remembered; beyond that the one heard least recently is forgotten.
const MAX_REMEMBERED: usize = 16_384;

#[derive(Clone, Copy, Debug)]
struct Heard {
    incarnation: Uuid,
    at: Instant,
}

/// A second live process of an id that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecondIncarnation {
    /// How long ago the first was heard.
    pub(crate) heard_ago: Duration,
}

/// Who was heard last, and when.
#[derive(Debug, Default)]
pub(crate) struct Incarnations {
    heard: BTreeMap<RaftNodeId, Heard>,
}

impl Incarnations {
    /// Notes a sign of life; an error if another process of that id lives.
    pub(crate) fn hear(&mut self, now: Instant, id: RaftNodeId, incarnation: Uuid) -> Result<(), SecondIncarnation> {
        if let Some(heard) = self.heard.get_mut(&id) {
            let heard_ago = now.saturating_duration_since(heard.at);
            if heard.incarnation != incarnation && heard_ago < INCARNATION_SILENCE {
                return Err(SecondIncarnation { heard_ago });
            }
            *heard = Heard { incarnation, at: now };
            return Ok(());
        }
        if self.heard.len() >= MAX_REMEMBERED {
            let oldest = self.heard.iter().min_by_key(|(_, heard)| heard.at).map(|(id, _)| *id);
            oldest.map(|oldest| self.heard.remove(&oldest));
        }
        self.heard.insert(id, Heard { incarnation, at: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Uuid = Uuid::from_u128(1);
    const SECOND: Uuid = Uuid::from_u128(2);

    fn id(node_id: i32) -> RaftNodeId {
        RaftNodeId::from((node_id, 7))
    }

    #[test]
    fn a_second_process_is_refused_while_the_first_is_heard() {
        let (mut incarnations, start) = (Incarnations::default(), Instant::now());
        for beat in 0..20 {
            let now = start + beat * Duration::from_millis(100);
            assert_eq!(incarnations.hear(now, id(1), FIRST), Ok(()));
            let late = now + Duration::from_millis(50);
            assert!(incarnations.hear(late, id(1), SECOND).is_err());
        }
    }

    #[test]
    fn a_restart_takes_the_place_of_a_silent_process_and_keeps_it() {
        let (mut incarnations, start) = (Incarnations::default(), Instant::now());
        incarnations.hear(start, id(1), FIRST).unwrap();
        let later = start + INCARNATION_SILENCE;
        assert_eq!(incarnations.hear(later, id(1), SECOND), Ok(()));
        assert!(incarnations.hear(later, id(1), FIRST).is_err());
    }

    #[test]
    fn ids_do_not_disturb_each_other() {
        let (mut incarnations, now) = (Incarnations::default(), Instant::now());
        assert_eq!(incarnations.hear(now, id(1), FIRST), Ok(()));
        assert_eq!(incarnations.hear(now, id(2), SECOND), Ok(()));
    }
}
