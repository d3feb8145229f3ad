//! Creating one topic of 1,000 partitions and 1,000 topics of one: until all have leaders, and until all have acknowledged a record.

use std::io;
use std::time::Instant;

use super::Bench;
use super::idle::ms;
use crate::load::{self, Work};
use crate::report::{Sheet, Who};
use crate::subject::{Stopped, Subject};
use weir_tests::wire::NewTopic;

const MANY: u32 = 1000;
/// Topics, partitions of each, and the keys of the figures.
const SHAPES: [(u32, u32, &str, &str); 2] =
    [(1, MANY, "topics.wide.leaders", "topics.wide.acked"), (MANY, 1, "topics.many.leaders", "topics.many.acked")];

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let repeat = if who == Who::Weir { bench.options.repeat() } else { 1 };
    // Kept to the end: a file system that has just lost thousands of files is slower to make new ones, and would charge
    // one round for the files of the last.
    let mut done = Vec::new();
    for _ in 0..repeat {
        for (topics, partitions, leaders, acknowledged) in SHAPES {
            // Each on a broker of its own, so that none is measured among the topics of another.
            let subject = Subject::start(who, bench.work_dir, &[])?;
            sheet.add(leaders, who, until_leaders(&subject, topics, partitions)?);
            done.push(subject.stop()?.1);

            let mut subject = Subject::start(who, bench.work_dir, &[])?;
            let work = Work::FirstRecords { prefix: "first-".to_owned(), topics, partitions };
            sheet.add(acknowledged, who, load::run(&subject.load(work))?.seconds * 1e3);
            done.push(subject.stop()?.1);
        }
    }
    done.into_iter().try_for_each(Stopped::discard)
}

fn until_leaders(subject: &Subject, topics: u32, partitions: u32) -> io::Result<f64> {
    let mut wire = subject.wire()?;
    wire.api_versions()?;
    let new = |index: u32| NewTopic { name: format!("led-{index}"), partitions, configs: &[] };
    let new: Vec<NewTopic<'_>> = (0..topics).map(new).collect();
    let started = Instant::now();
    wire.create_topics(&new)?;
    wire.wait_for_leaders("led-", topics * partitions)?;
    Ok(ms(started.elapsed()))
}
