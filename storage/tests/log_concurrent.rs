//! Appends, reads, flushes, rolls, retention and truncations at the same time, on one log with few open files.
//!
//! Each record's value says its offset, so a reader can tell that what it got is what it asked for.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weir_protocol::compression::Codec;
use weir_protocol::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use weir_protocol::records::batch::{batches, verify_crc};
use weir_protocol::records::{BatchBuilder, RecordIter};
use weir_storage::config::LogConfig;
use weir_storage::context::StorageContext;
use weir_storage::file_cache::FileCache;
use weir_storage::log::{AppendOrigin, Log, ReadError, ReadUpperBound};

const NOW: i64 = 1_700_000_000_000;
const APPENDS: i64 = 4000;
const TRUNCATE_EVERY: i64 = 500;

fn batch_at(offset: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    for n in 0..2 {
        let mut value = (offset + n).to_be_bytes().to_vec();
        value.resize(8 + (offset as usize * 37) % 900, 7);
        builder.append(NOW, None, Some(&value), &[]).unwrap();
    }
    builder.build().unwrap().to_vec()
}

fn write(log: &Log) {
    for n in 0..APPENDS {
        let mut bytes = batch_at(log.log_end_offset().0);
        log.append_as_leader(&mut bytes, LeaderEpoch(0), AppendOrigin::Client, NOW).unwrap();
        log.set_high_watermark(log.log_end_offset() + -20);
        if n % TRUNCATE_EVERY == TRUNCATE_EVERY - 1 {
            // Not below the high watermark, as in a cluster.
            log.truncate_to(log.high_watermark() + 2, NOW).unwrap();
        }
    }
}

/// Reads the log over and over; returns how many batches it saw.
fn read(log: &Log, stop: &AtomicBool, max_bytes: u32) -> usize {
    let (mut seen, mut next) = (0, Offset(0));
    while !stop.load(Ordering::Acquire) {
        let upper = log.high_watermark();
        let read = match log.read(next, max_bytes, ReadUpperBound(upper), true) {
            Ok(read) => read,
            Err(ReadError::OffsetOutOfRange { log_start, .. }) => {
                next = log_start;
                continue;
            }
            Err(error) => panic!("read at {next}: {error}"),
        };
        let Some(slice) = read.slice else {
            next = log.log_start_offset();
            continue;
        };
        let bytes = slice.to_bytes().unwrap();
        let mut at = 0;
        for (header, batch) in batches(&bytes).map_while(Result::ok) {
            verify_crc(batch).unwrap();
            assert!(header.last_offset() >= next.0 && header.next_offset() <= upper.0, "{next} {header:?} {upper}");
            for record in RecordIter::new(bytes.slice(at..at + batch.len()), 1 << 20).unwrap().map(Result::unwrap) {
                assert_eq!(record.value.unwrap()[..8], record.offset.to_be_bytes());
            }
            at += batch.len();
            next = Offset(header.next_offset());
            seen += 1;
        }
        assert!(at > 0, "no whole batch at {next}");
    }
    seen
}

#[test]
fn readers_see_only_what_was_appended_whatever_happens_beside_them() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    fs::create_dir(&dir).unwrap();
    let context = StorageContext::new(root.path(), Arc::new(FileCache::new(16)));
    let config = LogConfig {
        segment_bytes: 60_000,
        index_interval_bytes: 500,
        retention_bytes: 600_000,
        file_delete_delay_ms: 0,
        retention_ms: -1,
        ..LogConfig::default()
    };
    let log = Log::create(
        dir,
        TopicPartition::new("t", 0),
        TopicId::from_u128(1),
        Arc::clone(&context),
        Arc::new(config),
        NOW,
    );
    let stop = AtomicBool::new(false);
    let deleted = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        let (log, stop) = (&log, &stop);
        let readers = [1, 3000, 1 << 20].map(|max_bytes| threads.spawn(move || read(log, stop, max_bytes)));
        let (deleted, context) = (&deleted, &context);
        threads.spawn(move || {
            while !stop.load(Ordering::Acquire) {
                log.flush(Offset(i64::MAX)).unwrap();
                deleted.fetch_add(log.delete_expired_segments(NOW).unwrap(), Ordering::Relaxed);
                for file in context.take_all_deletions().into_iter().flat_map(|deletion| deletion.files) {
                    fs::remove_file(file).unwrap();
                }
                log.offset_for_timestamp(NOW).unwrap();
                std::thread::yield_now();
            }
        });
        write(log);
        stop.store(true, Ordering::Release);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
    });
    log.set_high_watermark(log.log_end_offset());
    deleted.fetch_add(log.delete_expired_segments(NOW).unwrap(), Ordering::Relaxed);
    assert!(deleted.into_inner() > 10 && !context.is_offline());
    log.flush(Offset(i64::MAX)).unwrap();
    assert_eq!(log.recovery_point(), log.log_end_offset());
    assert_eq!(log.unflushed_bytes(), 0);
}
