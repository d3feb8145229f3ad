//! The limit on open files, which the processes started from here inherit.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit of this process as far as it may, and gives what it is then.
pub fn raise_limit() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}
