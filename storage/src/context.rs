//! What the logs of one directory share.
//!
//! Owns the directory's health (a failed write or fsync takes it offline for good, and its next open does not believe it; a disk at its
//! reserve mark refuses produce until there is room; one that does not answer refuses everything until it does), the process-wide file
//! cache, the budget of bytes until a flusher must look, and the queue of files that wait to be removed (`file.delete.delay.ms`). It starts
//! no thread: whoever owns the directory drains the queue.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::file_cache::FileCache;
use crate::identity::{BOOT_ID_FILE, forget_boot_id};
use crate::stall::{Change, ChangesUnderWay, Progress};

/// Files that were renamed out of the way and may be removed later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDeletion {
    /// When the files may go, in milliseconds since 1970.
    pub due_ms: i64,
    /// The renamed files.
    pub files: Vec<PathBuf>,
}

/// Is told what the logs of a directory do. Called by appending threads, some of which hold a log's lock: must be quick and
/// must not call into a log.
pub trait ContextWatcher: Send + Sync + std::fmt::Debug {
    /// The first change after [`StorageContext::take_activity`].
    fn on_activity(&self);

    /// As many bytes as [`StorageContext::set_budget`] allowed were appended.
    fn on_budget_spent(&self);

    /// The directory went offline, for good and for this reason.
    fn on_offline(&self, reason: &str);
}

/// One log directory, as its logs see it. Shared by `Arc`.
#[derive(Debug)]
pub struct StorageContext {
    path: PathBuf,
    files: Arc<FileCache>,
    offline: OnceLock<String>,
    full: AtomicBool,
    stalled: AtomicBool,
    /// Offline or stalled.
    unavailable: AtomicBool,
    changes: ChangesUnderWay,
    /// Bytes that may still be appended before the watcher is told.
    budget: AtomicI64,
    /// Something was appended or decided since it was last asked.
    active: AtomicBool,
    watcher: OnceLock<Box<dyn ContextWatcher>>,
    pending: Mutex<Vec<PendingDeletion>>,
    #[cfg(test)]
    pub(crate) faults: crate::faults::Faults,
}

impl StorageContext {
    /// The context of the directory at `path`.
    pub fn new(path: impl Into<PathBuf>, files: Arc<FileCache>) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            files,
            offline: OnceLock::new(),
            full: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            unavailable: AtomicBool::new(false),
            changes: ChangesUnderWay::default(),
            budget: AtomicI64::new(i64::MAX),
            active: AtomicBool::new(false),
            watcher: OnceLock::new(),
            pending: Mutex::default(),
            #[cfg(test)]
            faults: crate::faults::Faults::default(),
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open files that its logs share.
    pub fn files(&self) -> &FileCache {
        &self.files
    }

    /// Why the directory is offline, if it is.
    pub fn offline_reason(&self) -> Option<&str> {
        self.offline.get().map(String::as_str)
    }

    /// True once a write or an fsync failed. Never becomes false again: what the kernel dropped cannot be known.
    pub fn is_offline(&self) -> bool {
        self.offline.get().is_some()
    }

    /// Takes the directory offline; the first reason is kept and logged.
    pub fn take_offline(&self, doing: &str, error: &io::Error) {
        let reason = format!("{doing}: {error}");
        if self.offline.set(reason.clone()).is_ok() {
            self.unavailable.store(true, Ordering::Release);
            tracing::error!(dir = %self.path.display(), %error, "log directory goes offline: {doing} failed");
            if let Some(watcher) = self.watcher.get() {
                watcher.on_offline(&reason);
            }
            self.disown_boot();
        }
    }

    /// A process that is started again under this boot must not take what is here for what was written.
    pub(crate) fn disown_boot(&self) {
        if let Err(error) = forget_boot_id(&self.path) {
            tracing::error!(dir = %self.path.display(), %error, "cannot remove {BOOT_ID_FILE}: remove it before this node is started again without a reboot");
        }
    }

    /// Whether the directory takes changes and can be read: it has not failed, and answers.
    #[inline]
    pub fn is_available(&self) -> bool {
        !self.unavailable.load(Ordering::Acquire)
    }

    /// Why the directory is not available, if it is not.
    pub fn unavailable_reason(&self) -> Option<&str> {
        self.offline_reason().or_else(|| self.is_stalled().then_some("its disk does not answer"))
    }

    /// Whether changes are under way that do not end.
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }

    /// Says so, or that they have ended.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Release);
        self.unavailable.store(stalled || self.is_offline(), Ordering::Release);
        if self.is_offline() {
            // It may have failed between the two.
            self.unavailable.store(true, Ordering::Release);
        }
    }

    /// Something on the disk is about to be changed, and has been once what is returned is dropped.
    #[inline]
    pub(crate) fn changing(&self) -> Change<'_> {
        self.changes.begin()
    }

    /// How the changes of the disk come along.
    pub(crate) fn progress(&self) -> Progress {
        self.changes.progress()
    }

    /// True while the disk is at its reserve mark: clients' appends are refused with a retriable error.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Sets or clears the reserve mark.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Who is told of activity and of a spent budget; set once.
    pub fn set_watcher(&self, watcher: Box<dyn ContextWatcher>) {
        let set = self.watcher.set(watcher);
        debug_assert!(set.is_ok(), "the watcher of {} is set once", self.path.display());
    }

    /// How many bytes the logs may append before the watcher is told; it is told once for each budget.
    pub fn set_budget(&self, bytes: u64) {
        self.budget.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Whether anything happened since the last [`Self::take_activity`].
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// The same, and begins anew.
    pub fn take_activity(&self) -> bool {
        self.active.swap(false, Ordering::AcqRel)
    }

    /// A log appended this much.
    #[inline]
    pub(crate) fn on_append(&self, bytes: u64) {
        let bytes = bytes as i64;
        let before = self.budget.fetch_sub(bytes, Ordering::Relaxed);
        if before > 0
            && before <= bytes
            && let Some(watcher) = self.watcher.get()
        {
            watcher.on_budget_spent();
        }
        self.on_activity();
    }

    /// A log changed something that a checkpoint keeps.
    #[inline]
    pub(crate) fn on_activity(&self) {
        // A load first: the line stays shared between appending threads.
        if !self.active.load(Ordering::Relaxed)
            && !self.active.swap(true, Ordering::AcqRel)
            && let Some(watcher) = self.watcher.get()
        {
            watcher.on_activity();
        }
    }

    /// Queues renamed files for removal.
    pub fn defer_deletion(&self, deletion: PendingDeletion) {
        if !deletion.files.is_empty() {
            self.pending.lock().push(deletion);
        }
    }

    /// Takes the deletions that are due at `now_ms`; the caller removes the files.
    pub fn take_due_deletions(&self, now_ms: i64) -> Vec<PendingDeletion> {
        let mut pending = self.pending.lock();
        let (due, later) = pending.drain(..).partition(|deletion| deletion.due_ms <= now_ms);
        *pending = later;
        due
    }

    /// When the next deletion is due.
    pub fn next_deletion_ms(&self) -> Option<i64> {
        self.pending.lock().iter().map(|deletion| deletion.due_ms).min()
    }

    /// Takes every deletion, due or not.
    pub fn take_all_deletions(&self) -> Vec<PendingDeletion> {
        std::mem::take(&mut *self.pending.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_deletions_that_are_due_are_taken() {
        let context = StorageContext::new("/nowhere", Arc::new(FileCache::new(16)));
        let deletion = |due_ms| PendingDeletion { due_ms, files: vec![PathBuf::from(format!("{due_ms}.deleted"))] };
        context.defer_deletion(deletion(10));
        context.defer_deletion(deletion(20));
        assert_eq!(context.take_due_deletions(10), [deletion(10)]);
        assert_eq!(context.take_due_deletions(10), []);
        assert_eq!(context.take_all_deletions(), [deletion(20)]);
    }

    #[derive(Debug, Default)]
    struct Counts(Arc<[AtomicI64; 2]>);

    impl ContextWatcher for Counts {
        fn on_activity(&self) {
            self.0[0].fetch_add(1, Ordering::Relaxed);
        }

        fn on_offline(&self, _: &str) {}

        fn on_budget_spent(&self) {
            self.0[1].fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_watcher_is_told_once_for_each_rest_and_each_budget() {
        let context = StorageContext::new("/nowhere", Arc::new(FileCache::new(16)));
        let counts = Counts::default();
        let seen = Arc::clone(&counts.0);
        context.set_watcher(Box::new(counts));
        let told = || (seen[0].load(Ordering::Relaxed), seen[1].load(Ordering::Relaxed));
        context.set_budget(100);
        context.on_append(99);
        assert_eq!(told(), (1, 0));
        context.on_append(1);
        context.on_append(500);
        assert_eq!(told(), (1, 1));
        assert!(context.take_activity() && !context.is_active());
        context.set_budget(10);
        context.on_append(11);
        assert_eq!(told(), (2, 2));
    }

    #[test]
    fn the_first_reason_takes_a_directory_offline_for_good() {
        let context = StorageContext::new("/nowhere", Arc::new(FileCache::new(16)));
        assert!(!context.is_offline());
        context.take_offline("append", &io::Error::from_raw_os_error(5));
        context.take_offline("fsync", &io::Error::from_raw_os_error(28));
        assert!(context.offline_reason().unwrap().starts_with("append"));
    }
}
