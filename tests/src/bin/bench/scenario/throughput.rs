//! Produce and consume as fast as it goes, a bare loop before, between and after, and the memory that is held in the end.

use std::io;

use super::Bench;
use crate::load::{self, LoadRun, PARTITIONS, Work};
use crate::loops::{self, Loop};
use crate::memory;
use crate::report::{Sheet, Who};
use crate::subject::Subject;

/// Batch sizes with the keys of their figures.
const BATCHES: [(u32, &str, &str); 2] =
    [(64 << 10, "produce.64k.cpu", "produce.64k.rate"), (16 << 10, "produce.16k.cpu", "produce.16k.rate")];
/// What a fetch gives a partition at most (`max.partition.fetch.bytes`).
const FETCH_BYTES: usize = 1 << 20;
/// How often what was produced is consumed: sending a gigabyte takes no more than a fraction of a second of the processor, whose clock
/// ticks in hundredths.
const CONSUME_PASSES: u32 = 5;

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let mut subject = Subject::start(who, bench.work_dir, &[])?;
    if who == Who::ApacheKafka {
        warm_up(bench, &mut subject)?;
    }
    let bytes = bench.options.throughput_bytes();
    let repeat = bench.options.repeat();
    for (batch_bytes, cpu, rate) in BATCHES {
        let floor = Loop::Receive { frame_bytes: batch_bytes as usize, total_bytes: bytes };
        for round in 0..repeat {
            add_loop(bench, floor, cpu, rate, sheet)?;
            let topic = format!("produce-{batch_bytes}-{round}");
            subject.create_topic(&topic, PARTITIONS, &[])?;
            let work = Work::Produce { topic, partitions: PARTITIONS, batch_bytes, bytes };
            memory::make_ready(bytes);
            add(&load::run(&subject.load(work))?, cpu, rate, who, sheet);
        }
        add_loop(bench, floor, cpu, rate, sheet)?;
    }
    let floor = Loop::SendFile { piece_bytes: FETCH_BYTES, total_bytes: bytes * u64::from(CONSUME_PASSES) };
    for round in 0..repeat {
        add_loop(bench, floor, "consume.cpu", "consume.rate", sheet)?;
        let topic = format!("produce-{}-{round}", BATCHES[0].0);
        let bytes = bytes / load::VALUE_BYTES as u64 * load::VALUE_BYTES as u64;
        memory::make_ready(0);
        let work = Work::Consume { topic, partitions: PARTITIONS, bytes, passes: CONSUME_PASSES };
        let run = load::run(&subject.load(work))?;
        add(&run, "consume.cpu", "consume.rate", who, sheet);
    }
    add_loop(bench, floor, "consume.cpu", "consume.rate", sheet)?;
    sheet.add("memory.after", who, subject.resident_bytes()? / 1e6);
    subject.discard()
}

fn add_loop(bench: &Bench<'_>, floor: Loop, cpu: &str, rate: &str, sheet: &mut Sheet) -> io::Result<()> {
    memory::make_ready(bench.options.throughput_bytes());
    let run = loops::run(floor, bench.work_dir)?;
    sheet.add(cpu, Who::Loop, run.cpu_seconds * 1e9 / run.bytes as f64);
    sheet.add(rate, Who::Loop, run.bytes as f64 / 1e6 / run.seconds);
    Ok(())
}

fn add(run: &LoadRun, cpu: &str, rate: &str, who: Who, sheet: &mut Sheet) {
    sheet.add(cpu, who, run.cpu_seconds_per_gb());
    sheet.add(rate, who, run.megabytes_per_second());
}

/// Lets the JVM compile what it will run: produced with both batch sizes, and consumed.
fn warm_up(bench: &Bench<'_>, subject: &mut Subject) -> io::Result<()> {
    let bytes = bench.options.kafka_warm_up_megabytes * 1_000_000 / BATCHES.len() as u64;
    for (batch_bytes, _, _) in BATCHES {
        let topic = format!("warm-up-{batch_bytes}");
        subject.create_topic(&topic, PARTITIONS, &[])?;
        let work = Work::Produce { topic: topic.clone(), partitions: PARTITIONS, batch_bytes, bytes };
        load::run(&subject.load(work))?;
        let bytes = bytes / load::VALUE_BYTES as u64 * load::VALUE_BYTES as u64;
        load::run(&subject.load(Work::Consume { topic, partitions: PARTITIONS, bytes, passes: 1 }))?;
    }
    Ok(())
}
