//! What a group has been promised and what it was given, and the rules between the two. Pure.
//!
//! The rules: what is found committed is the last offset that was acknowledged, or one that was sent after it; a member that is assigned a
//! partition begins there, and is given one record after the other from then on, so that nothing is passed over that a commit covers. A
//! commit that nobody answered may take effect at any later time, also after a repetition of it that was: the connection that it went over is
//! closed, and the network holds it until the coordinator's host is back.

use std::collections::BTreeMap;

/// One partition of the group's topic.
#[derive(Debug, Default)]
struct Promise {
    /// The last commit that was acknowledged.
    acknowledged: i64,
    /// The highest that was sent.
    sent: i64,
    /// Commits that nobody has answered, and how often each was sent.
    unanswered: BTreeMap<i64, u32>,
    /// Where the member reads, if it is assigned the partition.
    place: Option<Place>,
}

/// Where a member is in a partition.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It was assigned it, and has been given nothing yet.
    Anew,
    /// This offset is the next.
    Next(i64),
}

impl Promise {
    /// Whether a commit may be found, when `acknowledged` was the last acknowledged one before it was looked.
    fn may_be(&self, found: i64, acknowledged: i64) -> bool {
        (acknowledged..=self.sent).contains(&found) || self.unanswered.contains_key(&found)
    }
}

/// All partitions of a group's topic.
#[derive(Debug)]
pub(super) struct Promises {
    partitions: Vec<Promise>,
    /// How many commits were acknowledged.
    pub(super) commits: u64,
    /// How many records were given.
    pub(super) records: u64,
    /// How often what was committed was found to be something else.
    pub(super) inconsistent: Vec<String>,
    /// How often a member was given a record that is not the next.
    pub(super) astray: Vec<String>,
}

impl Promises {
    pub(super) fn new(partitions: i32) -> Promises {
        let partitions = (0..partitions).map(|_| Promise::default()).collect();
        Promises { partitions, commits: 0, records: 0, inconsistent: Vec::new(), astray: Vec::new() }
    }

    fn partition(&mut self, partition: i32) -> Option<&mut Promise> {
        self.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// The member was assigned a partition, or robbed of it.
    pub(super) fn assigned(&mut self, partition: i32, is_its: bool) {
        if let Some(promise) = self.partition(partition) {
            promise.place = is_its.then_some(Place::Anew);
        }
    }

    /// The member was given a record.
    pub(super) fn polled(&mut self, partition: i32, offset: i64) {
        self.records += 1;
        let Some(promise) = self.partition(partition) else { return };
        let place = promise.place.replace(Place::Next(offset + 1));
        let broken = match place {
            Some(Place::Next(next)) => (next != offset).then(|| format!("where {next} was the next")),
            Some(Place::Anew) if promise.may_be(offset, promise.acknowledged) => None,
            Some(Place::Anew) => Some(format!("as its first, where {promise:?} was committed")),
            None => Some("of a partition that is not its own".to_owned()),
        };
        self.astray.extend(broken.map(|why| format!("{partition}/{offset} was given {why}")));
    }

    /// What the member commits now: where it is in each partition.
    pub(super) fn send(&mut self) -> Vec<(i32, i64)> {
        let mut positions = Vec::new();
        for (partition, promise) in (0..).zip(&mut self.partitions) {
            if let Some(Place::Next(next)) = promise.place {
                promise.sent = promise.sent.max(next);
                *promise.unanswered.entry(next).or_default() += 1;
                positions.push((partition, next));
            }
        }
        positions
    }

    /// What was sent was acknowledged.
    pub(super) fn acknowledged(&mut self, positions: &[(i32, i64)]) {
        self.commits += 1;
        for (partition, offset) in positions {
            if let Some(promise) = self.partition(*partition) {
                promise.acknowledged = *offset;
                // Only this one was answered: the same offset may be under way in another request.
                if let Some(times) = promise.unanswered.get_mut(offset) {
                    *times -= 1;
                }
                promise.unanswered.retain(|_, times| *times > 0);
            }
        }
    }

    /// The last acknowledged commit of each partition.
    pub(super) fn floor(&self) -> Vec<i64> {
        self.partitions.iter().map(|promise| promise.acknowledged).collect()
    }

    /// Somebody looked what is committed; `floor` is from before it did.
    pub(super) fn found(&mut self, floor: &[i64], found: &[(i32, i64)]) {
        for (partition, offset) in found {
            let Ok(index) = usize::try_from(*partition) else { continue };
            let (Some(promise), Some(floor)) = (self.partitions.get(index), floor.get(index)) else { continue };
            if !promise.may_be(*offset, *floor) {
                self.inconsistent
                    .push(format!("partition {partition} has {offset}, {floor} or later was promised: {promise:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member that has read offsets 0 to 4, committed behind each, and had the first three acknowledged.
    fn promises() -> Promises {
        let mut promises = Promises::new(1);
        promises.assigned(0, true);
        for offset in 0..5 {
            promises.polled(0, offset);
            let sent = promises.send();
            assert_eq!(sent, [(0, offset + 1)]);
            if offset < 3 {
                promises.acknowledged(&sent);
            }
        }
        assert_eq!((promises.commits, promises.records), (3, 5));
        assert!(promises.astray.is_empty());
        promises
    }

    #[test]
    fn only_the_last_acknowledged_commit_and_what_was_sent_after_it_may_be_found() {
        for (found, broken) in [(2, 1), (3, 0), (4, 0), (5, 0), (6, 1), (0, 1)] {
            let mut promises = promises();
            let floor = promises.floor();
            promises.found(&floor, &[(0, found)]);
            assert_eq!(promises.inconsistent.len(), broken, "{found}");
        }
    }

    #[test]
    fn a_commit_that_nobody_answered_may_take_effect_later_and_one_that_was_answered_may_not() {
        let mut promises = promises();
        promises.polled(0, 5);
        let sent = promises.send();
        promises.acknowledged(&sent);
        let floor = promises.floor();
        promises.found(&floor, &[(0, 4)]);
        assert!(promises.inconsistent.is_empty());
        promises.found(&floor, &[(0, 3)]);
        assert_eq!(promises.inconsistent.len(), 1);
    }

    #[test]
    fn a_repetition_that_is_answered_leaves_the_first_under_way() {
        let mut promises = promises();
        // Offset 5 was sent and not answered; it is sent again.
        let again = promises.send();
        promises.acknowledged(&again);
        promises.polled(0, 5);
        let sent = promises.send();
        promises.acknowledged(&sent);
        let floor = promises.floor();
        promises.found(&floor, &[(0, 5)]);
        assert!(promises.inconsistent.is_empty());
    }

    #[test]
    fn a_record_that_is_passed_over_or_given_again_is_told() {
        for next in [4, 6] {
            let mut promises = promises();
            promises.polled(0, next);
            assert_eq!(promises.astray.len(), 1, "{next}");
        }
    }

    #[test]
    fn a_member_begins_where_the_group_has_committed_and_reads_nothing_that_is_not_its_own() {
        for (first, broken) in [(2, 1), (3, 0), (5, 0), (6, 1)] {
            let mut promises = promises();
            promises.assigned(0, false);
            promises.assigned(0, true);
            promises.polled(0, first);
            assert_eq!(promises.astray.len(), broken, "{first}");
        }
        let mut promises = promises();
        promises.assigned(0, false);
        assert_eq!(promises.send(), []);
        promises.polled(0, 5);
        assert_eq!(promises.astray.len(), 1);
    }
}
