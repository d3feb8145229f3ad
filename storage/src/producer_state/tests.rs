//! The rules of idempotence and transactions, one test each; the snapshot file byte by byte.

use super::*;
use weir_protocol::ids::ProducerEpoch;

const ID: ProducerId = ProducerId(7);

fn batch(epoch: i16, first_sequence: i32, first_offset: i64, records: i32) -> ProducerBatch {
    ProducerBatch {
        producer_id: ID,
        producer_epoch: ProducerEpoch(epoch),
        first_sequence,
        last_sequence: increment_sequence(first_sequence, records - 1),
        first_offset: Offset(first_offset),
        last_offset: Offset(first_offset + i64::from(records) - 1),
        max_timestamp: 1_000,
        transactional: false,
    }
}

fn transactional(id: i64, sequence: i32, offset: i64) -> ProducerBatch {
    ProducerBatch { producer_id: ProducerId(id), transactional: true, ..batch(0, sequence, offset, 1) }
}

fn marker(id: i64, epoch: i16, coordinator_epoch: i32, offset: i64) -> EndTransaction {
    EndTransaction {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        coordinator_epoch,
        aborted: true,
        offset: Offset(offset),
        timestamp: 2_000,
        transaction_version: 0,
    }
}

fn append(state: &mut ProducerState, batch: ProducerBatch) -> Result<(), ProducerStateError> {
    append_as(state, batch, Validation::Client)
}

fn append_as(
    state: &mut ProducerState,
    batch: ProducerBatch,
    validation: Validation,
) -> Result<(), ProducerStateError> {
    let mut pending = PendingProducers::default();
    pending.append(state, &batch, validation)?;
    state.commit(pending);
    state.set_end_offset(Offset(batch.last_offset.0 + 1));
    Ok(())
}

fn end(state: &mut ProducerState, marker: EndTransaction) -> Result<Option<CompletedTransaction>, ProducerStateError> {
    let mut pending = PendingProducers::default();
    pending.end_transaction(state, &marker, Validation::Coordinator)?;
    let completed = pending.completed().first().copied();
    state.commit(pending);
    if let Some(completed) = &completed {
        state.complete(completed);
    }
    state.set_end_offset(Offset(marker.offset.0 + 1));
    Ok(completed)
}

fn state_after(batches: &[ProducerBatch]) -> ProducerState {
    let mut state = ProducerState::new(Offset(0), Vec::new());
    for batch in batches {
        append(&mut state, *batch).unwrap();
    }
    state
}

#[test]
fn a_partition_without_producers_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = ProducerState::new(Offset(0), Vec::new());
    state.commit(PendingProducers::default());
    state.set_end_offset(Offset(10));
    assert!(state.table.is_none() && state.is_empty());
    assert!(!state.take_snapshot(dir.path()).unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(size_of::<ProducerState>() <= 48);
}

#[test]
fn sequences_follow_each_other() {
    let mut state = state_after(&[batch(0, 0, 0, 3)]);
    append(&mut state, batch(0, 3, 3, 1)).unwrap();
    for sequence in [3, 5, 0, i32::MAX] {
        let error = append(&mut state, batch(0, sequence, 4, 1)).unwrap_err();
        assert!(matches!(error, ProducerStateError::OutOfOrderSequence { current: 3, .. }), "{sequence}: {error}");
    }
}

#[test]
fn sequence_after_the_largest_is_zero() {
    let mut state = state_after(&[batch(0, i32::MAX - 1, 0, 2)]);
    append(&mut state, batch(0, 0, 2, 1)).unwrap();
}

#[test]
fn a_batch_may_wrap_around_within_itself() {
    let wrapping = batch(0, i32::MAX - 1, 0, 4);
    assert_eq!(wrapping.last_sequence, 1);
    let mut state = state_after(&[wrapping]);
    let found = state.find_duplicate(&wrapping).unwrap();
    assert_eq!((found.first_sequence(), found.last_sequence), (i32::MAX - 1, 1));
    append(&mut state, batch(0, 2, 4, 1)).unwrap();
}

#[test]
fn sequence_arithmetic_wraps_as_kafkas() {
    assert_eq!(increment_sequence(5, 3), 8);
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
    assert_eq!(decrement_sequence(8, 3), 5);
    assert_eq!(decrement_sequence(0, 1), i32::MAX);
    assert_eq!(decrement_sequence(1, 3), i32::MAX - 1);
}

#[test]
fn an_unknown_producer_begins_with_any_sequence() {
    let state = state_after(&[batch(4, 123, 0, 1)]);
    assert_eq!(state.entry(ID).unwrap().last_sequence(), 123);
}

#[test]
fn a_new_epoch_begins_at_zero() {
    let mut state = state_after(&[batch(0, 0, 0, 1)]);
    let error = append(&mut state, batch(1, 1, 1, 1)).unwrap_err();
    assert!(matches!(error, ProducerStateError::NewEpochNotAtZero { .. }));
    append(&mut state, batch(1, 0, 1, 1)).unwrap();
    assert_eq!(state.entry(ID).unwrap().batches().len(), 1, "batches of the old epoch are forgotten");
}

#[test]
fn an_old_epoch_is_fenced() {
    let mut state = state_after(&[batch(3, 0, 0, 1)]);
    let error = append(&mut state, batch(2, 1, 1, 1)).unwrap_err();
    assert!(matches!(error, ProducerStateError::InvalidProducerEpoch { current: ProducerEpoch(3), .. }));
    let error = append_as(&mut state, batch(2, -1, 1, 1), Validation::Coordinator).unwrap_err();
    assert!(matches!(error, ProducerStateError::InvalidProducerEpoch { .. }));
}

#[test]
fn what_a_leader_has_accepted_is_never_refused() {
    let mut state = state_after(&[batch(3, 0, 0, 1)]);
    append_as(&mut state, batch(2, 9, 1, 1), Validation::Replication).unwrap();
    assert_eq!(state.entry(ID).unwrap().producer_epoch(), ProducerEpoch(2));
}

#[test]
fn a_coordinator_writes_without_sequences() {
    let mut state = state_after(&[]);
    append_as(&mut state, batch(0, -1, 0, 1), Validation::Coordinator).unwrap();
    append_as(&mut state, batch(0, -1, 1, 1), Validation::Coordinator).unwrap();
}

#[test]
fn the_last_five_batches_are_recognised_with_their_offsets() {
    let batches: Vec<_> = (0..6).map(|i| batch(0, i * 2, 100 + i64::from(i) * 2, 2)).collect();
    let state = state_after(&batches);
    assert!(state.find_duplicate(&batches[0]).is_none(), "the sixth last is forgotten");
    for (i, repeated) in batches.iter().enumerate().skip(1) {
        let again = ProducerBatch { first_offset: Offset(999), last_offset: Offset(1_000), ..*repeated };
        let found = state.find_duplicate(&again).unwrap();
        assert_eq!(found.first_offset(), Offset(100 + i as i64 * 2));
        assert_eq!(found.last_offset, Offset(101 + i as i64 * 2));
        assert_eq!(found.timestamp, 1_000);
    }
}

#[test]
fn another_epoch_or_another_length_is_no_duplicate() {
    let state = state_after(&[batch(1, 0, 0, 3)]);
    assert!(state.find_duplicate(&batch(0, 0, 0, 3)).is_none());
    assert!(state.find_duplicate(&batch(2, 0, 0, 3)).is_none());
    assert!(state.find_duplicate(&batch(1, 0, 0, 2)).is_none());
    assert!(state.find_duplicate(&batch(1, 1, 0, 2)).is_none());
}

#[test]
fn batches_of_one_append_see_each_other_and_a_failed_append_changes_nothing() {
    let mut state = state_after(&[batch(0, 0, 0, 1)]);
    let mut pending = PendingProducers::default();
    pending.append(&state, &batch(0, 1, 1, 1), Validation::Client).unwrap();
    pending.append(&state, &batch(0, 2, 2, 1), Validation::Client).unwrap();
    pending.append(&state, &batch(0, 4, 3, 1), Validation::Client).unwrap_err();
    drop(pending);
    assert_eq!(state.entry(ID).unwrap().last_sequence(), 0);
    append(&mut state, batch(0, 1, 1, 1)).unwrap();
}

#[test]
fn a_transaction_holds_the_first_unstable_offset_until_its_marker_is_replicated() {
    let mut state = state_after(&[transactional(1, 0, 10), transactional(2, 0, 11), transactional(1, 1, 12)]);
    assert_eq!(state.first_unstable_offset(), Some(Offset(10)));
    let completed = end(&mut state, marker(1, 0, 0, 13)).unwrap().unwrap();
    assert_eq!((completed.first_offset, completed.last_offset), (Offset(10), Offset(13)));
    assert_eq!(state.first_undecided_offset(), Some(Offset(11)));
    assert_eq!(state.first_unstable_offset(), Some(Offset(10)), "the marker is not below the high watermark yet");
    state.on_high_watermark_updated(Offset(13));
    assert_eq!(state.first_unstable_offset(), Some(Offset(10)));
    state.on_high_watermark_updated(Offset(14));
    assert_eq!(state.first_unstable_offset(), Some(Offset(11)));
}

#[test]
fn last_stable_offset_of_an_abort_is_the_next_undecided_transaction_or_the_marker() {
    let state = state_after(&[transactional(1, 0, 10), transactional(2, 0, 11)]);
    let completed = |id, first, last| CompletedTransaction {
        producer_id: ProducerId(id),
        first_offset: Offset(first),
        last_offset: Offset(last),
        aborted: true,
    };
    assert_eq!(state.last_stable_offset(&completed(1, 10, 12)), Offset(11));
    assert_eq!(state.last_stable_offset(&completed(2, 11, 12)), Offset(10));
    let alone = state_after(&[transactional(1, 0, 10)]);
    assert_eq!(alone.last_stable_offset(&completed(1, 10, 12)), Offset(13));
}

#[test]
fn a_plain_batch_inside_a_transaction_is_refused() {
    let mut state = state_after(&[transactional(7, 0, 0)]);
    let error = append(&mut state, batch(0, 1, 1, 1)).unwrap_err();
    assert!(matches!(error, ProducerStateError::ExpectedTransactional { .. }));
}

#[test]
fn a_marker_without_a_transaction_moves_the_epoch_alone() {
    let mut state = state_after(&[]);
    assert_eq!(end(&mut state, marker(7, 5, 0, 0)).unwrap(), None);
    assert_eq!(state.entry(ID).unwrap().producer_epoch(), ProducerEpoch(5));
    assert_eq!(state.first_unstable_offset(), None);
    append(&mut state, batch(5, 0, 1, 1)).unwrap();
}

#[test]
fn a_replaced_coordinator_is_fenced() {
    let mut state = state_after(&[transactional(1, 0, 0)]);
    end(&mut state, marker(1, 0, 4, 1)).unwrap();
    let error = end(&mut state, marker(1, 0, 3, 2)).unwrap_err();
    assert!(matches!(error, ProducerStateError::CoordinatorFenced { epoch: 3, current: 4, .. }));
}

#[test]
fn from_version_two_a_marker_must_raise_the_epoch_unless_it_repeats_a_finished_one() {
    let mut state = state_after(&[transactional(1, 0, 0)]);
    let version_2 = |epoch, offset| EndTransaction { transaction_version: 2, ..marker(1, epoch, 0, offset) };
    assert!(matches!(end(&mut state, version_2(0, 1)), Err(ProducerStateError::InvalidProducerEpoch { .. })));
    assert!(end(&mut state, version_2(1, 1)).unwrap().is_some());
    assert!(end(&mut state, version_2(1, 2)).unwrap().is_none(), "the repetition is taken and decides nothing");
}

#[test]
fn silent_producers_expire_unless_a_transaction_is_ongoing() {
    let mut state = state_after(&[batch(0, 0, 0, 1), transactional(8, 0, 1)]);
    assert_eq!(state.remove_expired(1_000 + 99, 100), 0);
    assert_eq!(state.remove_expired(1_000 + 100, 100), 1);
    assert!(state.entry(ID).is_none() && state.entry(ProducerId(8)).is_some());
    end(&mut state, marker(8, 0, 0, 2)).unwrap();
    state.on_high_watermark_updated(Offset(3));
    assert_eq!(state.remove_expired(2_100, 100), 1);
    assert!(state.table.is_none(), "an emptied table is given back");
}

#[test]
fn a_transaction_is_late_five_minutes_after_its_timeout() {
    let state = state_after(&[transactional(1, 0, 0)]);
    assert!(!state.has_late_transaction(1_000 + 900_000 + LATE_TRANSACTION_BUFFER_MS, 900_000));
    assert!(state.has_late_transaction(1_001 + 900_000 + LATE_TRANSACTION_BUFFER_MS, 900_000));
}

/// Written out by hand from the format; the CRC is checked against the bytes it covers.
#[test]
fn snapshot_has_kafkas_bytes() {
    let entries: [u8; 96] = [
        0, 0, 0, 2, // entries
        0, 0, 0, 0, 0, 0, 0, 1, // producer id
        0, 0, // producer epoch
        0, 0, 0, 0, // last sequence
        0, 0, 0, 0, 0, 0, 0, 20, // last offset
        0, 0, 0, 0, // offset delta
        0, 0, 0, 0, 0, 0, 3, 0xe8, // timestamp
        0xff, 0xff, 0xff, 0xff, // coordinator epoch
        0, 0, 0, 0, 0, 0, 0, 20, // current transaction's first offset
        0, 0, 0, 0, 0, 0, 0, 7, // producer id
        0, 3, // producer epoch
        0, 0, 0, 44, // last sequence
        0, 0, 0, 0, 0, 0, 0, 12, // last offset
        0, 0, 0, 2, // offset delta
        0, 0, 0, 0, 0, 0, 3, 0xe8, // timestamp
        0xff, 0xff, 0xff, 0xff, // coordinator epoch
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // no transaction
    ];
    let state = state_after(&[batch(3, 42, 10, 3), transactional(1, 0, 20)]);
    let bytes = encode_snapshot(state.producers());
    assert_eq!(bytes[..2], [0, 1], "version");
    assert_eq!(bytes[2..6], crc32c::crc32c(&entries).to_be_bytes());
    assert_eq!(bytes[6..], entries);
    assert_eq!(encode_snapshot(std::iter::empty())[..], [0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0]);
}

#[test]
fn snapshot_survives_the_round_trip_and_no_flipped_byte_does() {
    let state = state_after(&[batch(3, 42, 10, 3), transactional(1, 0, 20)]);
    let bytes = encode_snapshot(state.producers());
    let entries = decode_snapshot(&bytes).unwrap();
    assert_eq!(encode_snapshot(entries.iter()), bytes);
    for index in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[index] ^= 1;
        decode_snapshot(&broken).unwrap_err();
        decode_snapshot(&bytes[..index]).unwrap_err();
    }
}

#[test]
fn snapshot_names_are_twenty_digits() {
    assert_eq!(snapshot_file_name(Offset(42)), "00000000000000000042.snapshot");
    assert_eq!(snapshot_offset("00000000000000000042.snapshot"), Some(Offset(42)));
    for name in [".snapshot", "+1.snapshot", "x.snapshot", "00000000000000000042.log", "99999999999999999999.snapshot"]
    {
        assert_eq!(snapshot_offset(name), None, "{name}");
    }
}

#[test]
fn reload_begins_at_the_newest_snapshot_that_reads() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = state_after(&[batch(0, 0, 0, 1)]);
    assert!(state.take_snapshot(dir.path()).unwrap());
    assert!(!state.take_snapshot(dir.path()).unwrap(), "nothing new");
    append(&mut state, batch(0, 1, 1, 1)).unwrap();
    assert!(state.take_snapshot(dir.path()).unwrap());
    std::fs::write(dir.path().join(snapshot_file_name(Offset(2))), b"torn").unwrap();

    let mut reopened = ProducerState::new(Offset(0), vec![Offset(2), Offset(1)]);
    reopened.truncate_and_reload(dir.path(), Offset(0), Offset(5), 1_000, DEFAULT_PRODUCER_ID_EXPIRATION_MS).unwrap();
    assert_eq!(reopened.end_offset(), Offset(1), "replay begins here");
    assert_eq!(reopened.entry(ID).unwrap().last_sequence(), 0);
    assert_eq!(reopened.snapshot_offsets(), [Offset(1)]);
    assert!(!dir.path().join(snapshot_file_name(Offset(2))).exists(), "the torn one is deleted");
}

#[test]
fn reload_restores_ongoing_transactions_and_drops_the_expired() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = state_after(&[batch(0, 0, 0, 1), transactional(8, 0, 1)]);
    state.take_snapshot(dir.path()).unwrap();
    let mut reopened = ProducerState::new(Offset(0), vec![Offset(2)]);
    reopened.truncate_and_reload(dir.path(), Offset(0), Offset(9), 1_100, 100).unwrap();
    assert_eq!(reopened.first_unstable_offset(), Some(Offset(1)));
    assert!(reopened.entry(ID).is_none());
}

#[test]
fn truncation_deletes_snapshots_out_of_range_and_without_one_begins_at_the_log_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = state_after(&[batch(0, 0, 0, 1)]);
    state.take_snapshot(dir.path()).unwrap();
    append(&mut state, batch(0, 1, 1, 1)).unwrap();
    state.take_snapshot(dir.path()).unwrap();
    state.truncate_and_reload(dir.path(), Offset(1), Offset(1), 0, i64::MAX).unwrap();
    assert_eq!(state.snapshot_offsets(), []);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!((state.end_offset(), state.producer_count()), (Offset(1), 0));
}

#[test]
fn truncation_to_where_the_state_ends_keeps_the_producers() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = state_after(&[batch(0, 0, 0, 4)]);
    state.truncate_and_reload(dir.path(), Offset(2), Offset(4), 0, i64::MAX).unwrap();
    assert_eq!(state.producer_count(), 1, "memory outlives the deletion of the records");
}

#[test]
fn full_truncation_forgets_and_deletes_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = state_after(&[transactional(1, 0, 0)]);
    state.take_snapshot(dir.path()).unwrap();
    state.truncate_fully_and_start_at(dir.path(), Offset(50)).unwrap();
    assert_eq!((state.end_offset(), state.first_unstable_offset(), state.is_empty()), (Offset(50), None, true));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn stray_snapshots_go_except_the_newest_beyond_all_segments() {
    let dir = tempfile::tempdir().unwrap();
    let offsets: Vec<_> = [1, 2, 4, 5, 9].map(Offset).to_vec();
    for offset in &offsets {
        snapshot::write(dir.path(), *offset, &encode_snapshot(std::iter::empty())).unwrap();
    }
    let mut state = ProducerState::new(Offset(0), offsets);
    state.remove_stray_snapshots(dir.path(), &[Offset(0), Offset(2), Offset(4)]).unwrap();
    assert_eq!(state.snapshot_offsets(), [2, 4, 9].map(Offset));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    state.delete_snapshots_before(dir.path(), Offset(4)).unwrap();
    assert_eq!(state.snapshot_offsets(), [4, 9].map(Offset));
}
