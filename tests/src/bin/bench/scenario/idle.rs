//! Start with a new and with an existing directory, stop, and what an idle broker takes.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use crate::report::{Sheet, Who};
use crate::subject::Subject;

/// How long a broker is left alone before its idleness is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// How long idle CPU is counted.
const WATCH: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    // The reference takes seconds each time: once is enough.
    let repeat = if who == Who::Weir { bench.options.repeat() } else { 1 };
    for round in 0..repeat {
        let subject = Subject::start(who, bench.work_dir, &[])?;
        sheet.add("start.new", who, ms(subject.started_in()));
        // Something for the next start to find.
        subject.create_topic("kept", 4, &[])?;
        let (_, stopped) = subject.stop()?;
        let mut subject = stopped.start()?;
        sheet.add("start.existing", who, ms(subject.started_in()));
        if round == 0 {
            idle(&mut subject, who, sheet)?;
        }
        let (took, stopped) = subject.stop()?;
        sheet.add("stop", who, ms(took));
        stopped.discard()?;
    }
    Ok(())
}

fn idle(subject: &mut Subject, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    thread::sleep(SETTLE);
    let (before, since) = (subject.cpu_seconds()?, Instant::now());
    thread::sleep(WATCH);
    let used = subject.cpu_seconds()? - before;
    sheet.add("idle.cpu", who, used * 100.0 / since.elapsed().as_secs_f64());
    sheet.add("idle.memory", who, subject.resident_bytes()? / 1e6);
    Ok(())
}

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
