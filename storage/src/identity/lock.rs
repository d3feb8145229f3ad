//! `.lock`: one process a directory.
//!
//! Owns two locks on the file: `flock`, which also tells two opens in one process apart, and the POSIX record lock that
//! Kafka takes, so that neither of us starts on the other's live directory. Both end with the process, however it ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock, flock};

/// The file's name in a log directory.
pub const LOCK_FILE: &str = ".lock";

/// Held while it lives.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

pub(super) enum LockError {
    /// By this process, if it can be told.
    Held(Option<u32>),
    Io(io::Error),
}

impl DirectoryLock {
    pub(super) fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(LOCK_FILE);
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(LockError::Io)?;
        for attempt in [flock, fcntl_lock] {
            match attempt(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::ACCESS) => {
                    return Err(LockError::Held(holder(&file)));
                }
                Err(errno) => return Err(LockError::Io(errno.into())),
            }
        }
        Ok(Self { _file: file })
    }
}

/// The process that holds a lock on this file, from `/proc/locks`, whose lines are
/// `1: FLOCK  ADVISORY  WRITE 708 00:13:1234 0 EOF` with the process and the inode.
fn holder(file: &File) -> Option<u32> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let at = words.iter().position(|word| word.ends_with(&inode))?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    })
}
