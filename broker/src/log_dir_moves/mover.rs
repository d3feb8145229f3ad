//! The thread that copies into one directory.
//!
//! A copy follows its original as far as that is cut, and ends when both end alike. Most of it is made while the original is written to;
//! the rest, and the change of places, while nobody may write (`Partition::replace_log`), for as long as a small append and an
//! fsync take.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_protocol::ids::{LeaderEpoch, Offset};
use weir_storage::log::{AppendError, Log, ReadError, ReadUpperBound, StorageError};
use weir_storage::manager::MoveError;

use super::rate::Rate;
use super::{Queue, Shared};
use crate::api::now_ms;
use crate::partition::Partition;

/// What is copied at once.
const CHUNK_BYTES: u32 = 1 << 20;
/// What is copied before it is flushed: it bounds what a move adds to what a directory has unflushed.
const FLUSH_BYTES: u64 = 64 << 20;
/// What may be left to copy while nobody may write.
const LAST_STRETCH_BYTES: u64 = 1 << 20;
/// How long to wait before a move that failed is tried again; it doubles up to the longest wait.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// How long appends under way may take before the change of places is tried again later.
const REPLACE_PATIENCE: Duration = Duration::from_millis(200);

/// Why a replica could not be copied for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("the original cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the original cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the copy cannot be written: {0}")]
    Append(#[from] AppendError),
    #[error("the copy cannot be written: {0}")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error("an append does not end")]
    Busy,
}

/// How far a copy is.
enum Copied {
    /// It has this many bytes more.
    Bytes(u64),
    /// It ends where the original does.
    All,
}

/// Copies what is queued, one replica after the other, until nothing is left.
pub(super) fn run(shared: &Shared, queue: &Mutex<Queue>) {
    loop {
        let next = {
            let mut queue = queue.lock();
            queue.ended = queue.partitions.is_empty() || shared.stops();
            if queue.ended {
                return;
            }
            Arc::clone(&queue.partitions[0])
        };
        move_replica(shared, &next);
        queue.lock().partitions.retain(|waiting| !Arc::ptr_eq(waiting, &next));
    }
}

/// Copies one replica until it has moved, or the move is called off, or the broker stops.
fn move_replica(shared: &Shared, partition: &Arc<Partition>) {
    let began = Instant::now();
    let mut rate = Rate::new(began);
    let mut retry = FIRST_RETRY;
    while !shared.stops() {
        let outcome = shared.logs.moving(&partition.topic_partition()).map_err(CopyError::from).and_then(|future| {
            // Called off, or the replica is no longer here.
            let Some(future) = future.filter(|_| !partition.is_gone()) else { return Ok(true) };
            copy(shared, partition, &future, &mut rate)
        });
        match outcome {
            Ok(true) => return,
            Ok(false) => retry = FIRST_RETRY,
            Err(error) => {
                tracing::warn!(partition = %partition.topic_partition(), %error, "a replica cannot be moved yet; trying again");
                shared.pause(retry);
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        }
    }
}

/// Copies until it is time to flush or everything is copied, which ends the move; true then.
fn copy(shared: &Shared, partition: &Arc<Partition>, future: &Arc<Log>, rate: &mut Rate) -> Result<bool, CopyError> {
    let mut unflushed = 0;
    loop {
        if shared.stops() {
            return Ok(true);
        }
        let bytes_per_second = shared.bytes_per_second.load(Ordering::Relaxed);
        let chunk = u32::try_from(bytes_per_second).unwrap_or(u32::MAX).clamp(1, CHUNK_BYTES);
        match copy_chunk(partition, future, chunk)? {
            Copied::Bytes(bytes) => {
                unflushed += bytes;
                let wait = rate.copied(Instant::now(), bytes, bytes_per_second);
                if !wait.is_zero() {
                    shared.pause(wait);
                }
                if unflushed >= FLUSH_BYTES {
                    future.flush(Offset(i64::MAX))?;
                    return Ok(false);
                }
            }
            Copied::All => break,
        }
    }
    future.flush(Offset(i64::MAX))?;
    let name = partition.topic_partition();
    shared.logs.prepare_move(&name, future)?;
    let replaced = partition.replace_log(REPLACE_PATIENCE, |original| {
        let mut left = 0;
        while let Copied::Bytes(bytes) = copy_chunk(partition, future, CHUNK_BYTES)? {
            left += bytes;
            if left > LAST_STRETCH_BYTES {
                // Too much came meanwhile.
                return Ok(None);
            }
        }
        liken(future, original);
        future.flush(Offset(i64::MAX))?;
        shared.logs.finish_move(&name, future)?;
        Ok(Some(Arc::clone(future)))
    });
    let moved = replaced.unwrap_or(Err(CopyError::Busy))?;
    if moved {
        tracing::info!(partition = %name, dir = %future.context().path().display(), "a replica has moved to another log directory");
    }
    Ok(moved)
}

/// Copies the next batches.
fn copy_chunk(partition: &Partition, future: &Log, max_bytes: u32) -> Result<Copied, CopyError> {
    let Some(original) = partition.opened_log() else { return Ok(Copied::All) };
    if let Some(cut) = partition.take_cut().filter(|cut| *cut < future.log_end_offset()) {
        // While its disk does not answer the copy cannot be cut: it is to be cut once it can.
        future.truncate_to(cut, now_ms()).inspect_err(|_| partition.note_cut(cut))?;
    }
    let start = original.log_start_offset();
    if future.log_end_offset() <= start && future.log_start_offset() < start {
        // All that it has, and what lies between, has been deleted.
        future.truncate_fully_and_start_at(start, now_ms())?;
    }
    let from = future.log_end_offset();
    if from >= original.log_end_offset() {
        return Ok(Copied::All);
    }
    let read = original.read(from, max_bytes, ReadUpperBound::LOG_END, true)?;
    let Some(slice) = read.slice else { return Ok(Copied::All) };
    let mut batches = vec![0; slice.length as usize];
    slice.file.read_exact_at(&mut batches, slice.position)?;
    let append = || future.append_as_follower(&batches, LeaderEpoch(i32::MAX), now_ms());
    let info = append().or_else(|refused| {
        // The original starts within a batch.
        let start = future.start_that_takes(&refused).ok_or(refused)?;
        future.truncate_fully_and_start_at(start, now_ms())?;
        append()
    })?;
    Ok(Copied::Bytes(info.bytes))
}

/// What batches do not tell: how much is committed and where the log starts, and an epoch that has no record yet.
fn liken(future: &Log, original: &Log) {
    future.set_high_watermark(original.high_watermark());
    // It is not beyond the high watermark, which is all that could be wrong with it.
    let _ = future.advance_log_start_offset(original.log_start_offset());
    if let Some(epoch) = original.latest_epoch().filter(|epoch| future.latest_epoch() < Some(*epoch)) {
        future.assign_epoch_start(epoch, original.log_end_offset());
    }
}

#[cfg(test)]
#[path = "mover_tests.rs"]
mod tests;
