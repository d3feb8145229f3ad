//! A client may repeat any of its last five batches, whatever the broker went through since.

use super::*;

/// Five batches of producer 7, two records each, other producers' between them.
fn five_batches(log: &TestLog) {
    for n in 0..5 {
        log.append(sequenced(8, 0, n, 1, false));
        log.append(sequenced(7, 0, 2 * n, 2, false));
    }
}

/// Each of the five is answered with where it lies.
fn all_are_known(log: &TestLog, case: &str) {
    for n in [1, 0, 4, 3, 2] {
        let again = log.try_append(sequenced(7, 0, 2 * n, 2, false)).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(again.duplicate, "{case}: batch {n}");
        assert_eq!(again.first_offset, Offset(i64::from(n) * 3 + 1), "{case}: batch {n}");
    }
    assert!(!log.append(sequenced(7, 0, 10, 1, false)).duplicate, "{case}: the next one is new");
}

#[test]
fn each_of_the_last_five_batches_is_recognised_after_any_restart() {
    for shutdown in [Shutdown::Clean, Shutdown::SameBoot, Shutdown::Unclean] {
        for rolled in [false, true] {
            let mut log = new_log(keep_all());
            five_batches(&log);
            log.flush(log.log_end_offset()).unwrap();
            if rolled {
                log.roll(NOW).unwrap();
            }
            if shutdown == Shutdown::Clean {
                log.close().unwrap();
            }
            log.reopen(shutdown);
            all_are_known(&log, &format!("{shutdown:?}, rolled: {rolled}"));
        }
    }
}

#[test]
fn batches_of_several_segments_are_recalled() {
    let mut log = new_log(keep_all());
    for n in 0..5 {
        log.append(sequenced(8, 0, n, 1, false));
        log.append(sequenced(7, 0, 2 * n, 2, false));
        log.roll(NOW).unwrap();
    }
    log.reopen(Shutdown::SameBoot);
    all_are_known(&log, "five segments");
}

#[test]
fn what_came_after_the_snapshot_is_joined_to_what_came_before() {
    for before in 1..5 {
        let mut log = new_log(keep_all());
        for n in 0..5 {
            log.append(sequenced(8, 0, n, 1, false));
            log.append(sequenced(7, 0, 2 * n, 2, false));
            if n + 1 == before {
                log.roll(NOW).unwrap();
            }
        }
        log.reopen(Shutdown::SameBoot);
        all_are_known(&log, &format!("{before} before the snapshot"));
    }
}

#[test]
fn a_batch_of_an_earlier_epoch_or_older_than_five_is_refused_as_ever() {
    let mut log = new_log(keep_all());
    log.append(sequenced(7, 0, 0, 1, false));
    for n in 0..6 {
        log.append(sequenced(7, 1, n, 1, false));
    }
    log.roll(NOW).unwrap();
    log.reopen(Shutdown::SameBoot);
    let refused = |bytes| log.try_append(bytes).unwrap_err();
    let oldest = refused(sequenced(7, 1, 0, 1, false));
    assert!(matches!(oldest, AppendError::Producer(ProducerStateError::OutOfOrderSequence { .. })), "{oldest}");
    let earlier_epoch = refused(sequenced(7, 0, 0, 1, false));
    assert!(matches!(earlier_epoch, AppendError::Producer(ProducerStateError::InvalidProducerEpoch { .. })));
    assert!(log.append(sequenced(7, 1, 1, 1, false)).duplicate);
    let ahead = refused(sequenced(7, 1, 9, 1, false));
    assert!(matches!(ahead, AppendError::Producer(ProducerStateError::OutOfOrderSequence { .. })));
}

#[test]
fn no_more_than_a_stretch_of_the_log_is_walked() {
    let mut log = new_log(LogConfig { segment_bytes: 64 << 20, max_message_bytes: 16 << 20, ..keep_all() });
    let large = |sequence| {
        let mut builder = BatchBuilder::new(Codec::None).producer(7, 0, sequence);
        builder.append(NOW, None, Some(&vec![0; 12 << 20]), &[]).unwrap();
        builder.build().unwrap().to_vec()
    };
    for sequence in 0..5 {
        log.append(large(sequence));
    }
    log.roll(NOW).unwrap();
    log.reopen(Shutdown::SameBoot);
    assert!(log.append(large(3)).duplicate);
    assert!(log.append(large(2)).duplicate);
    let far = log.try_append(large(0)).unwrap_err();
    assert!(matches!(far, AppendError::Producer(ProducerStateError::OutOfOrderSequence { .. })));
}
