//! Snapshots of the metadata as files: Kafka's `<end offset>-<epoch>.checkpoint` beside the metadata log (KIP-630).
//!
//! Owns their names, their life (written to `.checkpoint.part`, fsynced, renamed, directory fsynced, older ones removed)
//! and their layout, a run of v2 batches:
//!
//! ```text
//! control batch   SnapshotHeader   version 0, time of the snapshot (nothing reads it)
//! control batch   membership       log id of the membership entry, the membership (ours, see `membership_codec`)
//! data batches    one record each  a counted list of metadata records, as in a log entry
//! control batch   SnapshotFooter   version 0; a file without it is incomplete
//! ```
//!
//! The end offset is exclusive: a snapshot named `…42-0000000003` holds what entries 0..=41 made, entry 41 being of epoch 3.
//! Invariant: a file under its final name is complete, unless the disk lost bytes; then reading says so.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::entry_batch::{self, BatchContent, EntryError};
use super::readable::{OfNewerBuild, check_error};
use super::types::{CommittedLeaderId, LogId, StoredMembership};

const SUFFIX: &str = ".checkpoint";
const PART_SUFFIX: &str = ".checkpoint.part";
const RECEIVED_SUFFIX: &str = ".checkpoint.received";

/// How many snapshots stay: the newest, and the one before in case the disk spoils the newest.
const RETAINED_SNAPSHOTS: usize = 2;

/// Buffer of a snapshot's reader and writer.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a snapshot covers: everything below `end_offset`, whose last entry is of `epoch` (Kafka's `OffsetAndEpoch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SnapshotId {
    pub(crate) end_offset: u64,
    pub(crate) epoch: u64,
}

impl SnapshotId {
    pub(crate) fn after(last: Option<LogId>) -> Self {
        match last {
            Some(last) => Self { end_offset: last.index() + 1, epoch: last.committed_leader_id().term },
            None => Self { end_offset: 0, epoch: 0 },
        }
    }

    pub(crate) fn last_log_id(self) -> Option<LogId> {
        let index = self.end_offset.checked_sub(1)?;
        Some(LogId::new(CommittedLeaderId::new(self.epoch), index))
    }

    /// The name of a file that is received with a transfer, one of this process.
    pub(crate) fn received_name(self, transfer: u64) -> String {
        self.file_name(&format!("-{transfer}{RECEIVED_SUFFIX}"))
    }

    fn file_name(self, suffix: &str) -> String {
        format!("{:020}-{:010}{suffix}", self.end_offset, self.epoch)
    }

    fn parse(name: &str) -> Option<Self> {
        let (end_offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(end_offset, 20) || !digits(epoch, 10) {
            return None;
        }
        Some(Self { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name(SUFFIX))
    }
}

/// A complete snapshot, ready to be read or sent.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    pub(crate) id: SnapshotId,
    pub(crate) path: PathBuf,
}

/// Why a snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file ends before its footer, or holds bytes that no snapshot holds.
    #[error("snapshot {path} is damaged at byte {position}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the batch starts that cannot be read.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file holds what this build does not know.
    #[error("snapshot {path}: {found}; this node does not start, and its metadata stay as they are")]
    OfNewerBuild {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: OfNewerBuild,
    },
}

impl SnapshotFile {
    /// Removes what a stopped process left half-written or half-received in `directory`. Only a start may ask for it.
    pub(crate) fn remove_unfinished(directory: &Path) -> io::Result<()> {
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(PART_SUFFIX) || name.ends_with(RECEIVED_SUFFIX) {
                tracing::info!(file = %path.display(), "removing a metadata snapshot that was never finished");
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// The complete snapshots of `directory`, the newest first.
    pub(crate) fn list(directory: &Path) -> io::Result<Vec<SnapshotFile>> {
        let mut snapshots = Vec::new();
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(id) = name.and_then(SnapshotId::parse) {
                snapshots.push(SnapshotFile { id, path });
            }
        }
        snapshots.sort_by_key(|found| std::cmp::Reverse(found.id));
        Ok(snapshots)
    }

    /// Reads the whole file: first the membership, then each change in order.
    pub(crate) fn read(
        &self,
        mut on_change: impl FnMut(Bytes) -> Result<(), ReadFailure>,
    ) -> Result<StoredMembership, SnapshotError> {
        let mut position = 0;
        self.read_batches(&mut position, &mut on_change).map_err(|error| match error {
            ReadFailure::Io(source) => SnapshotError::Io { path: self.path.clone(), source },
            ReadFailure::Damaged(reason) => SnapshotError::Damaged { path: self.path.clone(), position, reason },
            ReadFailure::OfNewerBuild(found) => SnapshotError::OfNewerBuild { path: self.path.clone(), found },
        })
    }

    fn read_batches(
        &self,
        position: &mut u64,
        on_change: &mut impl FnMut(Bytes) -> Result<(), ReadFailure>,
    ) -> Result<StoredMembership, ReadFailure> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(&self.path)?);
        let mut membership = None;
        let mut header = false;
        loop {
            let batch = read_batch(&mut file)?;
            let length = batch.len() as u64;
            match entry_batch::decode_batch(&batch)?.content {
                BatchContent::SnapshotHeader if !header => header = true,
                _ if !header => return Err(ReadFailure::Damaged("it does not start with a snapshot header".into())),
                BatchContent::SnapshotMembership(stored) => membership = Some(stored),
                BatchContent::Change(change) => on_change(change)?,
                BatchContent::SnapshotFooter => {
                    return membership.ok_or_else(|| ReadFailure::Damaged("it names no members".into()));
                }
                other => return Err(ReadFailure::Damaged(format!("unexpected {}", other.name()))),
            }
            *position += length;
        }
    }

    /// Copies (or, if it was received in there, moves) this snapshot into `directory` under its final name.
    pub(crate) fn install_into(&self, directory: &Path) -> io::Result<SnapshotFile> {
        let target = directory.join(self.id.file_name(SUFFIX));
        if self.path != target {
            let part = directory.join(self.id.file_name(PART_SUFFIX));
            let source = match self.path.parent() == Some(directory) {
                true => &self.path,
                false => fs::copy(&self.path, &part).map(|_| &part)?,
            };
            File::open(source)?.sync_all()?;
            fs::rename(source, &target)?;
            File::open(directory)?.sync_all()?;
        }
        Ok(SnapshotFile { id: self.id, path: target })
    }

    /// Removes a file that was received, if it was not installed.
    pub(crate) fn discard_received(&self) {
        // What stays nevertheless goes with the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes all but the newest snapshots of `directory`.
pub(crate) fn remove_older_snapshots(directory: &Path) -> io::Result<()> {
    for old in SnapshotFile::list(directory)?.iter().skip(RETAINED_SNAPSHOTS) {
        fs::remove_file(&old.path)?;
    }
    Ok(())
}

/// Where the oldest of the snapshots ends that are kept; nothing while there are fewer than are kept.
pub(crate) fn oldest_snapshot_end(directory: &Path) -> io::Result<Option<u64>> {
    let snapshots = SnapshotFile::list(directory)?;
    Ok(snapshots.get(RETAINED_SNAPSHOTS - 1).map(|oldest| oldest.id.end_offset))
}

/// Why reading stopped.
pub(crate) enum ReadFailure {
    Io(io::Error),
    Damaged(String),
    OfNewerBuild(OfNewerBuild),
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends before its footer".into()),
            _ => Self::Io(error),
        }
    }
}

impl From<EntryError> for ReadFailure {
    fn from(error: EntryError) -> Self {
        check_error(&error).map_or_else(Self::OfNewerBuild, |()| Self::Damaged(error.to_string()))
    }
}

impl From<OfNewerBuild> for ReadFailure {
    fn from(found: OfNewerBuild) -> Self {
        Self::OfNewerBuild(found)
    }
}

/// Reads one batch; nothing is allocated beyond what a batch may be.
fn read_batch(file: &mut impl Read) -> Result<Bytes, ReadFailure> {
    let mut overhead = [0; entry_batch::LOG_OVERHEAD];
    file.read_exact(&mut overhead)?;
    let length = entry_batch::batch_size(&overhead)?;
    let mut batch = BytesMut::with_capacity(length);
    batch.extend_from_slice(&overhead);
    batch.resize(length, 0);
    file.read_exact(&mut batch[overhead.len()..])?;
    Ok(batch.freeze())
}

/// Writes one snapshot, from header to footer.
pub(crate) struct SnapshotWriter {
    id: SnapshotId,
    directory: PathBuf,
    file: BufWriter<File>,
    next_offset: u64,
}

impl SnapshotWriter {
    pub(crate) fn create(directory: &Path, id: SnapshotId, membership: &StoredMembership) -> io::Result<Self> {
        let part = File::create(directory.join(id.file_name(PART_SUFFIX)))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, part);
        let mut writer = Self { id, directory: directory.to_path_buf(), file, next_offset: 0 };
        writer.write(entry_batch::snapshot_header)?;
        writer.write(|offset, epoch| entry_batch::snapshot_membership(offset, epoch, membership))?;
        Ok(writer)
    }

    /// Removes what was written of a snapshot that came to nothing.
    pub(crate) fn remove_part(directory: &Path, id: SnapshotId) {
        // What stays nevertheless goes with the next start.
        let _ = fs::remove_file(directory.join(id.file_name(PART_SUFFIX)));
    }

    /// Adds one change, a counted list of records.
    pub(crate) fn append(&mut self, change: &Bytes) -> io::Result<()> {
        self.write(|offset, epoch| entry_batch::change(offset, epoch, change))
    }

    /// Makes the snapshot durable under its final name.
    pub(crate) fn finish(mut self) -> io::Result<SnapshotFile> {
        self.write(entry_batch::snapshot_footer)?;
        let part = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        part.sync_all()?;
        let path = self.directory.join(self.id.file_name(SUFFIX));
        fs::rename(self.directory.join(self.id.file_name(PART_SUFFIX)), &path)?;
        File::open(&self.directory)?.sync_all()?;
        Ok(SnapshotFile { id: self.id, path })
    }

    fn write(&mut self, batch: impl FnOnce(u64, u64) -> Result<Bytes, EntryError>) -> io::Result<()> {
        let batch = batch(self.next_offset, self.id.epoch).map_err(io::Error::other)?;
        self.next_offset += 1;
        self.file.write_all(&batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas_and_nothing_else_is_a_snapshot() {
        let id = SnapshotId { end_offset: 42, epoch: 3 };
        assert_eq!(id.to_string(), "00000000000000000042-0000000003.checkpoint");
        assert_eq!(SnapshotId::parse(&id.to_string()), Some(id));
        for name in [
            "42-3.checkpoint",
            "00000000000000000042-0000000003.checkpoint.part",
            "00000000000000000042.log",
            "+0000000000000000042-0000000003.checkpoint",
        ] {
            assert_eq!(SnapshotId::parse(name), None, "{name}");
        }
    }
}
