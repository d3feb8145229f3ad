//! What an idle connection weighs: resident memory before and after many were opened that asked for versions and then nothing.

use std::io;
use std::thread;
use std::time::Duration;

use weir_tests::handles;
use weir_tests::wire::Wire;

use super::Bench;
use crate::report::{Sheet, Who};
use crate::subject::Subject;

/// How long the broker is left alone before it is weighed.
const SETTLE: Duration = Duration::from_secs(2);
/// Handles that this process needs besides connections.
const OTHER_HANDLES: u64 = 100;

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let connections = bench.options.connections();
    let needed = u64::from(connections) + OTHER_HANDLES;
    if handles::raise_limit()? < needed {
        return Err(io::Error::other(format!("{connections} connections need {needed} file handles (ulimit -Hn)")));
    }
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
