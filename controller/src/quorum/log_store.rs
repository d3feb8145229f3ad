//! openraft's log storage over the metadata log and the vote file.
//!
//! Owns nothing but the translation: appends go to the page cache at once and are reported durable by the flusher's thread;
//! a vote is durable when `save_vote` returns, and whatever was appended before it is too, so that no crash leaves a vote
//! beside an empty log. What finds the disk full waits until there is room, and openraft with it (`room`). openraft's store suite passes
//! on it (`store_suite`).

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures_util::{Stream, stream};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;

use super::flusher::Flusher;
use super::metadata_log::{EncodedEntries, MetadataLog};
use super::quorum_state::QuorumStateFile;
use super::types::{Entry, LogId, RaftTypes, Vote};

/// How many bytes of entries one read for replication or for applying takes into memory; one entry at least.
pub(crate) const READ_BATCH_BYTES: usize = 1024 * 1024;

/// What a vote takes on a disk: a block.
const VOTE_BYTES: u64 = 4096;

/// The log and the vote, as openraft writes them.
pub(crate) struct LogStore {
    log: Arc<MetadataLog>,
    vote: Arc<Mutex<QuorumStateFile>>,
    flusher: Flusher,
}

/// The log and the vote, as openraft reads them.
#[derive(Clone)]
pub(crate) struct LogReader {
    log: Arc<MetadataLog>,
    vote: Arc<Mutex<QuorumStateFile>>,
}

impl LogStore {
    pub(crate) fn new(log: Arc<MetadataLog>, vote: Arc<Mutex<QuorumStateFile>>) -> io::Result<Self> {
        let flusher = Flusher::start(Arc::clone(&log))?;
        Ok(Self { log, vote, flusher })
    }
}

impl LogStore {
    /// Once in the life of a directory that voted before it had an entry: from now on an empty log is a lost log.
    fn unmark_empty_log(&self) -> io::Result<()> {
        let mut vote = self.vote.lock();
        match vote.vote() {
            Some(saved) if vote.given_without_log() && self.log.last()?.is_some() => {
                self.log.flush()?;
                vote.save(saved, false)
            }
            _ => Ok(()),
        }
    }
}

impl RaftLogStorage<RaftTypes> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<RaftTypes>> {
        Ok(LogState { last_purged_log_id: self.log.purged(), last_log_id: self.log.last()? })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader { log: Arc::clone(&self.log), vote: Arc::clone(&self.vote) }
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let save = || {
            self.log.flush()?;
            let without_log = self.log.last()?.is_none();
            self.vote.lock().save(*vote, without_log)
        };
        self.log.room().until_written("a vote", VOTE_BYTES, save).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<RaftTypes>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = EncodedEntries::of(entries)?;
        if let Some(entries) = entries {
            let room = self.log.room();
            room.until_written("an entry of the log", entries.size_bytes(), || self.log.write(&entries)).await?;
            room.until_written("a vote", VOTE_BYTES, || self.unmark_empty_log()).await?;
        }
        self.flusher.flush_then(callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        self.log.room().until_some("taking back entries").await?;
        self.log.truncate_after(last_log_id)
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        if self.log.ends_before(log_id) {
            self.log.room().until_some("a new log behind a snapshot").await?;
        }
        self.log.purge(log_id)
    }
}

impl RaftLogReader<RaftTypes> for LogReader {
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // A restart applies the whole log: it must not have to fit into memory.
        let chunks = Chunks { log: Arc::clone(&self.log), range: bounds(&range), read: Vec::new().into_iter() };
        stream::unfold(chunks, |mut chunks| async move { chunks.next().map(|entry| (entry, chunks)) })
    }

    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        self.log.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.log.read(start, end, READ_BATCH_BYTES)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote.lock().vote())
    }
}

/// Entries of a range, read a bounded part at a time.
struct Chunks {
    log: Arc<MetadataLog>,
    range: (u64, u64),
    read: std::vec::IntoIter<Entry>,
}

impl Chunks {
    fn next(&mut self) -> Option<io::Result<Entry>> {
        if self.read.len() == 0 && self.range.0 < self.range.1 {
            match self.log.read(self.range.0, self.range.1, READ_BATCH_BYTES) {
                Ok(entries) => self.read = entries.into_iter(),
                Err(error) => {
                    self.range.0 = self.range.1;
                    return Some(Err(error));
                }
            }
        }
        let entry = self.read.next()?;
        self.range.0 = entry.log_id.index() + 1;
        Some(Ok(entry))
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}
