//! What an idle connection weighs: resident memory before and after many were opened that asked for versions and then nothing.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Bench;
use crate::report::{Sheet, Who};
use crate::subject::Subject;
use crate::wire::Wire;

/// How long the broker is left alone before it is weighed.
const SETTLE: Duration = Duration::from_secs(2);
/// Handles that this process needs besides connections.
const OTHER_HANDLES: u64 = 100;

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let connections = bench.options.connections();
    allow_handles(u64::from(connections) + OTHER_HANDLES)?;
    let mut subject = Subject::start(who, bench.work_dir, &[])?;
    open(&subject, 10)?;
    thread::sleep(SETTLE);
    let before = subject.resident_bytes()?;
    let opened = open(&subject, connections)?;
    thread::sleep(SETTLE);
    let grown = subject.resident_bytes()? - before;
    // Weighed while they are open.
    drop(opened);
    sheet.add("connection.memory", who, grown / f64::from(connections) / 1024.0);
    sheet.note(format!("Memory of an idle connection is that of {connections}."));
    subject.discard()
}

fn open(subject: &Subject, count: u32) -> io::Result<Vec<Wire>> {
    let connect = |_| {
        let mut wire = subject.wire()?;
        wire.api_versions()?;
        Ok(wire)
    };
    (0..count).map(connect).collect()
}

/// Raises the limit of this process, which its children inherit, as far as it may.
fn allow_handles(needed: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(io::Error::other(format!("needs {needed} file handles, and the limit is {:?}", limit.maximum)));
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
