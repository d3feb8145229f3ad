//! Random operations on a log, with crashes and restarts, against a model that is a list of batches.
//!
//! After every step the log must hold exactly the model's batches, byte for byte, from its start to its end, and answer
//! look-ups by offset, time and epoch as the model does. A killed process loses nothing. A power cut keeps what was flushed
//! and, of the rest, a prefix: the test builds the folder that the disk might show, with files cut, zeroed, garbled or
//! missing beyond what was fsynced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use weir_protocol::compression::Codec;
use weir_protocol::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use weir_protocol::records::batch::{BatchHeader, batches};
use weir_protocol::records::{BatchBuilder, RecordSkim, patch};
use weir_storage::config::{CleanupPolicy, LogConfig};
use weir_storage::context::StorageContext;
use weir_storage::file_cache::FileCache;
use weir_storage::log::{AppendError, AppendOrigin, Log, LogLoad, ReadUpperBound, Shutdown};

const NOW: i64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    /// A client's batch.
    Append {
        records: u8,
        value_bytes: u16,
        age_ms: u16,
        producer: Option<u8>,
        epoch_bump: bool,
    },
    /// Many small ones.
    AppendMany {
        batches: u16,
    },
    /// A leader's batch, after a gap.
    AppendAsFollower {
        records: u8,
        gap: u8,
    },
    /// The last batch of a producer once more.
    Repeat {
        producer: u8,
    },
    /// A sequence that is not next.
    SkipSequence {
        producer: u8,
    },
    Roll,
    TruncateTo {
        permille: u16,
    },
    StartOver,
    DeleteRecords {
        permille: u16,
    },
    RetentionBySize {
        permille: u16,
    },
    RetentionByTime,
    Flush,
    Restart,
    Kill {
        torn_bytes: u8,
        lose_index: bool,
    },
    PowerCut {
        seed: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (1u8..6, 0u16..1200, 0u16..5000, prop::option::of(0u8..3), prop::bool::weighted(0.1))
            .prop_map(|(records, value_bytes, age_ms, producer, epoch_bump)| Op::Append {
                records, value_bytes, age_ms, producer, epoch_bump
            }),
        1 => (50u16..400).prop_map(|batches| Op::AppendMany { batches }),
        2 => (1u8..4, 0u8..6).prop_map(|(records, gap)| Op::AppendAsFollower { records, gap }),
        2 => (0u8..3).prop_map(|producer| Op::Repeat { producer }),
        1 => (0u8..3).prop_map(|producer| Op::SkipSequence { producer }),
        1 => Just(Op::Roll),
        2 => (0u16..1100).prop_map(|permille| Op::TruncateTo { permille }),
        1 => prop::bool::weighted(0.2).prop_map(|yes| if yes { Op::StartOver } else { Op::Flush }),
        1 => (0u16..1000).prop_map(|permille| Op::DeleteRecords { permille }),
        1 => (0u16..1000).prop_map(|permille| Op::RetentionBySize { permille }),
        1 => prop::bool::weighted(0.2).prop_map(|yes| if yes { Op::RetentionByTime } else { Op::Roll }),
        2 => Just(Op::Flush),
        2 => Just(Op::Restart),
        2 => (0u8..255, any::<bool>()).prop_map(|(torn_bytes, lose_index)| Op::Kill { torn_bytes, lose_index }),
        2 => any::<u64>().prop_map(|seed| Op::PowerCut { seed }),
    ]
}

#[derive(Clone, Debug)]
struct ModelBatch {
    header: BatchHeader,
    bytes: Vec<u8>,
    timestamps: Vec<i64>,
}

#[derive(Debug, Default)]
struct Model {
    /// All that was appended and not truncated, also what retention took.
    batches: Vec<ModelBatch>,
    log_start: i64,
    log_end: i64,
    flushed: i64,
    epoch: i32,
    epoch_starts: Vec<(i32, i64)>,
}

impl Model {
    fn push(&mut self, bytes: &[u8]) {
        for found in batches(bytes) {
            let (header, bytes) = found.unwrap();
            let timestamps = RecordSkim::new(bytes, 1 << 20).unwrap().map(|record| record.unwrap().timestamp).collect();
            if self.epoch_starts.last().is_none_or(|(epoch, _)| *epoch < header.partition_leader_epoch) {
                self.epoch_starts.push((header.partition_leader_epoch, header.base_offset));
            }
            self.log_end = header.next_offset();
            self.batches.push(ModelBatch { header, bytes: bytes.to_vec(), timestamps });
        }
    }

    /// Drops the batches that reach `offset`; returns where the log ends then, given that it ended with a batch.
    fn cut(&mut self, offset: i64) {
        self.batches.retain(|batch| batch.header.last_offset() < offset);
        self.log_end = self.batches.last().map_or(self.first_base(), |batch| batch.header.next_offset());
    }

    fn first_base(&self) -> i64 {
        self.log_start.min(self.log_end)
    }

    fn settle(&mut self, log_end: i64) {
        self.log_end = log_end;
        self.log_start = self.log_start.min(log_end);
        self.flushed = self.flushed.min(log_end);
        self.epoch_starts.retain(|(_, start)| *start < log_end);
    }

    fn last_of(&self, producer: u8) -> Option<&ModelBatch> {
        self.batches.iter().rev().find(|batch| batch.header.producer_id == i64::from(producer))
    }

    fn next_sequence(&self, producer: u8) -> i32 {
        self.last_of(producer).map_or(0, |batch| batch.header.last_sequence() + 1)
    }

    fn offset_at(&self, permille: u16) -> i64 {
        self.log_start + (self.log_end - self.log_start) * i64::from(permille) / 1000
    }
}

struct Harness {
    root: tempfile::TempDir,
    context: Arc<StorageContext>,
    config: Arc<LogConfig>,
    log: Log,
    model: Model,
    /// The folder as it was when it was last flushed.
    durable: BTreeMap<PathBuf, Vec<u8>>,
}

impl Harness {
    fn new(config: LogConfig) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("t-0");
        fs::create_dir(&dir).unwrap();
        let context = StorageContext::new(root.path(), Arc::new(FileCache::new(16)));
        let config = Arc::new(config);
        let log = Log::create(dir, partition(), TopicId::from_u128(1), Arc::clone(&context), Arc::clone(&config), NOW);
        Self { root, context, config, log, model: Model::default(), durable: BTreeMap::new() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("t-0")
    }

    fn reopen(&mut self, shutdown: Shutdown) {
        self.log.close_handles();
        self.log = Log::open(LogLoad {
            dir: self.dir(),
            topic_partition: partition(),
            topic_id: TopicId::from_u128(1),
            context: Arc::clone(&self.context),
            config: Arc::clone(&self.config),
            recovery_point: Some(Offset(self.model.flushed)),
            log_start: Offset(self.model.log_start),
            shutdown,
            producer_id_expiration_ms: i64::MAX,
            now_ms: NOW,
        })
        .unwrap();
        self.log.set_high_watermark(self.log.log_end_offset());
    }

    fn mark_durable(&mut self) {
        self.model.flushed = self.model.log_end;
        self.durable = files(&self.dir());
    }

    fn flush(&mut self) {
        let point = self.log.flush(Offset(i64::MAX)).unwrap();
        assert_eq!(point.0, self.model.log_end);
        assert_eq!(self.log.unflushed_bytes(), 0);
        self.mark_durable();
    }

    fn append(&mut self, records: u8, value_bytes: usize, age_ms: u16, producer: Option<u8>) {
        let mut builder = BatchBuilder::new(Codec::None);
        if let Some(id) = producer {
            builder = builder.producer(i64::from(id), 0, self.model.next_sequence(id));
        }
        for n in 0..i64::from(records) {
            let value = vec![(self.model.log_end + n) as u8; value_bytes];
            builder.append(NOW - i64::from(age_ms) + n * 7 % 3, None, Some(&value), &[]).unwrap();
        }
        let mut bytes = builder.build().unwrap().to_vec();
        let epoch = LeaderEpoch(self.model.epoch);
        let info = self.log.append_as_leader(&mut bytes, epoch, AppendOrigin::Client, NOW).unwrap();
        assert!(!info.duplicate);
        assert_eq!(info.first_offset.0, self.model.log_end);
        assert_eq!(info.last_offset.0, self.model.log_end + i64::from(records) - 1);
        self.model.push(&bytes);
        self.log.set_high_watermark(Offset(i64::MAX));
    }

    fn append_as_follower(&mut self, records: u8, gap: u8) {
        let base = self.model.log_end + i64::from(gap);
        let epoch = self.model.epoch;
        let mut builder = BatchBuilder::new(Codec::None).base_offset(base).partition_leader_epoch(epoch);
        for _ in 0..records {
            builder.append(NOW, Some(b"key"), None, &[]).unwrap();
        }
        let mut bytes = builder.build().unwrap().to_vec();
        let whole = bytes.len();
        // A fetch may end within a batch.
        bytes.extend_from_within(..whole / 2);
        self.log.append_as_follower(&bytes, LeaderEpoch(epoch), NOW).unwrap();
        self.model.push(&bytes[..whole]);
        self.log.set_high_watermark(Offset(i64::MAX));
        let again = self.log.append_as_follower(&bytes, LeaderEpoch(epoch), NOW);
        assert!(matches!(again, Err(AppendError::OffsetsOutOfOrder { .. })));
    }

    /// The batch as the producer sent it.
    fn as_sent(batch: &ModelBatch) -> Vec<u8> {
        let mut bytes = batch.bytes.clone();
        patch::set_base_offset(&mut bytes, 0);
        patch::set_partition_leader_epoch(&mut bytes, -1);
        bytes
    }

    fn repeat(&mut self, producer: u8) {
        let Some(last) = self.model.last_of(producer).cloned() else { return };
        if last.header.base_offset < self.model.log_start {
            return;
        }
        let mut bytes = Self::as_sent(&last);
        let epoch = LeaderEpoch(self.model.epoch);
        let info = self.log.append_as_leader(&mut bytes, epoch, AppendOrigin::Client, NOW).unwrap();
        assert!(info.duplicate, "batch at {} was taken twice", last.header.base_offset);
        assert_eq!(info.first_offset.0, last.header.base_offset);
        assert_eq!(info.last_offset.0, last.header.last_offset());
    }

    fn skip_sequence(&mut self, producer: u8) {
        let Some(last) = self.model.last_of(producer) else { return };
        if last.header.base_offset < self.model.log_start {
            return;
        }
        let sequence = self.model.next_sequence(producer) + 1;
        let mut builder = BatchBuilder::new(Codec::None).producer(i64::from(producer), 0, sequence);
        builder.append(NOW, None, Some(b"v"), &[]).unwrap();
        let mut bytes = builder.build().unwrap().to_vec();
        let epoch = LeaderEpoch(self.model.epoch);
        let outcome = self.log.append_as_leader(&mut bytes, epoch, AppendOrigin::Client, NOW);
        assert!(matches!(outcome, Err(AppendError::Producer(_))), "{outcome:?}");
    }

    fn truncate_to(&mut self, offset: i64) {
        let before = self.model.log_end;
        let end = self.log.truncate_to(Offset(offset), NOW).unwrap().0;
        if offset >= before {
            assert_eq!(end, before);
            return;
        }
        let first_base = self.log.first_segment_base_offset().0;
        self.model.cut(offset);
        let expected = if self.model.batches.iter().any(|batch| batch.header.base_offset >= first_base) {
            self.model.log_end
        } else {
            first_base
        };
        assert_eq!(end, expected);
        self.model.settle(end);
        // What a later power cut brings back of a truncation is not this test's question.
        self.flush();
        self.mark_durable();
    }

    fn retain(&mut self, change: impl FnOnce(&mut LogConfig, i64)) {
        let mut config = (*self.config).clone();
        // What lies below the log start goes whatever the policy.
        self.log.delete_expired_segments(NOW).unwrap();
        change(&mut config, self.log.size_bytes() as i64);
        self.log.set_config(Arc::new(config.clone()));
        let before = self.log.segments_count();
        let deleted = self.log.delete_expired_segments(NOW + 1000).unwrap();
        self.log.set_config(Arc::clone(&self.config));
        assert!(self.log.segments_count() >= before - deleted);
        if config.retention_bytes >= 0 && self.log.segments_count() > 1 {
            assert!(self.log.size_bytes() >= config.retention_bytes as u64, "more went than had to");
        }
        self.model.log_start = self.model.log_start.max(self.log.first_segment_base_offset().0);
        for gone in self.context.take_all_deletions() {
            // A restart may have removed them already.
            gone.files.iter().for_each(|file| drop(fs::remove_file(file)));
        }
    }

    fn kill(&mut self, torn_bytes: u8, lose_index: bool) {
        let dir = self.dir();
        if let Some(last) = segment_files(&dir, ".log").pop() {
            // The process died in the middle of a write.
            let mut builder = BatchBuilder::new(Codec::None).base_offset(self.model.log_end);
            builder.append(NOW, None, Some(&[9; 300]), &[]).unwrap();
            let mut bytes = fs::read(&last).unwrap();
            bytes.extend_from_slice(&builder.build().unwrap()[..usize::from(torn_bytes)]);
            fs::write(&last, bytes).unwrap();
        }
        if lose_index && let Some(index) = segment_files(&dir, ".index").pop() {
            fs::remove_file(index).unwrap();
        }
        self.reopen(Shutdown::SameBoot);
        if lose_index {
            // What tells of flushed records and had to be made again is durable before the log serves.
            self.durable.extend(files(&dir).into_iter().filter(|(path, _)| path.to_str().unwrap().ends_with("index")));
        }
    }

    fn power_cut(&mut self, seed: u64) {
        self.log.close_handles();
        let dir = self.dir();
        damage(&dir, &self.durable, seed);
        self.reopen(Shutdown::Unclean);
        let end = self.log.log_end_offset().0;
        assert!(end >= self.model.flushed, "the log ends at {end}, {} was flushed", self.model.flushed);
        assert!(end <= self.model.log_end);
        self.model.cut(end);
        if !self.model.batches.is_empty() && end > self.model.log_start {
            assert_eq!(self.model.log_end, end, "the log was not cut at a batch's edge");
        }
        self.model.settle(end);
        self.flush();
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Append { records, value_bytes, age_ms, producer, epoch_bump } => {
                self.model.epoch += i32::from(epoch_bump);
                self.append(records, usize::from(value_bytes), age_ms, producer);
            }
            Op::AppendMany { batches } => (0..batches).for_each(|n| self.append(1, 10, n % 50, Some(2))),
            Op::AppendAsFollower { records, gap } => self.append_as_follower(records, gap),
            Op::Repeat { producer } => self.repeat(producer),
            Op::SkipSequence { producer } => self.skip_sequence(producer),
            Op::Roll => drop(self.log.roll(NOW).unwrap()),
            Op::TruncateTo { permille } => self.truncate_to(self.model.offset_at(permille)),
            Op::StartOver => {
                let offset = self.model.log_end + 10;
                self.log.truncate_fully_and_start_at(Offset(offset), NOW).unwrap();
                let epoch = self.model.epoch;
                self.model = Model { log_start: offset, log_end: offset, flushed: offset, epoch, ..Model::default() };
                self.mark_durable();
            }
            Op::DeleteRecords { permille } => {
                let offset = self.model.offset_at(permille);
                assert_eq!(self.log.advance_log_start_offset(Offset(offset)).unwrap().0, offset);
                self.model.log_start = offset;
                let beyond = self.log.advance_log_start_offset(Offset(self.model.log_end + 1));
                assert!(beyond.is_err());
            }
            Op::RetentionBySize { permille } => {
                self.retain(|config, log_bytes| config.retention_bytes = log_bytes * i64::from(permille) / 1000);
            }
            Op::RetentionByTime => self.retain(|config, _| config.retention_ms = 10),
            Op::Flush => self.flush(),
            Op::Restart => {
                self.log.close().unwrap();
                self.mark_durable();
                self.reopen(Shutdown::Clean);
            }
            Op::Kill { torn_bytes, lose_index } => self.kill(torn_bytes, lose_index),
            Op::PowerCut { seed } => self.power_cut(seed),
        }
    }

    fn check(&self) {
        assert_eq!(self.log.log_start_offset().0, self.model.log_start);
        assert_eq!(self.log.log_end_offset().0, self.model.log_end);
        let kept: Vec<_> =
            self.model.batches.iter().filter(|batch| batch.header.last_offset() >= self.model.log_start).collect();
        self.check_reads(&kept);
        self.check_times(&kept);
        self.check_epochs();
    }

    fn check_reads(&self, kept: &[&ModelBatch]) {
        for max_bytes in [1, 700, 5000, 1 << 20] {
            let mut from = self.model.log_start;
            let mut expected = kept.iter();
            while from < self.model.log_end {
                let read = self.log.read(Offset(from), max_bytes, ReadUpperBound::LOG_END, true).unwrap();
                let bytes = read.slice.expect("there are records").to_bytes().unwrap();
                let mut whole = 0;
                for (header, bytes) in batches(&bytes).map_while(Result::ok) {
                    let batch = expected.next().expect("more batches than were appended");
                    assert_eq!(bytes, batch.bytes, "batch at {}", header.base_offset);
                    from = header.next_offset();
                    whole += 1;
                }
                assert!(whole > 0, "no whole batch at {from}");
            }
            assert!(expected.next().is_none());
        }
        for batch in kept.iter().rev().take(12).chain(kept.iter().take(12)) {
            // From within a batch, up to its edge.
            let (from, upper) = (batch.header.last_offset().max(self.model.log_start), batch.header.next_offset());
            let read = self.log.read(Offset(from), 1 << 20, ReadUpperBound(Offset(upper)), true).unwrap();
            assert_eq!(read.slice.unwrap().to_bytes().unwrap(), batch.bytes);
        }
        let beyond = self.log.read(Offset(self.model.log_end + 1), 100, ReadUpperBound::LOG_END, true);
        assert!(beyond.is_err());
        let at_end = self.log.read(Offset(self.model.log_end), 100, ReadUpperBound::LOG_END, true).unwrap();
        assert!(at_end.slice.is_none());
    }

    fn check_times(&self, kept: &[&ModelBatch]) {
        for target in [0, NOW - 4000, NOW - 1000, NOW - 20, NOW, NOW + 3] {
            let expected = kept.iter().find_map(|batch| {
                let base = batch.header.base_offset;
                let first = (self.model.log_start - base).max(0) as usize;
                let at = batch.timestamps.iter().skip(first).position(|time| *time >= target)?;
                Some((base + (first + at) as i64, batch.timestamps[first + at]))
            });
            let found = self.log.offset_for_timestamp(target).unwrap();
            assert_eq!(found.map(|found| (found.offset.0, found.timestamp)), expected, "at {target}");
        }
        let largest = kept.iter().flat_map(|batch| &batch.timestamps).max();
        if let (Some(found), Some(largest)) = (self.log.max_timestamp_offset().unwrap(), largest) {
            assert!(found.timestamp <= *largest);
        }
    }

    fn check_epochs(&self) {
        for pair in self.model.epoch_starts.windows(2) {
            let ((epoch, _), (_, next_start)) = (pair[0], pair[1]);
            if next_start > self.model.log_start {
                let end = self.log.end_offset_for_epoch(LeaderEpoch(epoch));
                assert_eq!(end, (LeaderEpoch(epoch), Offset(next_start)));
            }
        }
        if let Some((epoch, start)) = self.model.epoch_starts.last()
            && *start >= self.model.log_start
        {
            assert_eq!(self.log.latest_epoch(), Some(LeaderEpoch(*epoch)));
        }
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn segment_files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = files(dir).into_keys().filter(|path| path.to_str().unwrap().ends_with(suffix)).collect();
    found.sort();
    found
}

/// What the disk may show after a power cut: what was flushed, and something of the rest.
fn damage(dir: &Path, durable: &BTreeMap<PathBuf, Vec<u8>>, mut seed: u64) {
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    let logs = segment_files(dir, ".log");
    let new: Vec<_> = logs.iter().filter(|path| !durable.contains_key(*path)).cloned().collect();
    // Names appear in the order in which they were made.
    for vanished in new.iter().skip(random(new.len() + 1)) {
        if logs.len() > 1 || durable.is_empty() {
            fs::remove_file(vanished).unwrap();
        }
    }
    for (path, now) in files(dir) {
        let name = path.to_str().unwrap();
        let was = durable.get(&path).map_or(&[][..], Vec::as_slice);
        let synced = was.len().min(now.len());
        if name.ends_with(".log") {
            let mut bytes = now[..synced + random(now.len() - synced + 1)].to_vec();
            if bytes.len() > synced {
                let at = synced + random(bytes.len() - synced);
                match random(3) {
                    0 => bytes[at..].fill(0),
                    // A sector at least: the format has no checksum over a batch's base offset alone.
                    1 => {
                        let end = (at + 512).min(bytes.len());
                        bytes[at..end].fill(0xa5);
                    }
                    _ => {}
                }
            }
            fs::write(&path, bytes).unwrap();
        } else if name.ends_with("index") {
            match (random(4), durable.contains_key(&path)) {
                (0, false) => fs::remove_file(&path).unwrap(),
                (0, true) => fs::write(&path, &now[..synced]).unwrap(),
                (1, _) => fs::write(&path, &now[..synced + random(now.len() - synced + 1)]).unwrap(),
                (2, _) => {
                    let mut bytes = now.clone();
                    bytes[synced..].fill(0);
                    fs::write(&path, bytes).unwrap();
                }
                _ => {}
            }
        } else if name.ends_with(".snapshot") && !durable.contains_key(&path) {
            match random(3) {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, &now[..random(now.len())]).unwrap(),
                _ => {}
            }
        } else if name.ends_with("leader-epoch-checkpoint") && random(2) == 0 && durable.contains_key(&path) {
            fs::write(&path, was).unwrap();
        }
    }
}

fn config() -> impl Strategy<Value = LogConfig> {
    let segment_bytes = prop_oneof![Just(6500u32), Just(20_000), Just(1 << 20)];
    let index_interval_bytes = prop_oneof![Just(0u32), Just(300), Just(4096)];
    (segment_bytes, index_interval_bytes).prop_map(|(segment_bytes, index_interval_bytes)| LogConfig {
        segment_bytes,
        index_interval_bytes,
        retention_ms: -1,
        file_delete_delay_ms: 0,
        cleanup: CleanupPolicy::DELETE,
        ..LogConfig::default()
    })
}

/// `PROPTEST_CASES` asks for more.
fn settings() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if asked { default.cases } else { 64 },
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn the_log_holds_what_the_model_holds(config in config(), ops in prop::collection::vec(op(), 1..60)) {
        let mut harness = Harness::new(config);
        for op in &ops {
            harness.apply(op);
            harness.check();
        }
    }
}

/// Histories that broke a rule once.
mod regressions {
    use super::*;

    fn append(records: u8, value_bytes: u16, age_ms: u16) -> Op {
        Op::Append { records, value_bytes, age_ms, producer: None, epoch_bump: false }
    }

    fn check(segment_bytes: u32, index_interval_bytes: u32, ops: &[Op]) {
        let config = LogConfig {
            segment_bytes,
            index_interval_bytes,
            retention_ms: -1,
            file_delete_delay_ms: 0,
            ..LogConfig::default()
        };
        let mut harness = Harness::new(config);
        for op in ops {
            harness.apply(op);
            harness.check();
        }
    }

    #[test]
    fn times_after_a_second_power_cut() {
        let ops = [
            append(1, 0, 1001),
            append(5, 871, 1003),
            Op::AppendAsFollower { records: 2, gap: 0 },
            Op::TruncateTo { permille: 750 },
            append(4, 838, 0),
            append(5, 20, 0),
            append(3, 0, 0),
            append(2, 0, 0),
            Op::DeleteRecords { permille: 250 },
            Op::DeleteRecords { permille: 200 },
            Op::TruncateTo { permille: 584 },
            Op::Kill { torn_bytes: 0, lose_index: true },
            Op::PowerCut { seed: 0 },
            append(4, 1095, 0),
            append(4, 905, 0),
            append(3, 1182, 0),
            Op::PowerCut { seed: 5_146_762_574_470_452_191 },
        ];
        check(20_000, 0, &ops);
    }
}
