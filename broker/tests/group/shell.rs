//! The shell: loading and unloading, answers held back until they are safe, failed appends, timers, wire versions.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use weir_broker::group::{
    CoordinatorRecord, GroupConfig, GroupCoordinator, LoadError, OffsetCommitKey, OffsetCommitValue, OffsetsLog,
    RequestContext, SystemClock,
};
use weir_protocol::compression::Codec;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, PartitionIndex};
use weir_protocol::messages::leave_group_request::MemberIdentity;
use weir_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use weir_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, LeaveGroupRequest, ListGroupsRequest,
    OffsetFetchRequest, TopicName,
};
use weir_protocol::records::{BatchBuilder, EndTransactionMarker, patch};

use crate::fake_broker::*;
use crate::harness::*;

#[test]
fn a_partition_that_is_not_led_here_has_another_coordinator() {
    let broker = Broker::started(GroupConfig::default());
    assert_eq!(code(ready(broker.join(join("g", ""))).error_code), ErrorCode::NotCoordinator);
    assert_eq!(commit_code(&ready(broker.commit("g", 1))), ErrorCode::NotCoordinator);
    assert_eq!(code(ready(broker.fetch("g")).groups[0].error_code), ErrorCode::NotCoordinator);
    assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
    assert_eq!(ready(broker.sync(sync("g", "m", 1))).error_code, ErrorCode::NotCoordinator.code());
    let described = broker
        .coordinator
        .describe_groups(&context(6), &DescribeGroupsRequest::default().with_groups(vec![group_id("g")]));
    assert_eq!(code(described.groups[0].error_code), ErrorCode::NotCoordinator);
    let listed = broker.coordinator.list_groups(&ListGroupsRequest::default());
    assert_eq!((code(listed.error_code), listed.groups.len()), (ErrorCode::None, 0));
}

#[test]
fn while_a_partition_loads_requests_wait_and_heartbeats_pass() {
    let broker = Broker::started(GroupConfig::default());
    let partition = broker.coordinator.partition_of("g");
    assert!(broker.coordinator.begin_load(partition, EPOCH));
    assert_eq!(commit_code(&ready(broker.commit("g", 1))), ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(broker.heartbeat("g"), ErrorCode::None);
    let listed = broker.coordinator.list_groups(&ListGroupsRequest::default());
    assert_eq!(code(listed.error_code), ErrorCode::CoordinatorLoadInProgress);
    broker.load(partition, EPOCH).expect("loads");
    assert_eq!(commit_code(&ready(broker.commit("g", 1))), ErrorCode::None);
}

#[test]
fn requests_that_cannot_be_meant_are_refused() {
    let broker = Broker::leading();
    let refusal = |join: Join| code(ready(broker.join(join)).error_code);
    assert_eq!(refusal(join("", "")), ErrorCode::InvalidGroupId);
    assert_eq!(refusal(join("g", "").with_timeouts(5_999, 60_000)), ErrorCode::InvalidSessionTimeout);
    assert_eq!(refusal(join("g", "").with_timeouts(1_800_001, 60_000)), ErrorCode::InvalidSessionTimeout);
    assert_eq!(refusal(join("g", "").with_instance(&"x".repeat(20_000))), ErrorCode::InvalidRequest);
    let request = join("g", "").request;
    let long_client_id = "c".repeat(20_000);
    let from_far = RequestContext { client_id: &long_client_id, ..context(3) };
    let refused = ready(broker.coordinator.join_group(&from_far, request));
    assert_eq!(code(refused.error_code), ErrorCode::InvalidRequest, "no record could hold the member's id");
    assert_eq!(broker.heartbeat(""), ErrorCode::InvalidGroupId);
    assert_eq!(code(ready(broker.sync(sync("", "m", 1))).error_code), ErrorCode::InvalidGroupId);
    // Offsets alone may be kept without a name, as old clients do.
    assert_eq!(commit_code(&ready(broker.commit("", 1))), ErrorCode::None);
    assert_eq!(commit_code(&ready(broker.commit(&"g".repeat(40_000), 1))), ErrorCode::InvalidGroupId);
}

#[test]
fn what_is_replicated_at_once_is_answered_at_once() {
    let broker = Broker::leading();
    assert_eq!(broker.fetched("g"), -1);
    assert_eq!(commit_code(&ready(broker.commit("g", 42))), ErrorCode::None);
    assert_eq!(broker.fetched("g"), 42);
}

#[tokio::test]
async fn neither_a_commit_nor_a_fetch_is_answered_before_the_commit_is_replicated() {
    let broker = Broker::leading();
    broker.log.hold();
    let (commit, fetch) = (broker.commit("g", 42), broker.fetch("g"));
    assert!(is_later(&commit) && is_later(&fetch));
    // What tells only of the moment is answered.
    assert_eq!(broker.heartbeat("g"), ErrorCode::UnknownMemberId);
    broker.log.finish(Ok(()));
    assert_eq!(commit_code(&commit.await), ErrorCode::None);
    assert_eq!(fetch.await.groups[0].topics[0].partitions[0].committed_offset, 42);
}

#[tokio::test]
async fn an_offset_that_is_undone_is_never_answered() {
    let broker = Broker::leading();
    broker.log.hold();
    let (commit, fetch) = (broker.commit("g", 42), broker.fetch("g"));
    broker.log.finish(Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(commit_code(&commit.await), ErrorCode::NotCoordinator);
    assert_eq!(code(fetch.await.groups[0].error_code), ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn a_coordinator_that_was_replaced_and_not_told_yet_shows_no_offset_by_the_new_leaders_log() {
    let broker = Broker::leading();
    broker.log.hold();
    let commit = broker.commit("g", 7);
    broker.log.follow(LeaderEpoch(EPOCH.0 + 1));
    broker.log.finish(Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(commit_code(&commit.await), ErrorCode::NotCoordinator);
    // The follower's log is replicated as far as the lost commit went, with other records.
    assert_eq!(code(broker.fetch("g").await.groups[0].error_code), ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_replication_forever() {
    let broker = Broker::started(GroupConfig { offset_commit_timeout_ms: 1, ..GroupConfig::default() });
    broker.load_all(EPOCH);
    broker.log.hold();
    assert_eq!(commit_code(&broker.commit("g", 42).await), ErrorCode::CoordinatorNotAvailable);
    // Older consumers do not know that code from an OffsetFetch.
    assert_eq!(code(broker.fetch("g").await.groups[0].error_code), ErrorCode::NotCoordinator);
}

#[test]
fn from_version_5_a_sync_without_its_protocol_is_inconsistent() {
    let broker = Broker::leading();
    let member = ready(broker.join(join("g", "").at_version(3))).member_id;
    let synced =
        |version: i16, request| code(ready(broker.coordinator.sync_group(&context(version), request)).error_code);
    let request = || sync("g", &member, 1).assigning(&[&member]);
    assert_eq!(synced(5, request().with_protocol_type(None)), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(synced(5, request().with_protocol_name(None)), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(synced(4, request().with_protocol_type(None).with_protocol_name(None)), ErrorCode::None);
}

#[test]
fn while_a_partition_is_taken_over_no_member_is_unknown() {
    let broker = Broker::leading();
    let partition = broker.coordinator.partition_of("g");
    let member = ready(broker.join(join("g", "").at_version(3))).member_id;
    assert_eq!(ready(broker.sync(sync("g", &member, 1).assigning(&[&member]))).error_code, 0);
    let request = HeartbeatRequest::default().with_group_id(group_id("g")).with_member_id(member).with_generation_id(1);
    let answers = Arc::new(Mutex::new(Vec::new()));
    *broker.clock.tick.lock().expect("unpoisoned") = Some(Box::new({
        let (coordinator, answers) = (Arc::downgrade(&broker.coordinator), Arc::clone(&answers));
        move || {
            let coordinator = coordinator.upgrade().expect("the test holds it");
            answers.lock().expect("unpoisoned").push(coordinator.heartbeat(&request).error_code);
        }
    }));
    broker.load(partition, LeaderEpoch(EPOCH.0 + 1)).expect("loads");
    let answers = answers.lock().expect("unpoisoned");
    assert!(!answers.is_empty() && answers.iter().all(|code| *code == 0), "{answers:?}");
}

#[tokio::test]
async fn a_failed_append_loads_the_partition_again() {
    let broker = Broker::started(GroupConfig::default());
    broker.load_all(EPOCH);
    let partition = broker.coordinator.partition_of("g");
    ready(broker.commit("g", 42));
    let parked = broker.join(join("g", "").at_version(3));
    assert!(is_later(&parked));
    broker.log.refuse(Some(ErrorCode::NotEnoughReplicas));
    let refused = ready(broker.join(join(&same_partition(&broker), "").at_version(3)));
    assert_eq!(code(refused.error_code), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(broker.log.reloads(), [(partition, EPOCH)]);
    assert_eq!(code(parked.await.error_code), ErrorCode::NotCoordinator);
    assert_eq!(commit_code(&ready(broker.commit("g", 1))), ErrorCode::CoordinatorLoadInProgress);
    broker.log.refuse(None);
    broker.load(partition, EPOCH).expect("loads");
    assert_eq!(broker.fetched("g"), 42);
}

#[tokio::test]
async fn offsets_that_the_log_does_not_take_disturb_nobody_else() {
    let broker = Broker::started(GroupConfig::default());
    broker.load_all(EPOCH);
    ready(broker.commit(&same_partition(&broker), 42));
    let parked = broker.join(join("g", "").at_version(3));
    let tombstones = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&same_partition(&broker))]);

    broker.log.refuse(Some(ErrorCode::KafkaStorageError));
    assert_eq!(commit_code(&ready(broker.commit(&same_partition(&broker), 7))), ErrorCode::NotCoordinator);
    assert_eq!(ready(broker.coordinator.delete_groups(&tombstones)).results[0].error_code, 16);
    broker.log.refuse(None);
    broker.log.state.lock().expect("unpoisoned").max_batch_bytes = Some(100);
    assert_eq!(commit_code(&ready(broker.commit(&same_partition(&broker), 7))), ErrorCode::UnknownServerError);

    assert_eq!(broker.log.reloads(), []);
    assert_eq!(broker.fetched(&same_partition(&broker)), 42);
    broker.coordinator.shutdown();
    assert_eq!(code(parked.await.error_code), ErrorCode::NotCoordinator, "it waited until the end");
}

/// Another group of the same partition as `g`.
fn same_partition(broker: &Broker) -> String {
    let names = (0..).map(|i| format!("other-{i}"));
    names
        .into_iter()
        .find(|name| broker.coordinator.partition_of(name) == broker.coordinator.partition_of("g"))
        .expect("one")
}

#[test]
fn log_errors_are_told_in_a_coordinators_words() {
    for (log, client) in [
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::UnknownTopicOrPartition, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
        (ErrorCode::InvalidRecord, ErrorCode::InvalidRecord),
    ] {
        let broker = Broker::leading();
        broker.log.refuse(Some(log));
        assert_eq!(commit_code(&ready(broker.commit("g", 42))), client);
    }
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_partition_moves_away() {
    let broker = Broker::started(GroupConfig::default());
    broker.load_all(EPOCH);
    let parked = broker.join(join("g", "").at_version(3));
    let partition = broker.coordinator.partition_of("g");
    broker.coordinator.unload(partition, LeaderEpoch(EPOCH.0 - 1));
    assert_eq!(broker.heartbeat("g"), ErrorCode::UnknownMemberId, "an older epoch ends nothing");
    broker.coordinator.unload(partition, LeaderEpoch(EPOCH.0 + 1));
    assert_eq!(code(parked.await.error_code), ErrorCode::NotCoordinator);
    assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn shutting_down_answers_everybody() {
    let broker = Broker::started(GroupConfig::default());
    broker.load_all(EPOCH);
    let parked = broker.join(join("g", "").at_version(3));
    broker.coordinator.shutdown();
    assert_eq!(code(parked.await.error_code), ErrorCode::NotCoordinator);
}

#[test]
fn only_a_newer_epoch_loads_again() {
    let broker = Broker::leading();
    let partition = PartitionIndex(7);
    assert!(matches!(broker.load(partition, EPOCH), Err(LoadError::Superseded)));
    assert!(matches!(broker.load(partition, LeaderEpoch(EPOCH.0 - 1)), Err(LoadError::Superseded)));
    assert!(broker.load(partition, LeaderEpoch(EPOCH.0 + 1)).is_ok());
    assert!(matches!(broker.load(PartitionIndex(50), EPOCH), Err(LoadError::Superseded)));
    assert!(matches!(broker.load(PartitionIndex(-1), EPOCH), Err(LoadError::Superseded)));
}

fn offset_record(group: &str, offset: i64) -> CoordinatorRecord {
    CoordinatorRecord::OffsetCommit {
        key: OffsetCommitKey { group: group.into(), topic: text("topic"), partition: 0 },
        value: Some(OffsetCommitValue {
            offset,
            leader_epoch: -1,
            metadata: text(""),
            commit_timestamp_ms: 1,
            expire_timestamp_ms: None,
            topic_id: uuid::Uuid::nil(),
        }),
    }
}

fn batch_of(builder: BatchBuilder, record: &CoordinatorRecord) -> Bytes {
    let mut builder = builder;
    builder.append(1, record.encode_key().as_deref(), record.encode_value().as_deref(), &[]).expect("fits");
    builder.build().expect("builds").freeze()
}

fn load_batches(batches: Vec<Bytes>) -> (Broker, Result<weir_broker::group::LoadSummary, LoadError<Infallible>>) {
    let broker = Broker::started(GroupConfig::default());
    let partition = broker.coordinator.partition_of("g");
    let outcome = broker.coordinator.load(partition, EPOCH, batches.into_iter().map(Ok));
    (broker, outcome)
}

#[test]
fn a_log_with_transactions_compression_and_strange_records_is_loaded() {
    let plain = |offset: i64| BatchBuilder::new(Codec::Gzip).base_offset(offset);
    let transactional = |producer: i64, offset: i64| {
        BatchBuilder::new(Codec::None).producer(producer, 0, 0).transactional(true).base_offset(offset)
    };
    let marker = |producer: i64, offset: i64, commit: bool| {
        let marker = EndTransactionMarker { committed: commit, coordinator_epoch: 0 };
        let mut bytes = marker.to_batch(producer, 0, 1).expect("builds");
        patch::set_base_offset(&mut bytes, offset);
        bytes.freeze()
    };
    let mut strange = BatchBuilder::new(Codec::None).base_offset(5);
    strange.append(1, Some(&[0, 3, 0, 1, b'g']), Some(&[0, 0]), &[]).expect("fits");
    let batches = [
        batch_of(plain(0), &offset_record("g", 1)),
        batch_of(transactional(8, 1), &offset_record("g", 2)),
        batch_of(transactional(9, 2), &offset_record("g", 3)),
        marker(9, 3, false),
        marker(8, 4, true),
        strange.build().expect("builds").freeze(),
    ];
    // Chunks hold any number of whole batches.
    let chunk: Bytes = batches.concat().into();
    let (broker, outcome) = load_batches(vec![chunk]);
    let summary = outcome.expect("loads");
    assert_eq!((summary.records, summary.groups, summary.log_end), (6, 1, 6));
    assert_eq!(broker.fetched("g"), 2);
}

#[test]
fn a_log_that_cannot_be_read_makes_no_coordinator() {
    let good = batch_of(BatchBuilder::new(Codec::None), &offset_record("g", 1));
    let cut = good.slice(..good.len() - 1);
    let mut unknown_version = BatchBuilder::new(Codec::None);
    let key = offset_record("g", 1).encode_key();
    unknown_version.append(1, key.as_deref(), Some(&[0, 9]), &[]).expect("fits");
    let unknown_version = unknown_version.build().expect("builds").freeze();
    for (bytes, expected) in [(cut, "batch after offset -1"), (unknown_version, "record at offset 0")] {
        let (broker, outcome) = load_batches(vec![bytes]);
        let error = outcome.expect_err("damaged").to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(broker.heartbeat("g"), ErrorCode::NotCoordinator);
    }
    let broker = Broker::started(GroupConfig::default());
    let outcome = broker.coordinator.load(PartitionIndex(0), EPOCH, [Err::<Bytes, _>("no disk")]);
    assert_eq!(outcome.expect_err("unreadable").to_string(), "reading the log failed: no disk");
}

#[tokio::test]
async fn the_timers_task_completes_a_rebalance() {
    let log = Arc::new(FakeLog::default());
    let config = GroupConfig { initial_rebalance_delay_ms: 20, ..GroupConfig::default() };
    let coordinator = GroupCoordinator::new(config, log as Arc<dyn OffsetsLog>, SystemClock::start());
    let partition = coordinator.partition_of("g");
    coordinator.load(partition, EPOCH, std::iter::empty::<Result<Bytes, Infallible>>()).expect("loads");
    let conversation = async {
        let response = coordinator.join_group(&context(3), join("g", "").at_version(3).request).await;
        assert_eq!((code(response.error_code), response.generation_id), (ErrorCode::None, 1));
        let leader = response.member_id.to_string();
        let answer = coordinator.sync_group(&context(5), sync("g", &leader, 1).assigning(&[&leader])).await;
        assert_eq!(answer.assignment.as_ref(), leader.as_bytes());
    };
    tokio::select! {
        () = coordinator.run_timers() => unreachable!("the timers run forever"),
        () = conversation => {}
    }
}

#[test]
fn a_refused_join_has_an_empty_protocol_in_every_version() {
    let broker = Broker::leading();
    for version in [4, 6, 7, 9] {
        let response = ready(broker.join(join("g", "").at_version(version)));
        assert_eq!(code(response.error_code), ErrorCode::MemberIdRequired);
        assert_eq!(response.protocol_name.as_deref(), Some(""));
    }
}

#[test]
fn before_version_3_a_leave_names_one_member_and_has_one_code() {
    let broker = Broker::leading();
    let member = ready(broker.join(join("g", "").at_version(3))).member_id;
    let leave =
        |version: i16, request: LeaveGroupRequest| ready(broker.coordinator.leave_group(&context(version), request));
    let old = |member: &str| LeaveGroupRequest::default().with_group_id(group_id("g")).with_member_id(text(member));
    let response = leave(2, old("stranger"));
    assert_eq!((code(response.error_code), response.members.len()), (ErrorCode::UnknownMemberId, 0));
    assert_eq!(leave(0, old(&member)).error_code, 0);
    let identity = MemberIdentity::default().with_member_id(text("stranger"));
    let new = LeaveGroupRequest::default().with_group_id(group_id("g")).with_members(vec![identity]);
    let response = leave(5, new);
    assert_eq!((response.error_code, code(response.members[0].error_code)), (0, ErrorCode::UnknownMemberId));
}

#[test]
fn up_to_version_7_a_fetch_names_one_group() {
    let broker = Broker::leading();
    ready(broker.commit("g", 42));
    let topic = OffsetFetchRequestTopic::default().with_name(TopicName(text("topic"))).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group_id("g")).with_topics(Some(vec![topic]));
    let response = ready(broker.coordinator.offset_fetch(&context(7), request.clone()));
    assert_eq!((response.topics[0].partitions[0].committed_offset, response.groups.len()), (42, 0));
    let all = ready(broker.coordinator.offset_fetch(&context(2), request.clone().with_topics(None)));
    assert_eq!(all.topics[0].name.as_str(), "topic");
    broker.coordinator.shutdown();
    let refused = ready(broker.coordinator.offset_fetch(&context(2), request.clone()));
    assert_eq!((code(refused.error_code), refused.topics.len()), (ErrorCode::NotCoordinator, 0));
    // Version 1 has no code of its own.
    let refused = ready(broker.coordinator.offset_fetch(&context(1), request));
    assert_eq!(code(refused.topics[0].partitions[0].error_code), ErrorCode::NotCoordinator);
}

#[test]
fn groups_of_many_partitions_are_listed_and_deleted_together() {
    let broker = Broker::leading();
    for i in 0..20 {
        ready(broker.commit(&format!("g{i}"), 1));
    }
    assert_eq!(broker.coordinator.list_groups(&ListGroupsRequest::default()).groups.len(), 20);
    let names = (0..21).map(|i| group_id(&format!("g{i}"))).collect();
    let response = ready(broker.coordinator.delete_groups(&DeleteGroupsRequest::default().with_groups_names(names)));
    let codes: Vec<ErrorCode> = response.results.iter().map(|result| code(result.error_code)).collect();
    assert!(codes[..20].iter().all(|code| *code == ErrorCode::None));
    assert_eq!(codes[20], ErrorCode::GroupIdNotFound);
    ready(broker.commit("twice", 1));
    let twice = DeleteGroupsRequest::default().with_groups_names(vec![group_id("twice"), group_id("twice")]);
    let response = ready(broker.coordinator.delete_groups(&twice));
    assert_eq!(response.results.iter().map(|result| result.error_code).collect::<Vec<_>>(), [0]);
    assert_eq!(broker.coordinator.list_groups(&ListGroupsRequest::default()).groups.len(), 0);
}
