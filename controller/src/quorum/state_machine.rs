//! The replicated state machine: applies committed entries to the image and publishes it.
//!
//! Owns the applied image, the last applied log id and membership, and the snapshots made of them. Only `apply` and
//! `install_snapshot` change the image, and both publish before anyone is answered. It never decides anything.
//! Invariant: a record that cannot be decoded or applied stops the machine before any part of its entry is visible, and
//! nothing after it is applied.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use tokio::sync::Notify;
use weir_protocol::ids::{LeaderEpoch, Offset};

use super::failure::ControllerFailure;
use super::publisher::Publication;
use super::readable::{OfNewerBuild, check_change};
use super::room::{Room, Wait, is_full};
use super::snapshot_file::{
    ReadFailure, SnapshotError, SnapshotFile, SnapshotId, SnapshotWriter, remove_older_snapshots,
};
use super::types::{Entry, LogId, RaftTypes, Snapshot, SnapshotMeta, StoredMembership};
use crate::decide::SupportedFeatures;
use crate::image::{MetadataDelta, MetadataImage};
use crate::record::{decode_change, encode_change};

/// A snapshot is made once this many bytes of changes were applied since the last (Kafka:
/// `metadata.log.max.record.bytes.between.snapshots`).
pub(crate) const SNAPSHOT_INTERVAL_BYTES: u64 = 20 * 1024 * 1024;

/// Or once this many entries were: many small ones cost a restart as much as few large ones.
pub(crate) const SNAPSHOT_INTERVAL_ENTRIES: u64 = 100_000;

/// How many records of the image go into one batch of a snapshot.
const SNAPSHOT_BATCH_RECORDS: usize = 1_000;

/// How many applied entries are published as one delta at most; a restart applies its whole log.
const MAX_ENTRIES_PER_DELTA: usize = 4_096;

/// What a snapshot and the state machine both consist of.
#[derive(Clone, Default)]
struct Applied {
    image: MetadataImage,
    last: Option<LogId>,
    membership: StoredMembership,
}

impl Applied {
    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.last, last_membership: self.membership.clone() }
    }

    fn mark(&mut self, log_id: LogId) {
        self.last = Some(log_id);
        if let (Ok(offset), Ok(epoch)) = (i64::try_from(log_id.index()), i32::try_from(term_of(log_id))) {
            self.image.set_applied(Offset(offset), LeaderEpoch(epoch));
        }
    }
}

fn term_of(log_id: LogId) -> u64 {
    log_id.committed_leader_id().term
}

#[derive(Clone, Debug)]
struct CurrentSnapshot {
    meta: SnapshotMeta,
    file: SnapshotFile,
}

impl From<CurrentSnapshot> for Snapshot {
    fn from(current: CurrentSnapshot) -> Self {
        Self { meta: current.meta, snapshot: current.file }
    }
}

/// openraft's state machine over the metadata image.
pub(crate) struct StateMachine {
    directory: PathBuf,
    /// What this build can run.
    supported: SupportedFeatures,
    applied: Applied,
    publication: Arc<Publication>,
    snapshot: Arc<Mutex<Option<CurrentSnapshot>>>,
    snapshot_due: Arc<Notify>,
    /// For snapshots alone: who waits for room for one goes on with the log.
    snapshot_room: Arc<Room>,
    bytes_since_snapshot: u64,
    entries_since_snapshot: u64,
}

impl StateMachine {
    /// Loads the newest snapshot of `directory` that can be read. One that is damaged is named and stays for the operator to
    /// look at; the log reaches back to the one before.
    pub(crate) fn open(directory: &Path, supported: SupportedFeatures) -> Result<Self, SnapshotError> {
        let list = SnapshotFile::list(directory)
            .map_err(|source| SnapshotError::Io { path: directory.to_path_buf(), source })?;
        let mut loaded = None;
        let mut first_error = None;
        for file in list {
            match load(&file, &supported) {
                Ok(applied) => {
                    loaded = Some((applied, file));
                    break;
                }
                // Nothing is wrong with it: the one before would do as little.
                Err(error @ SnapshotError::OfNewerBuild { .. }) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "a metadata snapshot cannot be used; trying the one before");
                    first_error.get_or_insert(error);
                }
            }
        }
        let (applied, snapshot) = match (loaded, first_error) {
            (Some((applied, file)), _) => {
                let meta = applied.meta();
                (applied, Some(CurrentSnapshot { meta, file }))
            }
            (None, Some(error)) => return Err(error),
            (None, None) => (Applied::default(), None),
        };
        Ok(Self {
            directory: directory.to_path_buf(),
            supported,
            publication: Arc::new(Publication::new(applied.image.clone())),
            applied,
            snapshot: Arc::new(Mutex::new(snapshot)),
            snapshot_due: Arc::default(),
            snapshot_room: Room::new(directory),
            bytes_since_snapshot: 0,
            entries_since_snapshot: 0,
        })
    }

    pub(crate) fn publication(&self) -> Arc<Publication> {
        Arc::clone(&self.publication)
    }

    /// Notified when enough was applied since the last snapshot to make another.
    pub(crate) fn snapshot_due(&self) -> Arc<Notify> {
        Arc::clone(&self.snapshot_due)
    }

    /// What the snapshot covers that this machine was loaded from.
    pub(crate) fn snapshot_id(&self) -> Option<SnapshotId> {
        self.snapshot.lock().as_ref().map(|current| current.file.id)
    }

    /// Records why nothing is applied any more; openraft stops at the error that is returned.
    fn refuse(&self, failure: ControllerFailure) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, failure.to_string());
        self.publication.fail(failure);
        error
    }

    fn count(&mut self, bytes: usize) {
        self.bytes_since_snapshot += bytes as u64;
        self.entries_since_snapshot += 1;
        if self.bytes_since_snapshot >= SNAPSHOT_INTERVAL_BYTES
            || self.entries_since_snapshot >= SNAPSHOT_INTERVAL_ENTRIES
        {
            self.bytes_since_snapshot = 0;
            self.entries_since_snapshot = 0;
            self.snapshot_due.notify_one();
        }
    }

    /// Makes what was staged the applied state and shows it.
    fn publish(&mut self, staged: &Applied, delta: &mut MetadataDelta) {
        self.applied = staged.clone();
        self.publication.publish(&std::mem::take(delta), staged.image.clone());
    }
}

/// Why an entry cannot be applied.
enum Refusal {
    OfNewerBuild(OfNewerBuild),
    Impossible(String),
}

impl Refusal {
    fn of(self, log_id: LogId) -> ControllerFailure {
        let (offset, epoch) = (log_id.index(), term_of(log_id));
        match self {
            Self::OfNewerBuild(found) => {
                let place = format!("the metadata record at offset {offset} (epoch {epoch})");
                ControllerFailure::OfNewerBuild { place, found }
            }
            Self::Impossible(reason) => ControllerFailure::Replay { offset, epoch, reason },
        }
    }
}

/// Applies one entry to the staged state.
fn stage(
    staged: &mut Applied,
    delta: &mut MetadataDelta,
    entry: Entry,
    supported: &SupportedFeatures,
) -> Result<usize, Refusal> {
    let mut bytes = 0;
    match entry.payload {
        EntryPayload::Blank => {}
        EntryPayload::Membership(membership) => {
            staged.membership = StoredMembership::new(Some(entry.log_id), membership);
        }
        EntryPayload::Normal(change) => {
            bytes = change.0.len();
            check_change(&change.0, supported).map_err(Refusal::OfNewerBuild)?;
            let records = decode_change(&change.0).map_err(|error| Refusal::Impossible(error.to_string()))?;
            for (position, record) in records.iter().enumerate() {
                delta.apply(&mut staged.image, record).map_err(|error| {
                    Refusal::Impossible(format!("record {position} of the entry, {record:?}: {error}"))
                })?;
            }
        }
    }
    staged.mark(entry.log_id);
    Ok(bytes)
}

/// Rebuilds the applied state from a snapshot.
fn load(file: &SnapshotFile, supported: &SupportedFeatures) -> Result<Applied, SnapshotError> {
    let mut applied = Applied::default();
    applied.membership = file.read(|change| {
        check_change(&change, supported)?;
        for record in decode_change(&change).map_err(|error| ReadFailure::Damaged(error.to_string()))? {
            let impossible = |error| ReadFailure::Damaged(format!("{record:?}: {error}"));
            applied.image.apply(&record).map_err(impossible)?;
        }
        Ok(())
    })?;
    if let Some(last) = file.id.last_log_id() {
        applied.mark(last);
    }
    Ok(applied)
}

impl RaftStateMachine<RaftTypes> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied.last, self.applied.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<RaftTypes>>> + Unpin + OptionalSend,
    {
        let mut staged = self.applied.clone();
        let mut delta = MetadataDelta::default();
        let mut responders = Vec::new();
        let mut unpublished = 0;
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let log_id = entry.log_id;
            let bytes = stage(&mut staged, &mut delta, entry, &self.supported);
            let bytes = bytes.map_err(|refusal| self.refuse(refusal.of(log_id)))?;
            self.count(bytes);
            responders.extend(responder);
            unpublished += 1;
            if unpublished == MAX_ENTRIES_PER_DELTA {
                self.publish(&staged, &mut delta);
                unpublished = 0;
            }
        }
        if unpublished > 0 {
            self.publish(&staged, &mut delta);
        }
        // After everybody was told: who is answered may look at the image, or ask the broker, at once.
        for responder in responders {
            responder.send(());
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            directory: self.directory.clone(),
            applied: self.applied.clone(),
            current: Arc::clone(&self.snapshot),
            room: Arc::clone(&self.snapshot_room),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFile) -> io::Result<()> {
        let (directory, expected, supported) = (self.directory.clone(), meta.clone(), self.supported.clone());
        let place = format!("the metadata snapshot {}", snapshot.id);
        // Aside, for heartbeats are answered on this thread.
        let installed = tokio::task::spawn_blocking(move || {
            let failed = |source| SnapshotError::Io { path: snapshot.path.clone(), source };
            // Read before it gets the name under which the next start believes it.
            let applied = load(&snapshot, &supported)?;
            if applied.meta() != expected {
                let held = applied.meta();
                return Err(failed(io::Error::other(format!("it holds {held}, not {expected}"))));
            }
            let file = snapshot.install_into(&directory).map_err(failed)?;
            remove_older_snapshots(&directory).map_err(failed)?;
            Ok((file, applied))
        });
        let (file, applied) = installed.await.map_err(io::Error::other)?.map_err(|error| match error {
            SnapshotError::OfNewerBuild { found, .. } => self.refuse(ControllerFailure::OfNewerBuild { place, found }),
            error => io::Error::other(error),
        })?;
        let delta = MetadataDelta::between(&self.applied.image, &applied.image);
        *self.snapshot.lock() = Some(CurrentSnapshot { meta: meta.clone(), file });
        self.publication.publish(&delta, applied.image.clone());
        self.applied = applied;
        self.bytes_since_snapshot = 0;
        self.entries_since_snapshot = 0;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.snapshot.lock().clone().map(Snapshot::from))
    }
}

/// Writes one snapshot of the state it was made with; the state machine applies on meanwhile.
pub(crate) struct SnapshotBuilder {
    directory: PathBuf,
    applied: Applied,
    current: Arc<Mutex<Option<CurrentSnapshot>>>,
    room: Arc<Room>,
}

impl SnapshotBuilder {
    /// About what the next one takes.
    fn previous_bytes(&self) -> u64 {
        let current = self.current.lock();
        current.as_ref().and_then(|current| std::fs::metadata(&current.file.path).ok()).map_or(0, |file| file.len())
    }
}

impl RaftSnapshotBuilder<RaftTypes> for SnapshotBuilder {
    type SnapshotData = SnapshotFile;

    /// Waits while the disk has no room for it: the snapshot before it and the log are all there.
    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let mut wait = None;
        let current = loop {
            let (directory, applied) = (self.directory.clone(), self.applied.clone());
            let written = tokio::task::spawn_blocking(move || write(&directory, &applied)).await;
            match written.map_err(io::Error::other)? {
                Err(error) if is_full(&error) => {
                    let begin = || self.room.begin("a snapshot", self.previous_bytes(), &error);
                    wait.get_or_insert_with(begin).until_worth_trying().await?;
                }
                written => break written?,
            }
        };
        wait.into_iter().for_each(Wait::end);
        let mut newest = self.current.lock();
        // One that was installed meanwhile covers more.
        if newest.as_ref().is_none_or(|newest| newest.file.id <= current.file.id) {
            *newest = Some(current.clone());
        }
        Ok(current.into())
    }
}

/// Writes a snapshot, or leaves nothing of it.
fn write(directory: &Path, applied: &Applied) -> io::Result<CurrentSnapshot> {
    let id = SnapshotId::after(applied.last);
    let file = write_file(directory, id, applied).inspect_err(|_| SnapshotWriter::remove_part(directory, id))?;
    remove_older_snapshots(directory)?;
    tracing::info!(snapshot = %id, "wrote a metadata snapshot");
    Ok(CurrentSnapshot { meta: applied.meta(), file })
}

fn write_file(directory: &Path, id: SnapshotId, applied: &Applied) -> io::Result<SnapshotFile> {
    let mut writer = SnapshotWriter::create(directory, id, &applied.membership)?;
    let mut batch = Vec::with_capacity(SNAPSHOT_BATCH_RECORDS);
    let mut records = applied.image.to_records().peekable();
    while records.peek().is_some() {
        batch.clear();
        batch.extend(records.by_ref().take(SNAPSHOT_BATCH_RECORDS));
        writer.append(&encode_change(&batch).map_err(io::Error::other)?)?;
    }
    writer.finish()
}
