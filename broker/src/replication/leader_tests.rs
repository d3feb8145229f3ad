//! Each rule of a partition's leader, one at a time.

use std::sync::Arc;

use uuid::Uuid;
use weir_controller::image::MetadataImage;
use weir_controller::record::{LeaderRecoveryState, MetadataRecord, PartitionRecord, TopicRecord};
use weir_protocol::ids::PartitionIndex;

use super::*;

const MAX_LAG_MS: i64 = 3_000;
const TOPIC: Uuid = Uuid::from_u128(7_000);

fn registration(isr: &[i32], partition_epoch: i32) -> Arc<PartitionRegistration> {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let mut image = MetadataImage::default();
    let topic = TopicRecord { name: "topic".into(), topic_id: TOPIC };
    let partition = PartitionRecord {
        partition: PartitionIndex(0),
        topic_id: TOPIC,
        replicas: ids(&[1, 2, 3]),
        isr: ids(isr),
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(partition_epoch),
        directories: vec![Uuid::from_u128(1_000); 3],
        leader_recovery_state: LeaderRecoveryState::Recovered,
        eligible_leader_replicas: None,
        last_known_elr: None,
    };
    for record in [MetadataRecord::from(topic), partition.into()] {
        image.apply(&record).expect("a record that fits");
    }
    image.partition(TOPIC, PartitionIndex(0)).expect("the partition").clone()
}

/// Broker 1 leads, its log ends at 100, and everything below 90 is known to be committed.
fn leader(isr: &[i32]) -> LeaderState {
    let local = IsrMember { broker: BrokerId(1), broker_epoch: BrokerEpoch(11) };
    let log = LogAtElection { log_end: Offset(100), own_end: Offset(100), high_watermark: Offset(90) };
    LeaderState::new(local, &registration(isr, 20), log, Terms { min_insync: 2, max_lag_ms: MAX_LAG_MS }, 0)
}

fn fetch(leader: &mut LeaderState, now_ms: i64, broker: i32, offset: i64) -> FetchEffects {
    let candidate = Candidate { is_active: true, broker_epoch: BrokerEpoch(10 + i64::from(broker)) };
    fetch_as(leader, now_ms, broker, offset, Some(candidate)).expect("a fetch of this life")
}

fn fetch_as(
    leader: &mut LeaderState,
    now_ms: i64,
    broker: i32,
    offset: i64,
    candidate: Option<Candidate>,
) -> Result<FetchEffects, FetchRefusal> {
    leader.on_fetch(now_ms, &fetch_of(broker, offset), Offset(0), some_epoch(4, 1_000), candidate)
}

/// A fetch in this leader's epoch, of a log whose last record is of the epoch before.
fn fetch_of(broker: i32, offset: i64) -> FollowerFetch {
    FollowerFetch {
        broker: BrokerId(broker),
        broker_epoch: BrokerEpoch(10 + i64::from(broker)),
        current_leader_epoch: LeaderEpoch(5),
        fetch_offset: Offset(offset),
        last_fetched_epoch: LeaderEpoch(4),
        log_start_offset: Offset(0),
    }
}

fn some_epoch(epoch: i32, end_offset: i64) -> Option<EpochEnd> {
    Some(EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(end_offset) })
}

fn members(proposal: &IsrProposal) -> Vec<(i32, i64)> {
    proposal.isr.iter().map(|member| (member.broker.get(), member.broker_epoch.get())).collect()
}

fn altered(isr: &[i32], partition_epoch: i32) -> AlteredPartition {
    AlteredPartition {
        eligible_leader_replicas: Vec::new(),
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(5),
        isr: isr.iter().copied().map(BrokerId).collect(),
        leader_recovery_state: LeaderRecoveryState::Recovered,
        partition_epoch: PartitionEpoch(partition_epoch),
    }
}

#[test]
fn the_high_watermark_is_what_every_member_of_the_isr_has() {
    let mut leader = leader(&[1, 2, 3]);
    assert_eq!(fetch(&mut leader, 1, 2, 100).high_watermark, None, "broker 3 has not been heard of");
    assert_eq!(fetch(&mut leader, 2, 3, 95).high_watermark, Some(Offset(95)));
    assert_eq!(fetch(&mut leader, 3, 3, 100).high_watermark, Some(Offset(100)));
}

#[test]
fn the_high_watermark_never_goes_back() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 1, 2, 100);
    fetch(&mut leader, 1, 3, 100);
    assert_eq!(fetch(&mut leader, 2, 3, 40).high_watermark, None);
    assert_eq!(leader.high_watermark(), Offset(100));
}

#[test]
fn an_earlier_end_of_the_log_takes_nothing_back() {
    let mut leader = leader(&[1, 2]);
    leader.on_append(Offset(110), 1);
    assert_eq!(fetch(&mut leader, 2, 2, 110).high_watermark, Some(Offset(110)));
    assert_eq!(leader.on_log(Offset(105), Offset(105), 3), None);
    assert_eq!([leader.log_end(), leader.high_watermark()], [Offset(110); 2]);
    leader.on_append(Offset(111), 4);
    assert_eq!(fetch(&mut leader, 5, 2, 111).high_watermark, Some(Offset(111)));
}

#[test]
fn a_new_leader_tells_no_high_watermark_before_it_covers_what_it_took_over() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 1, 2, 100);
    fetch(&mut leader, 2, 3, 99);
    assert_eq!(leader.told_high_watermark(), None, "an earlier leader may have told 100");
    fetch(&mut leader, 3, 3, 100);
    assert_eq!(leader.told_high_watermark(), Some(Offset(100)));
}

#[test]
fn a_leader_alone_in_the_isr_commits_as_it_appends_unless_that_is_too_few() {
    let mut leader = leader(&[1]);
    assert!(leader.is_under_min_isr());
    assert_eq!(leader.on_append(Offset(110), 1), None);
    assert_eq!(leader.set_min_insync(1, 1), Some(Offset(110)));
    assert_eq!(leader.on_append(Offset(120), 2), Some(Offset(120)));
}

#[test]
fn a_leader_commits_nothing_while_there_are_eligible_leaders_whatever_it_takes_the_minimum_to_be() {
    let mut leader = leader(&[1, 2]);
    leader.set_min_insync(1, 0);
    fetch(&mut leader, 1, 2, 100);
    leader.on_append(Offset(105), 2);
    let shrunk = AlteredPartition { eligible_leader_replicas: vec![BrokerId(2)], ..altered(&[1], 21) };
    let proposal = leader.on_lag_check(MAX_LAG_MS * 2).expect("a proposal without the one that lags");
    leader.on_answer(proposal.partition_epoch, Ok(&shrunk), MAX_LAG_MS * 2);
    assert!(leader.is_under_min_isr());
    assert_eq!(leader.on_append(Offset(110), MAX_LAG_MS * 2), None);
    assert_eq!(leader.on_metadata(&registration(&[1], 22), MAX_LAG_MS * 2), Some(Offset(110)), "they are forgotten");
}

#[test]
fn followers_may_be_ahead_of_what_the_leader_has_flushed_and_the_high_watermark_may_not() {
    let mut leader = leader(&[1, 2, 3]);
    assert_eq!(leader.on_log(Offset(120), Offset(100), 1), None);
    fetch(&mut leader, 2, 2, 120);
    assert_eq!(fetch(&mut leader, 3, 3, 120).high_watermark, Some(Offset(100)));
    assert_eq!(leader.on_log(Offset(120), Offset(110), 4), Some(Offset(110)));
}

#[test]
fn records_are_deleted_for_good_once_every_follower_that_lives_has_deleted_them() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 1, 2, 100);
    assert_eq!(leader.low_watermark(Offset(40), |_| true), Offset::NONE, "broker 3 has not said");
    assert_eq!(leader.low_watermark(Offset(40), |broker| broker == BrokerId(2)), Offset(0));
    let moved = FollowerFetch { log_start_offset: Offset(40), ..fetch_of(2, 100) };
    leader.on_fetch(2, &moved, Offset(40), some_epoch(4, 1_000), None).unwrap();
    assert_eq!(leader.low_watermark(Offset(40), |broker| broker == BrokerId(2)), Offset(40));
}

#[test]
fn a_member_that_lags_is_proposed_out_and_counts_until_that_is_committed() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 2_000, 2, 100);
    assert_eq!(leader.on_lag_check(3_000), None, "a new leader gives everyone its time");
    let proposal = leader.on_lag_check(3_001).expect("broker 3 never came");
    assert_eq!(members(&proposal), [(1, 11), (2, 12)]);
    assert_eq!(proposal.partition_epoch, PartitionEpoch(20));
    assert_eq!(leader.on_lag_check(9_000), None, "one proposal at a time");
    assert_eq!(leader.high_watermark(), Offset(90), "it may still be refused");

    let (outcome, moved) = leader.on_answer(PartitionEpoch(20), Ok(&altered(&[1, 2], 21)), 3_100);
    assert_eq!((outcome, moved), (ProposalOutcome::Committed, Some(Offset(100))));
}

#[test]
fn a_follower_that_always_reaches_what_it_could_have_seen_is_in_sync_under_load() {
    let mut leader = leader(&[1, 2, 3]);
    for step in 0..50 {
        let now_ms = step * 1_000;
        fetch(&mut leader, now_ms, 2, 100 + step * 10);
        fetch(&mut leader, now_ms, 3, 100 + step * 10);
        leader.on_append(Offset(110 + step * 10), now_ms);
        // Both fetch again only after the next append: neither ever sees the end.
        leader.on_append(Offset(115 + step * 10), now_ms);
        assert_eq!(leader.on_lag_check(now_ms + 500), None, "step {step}");
    }
}

#[test]
fn a_follower_that_fetches_but_falls_behind_is_proposed_out() {
    let mut leader = leader(&[1, 2, 3]);
    for step in 1..=10 {
        let now_ms = step * 1_000;
        leader.on_append(Offset(100 + step * 100), now_ms);
        fetch(&mut leader, now_ms, 2, 100 + step * 100);
        fetch(&mut leader, now_ms, 3, 100 + step);
    }
    let proposal = leader.on_lag_check(10_000).expect("broker 3 is behind");
    assert_eq!(members(&proposal), [(1, 11), (2, 12)]);
}

#[test]
fn a_follower_joins_with_everything_committed_and_everything_from_before_this_epoch() {
    let mut leader = leader(&[1, 2]);
    fetch(&mut leader, 1, 2, 95);
    assert_eq!(leader.high_watermark(), Offset(95));
    assert_eq!(fetch(&mut leader, 2, 3, 94).proposal, None, "below the high watermark");
    assert_eq!(fetch(&mut leader, 3, 3, 99).proposal, None, "the epoch began at 100");
    let proposal = fetch(&mut leader, 4, 3, 100).proposal.expect("it has everything");
    assert_eq!(members(&proposal), [(1, 11), (2, 12), (3, 13)]);
}

#[test]
fn who_is_asked_into_the_isr_counts_at_once() {
    let mut leader = leader(&[1, 2]);
    fetch(&mut leader, 1, 3, 100).proposal.expect("it has everything");
    leader.on_append(Offset(120), 2);
    assert_eq!(fetch(&mut leader, 3, 2, 120).high_watermark, Some(Offset(100)), "broker 3 may be in the ISR already");
    assert_eq!(fetch(&mut leader, 4, 3, 120).high_watermark, Some(Offset(120)));
    assert_eq!(leader.in_sync().certain_count(), 2, "but it does not count for min.insync.replicas");
}

#[test]
fn who_is_fenced_or_restarted_does_not_join() {
    let mut leader = leader(&[1, 2]);
    let fenced = Candidate { is_active: false, broker_epoch: BrokerEpoch(13) };
    assert_eq!(fetch_as(&mut leader, 1, 3, 100, Some(fenced)).unwrap().proposal, None);
    let restarted = Candidate { is_active: true, broker_epoch: BrokerEpoch(14) };
    assert_eq!(fetch_as(&mut leader, 2, 3, 100, Some(restarted)).unwrap().proposal, None);
    assert_eq!(fetch_as(&mut leader, 3, 3, 100, None).unwrap().proposal, None);
}

#[test]
fn a_follower_that_keeps_up_outside_the_isr_is_waited_for_until_it_is_fenced() {
    let mut leader = leader(&[1, 2]);
    fetch(&mut leader, 1, 2, 100);
    // It has everything and a proposal is under way; the controller refuses it.
    fetch(&mut leader, 1, 3, 100).proposal.expect("it has everything");
    leader.on_answer(PartitionEpoch(20), Err(ErrorCode::IneligibleReplica), 2);
    leader.on_append(Offset(150), 3);
    assert_eq!(fetch(&mut leader, 4, 2, 150).high_watermark, None, "broker 3 is about to join");
    let fenced = Candidate { is_active: false, broker_epoch: BrokerEpoch(13) };
    assert_eq!(leader.on_broker(BrokerId(3), Some(fenced), 5), Some(Offset(150)));
}

#[test]
fn a_fetch_of_an_earlier_life_is_refused() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 1, 2, 100);
    let late = FollowerFetch { broker_epoch: BrokerEpoch(4), ..fetch_of(2, 100) };
    let refused = leader.on_fetch(2, &late, Offset(0), some_epoch(4, 1_000), None);
    let stale = StaleFetch { broker: BrokerId(2), fetched: BrokerEpoch(4), known: BrokerEpoch(12) };
    assert_eq!(refused, Err(FetchRefusal::Stale(stale)));
}

#[test]
fn a_fetch_of_another_leader_epoch_promises_nothing() {
    let mut leader = leader(&[1, 2, 3]);
    let before = leader.clone();
    for (epoch, refusal) in [(4, FetchRefusal::FencedLeaderEpoch), (6, FetchRefusal::UnknownLeaderEpoch)] {
        let fetch = FollowerFetch { current_leader_epoch: LeaderEpoch(epoch), ..fetch_of(2, 100) };
        assert_eq!(leader.on_fetch(1, &fetch, Offset(0), some_epoch(4, 100), None), Err(refusal));
    }
    assert_eq!(leader, before);
}

#[test]
fn a_fetch_of_a_log_that_parts_from_this_one_promises_nothing() {
    let mut leader = leader(&[1, 2, 3]);
    let before = leader.clone();
    let told = leader.on_fetch(1, &fetch_of(2, 100), Offset(0), some_epoch(3, 80), None).unwrap();
    assert_eq!(told, FetchEffects { diverging: some_epoch(3, 80), ..FetchEffects::default() });
    assert_eq!(leader, before);
}

#[test]
fn a_fetch_outside_of_the_log_is_refused() {
    let mut leader = leader(&[1, 2, 3]);
    for offset in [9, 101] {
        let refused = leader.on_fetch(1, &fetch_of(2, offset), Offset(10), some_epoch(4, 1_000), None);
        assert_eq!(refused, Err(FetchRefusal::OffsetOutOfRange(Offset(offset))));
    }
}

#[test]
fn a_proposal_without_an_answer_stays_and_is_sent_again() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 4_000, 2, 100);
    let proposal = leader.on_lag_check(4_000).expect("broker 3 never came");
    let (outcome, _) = leader.on_answer(PartitionEpoch(20), Err(ErrorCode::NotController), 4_100);
    assert_eq!(outcome, ProposalOutcome::SendAgain);
    assert_eq!(leader.proposal(), Some(proposal));
    assert_eq!(leader.high_watermark(), Offset(90));
}

#[test]
fn an_answer_that_comes_after_the_metadata_changes_nothing() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 4_000, 2, 100);
    leader.on_lag_check(4_000).expect("broker 3 never came");
    assert_eq!(leader.on_metadata(&registration(&[1, 2], 21), 4_100), Some(Offset(100)));
    let (outcome, moved) = leader.on_answer(PartitionEpoch(20), Ok(&altered(&[1, 2], 21)), 4_200);
    assert_eq!((outcome, moved), (ProposalOutcome::Superseded, None));
    assert!(!leader.in_sync().is_pending());
}

#[test]
fn old_metadata_does_not_undo_what_is_committed() {
    let mut leader = leader(&[1, 2]);
    fetch(&mut leader, 1, 3, 100).proposal.expect("it has everything");
    leader.on_answer(PartitionEpoch(20), Ok(&altered(&[1, 2, 3], 21)), 2);
    assert_eq!(leader.on_metadata(&registration(&[1, 2], 20), 3), None);
    assert_eq!(leader.in_sync().committed(), [BrokerId(1), BrokerId(2), BrokerId(3)]);
}

#[test]
fn an_answer_of_another_leaders_time_commits_nothing() {
    let mut leader = leader(&[1, 2, 3]);
    fetch(&mut leader, 4_000, 2, 100);
    leader.on_lag_check(4_000).expect("broker 3 never came");
    let other = AlteredPartition { leader: BrokerId(2), leader_epoch: LeaderEpoch(6), ..altered(&[2], 22) };
    let (outcome, moved) = leader.on_answer(PartitionEpoch(20), Ok(&other), 4_100);
    assert_eq!((outcome, moved), (ProposalOutcome::Superseded, None));
    assert!(leader.in_sync().is_pending(), "until the metadata tells, it counts with the larger ISR");
}

#[test]
fn a_fetch_of_who_is_no_replica_changes_nothing() {
    let mut leader = leader(&[1, 2]);
    let before = leader.clone();
    assert_eq!(fetch_as(&mut leader, 1, 9, 100, None), Err(FetchRefusal::NotAReplica(BrokerId(9))));
    assert_eq!(leader, before);
}

#[test]
fn a_leader_is_followed_while_anybody_in_sync_with_it_fetches() {
    let mut leader = leader(&[1, 2]);
    assert!(leader.is_followed_since(0) && !leader.is_followed_since(1), "its followers had to hear of it first");
    fetch(&mut leader, 700, 2, 40);
    assert!(leader.is_followed_since(700) && !leader.is_followed_since(701));
    fetch(&mut leader, 900, 3, 40);
    assert!(!leader.is_followed_since(701), "broker 3 is not in sync, and may not lead");
}

#[test]
fn a_leader_that_nobody_else_is_in_sync_with_needs_no_followers() {
    assert!(leader(&[1]).is_followed_since(i64::MAX));
}

#[test]
fn one_that_is_alone_in_sync_needs_those_that_are_eligible_or_asked_to_be_taken_in() {
    let mut shrinking = leader(&[1, 2]);
    let lagging = MAX_LAG_MS * 2;
    let proposal = shrinking.on_lag_check(lagging).expect("a proposal without the one that lags");
    let shrunk = AlteredPartition { eligible_leader_replicas: vec![BrokerId(2)], ..altered(&[1], 21) };
    shrinking.on_answer(proposal.partition_epoch, Ok(&shrunk), lagging);
    assert!(!shrinking.is_followed_since(1), "broker 2 is eligible");

    let mut growing = leader(&[1]);
    fetch(&mut growing, 5, 2, 100);
    assert!(growing.in_sync().is_pending(), "broker 2 is proposed");
    assert!(growing.is_followed_since(5) && !growing.is_followed_since(6), "it may be in sync by now");
}
