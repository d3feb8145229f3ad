//! Makes writes fail on demand. Exists in this crate's unit tests only: a release build has no trace of it.

use std::io;

use parking_lot::Mutex;

/// The write that is to fail next.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next_write: Mutex<Option<(usize, i32)>>,
}

impl Faults {
    /// The next append writes `bytes` bytes and then fails with this error of the operating system.
    pub(crate) fn fail_next_write(&self, bytes: usize, os_error: i32) {
        *self.next_write.lock() = Some((bytes, os_error));
    }

    pub(crate) fn take_write(&self) -> Option<(usize, io::Error)> {
        self.next_write.lock().take().map(|(bytes, error)| (bytes, io::Error::from_raw_os_error(error)))
    }
}
