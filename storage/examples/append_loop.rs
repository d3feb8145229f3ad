//! What an append costs beside a bare loop of CRC-32C and pwrite, and what partitions cost.
//!
//! `cargo run --release -p weir-storage --example append_loop [megabytes]`. Prints CPU seconds a GB for the bare loop
//! before and after, for appends with and without an idempotent producer, and for reads at the end of the log; then the
//! time and memory to make partitions, and the time to open them again as after a killed process.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use weir_protocol::compression::Codec;
use weir_protocol::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use weir_protocol::records::{BatchBuilder, batch};
use weir_storage::config::LogConfig;
use weir_storage::context::StorageContext;
use weir_storage::file_cache::FileCache;
use weir_storage::log::{AppendOrigin, Log, LogLoad, ReadUpperBound, Shutdown};

const NOW: i64 = 1_700_000_000_000;
const BATCH_BYTES: [usize; 3] = [64 << 10, 16 << 10, 1 << 10];
const PARTITIONS: usize = 10_000;

fn main() {
    let megabytes: usize = std::env::args().nth(1).and_then(|words| words.parse().ok()).unwrap_or(1024);
    let root = std::env::temp_dir().join(format!("weir-append-loop-{}", std::process::id()));
    fs::create_dir_all(&root).expect("a folder for the logs");
    for batch_bytes in BATCH_BYTES {
        let rounds = (megabytes << 20) / batch_bytes;
        let best = |run: &dyn Fn() -> f64| (0..3).map(|_| run()).fold(f64::MAX, f64::min);
        let bare = best(&|| bare_loop(&root, batch_bytes, rounds));
        let plain = best(&|| append(&root, batch_bytes, rounds, false));
        let idempotent = best(&|| append(&root, batch_bytes, rounds, true));
        println!(
            "{:>3} KiB batches: bare {:.3} CPU-s/GB, append {:.3} ({:.2}x), idempotent {:.3} ({:.2}x)",
            batch_bytes >> 10,
            bare,
            plain,
            plain / bare,
            idempotent,
            idempotent / bare
        );
    }
    partitions(&root);
    fs::remove_dir_all(&root).expect("the folder goes again");
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn payload(batch_bytes: usize, producer: bool, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    if producer {
        builder = builder.producer(1, 0, sequence);
    }
    builder.append(NOW, None, Some(&vec![7; batch_bytes - 80]), &[]).expect("a record");
    builder.build().expect("a batch").to_vec()
}

fn per_gb(seconds: f64, batch_bytes: usize, rounds: usize) -> f64 {
    seconds * 1e9 / (batch_bytes * rounds) as f64
}

fn bare_loop(root: &Path, batch_bytes: usize, rounds: usize) -> f64 {
    let path = root.join("bare");
    let file = File::create(&path).expect("a file");
    let bytes = payload(batch_bytes, false, 0);
    let began = cpu();
    for round in 0..rounds {
        batch::verify_crc(&bytes).expect("a good batch");
        file.write_all_at(&bytes, (round * bytes.len()) as u64).expect("room");
    }
    let spent = cpu() - began;
    fs::remove_file(path).expect("the file goes again");
    per_gb(spent, batch_bytes, rounds)
}

fn append(root: &Path, batch_bytes: usize, rounds: usize, producer: bool) -> f64 {
    let dir = root.join("t-0");
    fs::create_dir(&dir).expect("a folder");
    let context = StorageContext::new(root, Arc::new(FileCache::new(64)));
    let log =
        Log::create(dir.clone(), partition(0), TopicId::from_u128(1), context, Arc::new(LogConfig::default()), NOW);
    let mut bytes = payload(batch_bytes, producer, 0);
    let began = cpu();
    for round in 0..rounds {
        if producer {
            // The sequence is under the CRC: a producer would have done this.
            bytes[53..57].copy_from_slice(&(round as i32).to_be_bytes());
            weir_protocol::records::patch::rewrite_crc(&mut bytes);
        }
        weir_protocol::records::patch::set_base_offset(&mut bytes, 0);
        let info = log.append_as_leader(&mut bytes, LeaderEpoch(0), AppendOrigin::Client, NOW).expect("it appends");
        log.set_high_watermark(info.log_end_offset);
    }
    let mut spent = cpu() - began;
    if producer {
        let began = cpu();
        for _ in 0..rounds {
            weir_protocol::records::patch::rewrite_crc(&mut bytes);
        }
        spent -= cpu() - began;
    }
    let read = log.read(info_of_last(&log), 1 << 20, ReadUpperBound::LOG_END, true).expect("it reads");
    assert!(read.slice.is_some());
    fs::remove_dir_all(dir).expect("the folder goes again");
    per_gb(spent, batch_bytes, rounds)
}

fn info_of_last(log: &Log) -> Offset {
    log.log_end_offset() + -1
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("t", index)
}

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn partitions(root: &Path) {
    let context = StorageContext::new(root, Arc::new(FileCache::sized_for_process()));
    let config = Arc::new(LogConfig::default());
    let (before, began, wall) = (resident_kib(), cpu(), Instant::now());
    let make = |index: usize| {
        let dir = root.join(format!("t-{index}"));
        fs::create_dir(&dir).expect("a folder");
        let partition = partition(index as i32);
        Log::create(dir, partition, TopicId::from_u128(1), Arc::clone(&context), Arc::clone(&config), NOW)
    };
    let logs: Vec<Log> = (0..PARTITIONS).map(make).collect();
    report("making them, the folder included", before, began, wall);
    let (began, wall) = (cpu(), Instant::now());
    for log in &logs {
        let mut bytes = payload(1024, true, 0);
        log.append_as_leader(&mut bytes, LeaderEpoch(0), AppendOrigin::Client, NOW).expect("it appends");
    }
    report("one record each", before, began, wall);
    for log in &logs {
        for sequence in 1..64 {
            let mut bytes = payload(4096, true, sequence);
            log.append_as_leader(&mut bytes, LeaderEpoch(0), AppendOrigin::Client, NOW).expect("it appends");
        }
    }
    let dirs: Vec<PathBuf> = logs.iter().map(Log::dir).collect();
    drop(logs);
    let (before, began, wall) = (resident_kib(), cpu(), Instant::now());
    let open = |(index, dir)| {
        Log::open(LogLoad {
            dir,
            topic_partition: partition(index as i32),
            topic_id: TopicId::from_u128(1),
            context: Arc::clone(&context),
            config: Arc::clone(&config),
            recovery_point: Some(Offset(0)),
            log_start: Offset(0),
            shutdown: Shutdown::SameBoot,
            producer_id_expiration_ms: i64::MAX,
            now_ms: NOW,
        })
        .expect("it opens")
    };
    let logs: Vec<Log> = dirs.into_iter().enumerate().map(open).collect();
    report("opening them after a killed process, 256 KiB in 64 batches each", before, began, wall);
    assert!(logs.iter().all(|log| log.log_end_offset() == Offset(64)));
}

fn report(what: &str, before_kib: usize, began: f64, wall: Instant) {
    println!(
        "{PARTITIONS} partitions, {what}: {:.0} ms CPU, {:.0} ms, {:.2} KiB resident each",
        (cpu() - began) * 1e3,
        wall.elapsed().as_secs_f64() * 1e3,
        resident_kib().saturating_sub(before_kib) as f64 / PARTITIONS as f64
    );
}
