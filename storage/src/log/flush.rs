//! Makes what was appended durable.
//!
//! The mutex is held to see what there is to sync and to note that it was; every fsync runs outside of it, so appends go
//! on meanwhile. Order: batches first, then what a recovery needs of the leader epochs, then the recovery point moves. A
//! failed fsync takes the directory offline and is never tried again, for the kernel may have dropped the pages.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use weir_protocol::ids::Offset;

use super::{Log, StorageError};
use crate::checkpoint::{self, Durability};
use crate::producer_state::snapshot_file_name;
use crate::segment::{Segment, SegmentFile};

/// A snapshot of the producers is taken with the flush that finds this much written since the last: it bounds what a
/// recovery walks, whatever the size of a segment.
const SNAPSHOT_EVERY_BYTES: u64 = 64 << 20;

/// Truncations that a flush may lose a race with before it gives up for now.
const MAX_ROUNDS: u32 = 8;

/// A log that is durable once its file system has been synced; see [`Log::begin_flush`].
#[derive(Debug)]
pub struct PendingFlush(Round);

/// What one round of a flush syncs.
#[derive(Debug)]
struct Round {
    dir: Arc<Path>,
    generation: u32,
    log_end: Offset,
    segments: Vec<(Segment, bool)>,
    /// Producer snapshots that may not be durable yet.
    snapshots: Vec<Offset>,
    sync_folder: bool,
    sync_indexes: bool,
    flushed_bytes: u64,
}

impl Log {
    /// Makes everything below `up_to` durable, and whatever else was appended before the call. Returns the recovery point.
    pub fn flush(&self, up_to: Offset) -> Result<Offset, StorageError> {
        for _ in 0..MAX_ROUNDS {
            let Some(round) = self.begin_round(up_to, Durability::OwnFsync)? else { break };
            self.sync(&round).map_err(|error| self.fail_fsync(error))?;
            if self.finish_round(&round)? {
                break;
            }
        }
        Ok(self.recovery_point())
    }

    /// Makes everything durable, and leaves the folder as a clean stop does: complete indexes, the producers' snapshot, the
    /// leader epochs. Nothing is taken after it.
    pub fn close(&self) -> Result<(), StorageError> {
        if self.complete_files(Durability::OwnFsync)? {
            self.flush(Offset(i64::MAX))?;
            self.close_handles();
        }
        Ok(())
    }

    /// The first half of a flush of many logs: everything that makes up this one is handed to the operating system. The
    /// caller syncs the whole file system and then calls [`Self::finish_flush`]. `None` if there is nothing to sync.
    pub fn begin_flush(&self) -> Result<Option<PendingFlush>, StorageError> {
        let round = self.begin_round(Offset(i64::MAX), Durability::FileSystemSync)?;
        Ok(round.map(PendingFlush))
    }

    /// The same for [`Self::close`]; nothing is taken after it.
    pub fn begin_close(&self) -> Result<Option<PendingFlush>, StorageError> {
        if !self.complete_files(Durability::FileSystemSync)? {
            return Ok(None);
        }
        let pending = self.begin_flush();
        self.close_handles();
        pending
    }

    /// The file system was synced since `pending` began: moves the recovery point.
    pub fn finish_flush(&self, pending: PendingFlush) -> Result<(), StorageError> {
        // After a truncation in between nothing is marked, and the next flush does it.
        self.finish_round(&pending.0).map(|_| ())
    }

    /// Takes no more appends and completes the files that a clean stop leaves; `false` if that was done before.
    fn complete_files(&self, durability: Durability) -> Result<bool, StorageError> {
        let mut state = self.state.lock();
        if state.closed {
            return Ok(false);
        }
        self.check_online()?;
        state.closed = true;
        let super::state::State { active, dir, producers, epochs, log_end, .. } = &mut *state;
        active.complete_indexes(dir).map_err(|error| self.fail("index write", error))?;
        producers.set_end_offset(*log_end);
        let snapshot_taken = producers.take_snapshot(dir).map_err(|error| self.fail("producer snapshot", error))?;
        let epochs_replaced =
            epochs.write_if_dirty(dir, durability).map_err(|error| self.fail("leader epoch checkpoint", error))?;
        if durability == Durability::OwnFsync && (snapshot_taken || epochs_replaced) {
            // There may be no batch left to flush, and the next start believes what it finds.
            let synced = producers.sync_latest_snapshot(dir).and_then(|()| checkpoint::sync_dir(dir));
            synced.map_err(|error| self.fail_fsync(error))?;
        }
        Ok(true)
    }

    /// Takes no more appends, without making anything durable, and renames the folder: the partition is deleted or moves
    /// away. A flush that is under way sees the one folder or the other.
    pub fn abandon_to(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock_answering().map_err(io::Error::other)?;
        let _change = self.context.changing();
        std::fs::rename(&state.dir, folder)?;
        state.closed = true;
        state.move_to(folder);
        state.sealed.iter().for_each(|sealed| sealed.segment.close());
        state.active.segment.close();
        Ok(())
    }

    /// Renames the folder, in the same directory; the log goes on.
    pub fn rename_to(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock_answering().map_err(io::Error::other)?;
        let _change = self.context.changing();
        std::fs::rename(&state.dir, folder)?;
        state.move_to(folder);
        Ok(())
    }

    /// Writes a snapshot of the producers at the log end; returns whether there was anything to write.
    pub fn take_producer_snapshot(&self) -> Result<bool, StorageError> {
        let mut state = self.state.lock();
        self.check_online()?;
        let super::state::State { dir, producers, log_end, .. } = &mut *state;
        producers.set_end_offset(*log_end);
        let taken = producers.take_snapshot(dir).map_err(|error| self.fail("producer snapshot", error))?;
        state.bytes_since_snapshot = 0;
        Ok(taken)
    }

    /// Lets go of every open file; they open again when they are needed.
    pub fn close_handles(&self) {
        let state = self.state.lock();
        state.sealed.iter().for_each(|sealed| sealed.segment.close());
        state.active.segment.close();
    }

    /// What is to be synced, `None` if the log is durable up to there.
    fn begin_round(&self, up_to: Offset, durability: Durability) -> Result<Option<Round>, StorageError> {
        let mut state = self.state.lock();
        self.check_online()?;
        let unsynced = state.sealed.iter().any(|sealed| !sealed.synced) || state.recovery_point < state.log_end;
        if !unsynced || up_to <= state.recovery_point {
            return Ok(None);
        }
        let dir = Arc::clone(&state.dir);
        if state.bytes_since_snapshot >= SNAPSHOT_EVERY_BYTES {
            let log_end = state.log_end;
            state.producers.set_end_offset(log_end);
            state.producers.take_snapshot(&dir).map_err(|error| self.fail("producer snapshot", error))?;
            state.bytes_since_snapshot = 0;
        }
        state.active.write_indexes(&dir).or_else(|error| match self.fail("index write", error) {
            StorageError::DiskFull { .. } => Ok(()),
            failed => Err(failed),
        })?;
        let epochs_replaced = state
            .epochs
            .write_if_dirty(&dir, durability)
            .map_err(|error| self.fail("leader epoch checkpoint", error))?;
        let mut segments: Vec<_> =
            state.sealed.iter().filter(|sealed| !sealed.synced).map(|sealed| (sealed.segment.clone(), true)).collect();
        let from = state.recovery_point;
        let snapshots = state.producers.snapshot_offsets().iter().copied().filter(|offset| *offset >= from).collect();
        if state.active.size > 0 {
            segments.push((state.active.segment.clone(), false));
        }
        Ok(Some(Round {
            dir,
            generation: state.generation,
            log_end: state.log_end,
            segments,
            snapshots,
            sync_folder: durability == Durability::FileSystemSync || !state.active.folder_synced || epochs_replaced,
            sync_indexes: durability == Durability::FileSystemSync || state.active.indexes_unsynced,
            flushed_bytes: state.unflushed_bytes,
        }))
    }

    fn sync(&self, round: &Round) -> io::Result<()> {
        for (segment, sealed) in &round.segments {
            let file = match segment.data(&round.dir, &self.context, false) {
                Ok(file) => file,
                // Retention took it: there is nothing to be durable.
                Err(error) if *sealed && error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            file.sync_data()?;
            if *sealed || round.sync_indexes {
                for kind in [SegmentFile::OffsetIndex, SegmentFile::TimeIndex, SegmentFile::TransactionIndex] {
                    sync_if_there(&segment.path(&round.dir, kind))?;
                }
            }
        }
        for offset in &round.snapshots {
            sync_if_there(&round.dir.join(snapshot_file_name(*offset)))?;
        }
        if round.sync_folder || !round.snapshots.is_empty() {
            match File::open(&*round.dir) {
                Ok(folder) => folder.sync_all()?,
                // The partition was deleted meanwhile: there is nothing to be durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(parent) = round.dir.parent().filter(|_| round.sync_folder) {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    /// Notes what is durable now; `false` if a truncation came between, when it must be done again.
    fn finish_round(&self, round: &Round) -> Result<bool, StorageError> {
        let mut state = self.state.lock();
        if state.generation != round.generation {
            return Ok(false);
        }
        for (segment, sealed) in &round.segments {
            if let Ok(at) = state.sealed.binary_search_by_key(&segment.base_offset, |other| other.base_offset()) {
                // One that was sealed meanwhile still lacks the sync of its last batches and its indexes.
                state.sealed[at].synced |= *sealed;
            } else if segment.base_offset == state.active.base_offset() {
                state.active.folder_synced |= round.sync_folder;
                state.active.indexes_unsynced &= !round.sync_indexes;
            }
        }
        state.recovery_point = state.recovery_point.max(round.log_end);
        state.unflushed_bytes = state.unflushed_bytes.saturating_sub(round.flushed_bytes);
        self.publish(&state);
        Ok(true)
    }

    /// Always takes the directory offline, even for a full disk: what an fsync lost is lost. Only a partition that is being
    /// deleted may lose its files under a flush.
    fn fail_fsync(&self, error: io::Error) -> StorageError {
        if error.kind() == io::ErrorKind::NotFound && self.is_closed() {
            return StorageError::Io { doing: "fsync", error };
        }
        self.context.take_offline(&format!("fsync of {}", self.topic_partition), &error);
        StorageError::Io { doing: "fsync", error }
    }
}

/// Fsyncs a file that retention or a truncation may have taken.
fn sync_if_there(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use weir_protocol::ids::{LeaderEpoch, TopicId, TopicPartition};

    use super::*;
    use crate::context::StorageContext;
    use crate::file_cache::FileCache;

    #[test]
    fn the_folder_is_synced_whenever_the_leader_epochs_were_replaced() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("t-0");
        fs::create_dir(&dir).unwrap();
        let context = StorageContext::new(root.path(), Arc::new(FileCache::new(16)));
        let log = Log::create(dir, TopicPartition::new("t", 0), TopicId::nil(), context, Arc::default(), 0);
        let append = |epoch| {
            let mut builder = weir_protocol::records::BatchBuilder::new(weir_protocol::compression::Codec::None);
            builder.append(0, None, Some(b"v"), &[]).unwrap();
            let mut bytes = builder.build().unwrap().to_vec();
            log.append_as_leader(&mut bytes, LeaderEpoch(epoch), crate::log::AppendOrigin::Client, 0).unwrap();
        };
        let mut syncs_folder = |epoch| {
            append(epoch);
            let round = log.begin_round(Offset(i64::MAX), Durability::OwnFsync).unwrap().unwrap();
            assert!(log.finish_round(&round).unwrap());
            round.sync_folder
        };
        assert_eq!([0, 0, 1, 1].map(&mut syncs_folder), [true, false, true, false]);
    }
}
