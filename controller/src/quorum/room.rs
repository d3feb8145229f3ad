//! A full disk under the metadata log: what found no room is written again once there is some.
//!
//! Owns the wait. Nothing is left of a write that found no room (the storage log takes back what it wrote of an entry; a vote and
//! a snapshot are removed unfinished), so it may be done again; a failed fsync is another matter, and never comes here. While an
//! entry or a vote waits, openraft waits with it: this node confirms nothing, votes for nobody and sends no heartbeat, as a machine
//! that stands still, so the others elect another active controller and go on. Nothing piles up meanwhile: peers are refused
//! (`peer_service`), submissions are told that nobody leads here (`active`).
//!
//! Invariant: a wait ends when the write succeeds, fails for another reason, or the node stops.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use weir_storage::manager::usable_bytes;

/// How often it is looked whether there is room by now.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What has to be free beside what waits: a node does not come back for one entry.
const MARGIN_BYTES: u64 = 1024 * 1024;

/// The room on the disk of one directory.
#[derive(Debug)]
pub(crate) struct Room {
    directory: PathBuf,
    /// How many writes wait.
    waiting: watch::Sender<usize>,
    closed: AtomicBool,
}

impl Room {
    pub(crate) fn new(directory: &Path) -> Arc<Self> {
        Arc::new(Self {
            directory: directory.to_path_buf(),
            waiting: watch::Sender::new(0),
            closed: AtomicBool::new(false),
        })
    }

    /// Whether something waits for room.
    pub(crate) fn is_missing(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    /// What an operator is told while something waits.
    pub(crate) fn complaint(&self) -> Option<String> {
        let free = || self.free_bytes().map_or_else(String::new, |free| format!(" ({free} bytes are free)"));
        self.is_missing().then(|| format!("the disk of {} is full{}", self.directory.display(), free()))
    }

    /// Returns once something waits.
    pub(crate) async fn until_missing(&self) {
        // It cannot fail while this is borrowed.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    /// Returns once nothing waits any more.
    #[cfg(test)]
    pub(crate) async fn until_there(&self) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    /// Ends every wait, now and later, with an error: the node stops.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Does `write`, which needs about so many bytes, until it does not fail for lack of room.
    pub(crate) async fn until_written<T>(
        &self,
        what: &'static str,
        bytes: u64,
        mut write: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut wait = None;
        loop {
            match write() {
                Err(error) if is_full(&error) => {
                    wait.get_or_insert_with(|| self.begin(what, bytes, &error)).until_worth_trying().await?;
                }
                outcome => return ended(wait, outcome),
            }
        }
    }

    /// The same, on a thread that may be held up.
    pub(crate) fn until_written_here<T>(
        &self,
        what: &'static str,
        bytes: u64,
        mut write: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut wait = None;
        loop {
            match write() {
                Err(error) if is_full(&error) => {
                    let wait = wait.get_or_insert_with(|| self.begin(what, bytes, &error));
                    loop {
                        std::thread::sleep(LOOK_INTERVAL);
                        if wait.is_worth_trying()? {
                            break;
                        }
                    }
                }
                outcome => return ended(wait, outcome),
            }
        }
    }

    /// Waits while there is hardly any room: what must not stop halfway is not begun then.
    pub(crate) async fn until_some(&self, what: &'static str) -> io::Result<()> {
        let look = || match self.free_bytes() {
            Some(free) if free < MARGIN_BYTES => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        };
        self.until_written(what, 0, look).await
    }

    /// `what` found no room.
    pub(crate) fn begin(&self, what: &'static str, bytes: u64, error: &io::Error) -> Wait<'_> {
        let wanted = bytes.saturating_add(MARGIN_BYTES);
        let free = self.free_bytes();
        tracing::error!(
            directory = %self.directory.display(), bytes, free_bytes = free, %error,
            "the disk of the metadata log is full: there is no room for {what}; nothing that was acknowledged is lost; free {wanted} bytes \
             there, and this node goes on by itself"
        );
        self.waiting.send_modify(|waiting| *waiting += 1);
        Wait { room: self, what, wanted, since: Instant::now() }
    }

    fn free_bytes(&self) -> Option<u64> {
        usable_bytes(&self.directory).ok()
    }
}

/// Whether there was no room, on the disk or in a quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn ended<T>(wait: Option<Wait<'_>>, outcome: io::Result<T>) -> io::Result<T> {
    if let (Some(wait), Ok(_)) = (wait, &outcome) {
        wait.end();
    }
    outcome
}

/// Something that waits for room.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    room: &'a Room,
    what: &'static str,
    /// What has to be free before it is tried again. Under a quota that may be so all along; then it is tried at every look.
    wanted: u64,
    since: Instant,
}

impl Wait<'_> {
    /// Returns when it may be tried again; an error once the node stops.
    pub(crate) async fn until_worth_trying(&self) -> io::Result<()> {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if self.is_worth_trying()? {
                return Ok(());
            }
        }
    }

    fn is_worth_trying(&self) -> io::Result<bool> {
        if self.room.closed.load(Ordering::Relaxed) {
            let stopped = format!("{} is full, and the node stops", self.room.directory.display());
            return Err(io::Error::new(io::ErrorKind::StorageFull, stopped));
        }
        Ok(self.room.free_bytes().is_none_or(|free| free >= self.wanted))
    }

    /// It was written.
    pub(crate) fn end(self) {
        tracing::info!(
            directory = %self.room.directory.display(), free_bytes = self.room.free_bytes(), waited = ?self.since.elapsed(),
            "there is room again on the disk of the metadata log: {} is written", self.what
        );
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.room.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_times(times: usize) -> impl FnMut() -> io::Result<usize> {
        let mut tried = 0;
        move || {
            tried += 1;
            if tried > times { Ok(tried) } else { Err(io::ErrorKind::StorageFull.into()) }
        }
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test)
    }

    #[test]
    fn what_finds_no_room_is_written_once_there_is_some_and_it_is_told_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::new(directory.path());
        run(async {
            let written = room.until_written("it", 10, full_times(3));
            let told = async {
                room.until_missing().await;
                assert!(room.complaint().unwrap().contains(&directory.path().display().to_string()));
                room.until_there().await;
            };
            assert_eq!(tokio::join!(written, told).0.unwrap(), 4);
        });
        assert_eq!(room.until_written_here("it", 10, full_times(1)).unwrap(), 2);
        assert!(!room.is_missing() && room.complaint().is_none());
    }

    #[test]
    fn another_failure_is_no_matter_of_room_and_ends_the_wait() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::new(directory.path());
        let mut errors = vec![io::ErrorKind::InvalidData, io::ErrorKind::QuotaExceeded];
        let failed = run(room.until_written("it", 10, || io::Result::<()>::Err(errors.pop().unwrap().into())));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(!room.is_missing());
    }

    #[test]
    fn a_node_that_stops_waits_for_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::new(directory.path());
        room.close();
        assert!(run(room.until_written("it", 10, full_times(usize::MAX))).is_err());
        assert!(room.until_written_here("it", 10, full_times(usize::MAX)).is_err());
        assert!(!room.is_missing());
    }
}
