mod recall;
mod recovery;

use std::fs;
use std::sync::Arc;

use weir_protocol::compression::Codec;
use weir_protocol::ids::{LeaderEpoch, Offset, ProducerId, TopicId, TopicPartition};
use weir_protocol::records::batch::{BatchHeader, batches};
use weir_protocol::records::{BatchBuilder, EndTransactionMarker, RecordIter, TimestampType, batch};

use super::*;
use crate::config::{CleanupPolicy, CompressionType};
use crate::file_cache::FileCache;
use crate::producer_state::ProducerStateError;

const NOW: i64 = 1_700_000_000_000;
const EPOCH: LeaderEpoch = LeaderEpoch(3);
const ENOSPC: i32 = 28;
const EIO: i32 = 5;

struct TestLog {
    root: tempfile::TempDir,
    context: Arc<StorageContext>,
    log: Log,
}

impl std::ops::Deref for TestLog {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

fn keep_all() -> LogConfig {
    LogConfig { retention_ms: -1, ..LogConfig::default() }
}

fn new_log(config: LogConfig) -> TestLog {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    fs::create_dir(&dir).unwrap();
    let context = StorageContext::new(root.path(), Arc::new(FileCache::new(16)));
    let partition = TopicPartition::new("t", 0);
    let log = Log::create(dir, partition, TopicId::from_u128(1), Arc::clone(&context), Arc::new(config), NOW);
    TestLog { root, context, log }
}

impl TestLog {
    fn reopen(&mut self, shutdown: Shutdown) {
        self.try_reopen(shutdown).unwrap();
    }

    fn try_reopen(&mut self, shutdown: Shutdown) -> Result<(), LoadError> {
        let how = LogLoad {
            dir: self.log.dir(),
            topic_partition: self.log.topic_partition().clone(),
            topic_id: self.log.topic_id(),
            context: Arc::clone(&self.context),
            config: self.log.config(),
            recovery_point: Some(self.log.recovery_point()),
            log_start: self.log.log_start_offset(),
            shutdown,
            producer_id_expiration_ms: i64::MAX,
            now_ms: NOW,
        };
        self.log.close_handles();
        self.log = Log::open(how)?;
        self.log.set_high_watermark(self.log.log_end_offset());
        Ok(())
    }

    fn try_append(&self, mut bytes: Vec<u8>) -> Result<AppendInfo, AppendError> {
        let info = self.log.append_as_leader(&mut bytes, EPOCH, AppendOrigin::Client, NOW)?;
        self.log.set_high_watermark(self.log.log_end_offset());
        Ok(info)
    }

    fn append(&self, bytes: Vec<u8>) -> AppendInfo {
        self.try_append(bytes).unwrap()
    }

    /// Ends a producer's transaction as its coordinator does.
    fn end_transaction(&self, producer: i64, committed: bool) -> AppendInfo {
        let marker = EndTransactionMarker { committed, coordinator_epoch: 0 };
        let mut bytes = marker.to_batch(producer, 0, NOW).unwrap().to_vec();
        self.log.append_as_leader(&mut bytes, EPOCH, AppendOrigin::Coordinator, NOW).unwrap()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.root.path().join("t-0").join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root.path().join("t-0"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read_headers(&self, from: i64, max_bytes: u32, upper: i64) -> Vec<BatchHeader> {
        let read = self.log.read(Offset(from), max_bytes, ReadUpperBound(Offset(upper)), true).unwrap();
        let bytes = read.slice.map(|slice| slice.to_bytes().unwrap()).unwrap_or_default();
        batches(&bytes).map_while(Result::ok).map(|(header, _)| header).collect()
    }
}

fn batch_of(records: usize, value_bytes: usize) -> Vec<u8> {
    stamped(records, value_bytes, NOW)
}

fn stamped(records: usize, value_bytes: usize, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..records {
        builder.append(timestamp, Some(b"k"), Some(&vec![1; value_bytes]), &[]).unwrap();
    }
    builder.build().unwrap().to_vec()
}

fn sequenced(producer: i64, epoch: i16, sequence: i32, records: usize, transactional: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None).producer(producer, epoch, sequence).transactional(transactional);
    for _ in 0..records {
        builder.append(NOW, None, Some(b"v"), &[]).unwrap();
    }
    builder.build().unwrap().to_vec()
}

#[test]
fn a_new_log_has_no_files_until_the_first_append() {
    let log = new_log(keep_all());
    assert!(log.names().is_empty());
    log.append(batch_of(1, 1));
    assert_eq!(log.names(), ["00000000000000000000.log"]);
}

#[test]
fn leader_assigns_offsets_and_epoch_in_place_and_the_crc_still_holds() {
    let log = new_log(keep_all());
    log.append(batch_of(3, 10));
    let mut bytes = [batch_of(2, 10), batch_of(4, 10)].concat();
    let info = log.append_as_leader(&mut bytes, EPOCH, AppendOrigin::Client, NOW).unwrap();
    assert_eq!((info.first_offset, info.last_offset), (Offset(3), Offset(8)));
    assert_eq!((info.record_count, info.bytes, info.log_append_time_ms), (6, bytes.len() as u64, -1));
    assert_eq!(log.log_end_offset(), Offset(9));
    let written = log.file("00000000000000000000.log");
    assert!(written.ends_with(&bytes));
    let found: Vec<_> = batches(&written).map(|found| found.unwrap()).collect();
    let offsets: Vec<_> = found.iter().map(|(header, _)| (header.base_offset, header.partition_leader_epoch)).collect();
    assert_eq!(offsets, [(0, 3), (3, 3), (5, 3)]);
    found.iter().for_each(|(_, bytes)| batch::verify_crc(bytes).unwrap());
    assert_eq!(log.latest_epoch(), Some(EPOCH));
}

#[test]
fn a_refused_append_leaves_no_trace() {
    let log = new_log(keep_all());
    log.append(batch_of(1, 1));
    let mut corrupt = batch_of(1, 50);
    *corrupt.last_mut().unwrap() ^= 1;
    assert!(matches!(log.try_append([batch_of(1, 1), corrupt].concat()), Err(AppendError::CorruptBatch(_))));
    assert_eq!(log.log_end_offset(), Offset(1));
    assert_eq!(log.segments_count(), 1);
    assert_eq!(log.size_bytes() as usize, log.file("00000000000000000000.log").len());
}

#[test]
fn log_append_time_stamps_the_batch_and_rewrites_its_crc() {
    let log = new_log(LogConfig { timestamp_type: TimestampType::LogAppendTime, ..keep_all() });
    let info = log.append(stamped(2, 10, 5));
    assert_eq!((info.log_append_time_ms, info.max_timestamp), (NOW, NOW));
    let written = log.file("00000000000000000000.log");
    batch::verify_crc(&written).unwrap();
    let header = BatchHeader::parse(&written).unwrap();
    assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::LogAppendTime, NOW));
    let found = log.offset_for_timestamp(NOW).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (Offset(0), NOW));
}

#[test]
fn another_codec_than_the_topics_is_rewritten_and_records_survive() {
    let log = new_log(LogConfig { compression: CompressionType::Codec(Codec::Zstd), ..keep_all() });
    let mut builder = BatchBuilder::new(Codec::Gzip).producer(7, 0, 0);
    let headers = [("h".into(), Some("1".into())), ("h".into(), None)];
    builder.append(NOW, None, Some(b"one"), &headers).unwrap();
    builder.append(NOW - 5, Some(b"k"), None, &[]).unwrap();
    let sent = builder.build().unwrap().freeze();
    log.append(sent.to_vec());
    let stored = bytes::Bytes::from(log.file("00000000000000000000.log"));
    batch::verify_crc(&stored).unwrap();
    let header = BatchHeader::parse(&stored).unwrap();
    assert_eq!((header.compression(), header.producer_id, header.base_sequence), (Codec::Zstd, 7, 0));
    let records = |bytes| RecordIter::new(bytes, 1 << 20).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(records(stored), records(sent));
}

#[test]
fn records_that_grow_past_the_limit_when_they_are_rewritten_are_refused() {
    let compression = CompressionType::Codec(Codec::None);
    let log = new_log(LogConfig { compression, max_message_bytes: 5_000, ..keep_all() });
    let mut builder = BatchBuilder::new(Codec::Gzip);
    builder.append(NOW, None, Some(&[b'x'; 10_000]), &[]).unwrap();
    let sent = builder.build().unwrap().to_vec();
    assert!(sent.len() < 1_000);
    let refused = log.try_append(sent).unwrap_err();
    assert!(matches!(refused, AppendError::TooLarge { max_bytes: 5_000, .. }), "{refused}");
    assert_eq!(log.log_end_offset(), Offset(0));
}

#[test]
fn the_topics_level_is_the_level_of_what_is_rewritten() {
    let size = |compression_level| {
        let compression = CompressionType::Codec(Codec::Gzip);
        let log = new_log(LogConfig { compression, compression_level, ..keep_all() });
        let mut builder = BatchBuilder::new(Codec::None);
        let value: Vec<u8> = (0..20_000u32).flat_map(|i| (i.wrapping_mul(i) >> 9).to_string().into_bytes()).collect();
        builder.append(NOW, None, Some(&value), &[]).unwrap();
        log.append(builder.build().unwrap().to_vec());
        log.file("00000000000000000000.log").len()
    };
    assert!(size(Some(9)) < size(Some(1)));
}

#[test]
fn a_segment_is_closed_before_it_grows_past_its_size() {
    let size = batch_of(1, 100).len() as u32;
    let log = new_log(LogConfig { segment_bytes: 2 * size, ..keep_all() });
    for _ in 0..5 {
        log.append(batch_of(1, 100));
    }
    assert_eq!(log.segments_count(), 3);
    assert_eq!(log.read_headers(0, 1 << 20, 9).len(), 2, "a read stays within a segment");
    assert_eq!(log.read_headers(4, 1 << 20, 9)[0].base_offset, 4);
}

#[test]
fn a_segment_is_closed_when_its_records_span_segment_ms() {
    let log = new_log(LogConfig { segment_ms: 1000, ..keep_all() });
    log.append(stamped(1, 1, NOW - 5000));
    log.append(stamped(1, 1, NOW - 4000));
    assert_eq!(log.segments_count(), 1);
    log.append(stamped(1, 1, NOW - 3999));
    assert_eq!(log.segments_count(), 2, "1001 ms after the first record of the segment");
    assert_eq!(log.first_segment_base_offset(), Offset(0));
}

#[test]
fn rolling_by_time_counts_from_the_first_record_after_a_restart_too() {
    let mut log = new_log(LogConfig { segment_ms: 1000, ..keep_all() });
    log.append(stamped(1, 1, NOW - 5000));
    log.reopen(Shutdown::SameBoot);
    log.append(stamped(1, 1, NOW - 3999));
    assert_eq!(log.segments_count(), 2);
}

#[test]
fn a_segment_is_closed_when_an_index_is_full() {
    let config = LogConfig { segment_index_bytes: 40, index_interval_bytes: 0, ..keep_all() };
    let log = new_log(config);
    for n in 0..10 {
        log.append(stamped(1, 1, NOW - 100 + n));
    }
    // The time index holds three entries of 12 bytes and must keep one free for the closing.
    assert!(log.segments_count() > 1);
    assert!(log.names().contains(&"00000000000000000003.log".to_owned()), "{:?}", log.names());
}

#[test]
fn a_segment_is_closed_when_relative_offsets_end() {
    let log = new_log(keep_all());
    let follow = |base: i64| {
        let mut builder = BatchBuilder::new(Codec::None).base_offset(base).partition_leader_epoch(1);
        builder.append(NOW, None, None, &[]).unwrap();
        log.append_as_follower(&builder.build().unwrap(), LeaderEpoch(1), NOW).unwrap();
    };
    follow(0);
    follow(i64::from(i32::MAX));
    assert_eq!(log.segments_count(), 1);
    follow(i64::from(i32::MAX) + 1);
    assert_eq!(log.segments_count(), 2);
    assert_eq!(log.read_headers(1, 1 << 20, i64::MAX)[0].base_offset, i64::from(i32::MAX), "gaps are passed over");
}

#[test]
fn rolling_leaves_what_kafka_leaves() {
    let log = new_log(LogConfig { index_interval_bytes: 0, ..keep_all() });
    log.append(sequenced(7, 0, 0, 2, false));
    let first = log.size_bytes() as u32;
    log.append(stamped(3, 1, NOW + 9));
    log.roll(NOW).unwrap();
    log.append(batch_of(1, 1));
    assert_eq!(
        log.names(),
        [
            "00000000000000000000.index",
            "00000000000000000000.log",
            "00000000000000000000.timeindex",
            "00000000000000000005.log",
            "00000000000000000005.snapshot",
        ]
    );
    let position = first.to_be_bytes();
    assert_eq!(log.file("00000000000000000000.index"), [[0, 0, 0, 4], position].concat());
    let time = (NOW + 9).to_be_bytes();
    assert_eq!(log.file("00000000000000000000.timeindex"), [&time[..], &[0, 0, 0, 4]].concat());
}

#[test]
fn closing_completes_the_indexes_and_a_clean_start_reads_them() {
    let mut log = new_log(keep_all());
    log.append(sequenced(7, 0, 0, 2, false));
    log.close().unwrap();
    assert!(matches!(log.try_append(batch_of(1, 1)), Err(AppendError::Closed)));
    assert_eq!(
        log.names(),
        [
            "00000000000000000000.index",
            "00000000000000000000.log",
            "00000000000000000000.timeindex",
            "00000000000000000002.snapshot",
            "leader-epoch-checkpoint",
        ]
    );
    assert_eq!(log.file("leader-epoch-checkpoint"), b"0\n1\n3 0\n");
    log.reopen(Shutdown::Clean);
    assert_eq!((log.log_end_offset(), log.recovery_point()), (Offset(2), Offset(2)));
    assert!(log.append(sequenced(7, 0, 0, 2, false)).duplicate);
    assert_eq!(log.append(sequenced(7, 0, 2, 1, false)).first_offset, Offset(2));
}

#[test]
fn reads_stop_exactly_at_the_upper_bound_and_hold_one_batch_at_least() {
    let log = new_log(keep_all());
    for _ in 0..40 {
        log.append(batch_of(2, 500));
    }
    let size = log.size_bytes() as u32 / 40;
    for upper in [2, 4, 40, 78, 80] {
        let found = log.read_headers(0, 1 << 20, upper);
        assert_eq!(found.last().unwrap().next_offset(), upper);
    }
    assert_eq!(log.read_headers(31, 1, 80).len(), 1, "one whole batch though one byte was asked for");
    let without = log.read(Offset(31), size - 1, ReadUpperBound::LOG_END, false).unwrap();
    assert!(without.slice.is_none(), "it does not fit");
    let fits = log.read(Offset(31), size, ReadUpperBound::LOG_END, false).unwrap();
    assert_eq!(fits.size_bytes(), size);
    assert!(log.read(Offset(10), 1 << 20, ReadUpperBound(Offset(10)), true).unwrap().slice.is_none());
    assert!(matches!(
        log.read(Offset(81), 1, ReadUpperBound::LOG_END, true),
        Err(ReadError::OffsetOutOfRange { offset: Offset(81), .. })
    ));
}

#[test]
fn a_limited_read_ends_at_a_batch_where_the_index_knows_one() {
    let log = new_log(LogConfig { index_interval_bytes: 4096, ..keep_all() });
    for _ in 0..20 {
        log.append(batch_of(1, 5000));
    }
    let size = log.size_bytes() as u32 / 20;
    let read = log.read(Offset(3), size * 4 + 100, ReadUpperBound::LOG_END, true).unwrap();
    assert_eq!(read.size_bytes(), size * 4);
}

#[test]
fn a_deleted_segment_stays_readable_for_those_who_hold_a_slice() {
    let log = new_log(LogConfig { retention_bytes: 0, ..keep_all() });
    log.append(batch_of(1, 10));
    let slice = log.read(Offset(0), 1 << 20, ReadUpperBound::LOG_END, true).unwrap().slice.unwrap();
    assert_eq!(log.delete_expired_segments(NOW).unwrap(), 1);
    assert_eq!(slice.to_bytes().unwrap().len(), slice.length as usize);
    assert!(matches!(
        log.read(Offset(0), 1, ReadUpperBound::LOG_END, true),
        Err(ReadError::OffsetOutOfRange { log_start: Offset(1), .. })
    ));
}

#[test]
fn a_repeated_batch_gets_its_first_offsets() {
    let log = new_log(LogConfig { flush_messages: 1, ..keep_all() });
    log.append(batch_of(3, 1));
    log.append(sequenced(7, 0, 0, 2, false));
    log.append(sequenced(7, 0, 2, 1, false));
    let info = log.append(sequenced(7, 0, 0, 2, false));
    assert_eq!((info.duplicate, info.first_offset, info.last_offset), (true, Offset(3), Offset(4)));
    assert!(info.needs_fsync, "the first attempt may not be durable yet");
    assert_eq!(log.log_end_offset(), Offset(6));
    let skipped = log.try_append(sequenced(7, 0, 9, 1, false));
    assert!(matches!(skipped, Err(AppendError::Producer(ProducerStateError::OutOfOrderSequence { .. }))));
    log.append(sequenced(7, 1, 0, 1, false));
    let fenced = log.try_append(sequenced(7, 0, 3, 1, false));
    assert!(matches!(fenced, Err(AppendError::Producer(ProducerStateError::InvalidProducerEpoch { .. }))));
}

#[test]
fn an_open_transaction_holds_the_last_stable_offset_and_an_abort_is_remembered() {
    let mut log = new_log(keep_all());
    log.append(batch_of(2, 1));
    log.append(sequenced(7, 0, 0, 3, true));
    log.append(batch_of(1, 1));
    assert_eq!((log.high_watermark(), log.last_stable_offset()), (Offset(6), Offset(2)));
    let marker = log.end_transaction(7, false);
    assert_eq!(marker.first_offset, Offset(6));
    assert_eq!(log.last_stable_offset(), Offset(2), "the marker is not replicated");
    log.set_high_watermark(Offset(7));
    assert_eq!(log.last_stable_offset(), Offset(7));
    let aborted = [AbortedTxn { producer_id: ProducerId(7), first_offset: Offset(2) }];
    assert_eq!(log.aborted_transactions(Offset(0), Offset(7)).unwrap(), aborted);
    assert_eq!(log.aborted_transactions(Offset(0), Offset(2)).unwrap(), []);
    log.append(sequenced(7, 0, 3, 1, true));
    log.end_transaction(7, true);
    log.set_high_watermark(Offset(i64::MAX));
    log.roll(NOW).unwrap();
    for shutdown in [Shutdown::SameBoot, Shutdown::Unclean] {
        log.reopen(shutdown);
        assert_eq!(log.aborted_transactions(Offset(0), Offset(9)).unwrap(), aborted, "{shutdown:?}");
        assert_eq!(log.last_stable_offset(), log.high_watermark());
    }
    let producer = log.active_producers()[0];
    assert_eq!((producer.producer_id, producer.coordinator_epoch), (ProducerId(7), 0));
}

#[test]
fn an_open_transaction_survives_a_restart() {
    let mut log = new_log(keep_all());
    log.append(batch_of(2, 1));
    log.append(sequenced(7, 0, 0, 3, true));
    log.reopen(Shutdown::SameBoot);
    assert_eq!(log.last_stable_offset(), Offset(2));
    log.close().unwrap();
    log.reopen(Shutdown::Clean);
    assert_eq!(log.last_stable_offset(), Offset(2));
}

#[test]
fn retention_by_time_goes_by_records_and_spares_compacted_topics() {
    let log = new_log(LogConfig { retention_ms: 1000, ..LogConfig::default() });
    log.append(stamped(1, 1, NOW - 5000));
    log.roll(NOW).unwrap();
    log.append(stamped(1, 1, NOW - 500));
    log.roll(NOW).unwrap();
    log.append(stamped(1, 1, NOW));
    log.set_config(Arc::new(LogConfig { cleanup: CleanupPolicy::COMPACT, ..(*log.config()).clone() }));
    assert_eq!(log.delete_expired_segments(NOW + 9000).unwrap(), 0);
    log.set_config(Arc::new(LogConfig { cleanup: CleanupPolicy::DELETE, ..(*log.config()).clone() }));
    assert_eq!(log.delete_expired_segments(NOW).unwrap(), 1);
    assert_eq!((log.log_start_offset(), log.segments_count()), (Offset(1), 2));
    let due = NOW + log.config().file_delete_delay_ms as i64;
    assert!(log.context.take_due_deletions(due - 1).is_empty());
    let gone = log.context.take_due_deletions(due);
    assert!(gone[0].files.iter().all(|file| file.exists() && file.to_str().unwrap().ends_with(".deleted")));
}

#[test]
fn retention_never_passes_the_high_watermark() {
    let log = new_log(LogConfig { retention_bytes: 0, ..keep_all() });
    for _ in 0..3 {
        let mut bytes = batch_of(1, 1);
        log.append_as_leader(&mut bytes, EPOCH, AppendOrigin::Client, NOW).unwrap();
        log.roll(NOW).unwrap();
    }
    assert_eq!(log.delete_expired_segments(NOW).unwrap(), 0);
    log.set_high_watermark(Offset(2));
    assert_eq!(log.delete_expired_segments(NOW).unwrap(), 2);
    assert_eq!(log.log_start_offset(), Offset(2));
}

#[test]
fn a_log_that_retention_emptied_goes_on_at_its_end_after_any_restart() {
    for shutdown in [Shutdown::Clean, Shutdown::SameBoot, Shutdown::Unclean] {
        let mut log = new_log(LogConfig { retention_ms: 0, ..LogConfig::default() });
        log.append(stamped(4, 1, NOW - 5000));
        assert_eq!(log.delete_expired_segments(NOW).unwrap(), 1);
        assert_eq!((log.log_start_offset(), log.log_end_offset(), log.size_bytes()), (Offset(4), Offset(4), 0));
        let how = LogLoad { log_start: Offset(0), ..load_of(&log, shutdown) };
        log.log = Log::open(how).unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(4), Offset(4)));
        assert_eq!(log.append(batch_of(1, 1)).first_offset, Offset(4));
    }
}

fn load_of(log: &TestLog, shutdown: Shutdown) -> LogLoad {
    LogLoad {
        dir: log.dir(),
        topic_partition: log.topic_partition().clone(),
        topic_id: log.topic_id(),
        context: Arc::clone(&log.context),
        config: log.config(),
        recovery_point: Some(log.recovery_point()),
        log_start: log.log_start_offset(),
        shutdown,
        producer_id_expiration_ms: i64::MAX,
        now_ms: NOW,
    }
}

#[test]
fn the_log_start_moves_up_to_the_high_watermark_and_segments_below_it_go() {
    let log = new_log(keep_all());
    log.append(batch_of(5, 1));
    log.roll(NOW).unwrap();
    log.append(batch_of(5, 1));
    assert!(log.advance_log_start_offset(Offset(11)).is_err());
    assert_eq!(log.advance_log_start_offset(Offset(7)).unwrap(), Offset(7));
    assert_eq!(log.advance_log_start_offset(Offset(2)).unwrap(), Offset(7));
    assert_eq!(log.delete_expired_segments(NOW).unwrap(), 1);
    assert_eq!((log.first_segment_base_offset(), log.log_start_offset()), (Offset(5), Offset(7)));
    assert_eq!(log.read_headers(7, 1 << 20, 10)[0].base_offset, 5, "the batch that holds it comes whole");
}

#[test]
fn a_full_disk_takes_the_append_back_and_nothing_offline() {
    let mut log = new_log(keep_all());
    log.append(batch_of(1, 1));
    let size = log.size_bytes();
    log.context.faults.fail_next_write(40, ENOSPC);
    assert!(matches!(log.try_append(batch_of(1, 100)), Err(AppendError::DiskFull { .. })));
    assert_eq!(log.file("00000000000000000000.log").len() as u64, size);
    assert!(!log.context.is_offline());
    assert_eq!(log.append(batch_of(1, 1)).first_offset, Offset(1));
    log.reopen(Shutdown::SameBoot);
    assert_eq!(log.log_end_offset(), Offset(2));
}

#[test]
fn at_the_reserve_mark_clients_are_refused_and_coordinators_are_not() {
    let log = new_log(keep_all());
    log.context.set_full(true);
    assert!(matches!(log.try_append(batch_of(1, 1)), Err(AppendError::DiskFull { .. })));
    let mut bytes = batch_of(1, 1);
    log.append_as_leader(&mut bytes, EPOCH, AppendOrigin::Coordinator, NOW).unwrap();
    log.context.set_full(false);
    log.append(batch_of(1, 1));
}

#[test]
fn a_failed_write_takes_the_directory_offline_and_reads_go_on() {
    let log = new_log(keep_all());
    log.append(batch_of(1, 1));
    log.context.faults.fail_next_write(10, EIO);
    assert!(matches!(log.try_append(batch_of(1, 1)), Err(AppendError::Io(_))));
    assert!(matches!(log.try_append(batch_of(1, 1)), Err(AppendError::DirOffline { .. })));
    assert!(matches!(log.flush(Offset(1)), Err(StorageError::DirOffline { .. })));
    assert_eq!(log.read_headers(0, 1 << 20, 1).len(), 1);
}

#[test]
fn flush_moves_the_recovery_point_and_flush_messages_asks_for_it() {
    let log = new_log(LogConfig { flush_messages: 3, ..keep_all() });
    assert!(!log.append(batch_of(2, 1)).needs_fsync);
    assert!(log.append(batch_of(1, 1)).needs_fsync);
    assert_eq!(log.unflushed_bytes(), log.size_bytes());
    assert_eq!(log.flush(Offset(1)).unwrap(), Offset(3));
    assert_eq!((log.recovery_point(), log.unflushed_bytes()), (Offset(3), 0));
    assert!(!log.append(batch_of(2, 1)).needs_fsync);
    assert!(
        log.file("leader-epoch-checkpoint").ends_with(b"3 0\n"),
        "epochs are on disk before the recovery point moves"
    );
}

#[test]
fn the_raft_log_keeps_offsets_and_epochs_and_refuses_gaps() {
    let log = new_log(LogConfig { segment_bytes: 300, max_message_bytes: 1, ..keep_all() });
    let entry = |index: i64, term: i32| {
        let mut builder = BatchBuilder::new(Codec::None).base_offset(index).partition_leader_epoch(term);
        builder.append(NOW, None, Some(&[7; 100]), &[]).unwrap();
        builder.build().unwrap().to_vec()
    };
    let append = |mut bytes: Vec<u8>| log.append_as_leader(&mut bytes, EPOCH, AppendOrigin::RaftLeader, NOW);
    append([entry(0, 1), entry(1, 1)].concat()).unwrap();
    append(entry(2, 2)).unwrap();
    append(entry(3, 5)).unwrap();
    assert!(matches!(append(entry(5, 5)), Err(AppendError::OffsetsOutOfOrder { log_end: Offset(4), .. })));
    assert_eq!(log.epoch_for_offset(Offset(2)), Some(LeaderEpoch(2)));
    assert_eq!(log.truncate_to(Offset(3), NOW).unwrap(), Offset(3));
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(2)));
    append(entry(3, 6)).unwrap();
    log.set_high_watermark(Offset(4));
    log.advance_log_start_offset(Offset(2)).unwrap();
    log.delete_expired_segments(NOW).unwrap();
    log.flush(Offset(4)).unwrap();
    let read = log.read_headers(2, 1 << 20, i64::MAX);
    assert_eq!((read[0].base_offset, read[0].partition_leader_epoch), (2, 2));
    log.truncate_fully_and_start_at(Offset(100), NOW).unwrap();
    append(entry(100, 7)).unwrap();
}

#[test]
fn a_follower_takes_no_batch_of_a_later_epoch_than_its_leaders() {
    let log = new_log(keep_all());
    let batch = |base: i64, epoch: i32| {
        let mut builder = BatchBuilder::new(Codec::None).base_offset(base).partition_leader_epoch(epoch);
        builder.append(NOW, None, None, &[]).unwrap();
        builder.build().unwrap().to_vec()
    };
    let info = log.append_as_follower(&[batch(0, 4), batch(1, 5)].concat(), LeaderEpoch(4), NOW).unwrap();
    assert_eq!((info.last_offset, log.log_end_offset()), (Offset(0), Offset(1)));
    let none = log.append_as_follower(&batch(1, 5), LeaderEpoch(4), NOW).unwrap();
    assert_eq!((none.record_count, none.bytes), (0, 0));
}

#[test]
fn a_corrupt_batch_below_the_recovery_point_is_reported_and_never_cut() {
    let mut log = new_log(keep_all());
    for _ in 0..3 {
        log.append(batch_of(1, 100));
    }
    log.flush(Offset(3)).unwrap();
    let path = log.dir().join("00000000000000000000.log");
    let mut bytes = fs::read(&path).unwrap();
    let second = bytes.len() / 3;
    bytes[second + 16] = 9;
    fs::write(&path, &bytes).unwrap();
    log.log.close_handles();
    let refused = log.read(Offset(1), 1 << 20, ReadUpperBound::LOG_END, true);
    // The memory of the newest batches finds it; a reader of a restarted log meets the header itself.
    assert!(refused.is_ok());
    assert!(matches!(log.try_reopen(Shutdown::Unclean), Err(LoadError::Segment(SegmentLoadError::Corrupt { .. }))));
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was changed");
}

#[test]
fn a_corrupt_batch_in_a_sealed_segment_is_reported_by_reads() {
    let mut log = new_log(keep_all());
    for _ in 0..3 {
        log.append(batch_of(1, 100));
    }
    log.roll(NOW).unwrap();
    log.append(batch_of(1, 1));
    log.close().unwrap();
    let path = log.dir().join("00000000000000000000.log");
    let mut bytes = fs::read(&path).unwrap();
    let second = bytes.len() / 3;
    bytes[second + 16] = 9;
    fs::write(&path, &bytes).unwrap();
    log.reopen(Shutdown::Clean);
    assert_eq!(log.read_headers(0, 1, 4).len(), 1);
    let read = log.read(Offset(2), 1 << 20, ReadUpperBound::LOG_END, true);
    assert!(matches!(read, Err(ReadError::Corrupt { base_offset: Offset(0), .. })), "{read:?}");
    assert_eq!(log.read_headers(3, 1, 4).len(), 1);
}

#[test]
fn indexes_that_are_missing_or_made_of_zeros_are_made_again() {
    let mut log = new_log(LogConfig { index_interval_bytes: 100, ..keep_all() });
    for _ in 0..50 {
        log.append(batch_of(1, 100));
    }
    log.roll(NOW).unwrap();
    for _ in 0..50 {
        log.append(batch_of(1, 100));
    }
    log.close().unwrap();
    let names = ["00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000000050.index"];
    let before: Vec<_> = names.iter().map(|name| log.file(name)).collect();
    fs::remove_file(log.dir().join(names[0])).unwrap();
    fs::remove_file(log.dir().join(names[1])).unwrap();
    fs::write(log.dir().join(names[2]), [0; 4096]).unwrap();
    log.reopen(Shutdown::Clean);
    log.close().unwrap();
    for (name, before) in names.iter().zip(before) {
        assert_eq!(log.file(name), before, "{name}");
    }
}

#[test]
fn a_log_is_small_in_memory() {
    // The bar is 6 KiB a partition with all that the broker keeps of it.
    assert!(size_of::<Log>() <= 1024, "{} bytes", size_of::<Log>());
}

#[test]
fn look_ups_by_time_decode_to_the_record() {
    let log = new_log(keep_all());
    let mut builder = BatchBuilder::new(Codec::Lz4);
    for age in [300, 100, 200] {
        builder.append(NOW - age, None, Some(b"v"), &[]).unwrap();
    }
    log.append(builder.build().unwrap().to_vec());
    log.roll(NOW).unwrap();
    log.append(stamped(1, 1, NOW - 150));
    let at = |time| log.offset_for_timestamp(time).unwrap().map(|found| found.offset.0);
    assert_eq!((at(0), at(NOW - 299), at(NOW - 100), at(NOW - 99)), (Some(0), Some(1), Some(1), None));
    let largest = log.max_timestamp_offset().unwrap().unwrap();
    assert_eq!((largest.offset, largest.timestamp, largest.leader_epoch), (Offset(1), NOW - 100, EPOCH));
}

#[test]
fn a_leader_epoch_without_records_goes_with_a_truncation_to_the_log_end() {
    let log = new_log(keep_all());
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(1, None, Some(b"value"), &[]).unwrap();
    log.append_as_leader(&mut batch.build().unwrap(), EPOCH, AppendOrigin::Client, NOW).unwrap();
    log.assign_epoch_start(LeaderEpoch(4), Offset(1));
    assert_eq!(log.truncate_to(Offset(1), NOW).unwrap(), Offset(1));
    assert_eq!(log.latest_epoch(), Some(EPOCH));
}
