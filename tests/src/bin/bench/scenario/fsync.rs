//! Every acknowledgement waits for an fsync (`flush.messages=1`): how much goes through, and how long one takes.

use std::io;

use super::Bench;
use crate::load::{self, PARTITIONS, Work};
use crate::report::{Sheet, Who};
use crate::subject::Subject;

const BATCH_BYTES: u32 = 16 << 10;
/// A tenth of what is moved without fsync: disks are slower than page caches.
const SHARE: u64 = 10;
const RECORDS_PER_SECOND: u64 = 200;
const CONFIGS: [(&str, &str); 1] = [("flush.messages", "1")];

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let mut subject = Subject::start(who, bench.work_dir, &[])?;
    let repeat = if who == Who::Weir { bench.options.repeat() } else { 1 };
    for round in 0..repeat {
        for (partitions, key) in [(PARTITIONS, "fsync.4.rate"), (100, "fsync.100.rate")] {
            let topic = format!("durable-{partitions}-{round}");
            subject.create_topic(&topic, partitions, &CONFIGS)?;
            let bytes = bench.options.throughput_bytes() / SHARE;
            let work = Work::Produce { topic, partitions, batch_bytes: BATCH_BYTES, bytes };
            sheet.add(key, who, load::run(&subject.load(work))?.megabytes_per_second());
        }
        let topic = format!("durable-paced-{round}");
        subject.create_topic(&topic, PARTITIONS, &CONFIGS)?;
        let work = Work::Paced {
            topic,
            partitions: PARTITIONS,
            records_per_second: RECORDS_PER_SECOND,
            seconds: bench.options.seconds(),
            consumed: false,
        };
        if let Some(latency) = load::run(&subject.load(work))?.acknowledgement {
            sheet.add("fsync.ack.p50", who, latency.p50);
            sheet.add("fsync.ack.p99", who, latency.p99);
        }
    }
    subject.discard()
}
