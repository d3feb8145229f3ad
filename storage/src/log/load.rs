//! Opens a log: makes one, or makes sense of the folder that an earlier process left (Kafka's `LogLoader`).
//!
//! How much is read depends on how the folder was left. After a clean stop: the sizes of the segments and the tail of the
//! last one. After a killed process on the same boot of the operating system everything written is still there, except
//! perhaps the end of the last write: the headers beyond the recovery point, and the last batch's CRC. After a power cut every
//! batch at or above the recovery point is checked, and the log is cut at the first that fails or, where nothing is ever
//! compacted, is missing: a later file may reach the disk before an earlier one. Batches below the recovery point are never
//! cut. Segments' indexes that are missing are made again; leftovers of deletions are removed.

mod check;
mod swap;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_protocol::ids::{Offset, TopicId, TopicPartition};

use super::replay::{Replay, complete_transaction_index, replay_sealed, replay_start};
use super::state::State;
use super::{LoadError, Log};
use crate::checkpoint;
use crate::config::LogConfig;
use crate::context::StorageContext;
use crate::leader_epoch_cache::LeaderEpochCache;
use crate::producer_state::{ProducerState, snapshot_offset};
use crate::segment::active::ActiveSegment;
use crate::segment::load::{self, SegmentLoad};
use crate::segment::{DELETED_SUFFIX, SealedSegment, Segment, SegmentFile};

/// How the folder was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// In order, everything flushed.
    Clean,
    /// The process died and the operating system went on: what was written is there.
    SameBoot,
    /// The host went down, or nobody knows.
    Unclean,
}

/// What it takes to open a log.
#[derive(Clone, Debug)]
pub struct LogLoad {
    /// The partition's folder; it exists.
    pub dir: PathBuf,
    /// Which partition.
    pub topic_partition: TopicPartition,
    /// The id of its topic.
    pub topic_id: TopicId,
    /// The directory.
    pub context: Arc<StorageContext>,
    /// The settings.
    pub config: Arc<LogConfig>,
    /// From `recovery-point-offset-checkpoint`, 0 for a partition that is younger than the file; `None` if nothing tells what
    /// was flushed. Then all is checked that an unclean stop may have hurt, and an offset that is missing may have been
    /// compacted away long ago.
    pub recovery_point: Option<Offset>,
    /// From `log-start-offset-checkpoint`; 0 for where the first segment begins.
    pub log_start: Offset,
    /// How the folder was left.
    pub shutdown: Shutdown,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// The time.
    pub now_ms: i64,
}

/// What lies in a partition's folder.
#[derive(Debug, Default)]
struct Found {
    segments: BTreeMap<Offset, Kinds>,
    snapshots: Vec<Offset>,
}

/// Which files a segment has.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    log: bool,
    offset_index: bool,
    time_index: bool,
    transaction_index: bool,
}

impl Log {
    /// Makes the log of a partition whose folder was just made and is empty of records. Nothing is read or written: the
    /// first append makes the files.
    pub fn create(
        dir: PathBuf,
        topic_partition: TopicPartition,
        topic_id: TopicId,
        context: Arc<StorageContext>,
        config: Arc<LogConfig>,
        now_ms: i64,
    ) -> Self {
        let start = Offset(0);
        let state = State {
            dir: dir.into(),
            sealed: Vec::new(),
            active: ActiveSegment::new(start, now_ms),
            log_start: start,
            log_end: start,
            high_watermark: start,
            recovery_point: start,
            producers: ProducerState::new(start, Vec::new()),
            epochs: LeaderEpochCache::default(),
            unflushed_bytes: 0,
            bytes_since_snapshot: 0,
            generation: 0,
            closed: false,
        };
        Self::from_state(topic_partition, topic_id, context, config, state)
    }

    /// Opens the log in an existing folder. The high watermark begins at the log start; the caller raises it to what the
    /// checkpoint says.
    pub fn open(how: LogLoad) -> Result<Self, LoadError> {
        let recovery_point = how.recovery_point.unwrap_or(Offset(0));
        let state = Loader { how: &how, recovery_point, epochs_lost: false }.run()?;
        let LogLoad { topic_partition, topic_id, context, config, producer_id_expiration_ms, .. } = how;
        let log = Self::from_state(topic_partition, topic_id, context, config, state);
        log.set_producer_id_expiration_ms(producer_id_expiration_ms);
        Ok(log)
    }
}

struct Loader<'a> {
    how: &'a LogLoad,
    recovery_point: Offset,
    /// The leader epoch checkpoint did not read: every batch's header is asked.
    epochs_lost: bool,
}

impl Loader<'_> {
    fn run(mut self) -> Result<State, LoadError> {
        let dir = self.how.dir.clone();
        let found = self.look_around(&dir)?;
        let mut sealed = self.known_segments(&dir, &found)?;
        if self.how.shutdown == Shutdown::Unclean {
            self.check_batches(&dir, &mut sealed)?;
        }
        let last = sealed.pop();
        if self.how.shutdown != Shutdown::Clean || sealed.iter().any(|segment| !has_indexes(&found, segment)) {
            self.complete_indexes(&dir, &found, &mut sealed)?;
        }
        let first_base = sealed.first().or(last.as_ref()).map(SealedSegment::base_offset);
        let log_start = first_base.map_or(self.how.log_start, |base| base.max(self.how.log_start));
        let epochs = self.load_epochs(&dir);
        let producers = ProducerState::new(log_start, found.snapshots.clone());
        let mut state = State {
            dir: Arc::from(dir.as_path()),
            sealed,
            active: ActiveSegment::new(last.as_ref().map_or(log_start, SealedSegment::base_offset), self.how.now_ms),
            log_start,
            log_end: log_start,
            high_watermark: log_start,
            recovery_point: self.recovery_point,
            producers,
            epochs,
            unflushed_bytes: 0,
            bytes_since_snapshot: 0,
            generation: 0,
            closed: false,
        };
        self.load_active(&mut state, last)?;
        self.settle(&mut state)?;
        Ok(state)
    }

    /// Lists the folder, and removes what earlier deletions and crashes left.
    fn look_around(&self, dir: &Path) -> io::Result<Found> {
        let mut found = Found::default();
        let mut swapped = false;
        let mut cleaned = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(swap::SWAP_SUFFIX) {
                swapped = true;
            } else if name.ends_with(swap::CLEANED_SUFFIX) {
                cleaned.push(entry.path());
            } else if name.ends_with(DELETED_SUFFIX) || name.ends_with(".tmp") {
                remove(&entry.path())?;
            } else if let Some(offset) = snapshot_offset(name) {
                found.snapshots.push(offset);
            } else if let Some((kind, base_offset)) = SegmentFile::parse(name) {
                let kinds = found.segments.entry(base_offset).or_default();
                match kind {
                    SegmentFile::Log => kinds.log = true,
                    SegmentFile::OffsetIndex => kinds.offset_index = true,
                    SegmentFile::TimeIndex => kinds.time_index = true,
                    SegmentFile::TransactionIndex => kinds.transaction_index = true,
                }
            }
        }
        if swapped && swap::settle_replacements(dir)? {
            return self.look_around(dir);
        }
        cleaned.iter().try_for_each(|path| remove(path))?;
        let orphans: Vec<Offset> =
            found.segments.iter().filter(|(_, kinds)| !kinds.log).map(|(base_offset, _)| *base_offset).collect();
        for base_offset in orphans {
            found.segments.remove(&base_offset);
            for kind in [SegmentFile::OffsetIndex, SegmentFile::TimeIndex, SegmentFile::TransactionIndex] {
                remove(&kind.path(dir, base_offset))?;
            }
        }
        Ok(found)
    }

    /// Every segment, the last one included, as if sealed.
    fn known_segments(&self, dir: &Path, found: &Found) -> Result<Vec<SealedSegment>, LoadError> {
        let mut segments = Vec::with_capacity(found.segments.len());
        for (&base_offset, kinds) in &found.segments {
            let path = SegmentFile::Log.path(dir, base_offset);
            let bytes = fs::metadata(&path)?.len();
            let size = u32::try_from(bytes)
                .ok()
                .filter(|size| *size <= i32::MAX as u32)
                .ok_or(load::SegmentLoadError::TooLarge { base_offset, bytes })?;
            segments.push(SealedSegment {
                segment: Segment::new(base_offset),
                size,
                largest_timestamp: None,
                has_transaction_index: kinds.transaction_index,
                synced: true,
            });
        }
        let ends: Vec<Offset> = segments.iter().skip(1).map(SealedSegment::base_offset).collect();
        for (segment, end) in segments.iter_mut().zip(ends) {
            // One that ends right there was flushed before it was sealed: its indexes were completed after that.
            segment.synced = end < self.recovery_point;
        }
        Ok(segments)
    }

    /// Makes indexes again that sealed segments lack, or that a power cut may have hurt.
    fn complete_indexes(&self, dir: &Path, found: &Found, sealed: &mut [SealedSegment]) -> Result<(), LoadError> {
        for segment in sealed {
            let doubtful = self.how.shutdown == Shutdown::Unclean && !segment.synced;
            if has_indexes(found, segment) && !doubtful {
                continue;
            }
            tracing::warn!(partition = %self.how.topic_partition, segment = %segment.base_offset(), "making indexes again");
            if doubtful {
                for kind in [SegmentFile::OffsetIndex, SegmentFile::TimeIndex] {
                    remove(&kind.path(dir, segment.base_offset()))?;
                }
            }
            let how = SegmentLoad {
                recovery_point: Offset(i64::MAX),
                visit_from: Offset(i64::MAX),
                check_tail: false,
                trusted: false,
                doubt_indexes: false,
                index_interval_bytes: self.how.config.index_interval_bytes,
                now_ms: self.how.now_ms,
            };
            let context = &self.how.context;
            match load::load(segment.segment.clone(), dir, context, &how, &mut |_, _| Ok(())) {
                Ok(mut loaded) => {
                    loaded.active.complete_indexes(dir)?;
                    if segment.synced {
                        // The next start takes it for synced as well.
                        loaded.active.sync_indexes(dir)?;
                    }
                    segment.largest_timestamp = loaded.active.seal().largest_timestamp;
                }
                // It stays readable up to there, and readers are told.
                Err(error @ load::SegmentLoadError::Corrupt { .. }) => {
                    tracing::error!(partition = %self.how.topic_partition, %error, "cannot make indexes");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn load_epochs(&mut self, dir: &Path) -> LeaderEpochCache {
        LeaderEpochCache::load(dir).unwrap_or_else(|error| {
            tracing::warn!(partition = %self.how.topic_partition, %error, "reading the leader epochs from the batches instead");
            self.epochs_lost = true;
            LeaderEpochCache::default()
        })
    }

    /// Loads the last segment, and brings producers and epochs to its end.
    fn load_active(&self, state: &mut State, last: Option<SealedSegment>) -> Result<(), LoadError> {
        let how = self.how;
        let clean = how.shutdown == Shutdown::Clean;
        let dir = Arc::clone(&state.dir);
        let active_base = state.active.base_offset();
        let bases: Vec<Offset> = state.sealed.iter().map(SealedSegment::base_offset).chain([active_base]).collect();
        state.producers.remove_stray_snapshots(&dir, &bases)?;
        let unknown_end = Offset(i64::MAX);
        let expiration_ms = how.producer_id_expiration_ms;
        state.producers.truncate_and_reload(&dir, state.log_start, unknown_end, how.now_ms, expiration_ms)?;
        let mut producers_from = self.producers_from(state);
        if clean && state.producers.latest_snapshot_offset().is_none() {
            // A clean stop writes a snapshot if there is any producer.
            producers_from = unknown_end;
        }
        state.producers.set_end_offset(producers_from);
        let epochs_from = match (self.epochs_lost, clean) {
            (true, _) => state.log_start,
            (false, true) => unknown_end,
            (false, false) => self.recovery_point,
        };
        if !clean {
            // The batches tell these again, and a file that is older than a truncation tells them wrongly.
            state.epochs.truncate_from_end(self.recovery_point);
        }
        let visit_from = producers_from.min(epochs_from);
        let mut replay = Replay { producers: &mut state.producers, epochs: &mut state.epochs, aborted: Vec::new() };
        if visit_from < active_base {
            replay_sealed(&mut replay, &state.sealed, &dir, &how.context, visit_from, active_base)?;
        }
        let Some(last) = last else {
            state.producers.truncate_fully_and_start_at(&dir, state.log_start)?;
            return Ok(());
        };
        let load = SegmentLoad {
            recovery_point: self.recovery_point,
            visit_from,
            check_tail: !clean,
            trusted: clean,
            doubt_indexes: how.shutdown == Shutdown::Unclean,
            index_interval_bytes: how.config.index_interval_bytes,
            now_ms: how.now_ms,
        };
        let loaded =
            load::load(last.segment, &dir, &how.context, &load, &mut |file, scanned| replay.take_in(file, scanned))?;
        let aborted = replay.aborted;
        state.active = loaded.active;
        state.log_end = loaded.next_offset;
        if !clean && state.active.lacks_index_below(self.recovery_point) {
            // A start after a power cut believes whatever index tells of flushed batches.
            state.active.write_indexes(&dir)?;
            state.active.sync_indexes(&dir)?;
        }
        if last.has_transaction_index || !aborted.is_empty() {
            complete_transaction_index(&mut state.active, &dir, &aborted)?;
        }
        if producers_from != unknown_end && state.producers.end_offset() > state.log_end {
            // A snapshot of batches that did not survive.
            self.reload_producers(state)?;
        }
        Ok(())
    }

    /// Where the producers must be replayed from. A power cut may have taken snapshots that no flush had made durable: then
    /// only a segment that begins below the recovery point tells by its lack of one that no producer was known.
    fn producers_from(&self, state: &State) -> Offset {
        let mut base_offset = state.active.base_offset();
        if self.how.shutdown == Shutdown::Unclean && self.recovery_point <= base_offset {
            base_offset = state.base_offset_at(state.segment_index(self.recovery_point + -1));
        }
        replay_start(&state.producers, base_offset)
    }

    fn reload_producers(&self, state: &mut State) -> Result<(), LoadError> {
        let dir = Arc::clone(&state.dir);
        let (log_start, log_end) = (state.log_start, state.log_end);
        let expiration_ms = self.how.producer_id_expiration_ms;
        state.producers.truncate_and_reload(&dir, log_start, log_end, self.how.now_ms, expiration_ms)?;
        let from = self.producers_from(state);
        state.producers.set_end_offset(from);
        let mut replay = Replay { producers: &mut state.producers, epochs: &mut state.epochs, aborted: Vec::new() };
        let active_base = state.active.base_offset();
        replay_sealed(&mut replay, &state.sealed, &dir, &self.how.context, from, active_base)?;
        let file = state.active.segment.data(&dir, &self.how.context, false)?;
        load::visit_batches(&file, state.active.size, from, &mut |file, scanned| replay.take_in(file, scanned))?;
        Ok(())
    }

    /// Makes offsets, epochs and producers agree with where the log starts and ends.
    fn settle(&self, state: &mut State) -> Result<(), LoadError> {
        let dir = Arc::clone(&state.dir);
        if state.log_end < state.log_start {
            tracing::warn!(
                partition = %self.how.topic_partition, log_end = %state.log_end, log_start = %state.log_start,
                "the log ends before its start, beginning again there"
            );
            for segment in state.sealed.drain(..).chain([state.active.seal()]) {
                segment.segment.close();
                for file in segment.segment.rename_deleted(&dir)? {
                    remove(&file)?;
                }
            }
            state.active = ActiveSegment::new(state.log_start, self.how.now_ms);
            state.active.segment.data(&dir, &self.how.context, true)?;
            // The name of the empty file carries the offset over the next start.
            checkpoint::sync_dir(&dir)?;
            state.producers.truncate_fully_and_start_at(&dir, state.log_start)?;
            state.epochs.clear();
            state.log_end = state.log_start;
        }
        let log_end = state.log_end;
        state.producers.set_end_offset(log_end);
        state.producers.remove_expired(self.how.now_ms, self.how.producer_id_expiration_ms);
        state.epochs.truncate_from_end(log_end);
        state.epochs.truncate_from_start(state.log_start);
        if self.how.shutdown == Shutdown::Clean {
            state.recovery_point = log_end;
            state.active.folder_synced = state.active.size > 0;
        }
        if state.recovery_point > log_end {
            tracing::warn!(
                partition = %self.how.topic_partition, %log_end, recovery_point = %state.recovery_point,
                "the log ends before what was flushed: the disk has lost records, or the checkpoint is older than a truncation"
            );
            state.recovery_point = log_end;
        }
        if state.recovery_point < log_end {
            // At most: what exactly is on the disk nobody knows.
            let unsynced = state.sealed.iter().filter(|sealed| !sealed.synced).map(|sealed| u64::from(sealed.size));
            state.unflushed_bytes = unsynced.sum::<u64>() + u64::from(state.active.size);
        }
        // Handles that recovery opened are not kept for partitions that may stay idle.
        state.sealed.iter().for_each(|sealed| sealed.segment.close());
        state.active.segment.close();
        Ok(())
    }
}

fn has_indexes(found: &Found, segment: &SealedSegment) -> bool {
    found.segments.get(&segment.base_offset()).is_some_and(|kinds| kinds.offset_index && kinds.time_index)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
