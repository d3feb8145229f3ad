//! Where each leader epoch of a partition starts.
//!
//! Owns the list of (epoch, start offset), its questions, and its file `leader-epoch-checkpoint` (Kafka's
//! `LeaderEpochFileCache`; KIP-101, KIP-279). Never reads the log. Invariants: epochs and start offsets ascend strictly;
//! the file may lag behind the memory, but only by what the log beyond the recovery point tells again, for the log writes
//! the file before it moves its recovery point. So taking up a new epoch costs no fsync on the append path, and no file:
//! Kafka writes it with the first record, which in a new partition is one more file beside two and makes creation and first
//! record dearer by a third. A file that is
//! ahead of the log (it was truncated just before a crash) is cut when the log opens.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use weir_protocol::ids::{LeaderEpoch, Offset};

use crate::checkpoint::{self, CheckpointEntry, CheckpointError, Durability};

/// The file's name in a partition's folder.
pub const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// Where an epoch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch, never negative.
    pub epoch: LeaderEpoch,
    /// The offset of its first record.
    pub start_offset: Offset,
}

impl CheckpointEntry for EpochEntry {
    fn format(&self, line: &mut String) {
        write!(line, "{} {}", self.epoch, self.start_offset).expect("a string takes it all");
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (epoch, start_offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (words.next().is_none() && epoch >= 0 && start_offset >= 0)
            .then_some(Self { epoch: LeaderEpoch(epoch), start_offset: Offset(start_offset) })
    }
}

/// The leader epochs of one partition. Cheap: 16 bytes an epoch, nothing for none.
#[derive(Debug, Default)]
pub struct LeaderEpochCache {
    entries: Vec<EpochEntry>,
    /// The file does not say what the memory says.
    dirty: bool,
}

impl LeaderEpochCache {
    /// Reads the file of the partition folder `dir`, which need not exist. One that is there and empty was torn by a power
    /// cut: it is an error, for it does not say that there are no epochs.
    pub fn load(dir: &Path) -> Result<Self, CheckpointError> {
        let mut cache = Self::default();
        checkpoint::refuse_empty(&dir.join(LEADER_EPOCH_FILE))?;
        for entry in checkpoint::read::<EpochEntry>(&dir.join(LEADER_EPOCH_FILE))? {
            cache.assign(entry.epoch, entry.start_offset);
        }
        cache.entries.shrink_to_fit();
        cache.dirty = false;
        Ok(cache)
    }

    /// Whether the file must be written before a recovery point moves.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Writes the file of the partition folder `dir` if it is behind. Its directory entry is durable once the caller has
    /// synced the folder.
    pub fn write_if_dirty(&mut self, dir: &Path, durability: Durability) -> io::Result<bool> {
        if !self.dirty {
            return Ok(false);
        }
        checkpoint::replace(&dir.join(LEADER_EPOCH_FILE), checkpoint::encode(&self.entries).as_bytes(), durability)?;
        self.dirty = false;
        Ok(true)
    }

    /// The entries, ascending.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// The oldest entry.
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// `epoch` starts at `start_offset`, unless it is the latest already and starts no later. Entries that contradict the
    /// new one (a later epoch or start) are dropped: it is what the log says now. Returns whether anything changed.
    /// Negative epochs (batches of old followers carry none) are passed over.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.0 < 0 || start_offset.0 < 0 {
            return false;
        }
        if self.entries.last().is_some_and(|last| last.epoch == epoch && last.start_offset <= start_offset) {
            return false;
        }
        while self.entries.last().is_some_and(|last| last.epoch >= epoch || last.start_offset >= start_offset) {
            self.entries.pop();
        }
        if self.entries.is_empty() {
            self.entries.reserve_exact(1);
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        self.dirty = true;
        true
    }

    /// The largest epoch that is not above `requested`, and where it ends: where the next one starts, or at `log_end` for
    /// the latest. An epoch older than all known gives itself and the start of the first known; one newer than all known
    /// gives -1 and -1.
    pub fn end_offset_for(&self, requested: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        if requested == LeaderEpoch::NONE {
            return (LeaderEpoch::NONE, Offset::NONE);
        }
        if self.latest_epoch() == Some(requested) {
            return (requested, log_end);
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= requested);
        match (self.entries.get(higher), higher.checked_sub(1).map(|floor| self.entries[floor])) {
            (None, _) => (LeaderEpoch::NONE, Offset::NONE),
            (Some(next), None) => (requested, next.start_offset),
            (Some(next), Some(floor)) => (floor.epoch, next.start_offset),
        }
    }

    /// The epoch that the record at `offset` belongs to.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).map(|index| self.entries[index].epoch)
    }

    /// The log now ends at `end_offset`: drops the epochs that start at or after it.
    pub fn truncate_from_end(&mut self, end_offset: Offset) {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        if keep < self.entries.len() {
            self.entries.truncate(keep);
            self.dirty = true;
        }
    }

    /// The log now starts at `start_offset`: drops the epochs that end there or before, and lets the one that holds it start
    /// there.
    pub fn truncate_from_start(&mut self, start_offset: Offset) {
        let after = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(holder) = after.checked_sub(1) else { return };
        if holder == 0 && self.entries[0].start_offset == start_offset {
            return;
        }
        self.entries.drain(..holder);
        self.entries[0].start_offset = start_offset;
        self.dirty = true;
    }

    /// Forgets every epoch.
    pub fn clear(&mut self) {
        self.dirty |= !self.entries.is_empty();
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> LeaderEpochCache {
        let mut cache = LeaderEpochCache::default();
        for &(epoch, start) in entries {
            cache.assign(LeaderEpoch(epoch), Offset(start));
        }
        cache
    }

    fn entries(cache: &LeaderEpochCache) -> Vec<(i32, i64)> {
        cache.entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
    }

    fn end_of(cache: &LeaderEpochCache, epoch: i32) -> (i32, i64) {
        let (epoch, offset) = cache.end_offset_for(LeaderEpoch(epoch), Offset(100));
        (epoch.0, offset.0)
    }

    #[test]
    fn file_has_kafkas_bytes_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = cache(&[(0, 0), (3, 40)]);
        assert!(cache.write_if_dirty(dir.path(), Durability::OwnFsync).unwrap());
        assert!(!cache.write_if_dirty(dir.path(), Durability::OwnFsync).unwrap(), "nothing new to write");
        assert_eq!(std::fs::read_to_string(dir.path().join(LEADER_EPOCH_FILE)).unwrap(), "0\n2\n0 0\n3 40\n");
        let loaded = LeaderEpochCache::load(dir.path()).unwrap();
        assert_eq!(entries(&loaded), [(0, 0), (3, 40)]);
        assert!(!loaded.is_dirty());
    }

    #[test]
    fn a_torn_file_is_not_taken_for_one_without_epochs() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LEADER_EPOCH_FILE), "").unwrap();
        assert!(LeaderEpochCache::load(dir.path()).is_err());
    }

    #[test]
    fn same_epoch_keeps_its_first_start() {
        assert_eq!(entries(&cache(&[(2, 10), (2, 20)])), [(2, 10)]);
        assert_eq!(entries(&cache(&[(2, 10), (2, 5)])), [(2, 5)]);
    }

    #[test]
    fn contradicted_entries_give_way_to_the_new_one() {
        assert_eq!(entries(&cache(&[(1, 10), (2, 20), (3, 20)])), [(1, 10), (3, 20)], "an epoch without records");
        assert_eq!(entries(&cache(&[(1, 10), (2, 20), (3, 15)])), [(1, 10), (3, 15)]);
        assert_eq!(entries(&cache(&[(1, 10), (4, 20), (3, 30)])), [(1, 10), (3, 30)]);
    }

    #[test]
    fn negative_epochs_are_passed_over() {
        assert_eq!(entries(&cache(&[(-1, 0), (0, 4)])), [(0, 4)]);
    }

    #[test]
    fn end_offset_is_where_the_next_epoch_starts() {
        let cache = cache(&[(2, 5), (4, 20), (7, 30)]);
        assert_eq!(end_of(&cache, 7), (7, 100), "the latest ends at the log's end");
        assert_eq!(end_of(&cache, 2), (2, 20));
        assert_eq!(end_of(&cache, 3), (2, 20), "an unknown one between gives the one below");
        assert_eq!(end_of(&cache, 6), (4, 30));
        assert_eq!(end_of(&cache, 1), (1, 5), "older than all: it ends where the first known starts");
        assert_eq!(end_of(&cache, 8), (-1, -1), "newer than all: undefined");
        assert_eq!(end_of(&cache, -1), (-1, -1));
        assert_eq!(end_of(&LeaderEpochCache::default(), 0), (-1, -1));
    }

    #[test]
    fn epoch_for_offset_is_the_one_that_holds_it() {
        let cache = cache(&[(2, 5), (4, 20)]);
        let epochs = [4, 5, 19, 20, 99].map(|offset| cache.epoch_for_offset(Offset(offset)).map(LeaderEpoch::get));
        assert_eq!(epochs, [None, Some(2), Some(2), Some(4), Some(4)]);
    }

    #[test]
    fn truncation_from_the_end_drops_epochs_that_start_there_or_after() {
        let mut cache = cache(&[(2, 5), (4, 20), (7, 30)]);
        cache.truncate_from_end(Offset(20));
        assert_eq!(entries(&cache), [(2, 5)]);
        cache.truncate_from_end(Offset(5));
        assert_eq!(entries(&cache), []);
    }

    #[test]
    fn truncation_from_the_start_keeps_the_epoch_that_holds_it() {
        let mut cache = cache(&[(2, 5), (4, 20), (7, 30)]);
        cache.truncate_from_start(Offset(4));
        assert_eq!(entries(&cache), [(2, 5), (4, 20), (7, 30)]);
        cache.truncate_from_start(Offset(25));
        assert_eq!(entries(&cache), [(4, 25), (7, 30)]);
        cache.truncate_from_start(Offset(30));
        assert_eq!(entries(&cache), [(7, 30)]);
        cache.truncate_from_start(Offset(90));
        assert_eq!(entries(&cache), [(7, 90)]);
    }
}
