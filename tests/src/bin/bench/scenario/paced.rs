//! 1,000 records/s one at a time, produced and consumed: what each costs, and how long each takes.

use std::io;

use super::Bench;
use crate::latencies::Percentiles;
use crate::load::{self, PARTITIONS, VALUE_BYTES, Work};
use crate::loops::{self, Loop};
use crate::memory;
use crate::report::{Sheet, Who};
use crate::subject::Subject;

const RECORDS_PER_SECOND: u64 = 1000;
/// Seconds of this same load before Apache Kafka is measured, so that its JVM has compiled it.
const KAFKA_WARM_UP_SECONDS: u64 = 45;

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let mut subject = Subject::start(who, bench.work_dir, &[])?;
    let seconds = bench.options.seconds();
    if who == Who::ApacheKafka {
        run(&mut subject, "warm-up", KAFKA_WARM_UP_SECONDS)?;
    }
    for round in 0..bench.options.repeat() {
        add_loop(bench, seconds, sheet)?;
        let run = run(&mut subject, &format!("paced-{round}"), seconds)?;
        sheet.add("paced.cpu", who, run.broker_cpu_seconds * 100.0 / run.seconds);
        add_latencies(run.acknowledgement, run.end_to_end, who, sheet);
    }
    add_loop(bench, seconds, sheet)?;
    subject.discard()
}

fn run(subject: &mut Subject, topic: &str, seconds: u64) -> io::Result<load::LoadRun> {
    subject.create_topic(topic, PARTITIONS, &[])?;
    let topic = topic.to_owned();
    memory::make_ready(seconds * RECORDS_PER_SECOND * VALUE_BYTES as u64);
    load::run(&subject.load(Work::Paced {
        topic,
        partitions: PARTITIONS,
        records_per_second: RECORDS_PER_SECOND,
        seconds,
        consumed: true,
    }))
}

fn add_loop(bench: &Bench<'_>, seconds: u64, sheet: &mut Sheet) -> io::Result<()> {
    let this = Loop::Poll { record_bytes: VALUE_BYTES, records_per_second: RECORDS_PER_SECOND, seconds };
    memory::make_ready(seconds * RECORDS_PER_SECOND * VALUE_BYTES as u64);
    let run = loops::run(this, bench.work_dir)?;
    sheet.add("paced.cpu", Who::Loop, run.cpu_seconds * 100.0 / run.seconds);
    add_latencies(run.acknowledgement, run.end_to_end, Who::Loop, sheet);
    Ok(())
}

fn add_latencies(acknowledgement: Option<Percentiles>, end_to_end: Option<Percentiles>, who: Who, sheet: &mut Sheet) {
    if let Some(latency) = acknowledgement {
        sheet.add("paced.ack.p50", who, latency.p50);
        sheet.add("paced.ack.p99", who, latency.p99);
        sheet.add("paced.ack.p999", who, latency.p999);
    }
    if let Some(latency) = end_to_end {
        sheet.add("paced.e2e.p50", who, latency.p50);
        sheet.add("paced.e2e.p99", who, latency.p99);
        sheet.add("paced.e2e.p999", who, latency.p999);
    }
}
