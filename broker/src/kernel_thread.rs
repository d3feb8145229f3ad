//! A thread of a test as the kernel shows it: whether it waits for something.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct KernelThread(PathBuf);

impl KernelThread {
    pub(crate) fn current() -> Self {
        Self(Path::new("/proc").join(fs::read_link("/proc/thread-self").unwrap()))
    }

    /// Not once it has ended.
    pub(crate) fn is_asleep(&self) -> bool {
        let stat = fs::read_to_string(self.0.join("stat")).unwrap_or_default();
        // The name before, in parentheses, may be anything.
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
    }
}
