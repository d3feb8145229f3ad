//! What a log makes of the remains of a power cut.

use super::*;

const LOG_SUFFIX: &str = ".log";

impl TestLog {
    fn path(&self, base_offset: i64, suffix: &str) -> std::path::PathBuf {
        self.root.path().join(format!("t-0/{base_offset:020}{suffix}"))
    }

    /// Opens it again after a power cut, told that so much was flushed.
    fn recover(&mut self, recovery_point: Option<i64>) {
        let recovery_point = recovery_point.map(Offset);
        self.log.close_handles();
        self.log = Log::open(LogLoad { recovery_point, ..load_of(self, Shutdown::Unclean) }).unwrap();
        self.log.set_high_watermark(self.log.log_end_offset());
    }
}

/// Three segments of two records each, none of which was flushed.
fn three_segments(config: LogConfig) -> TestLog {
    let log = new_log(config);
    for segment in 0..3 {
        log.append(batch_of(1, 10));
        log.append(batch_of(1, 10));
        if segment < 2 {
            log.roll(NOW).unwrap();
        }
    }
    log
}

#[test]
fn a_producer_is_known_after_a_kill_though_an_earlier_power_cut_took_its_snapshot() {
    let mut log = new_log(keep_all());
    log.append(sequenced(7, 0, 0, 1, false));
    log.flush(Offset(1)).unwrap();
    log.roll(NOW).unwrap();
    log.append(batch_of(1, 10));
    fs::remove_file(log.path(1, ".snapshot")).unwrap();
    log.reopen(Shutdown::Unclean);
    log.append(batch_of(1, 10));
    log.flush(Offset(3)).unwrap();
    log.reopen(Shutdown::SameBoot);
    let again = log.append(sequenced(7, 0, 0, 1, false));
    assert!(again.duplicate);
    assert_eq!(again.first_offset, Offset(0));
}

#[test]
fn the_log_ends_where_the_disk_has_a_later_segment_without_all_of_the_earlier() {
    for kept_batches in [0, 1] {
        let mut log = three_segments(keep_all());
        let kept = fs::metadata(log.path(2, LOG_SUFFIX)).unwrap().len() / 2 * kept_batches;
        fs::OpenOptions::new().write(true).open(log.path(2, LOG_SUFFIX)).unwrap().set_len(kept).unwrap();
        log.recover(Some(0));
        let end = 2 + kept_batches as i64;
        assert_eq!(log.log_end_offset(), Offset(end));
        assert_eq!(log.append(batch_of(1, 10)).first_offset, Offset(end), "and goes on there");
        assert!(!log.path(4, LOG_SUFFIX).exists());
    }
}

#[test]
fn an_offset_that_may_have_been_compacted_away_is_not_missed() {
    let compacted = LogConfig { cleanup: CleanupPolicy::COMPACT, ..keep_all() };
    // Nothing tells what was flushed of the last: it may have been compacted under an earlier policy.
    for (config, recovery_point) in [(compacted, Some(0)), (keep_all(), Some(6)), (keep_all(), None)] {
        let mut log = three_segments(config);
        fs::OpenOptions::new().write(true).open(log.path(2, LOG_SUFFIX)).unwrap().set_len(0).unwrap();
        log.recover(recovery_point);
        assert_eq!(log.log_end_offset(), Offset(6), "{recovery_point:?}");
        assert_eq!(log.read_headers(2, 1000, 6)[0].base_offset, 4);
    }
}

#[test]
fn a_segment_that_begins_before_the_end_of_the_one_before_it_goes() {
    let mut log = three_segments(keep_all());
    fs::copy(log.path(4, LOG_SUFFIX), log.path(3, LOG_SUFFIX)).unwrap();
    log.recover(Some(0));
    assert_eq!(log.log_end_offset(), Offset(4));
    assert_eq!(log.segments_count(), 2);
}

#[test]
fn a_recovery_point_beyond_the_end_is_brought_back() {
    let mut log = three_segments(keep_all());
    log.recover(Some(100));
    assert_eq!((log.log_end_offset(), log.recovery_point()), (Offset(6), Offset(6)));
    log.append(batch_of(1, 10));
    assert_eq!(log.flush(Offset(7)).unwrap(), Offset(7));
}

#[test]
fn a_log_that_ends_before_its_start_begins_again_there_and_says_so_after_any_restart() {
    let mut log = three_segments(keep_all());
    log.advance_log_start_offset(Offset(5)).unwrap();
    fs::OpenOptions::new().write(true).open(log.path(2, LOG_SUFFIX)).unwrap().set_len(0).unwrap();
    log.recover(Some(0));
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(5), Offset(5)));
    let how = LogLoad { log_start: Offset(0), recovery_point: None, ..load_of(&log, Shutdown::Unclean) };
    let log = Log::open(how).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(5), Offset(5)));
}

/// Renames a segment's files to what they are called while they replace others.
fn suffix(log: &TestLog, base_offset: i64, to: &str) {
    for kind in [".log", ".index", ".timeindex"] {
        let path = log.path(base_offset, kind);
        if path.exists() {
            fs::rename(&path, log.path(base_offset, &format!("{kind}{to}"))).unwrap();
        }
    }
}

#[test]
fn a_replacement_of_segments_that_was_cut_short_is_completed() {
    let mut log = three_segments(LogConfig { cleanup: CleanupPolicy::COMPACT, ..keep_all() });
    // The two first segments were cleaned into one that holds the last record alone; one of them is still there.
    let mut cleaned = BatchBuilder::new(Codec::None).base_offset(3).partition_leader_epoch(EPOCH.0);
    cleaned.append(NOW, Some(b"k"), Some(b"kept"), &[]).unwrap();
    log.log.close_handles();
    fs::remove_file(log.path(0, ".log")).unwrap();
    fs::write(log.path(0, ".log.swap"), cleaned.build().unwrap()).unwrap();
    log.reopen(Shutdown::SameBoot);
    assert_eq!(log.segments_count(), 2);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(6)));
    let offsets: Vec<i64> = log.read_headers(0, 10_000, 6).iter().map(|header| header.base_offset).collect();
    assert_eq!(offsets, [3]);
    assert!(log.names().iter().all(|name| !name.ends_with(".swap")), "{:?}", log.names());
}

#[test]
fn a_replacement_that_was_not_whole_is_taken_back() {
    let mut log = three_segments(LogConfig { cleanup: CleanupPolicy::COMPACT, ..keep_all() });
    log.log.close_handles();
    for (base_offset, suffix) in [(0, ".log.cleaned"), (2, ".log.swap")] {
        fs::write(log.path(base_offset, suffix), b"whatever was written of it").unwrap();
    }
    log.reopen(Shutdown::SameBoot);
    assert_eq!(log.segments_count(), 3);
    assert_eq!(log.read_headers(0, 10_000, 6).len(), 2);
    assert!(log.names().iter().all(|name| !name.ends_with(".swap") && !name.ends_with(".cleaned")));
}

#[test]
fn files_that_were_swapped_whole_lose_their_suffix() {
    let mut log = three_segments(LogConfig { cleanup: CleanupPolicy::COMPACT, ..keep_all() });
    log.log.close_handles();
    suffix(&log, 2, ".swap");
    log.reopen(Shutdown::SameBoot);
    assert_eq!((log.segments_count(), log.log_end_offset()), (3, Offset(6)));
    assert_eq!(log.read_headers(2, 10_000, 6)[0].base_offset, 2);
}
