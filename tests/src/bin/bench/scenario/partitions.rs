//! What a partition weighs: resident memory before and after many were created.

use std::io;
use std::thread;
use std::time::Duration;

use super::Bench;
use crate::report::{Sheet, Who};
use crate::subject::Subject;

/// Partitions of each topic.
const A_TOPIC: u32 = 1000;
/// How long the broker is left alone before it is weighed.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let mut subject = Subject::start(who, bench.work_dir, &[])?;
    subject.create_topic("first", 1, &[])?;
    thread::sleep(SETTLE);
    let before = subject.resident_bytes()?;
    let partitions = bench.options.partitions();
    let mut left = partitions;
    while left > 0 {
        let now = left.min(A_TOPIC);
        subject.create_topic(&format!("weighed-{left}-"), now, &[])?;
        left -= now;
    }
    thread::sleep(SETTLE);
    let grown = subject.resident_bytes()? - before;
    sheet.add("partition.memory", who, grown / f64::from(partitions) / 1024.0);
    sheet.note(format!("Memory of a partition is that of {partitions}."));
    subject.discard()
}
