//! One flusher a directory: every fsync of its logs that is not the caller's own.
//!
//! Owns the queue of acknowledgements that wait for the disk and the thread that serves it. A round takes everything that
//! waits, flushes each log once as far as the furthest asks, and answers; what arrives meanwhile is the next round, so the
//! busier the disk, the more partitions share an fsync (group commit). When the directory's budget is spent the round also
//! relieves it ([`super::relief`]). Without work the thread sleeps with no timeout. Invariants: an answer `Ok` is given
//! only after an fsync that began after the request; after a failed fsync the directory is offline and nothing is retried.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use weir_protocol::ids::Offset;

use super::bulk_flush::BULK_FLUSH_LOGS;
use super::config::MAX_WAITING_FLUSHES;
use super::directory::Directory;
use super::state::Shared;
use crate::log::Log;

/// Told how an fsync ended, on the flusher's thread; must be quick.
pub(super) type FlushWaker = Box<dyn FnOnce(io::Result<()>) + Send>;

/// A log that is to be durable below an offset.
pub(super) struct Waiting {
    pub(super) log: Arc<Log>,
    pub(super) up_to: Offset,
    pub(super) waker: Option<FlushWaker>,
}

/// What a round has to do.
#[derive(Default)]
pub(super) struct Round {
    pub(super) waiting: Vec<Waiting>,
    /// The directory's budget is spent, or its disk must be looked at.
    pub(super) relieve: bool,
    /// Recovery points and log start offsets are due.
    pub(super) checkpoint: bool,
    /// High watermarks are due.
    pub(super) high_watermarks: bool,
}

impl Round {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.relieve && !self.checkpoint && !self.high_watermarks
    }
}

/// The work that waits for a directory's flusher.
#[derive(Default)]
pub(super) struct FlushQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    round: Round,
    closed: bool,
}

impl FlushQueue {
    /// Adds a flush; gives it back if the queue is full or closed.
    pub(super) fn push(&self, waiting: Waiting) -> Result<(), Waiting> {
        let mut state = self.state.lock();
        if state.closed || state.round.waiting.len() >= MAX_WAITING_FLUSHES {
            return Err(waiting);
        }
        state.round.waiting.push(waiting);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Asks for what is not an acknowledgement.
    pub(super) fn ask(&self, what: impl FnOnce(&mut Round)) {
        what(&mut self.state.lock().round);
        self.wake.notify_one();
    }

    /// What waits now.
    pub(super) fn take(&self) -> Round {
        std::mem::take(&mut self.state.lock().round)
    }

    /// Sleeps until something waits; `None` once the queue is closed and drained.
    fn next(&self) -> Option<Round> {
        let mut state = self.state.lock();
        loop {
            if !state.round.is_empty() {
                return Some(std::mem::take(&mut state.round));
            }
            if state.closed {
                return None;
            }
            self.wake.wait(&mut state);
        }
    }

    /// Takes nothing more; the thread ends once it has served what waits.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }
}

/// The flusher thread of one directory.
pub(super) fn run(shared: &Shared, directory: &Directory) {
    while let Some(round) = directory.flushes.next() {
        serve(shared, directory, round);
    }
}

/// One round.
pub(super) fn serve(shared: &Shared, directory: &Directory, round: Round) {
    let mut waiting = round.waiting;
    if !waiting.is_empty() {
        shared.metrics.flush_rounds.add(1);
        waiting.sort_by_key(|flush| Arc::as_ptr(&flush.log));
        let logs = waiting.chunk_by(|a, b| Arc::ptr_eq(&a.log, &b.log)).count();
        if logs >= BULK_FLUSH_LOGS {
            commit_all(shared, directory, waiting);
        } else {
            commit_each(shared, directory, waiting);
        }
    }
    if round.relieve {
        super::relief::relieve(shared, directory);
    }
    if round.checkpoint {
        super::relief::checkpoint(shared, directory);
    }
    if round.high_watermarks {
        super::relief::checkpoint_high_watermarks(shared, directory);
    }
}

/// Flushes log after log, each as far as the furthest asks, and answers as each is done. Sorted by log.
fn commit_each(shared: &Shared, directory: &Directory, mut waiting: Vec<Waiting>) {
    while let Some(last) = waiting.last() {
        let log = Arc::clone(&last.log);
        let same = waiting.iter().rev().take_while(|flush| Arc::ptr_eq(&flush.log, &log)).count();
        let group = waiting.split_off(waiting.len() - same);
        let up_to = group.iter().map(|flush| flush.up_to).max().unwrap_or(Offset::NONE);
        answer(shared, group, &flush(shared, directory, &log, up_to));
    }
}

/// Flushes all logs at once, and answers all. Sorted by log.
fn commit_all(shared: &Shared, directory: &Directory, waiting: Vec<Waiting>) {
    let logs: Vec<_> =
        waiting.chunk_by(|a, b| Arc::ptr_eq(&a.log, &b.log)).map(|group| Arc::clone(&group[0].log)).collect();
    let outcome = check_online(directory).and_then(|()| super::bulk_flush::flush(shared, directory, &logs));
    answer(shared, waiting, &outcome);
}

fn answer(shared: &Shared, group: Vec<Waiting>, outcome: &io::Result<()>) {
    shared.metrics.commits.add(group.len() as u64);
    for waker in group.into_iter().filter_map(|flush| flush.waker) {
        waker(outcome.as_ref().map(|_| ()).map_err(repeat));
    }
}

fn check_online(directory: &Directory) -> io::Result<()> {
    match directory.context.unavailable_reason() {
        None => Ok(()),
        Some(reason) => {
            Err(io::Error::other(format!("log directory {} is offline: {reason}", directory.path.display())))
        }
    }
}

/// Makes a log durable below `up_to` and moves its recovery point; a failure takes the directory offline.
pub(super) fn flush(shared: &Shared, directory: &Directory, log: &Arc<Log>, up_to: Offset) -> io::Result<()> {
    check_online(directory)?;
    let began = Instant::now();
    let outcome = super::partition_metadata::sync_before_first_flush(log)
        .inspect_err(|error| directory.context.take_offline("fsync of partition.metadata", error))
        .and_then(|()| log.flush(up_to).map(|_| ()).map_err(io::Error::other));
    shared.metrics.flushes.add(1);
    shared.metrics.flush_micros.add(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    if outcome.is_err() {
        shared.metrics.flush_errors.add(1);
    }
    outcome
}

/// The same error once more, for the next who waits.
fn repeat(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
