//! Receives a snapshot in parts.
//!
//! Owns one unfinished file, `<end offset>-<epoch>-<transfer>.checkpoint.received`. Parts are taken in order; whoever sends is
//! told where to go on, so a transfer that broke, or that another leader takes up, continues. A whole file is read once (every
//! CRC, the footer) before it is handed over; it gets its name when it is installed. Invariant: no transfer touches a file
//! that was handed over, for the same snapshot is sent again while it is installed, if its sender did not hear of that. What
//! a stopped process left goes with the next start. One for which the disk has no room is not begun, and one that finds none
//! after all is removed: the log needs it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use weir_storage::manager::usable_bytes;

use super::room::is_full;
use super::rpc::SnapshotChunk;
use super::snapshot_file::{SnapshotFile, SnapshotId};
use super::types::{Snapshot, SnapshotMeta};

/// A snapshot of a million partitions takes a few hundred megabytes.
const MAX_SNAPSHOT_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// How long who sends a snapshot waits for the word that there is no room for it: it asks again at once.
const NO_ROOM_PACE: Duration = Duration::from_secs(1);

/// What became of a part.
pub(crate) enum Received {
    /// The file is wanted from this position on.
    Wanted(u64),
    /// It is whole.
    Whole(Snapshot),
}

struct Receiving {
    id: SnapshotId,
    size: u64,
    path: PathBuf,
    file: File,
    received: u64,
}

/// Takes the parts of one snapshot at a time.
pub(crate) struct SnapshotReceiver {
    directory: PathBuf,
    receiving: Mutex<Option<Receiving>>,
    /// Transfers so far.
    transfers: AtomicU64,
}

impl SnapshotReceiver {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, receiving: Mutex::new(None), transfers: AtomicU64::new(0) }
    }

    /// Takes one part.
    pub(crate) async fn receive(&self, chunk: SnapshotChunk) -> io::Result<Received> {
        if chunk.size > MAX_SNAPSHOT_BYTES || chunk.position.saturating_add(chunk.bytes.len() as u64) > chunk.size {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a part beyond the end of its snapshot"));
        }
        let mut slot = self.receiving.lock().await;
        if slot.as_ref().is_none_or(|receiving| (receiving.id, receiving.size) != (chunk.id, chunk.size)) {
            if let Some(superseded) = slot.take() {
                fs::remove_file(superseded.path)?;
            }
            *slot = match self.begin(&chunk) {
                Ok(receiving) => Some(receiving),
                Err(error) => return Err(self.refuse(&chunk, error).await),
            };
        }
        let Some(receiving) = slot.as_mut() else { return Ok(Received::Wanted(0)) };
        if chunk.position == receiving.received {
            if let Err(error) = receiving.file.write_all_at(&chunk.bytes, chunk.position) {
                let path = receiving.path.clone();
                *slot = None;
                fs::remove_file(path)?;
                return Err(self.refuse(&chunk, error).await);
            }
            receiving.received += chunk.bytes.len() as u64;
        }
        if receiving.received < receiving.size {
            return Ok(Received::Wanted(receiving.received));
        }
        // Whatever comes of it, this transfer is over: a damaged file has to be sent again from its start.
        let Some(whole) = slot.take() else { return Ok(Received::Wanted(0)) };
        let checked = tokio::task::spawn_blocking(move || check(whole)).await.map_err(io::Error::other)?;
        checked.map(Received::Whole)
    }

    /// Says why a snapshot cannot be taken; of a full disk in words, and not too often.
    async fn refuse(&self, chunk: &SnapshotChunk, error: io::Error) -> io::Error {
        if !is_full(&error) {
            return error;
        }
        tokio::time::sleep(NO_ROOM_PACE).await;
        let (directory, id, size) = (self.directory.display(), chunk.id, chunk.size);
        tracing::error!(%directory, snapshot = %id, size_bytes = size, "the disk is full: there is no room for a metadata snapshot");
        io::Error::new(error.kind(), format!("there is no room in {directory} for snapshot {id} of {size} bytes"))
    }

    fn begin(&self, chunk: &SnapshotChunk) -> io::Result<Receiving> {
        if usable_bytes(&self.directory).is_ok_and(|free| free < chunk.size) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let transfer = self.transfers.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(chunk.id.received_name(transfer));
        let file = OpenOptions::new().create_new(true).write(true).open(&path)?;
        tracing::info!(snapshot = %chunk.id, size_bytes = chunk.size, "receiving a metadata snapshot");
        Ok(Receiving { id: chunk.id, size: chunk.size, path, file, received: 0 })
    }
}

fn check(whole: Receiving) -> io::Result<Snapshot> {
    let snapshot = SnapshotFile { id: whole.id, path: whole.path };
    match snapshot.read(|_| Ok(())) {
        Ok(last_membership) => {
            let meta = SnapshotMeta { last_log_id: whole.id.last_log_id(), last_membership };
            Ok(Snapshot { meta, snapshot })
        }
        Err(error) => {
            fs::remove_file(&snapshot.path)?;
            Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::vote::RaftLeaderId;

    use super::*;
    use crate::quorum::snapshot_file::SnapshotWriter;
    use crate::quorum::types::{LeaderId, RaftNodeId, StoredMembership, Vote};

    fn snapshot() -> (tempfile::TempDir, SnapshotId, Bytes) {
        let directory = tempfile::tempdir().unwrap();
        let id = SnapshotId { end_offset: 42, epoch: 3 };
        let writer = SnapshotWriter::create(directory.path(), id, &StoredMembership::default()).unwrap();
        let file = writer.finish().unwrap();
        let bytes = fs::read(&file.path).unwrap().into();
        (tempfile::tempdir().unwrap(), id, bytes)
    }

    fn chunk(id: SnapshotId, file: &Bytes, from: usize, to: usize) -> SnapshotChunk {
        let vote = Vote { leader_id: LeaderId::new(1, RaftNodeId::from(1)), committed: true };
        SnapshotChunk { vote, id, size: file.len() as u64, position: from as u64, bytes: file.slice(from..to) }
    }

    async fn wanted(receiver: &SnapshotReceiver, chunk: SnapshotChunk) -> u64 {
        match receiver.receive(chunk).await.unwrap() {
            Received::Wanted(position) => position,
            Received::Whole(_) => panic!("not whole yet"),
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
    }

    #[test]
    fn parts_in_order_make_the_file_and_others_are_told_where_to_go_on() {
        let (directory, id, file) = snapshot();
        let receiver = SnapshotReceiver::new(directory.path().to_path_buf());
        run(async {
            assert_eq!(wanted(&receiver, chunk(id, &file, 0, 10)).await, 10);
            assert_eq!(wanted(&receiver, chunk(id, &file, 0, 10)).await, 10, "repeated");
            assert_eq!(wanted(&receiver, chunk(id, &file, 30, 40)).await, 10, "ahead");
            match receiver.receive(chunk(id, &file, 10, file.len())).await.unwrap() {
                Received::Whole(snapshot) => assert_eq!(fs::read(snapshot.snapshot.path).unwrap(), file),
                Received::Wanted(position) => panic!("wanted from {position}"),
            }
        });
    }

    #[test]
    fn a_snapshot_that_is_sent_again_leaves_the_one_alone_that_is_being_installed() {
        let (directory, id, file) = snapshot();
        let receiver = SnapshotReceiver::new(directory.path().to_path_buf());
        run(async {
            let whole = async |part| match receiver.receive(part).await.unwrap() {
                Received::Whole(snapshot) => snapshot.snapshot,
                Received::Wanted(position) => panic!("wanted from {position}"),
            };
            let first = whole(chunk(id, &file, 0, file.len())).await;
            // Whoever sent it did not hear of that.
            assert_eq!(wanted(&receiver, chunk(id, &file, 0, 10)).await, 10);
            let installed = first.install_into(directory.path()).unwrap();
            assert_eq!(fs::read(&installed.path).unwrap(), file);
            let second = whole(chunk(id, &file, 10, file.len())).await;
            second.discard_received();
        });
        let left = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.collect::<Vec<_>>(), [id.to_string()]);
    }

    #[test]
    fn a_damaged_file_is_refused_and_removed() {
        let (directory, id, file) = snapshot();
        let receiver = SnapshotReceiver::new(directory.path().to_path_buf());
        let mut damaged = file.to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        run(async {
            let damaged = Bytes::from(damaged);
            assert!(receiver.receive(chunk(id, &damaged, 0, damaged.len())).await.is_err());
        });
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_absurd_size_or_position_writes_nothing() {
        let (directory, id, file) = snapshot();
        let receiver = SnapshotReceiver::new(directory.path().to_path_buf());
        run(async {
            let part = chunk(id, &file, 0, 10);
            for (size, position) in [(u64::MAX, 0), (10, 1), (20, u64::MAX)] {
                let absurd = SnapshotChunk { vote: part.vote, id, size, position, bytes: part.bytes.clone() };
                assert!(receiver.receive(absurd).await.is_err(), "{size} {position}");
            }
        });
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
