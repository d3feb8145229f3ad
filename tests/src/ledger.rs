//! What a broker has promised to a producer and shown to readers, and whether it kept to it.
//!
//! The rules: an acknowledged record is read back at the offset it was acknowledged at; an offset never changes its meaning;
//! an idempotent producer's records appear once and in the order they were sent; a reader is given one offset after the other. A record
//! that was not acknowledged may or may not be there. A sequence's upper sixteen bits name its producer, so that several may write to one partition.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A partition's index and an offset in it.
pub type Place = (i32, i64);

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A place held one record and then another.
    Changed {
        /// Where.
        place: Place,
        /// The sequence that was acknowledged or read first.
        before: u64,
        /// The sequence that was read or acknowledged later.
        after: u64,
    },
    /// An acknowledged record is not there.
    Lost {
        /// Where it was acknowledged.
        place: Place,
        /// Its sequence.
        sequence: u64,
    },
    /// A reader was given a record that does not follow the one before it: it was taken back, or over something.
    Astray {
        /// Where.
        place: Place,
        /// The offset of the partition that it was given before.
        before: i64,
    },
    /// A record is there twice, or before one that was sent earlier.
    OutOfOrder {
        /// Where.
        place: Place,
        /// The sequence found before it in the partition.
        before: u64,
        /// Its sequence.
        sequence: u64,
    },
}

/// The producer of a sequence.
fn writer_of(sequence: u64) -> u64 {
    sequence >> 48
}

/// Promises and sightings of one topic; the sequences of each producer grow in each partition.
#[derive(Debug, Default)]
pub struct Ledger {
    acknowledged: HashMap<Place, u64>,
    seen: HashMap<Place, u64>,
    /// The last offset of each partition that the reader was given.
    polled: HashMap<i32, i64>,
    violations: Vec<Violation>,
}

impl Ledger {
    /// An acknowledgement came.
    pub fn acknowledge(&mut self, place: Place, sequence: u64) {
        Self::hold(&mut self.acknowledged, &mut self.violations, place, sequence);
        if let Some(&before) = self.seen.get(&place).filter(|seen| **seen != sequence) {
            self.violations.push(Violation::Changed { place, before, after: sequence });
        }
    }

    /// A reader saw a record.
    pub fn see(&mut self, place: Place, sequence: u64) {
        Self::hold(&mut self.seen, &mut self.violations, place, sequence);
        if let Some(&before) = self.acknowledged.get(&place).filter(|promised| **promised != sequence) {
            self.violations.push(Violation::Changed { place, before, after: sequence });
        }
    }

    /// The reader that follows, which began somewhere and has never sought, was given a record.
    pub fn poll(&mut self, place: Place, sequence: u64) {
        if let Some(before) = self.polled.insert(place.0, place.1).filter(|before| *before + 1 != place.1) {
            self.violations.push(Violation::Astray { place, before });
        }
        self.see(place, sequence);
    }

    fn hold(places: &mut HashMap<Place, u64>, violations: &mut Vec<Violation>, place: Place, sequence: u64) {
        match places.entry(place) {
            Entry::Vacant(empty) => {
                empty.insert(sequence);
            }
            Entry::Occupied(held) if *held.get() != sequence => {
                violations.push(Violation::Changed { place, before: *held.get(), after: sequence });
            }
            Entry::Occupied(_) => {}
        }
    }

    /// The number of acknowledged records.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// The offset behind the last record of a partition that was acknowledged.
    pub fn acknowledged_end(&self, partition: i32) -> i64 {
        let offsets = self.acknowledged.keys().filter(|place| place.0 == partition);
        offsets.map(|place| place.1 + 1).max().unwrap_or(0)
    }

    /// The partition was allowed to lose what lies at `end` and behind it, and did: those offsets get a new meaning.
    pub fn forget_from(&mut self, partition: i32, end: i64) {
        let kept = |place: &Place| place.0 != partition || place.1 < end;
        self.acknowledged.retain(|place, _| kept(place));
        self.seen.retain(|place, _| kept(place));
    }

    /// Compares with everything that is in the topic at the end, and gives every broken rule.
    pub fn settle(mut self, mut everything: Vec<(Place, u64)>) -> Vec<Violation> {
        everything.sort_unstable();
        let mut last: HashMap<(i32, u64), u64> = HashMap::new();
        for &(place, sequence) in &everything {
            self.see(place, sequence);
            if let Some(before) =
                last.insert((place.0, writer_of(sequence)), sequence).filter(|before| *before >= sequence)
            {
                self.violations.push(Violation::OutOfOrder { place, before, sequence });
            }
        }
        let there: HashMap<Place, u64> = everything.into_iter().collect();
        let lost = self.acknowledged.iter().filter(|(place, _)| !there.contains_key(place));
        let mut lost: Vec<_> = lost.map(|(&place, &sequence)| Violation::Lost { place, sequence }).collect();
        lost.sort_by_key(|violation| match violation {
            Violation::Lost { place, .. }
            | Violation::Changed { place, .. }
            | Violation::Astray { place, .. }
            | Violation::OutOfOrder { place, .. } => *place,
        });
        self.violations.extend(lost);
        self.violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_breaks_nothing_and_what_was_not_acknowledged_may_be_there() {
        let mut ledger = Ledger::default();
        ledger.acknowledge((0, 0), 1);
        ledger.see((0, 0), 1);
        assert_eq!(ledger.settle(vec![((0, 1), 2), ((0, 0), 1)]), []);
    }

    #[test]
    fn an_acknowledged_record_that_is_gone_is_lost() {
        let mut ledger = Ledger::default();
        ledger.acknowledge((3, 7), 9);
        assert_eq!(ledger.settle(vec![]), [Violation::Lost { place: (3, 7), sequence: 9 }]);
    }

    #[test]
    fn an_offset_that_holds_another_record_later_has_changed() {
        let mut ledger = Ledger::default();
        ledger.see((0, 5), 1);
        ledger.see((0, 5), 2);
        assert_eq!(ledger.settle(vec![]), [Violation::Changed { place: (0, 5), before: 1, after: 2 }]);
    }

    #[test]
    fn a_reader_that_is_taken_back_or_over_something_went_astray() {
        let mut ledger = Ledger::default();
        for (offset, sequence) in [(4, 4), (5, 5), (5, 5), (7, 7)] {
            ledger.poll((0, offset), sequence);
        }
        ledger.poll((1, 9), 2);
        let astray = |offset, before| Violation::Astray { place: (0, offset), before };
        assert_eq!(ledger.violations, [astray(5, 5), astray(7, 5)]);
    }

    #[test]
    fn a_repeated_record_is_out_of_order() {
        let ledger = Ledger::default();
        let violations = ledger.settle(vec![((0, 0), 4), ((0, 1), 4)]);
        assert_eq!(violations, [Violation::OutOfOrder { place: (0, 1), before: 4, sequence: 4 }]);
    }

    #[test]
    fn producers_of_one_partition_have_orders_of_their_own() {
        let other = 1 << 48;
        let ledger = Ledger::default();
        assert_eq!(ledger.settle(vec![((0, 0), 4), ((0, 1), other), ((0, 2), 5), ((0, 3), other + 1)]), []);
    }

    #[test]
    fn what_a_partition_may_lose_is_no_longer_promised() {
        let mut ledger = Ledger::default();
        for offset in 0..4 {
            ledger.acknowledge((0, offset), offset as u64);
        }
        assert_eq!((ledger.acknowledged_end(0), ledger.acknowledged_end(1)), (4, 0));
        ledger.forget_from(0, 2);
        assert_eq!(ledger.acknowledged_end(0), 2);
        assert_eq!(ledger.settle(vec![((0, 0), 0), ((0, 1), 1), ((0, 2), 9)]), []);
    }
}
