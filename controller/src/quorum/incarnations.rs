//! Which process of each member lives: a copied data directory makes two processes of one id, and only one may take part.
//!
//! A pure core; time is an argument. Every call and every answer carries the incarnation of the process that made it, drawn
//! at random at its start. Another one of the same id is a restart once the former has been silent for a while, and a second
//! live process before: that one is refused. While the former is heard it keeps its place. Only the traffic of the consensus is a sign of
//! life: whoever merely asks who is there, or to be taken in, may be a copy that nobody has told off yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::types::RaftNodeId;

/// How long a process has to be silent before another of the same id takes its place. A live member is heard by its leader
/// with every heartbeat; a restart waits at most this long.
pub(crate) const INCARNATION_SILENCE: Duration = Duration::from_millis(500);

/// Members that are remembered; beyond that the one heard least recently is forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// How long a process has been refused when both are known to live: a restart has taken its former self's place by then.
const BOTH_LIVE: Duration = Duration::from_millis(1_000);

#[derive(Clone, Copy, Debug)]
struct Heard {
    incarnation: Uuid,
    at: Instant,
    /// Who was refused last for its sake, and since when.
    rival: Option<(Uuid, Instant)>,
}

/// Another process of an id that is in use: a restart that is to wait a moment, or a second live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecondIncarnation {
    /// How long ago the first was heard.
    pub(crate) heard_ago: Duration,
    /// How long the other has been refused.
    pub(crate) refused_for: Duration,
}

impl SecondIncarnation {
    /// Whether it is no restart: the first has been heard again since the other came.
    pub(crate) fn both_live(&self) -> bool {
        self.refused_for >= BOTH_LIVE
    }
}

/// Who was heard last, and when.
#[derive(Debug, Default)]
pub(crate) struct Incarnations {
    heard: BTreeMap<RaftNodeId, Heard>,
}

impl Incarnations {
    /// An error if another process of that id lives. It is no sign of life.
    pub(crate) fn check(&mut self, now: Instant, id: RaftNodeId, incarnation: Uuid) -> Result<(), SecondIncarnation> {
        let Some(heard) = self.heard.get_mut(&id) else { return Ok(()) };
        let heard_ago = now.saturating_duration_since(heard.at);
        if heard.incarnation == incarnation || heard_ago >= INCARNATION_SILENCE {
            return Ok(());
        }
        let known = heard.rival.filter(|(rival, _)| *rival == incarnation);
        let (_, since) = *heard.rival.insert(known.unwrap_or((incarnation, now)));
        Err(SecondIncarnation { heard_ago, refused_for: now.saturating_duration_since(since) })
    }

    /// Notes a sign of life; an error if another process of that id lives.
    pub(crate) fn hear(&mut self, now: Instant, id: RaftNodeId, incarnation: Uuid) -> Result<(), SecondIncarnation> {
        self.check(now, id, incarnation)?;
        if let Some(heard) = self.heard.get_mut(&id) {
            let rival = heard.rival.filter(|_| heard.incarnation == incarnation);
            *heard = Heard { incarnation, at: now, rival };
            return Ok(());
        }
        if self.heard.len() >= MAX_REMEMBERED {
            let oldest = self.heard.iter().min_by_key(|(_, heard)| heard.at).map(|(id, _)| *id);
            oldest.map(|oldest| self.heard.remove(&oldest));
        }
        self.heard.insert(id, Heard { incarnation, at: now, rival: None });
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
    fn a_restart_that_waits_for_its_former_self_is_no_second_process_and_a_copy_is_one_after_a_while() {
        let (mut incarnations, start) = (Incarnations::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        incarnations.hear(at(0), id(1), FIRST).unwrap();
        for ms in (50..500).step_by(100) {
            assert!(!incarnations.hear(at(ms), id(1), SECOND).unwrap_err().both_live(), "{ms} ms");
        }
        incarnations.hear(at(500), id(1), SECOND).unwrap();
        // The next one comes while the second lives, and goes on to live.
        let refused: Vec<bool> = (600..2_000)
            .step_by(100)
            .map(|ms| {
                incarnations.hear(at(ms), id(1), SECOND).unwrap();
                incarnations.hear(at(ms + 1), id(1), FIRST).unwrap_err().both_live()
            })
            .collect();
        assert_eq!(refused.iter().position(|both_live| *both_live), Some(10), "{refused:?}");
        assert!(refused[10..].iter().all(|both_live| *both_live));
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
    fn whoever_merely_asks_takes_no_place_and_keeps_none() {
        let (mut incarnations, start) = (Incarnations::default(), Instant::now());
        assert_eq!(incarnations.check(start, id(1), SECOND), Ok(()));
        incarnations.hear(start, id(1), FIRST).unwrap();
        assert!(incarnations.check(start, id(1), SECOND).is_err());
        let later = start + INCARNATION_SILENCE;
        assert_eq!(incarnations.check(later, id(1), FIRST), Ok(()));
        assert_eq!(incarnations.hear(later, id(1), SECOND), Ok(()));
    }

    #[test]
    fn ids_do_not_disturb_each_other() {
        let (mut incarnations, now) = (Incarnations::default(), Instant::now());
        assert_eq!(incarnations.hear(now, id(1), FIRST), Ok(()));
        assert_eq!(incarnations.hear(now, id(2), SECOND), Ok(()));
    }
}
