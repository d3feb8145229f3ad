//! A shard with a log of its own and a virtual clock; what Kafka's `GroupMetadataManagerTestContext` is there.
//!
//! Records go through their bytes on the way to the log, and every answer must be for a ticket that was parked and not
//! answered before.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use weir_broker::group::{
    Answer, CoordinatorRecord, DurableState, Effects, GroupConfig, GroupCoordinatorShard, JoinContext, Now, Ticket,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::Offset;
use weir_protocol::messages::describe_groups_response::DescribedGroup;
use weir_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use weir_protocol::messages::leave_group_request::MemberIdentity;
use weir_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use weir_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use weir_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, StrBytes,
    SyncGroupRequest, SyncGroupResponse, TopicName,
};

pub(crate) const SESSION_MS: i64 = 10_000;
pub(crate) const REBALANCE_MS: i64 = 60_000;
pub(crate) const INITIAL_DELAY_MS: i64 = 3_000;

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) fn group_id(value: &str) -> GroupId {
    GroupId(text(value))
}

pub(crate) fn code(value: i16) -> ErrorCode {
    ErrorCode::from_code(value)
}

/// A consumer's subscription, version 0.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut out = vec![0, 0];
    out.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        out.extend((topic.len() as i16).to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend((-1i32).to_be_bytes());
    out.into()
}

/// One JoinGroup to be.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) request: JoinGroupRequest,
    pub(crate) version: i16,
    pub(crate) client_id: String,
}

/// A JoinGroup at version 9 of a consumer that offers `range`.
pub(crate) fn join(group: &str, member: &str) -> Join {
    let request = JoinGroupRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member))
        .with_session_timeout_ms(SESSION_MS as i32)
        .with_rebalance_timeout_ms(REBALANCE_MS as i32)
        .with_protocol_type(text("consumer"));
    Join { request, version: 9, client_id: "client".into() }.offering(&[("range", "meta")])
}

impl Join {
    pub(crate) fn offering(mut self, protocols: &[(&str, &str)]) -> Self {
        let protocol = |(name, metadata): &(&str, &str)| {
            JoinGroupRequestProtocol::default()
                .with_name(text(name))
                .with_metadata(Bytes::copy_from_slice(metadata.as_bytes()))
        };
        self.request.protocols = protocols.iter().map(protocol).collect();
        self
    }

    pub(crate) fn subscribing(mut self, topics: &[&str]) -> Self {
        self.request.protocols =
            vec![JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription(topics))];
        self
    }

    pub(crate) fn of_type(mut self, protocol_type: &str) -> Self {
        self.request.protocol_type = text(protocol_type);
        self
    }

    pub(crate) fn with_instance(mut self, instance: &str) -> Self {
        self.request.group_instance_id = Some(text(instance));
        self
    }

    pub(crate) fn at_version(mut self, version: i16) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn with_timeouts(mut self, session_ms: i64, rebalance_ms: i64) -> Self {
        self.request.session_timeout_ms = session_ms as i32;
        self.request.rebalance_timeout_ms = rebalance_ms as i32;
        self
    }
}

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) shard: GroupCoordinatorShard,
    pub(crate) config: Arc<GroupConfig>,
    pub(crate) now: Now,
    /// Every record so far; the offset is the index.
    pub(crate) log: Vec<CoordinatorRecord>,
    /// The largest batch that the log takes.
    pub(crate) max_batch_bytes: usize,
    next_ticket: u64,
    next_random: u128,
    answers: BTreeMap<Ticket, Answer>,
    parked: BTreeMap<Ticket, ()>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench::with(GroupConfig::default())
    }

    pub(crate) fn with(config: GroupConfig) -> Self {
        let config = Arc::new(config);
        let mut shard = GroupCoordinatorShard::new(Arc::clone(&config));
        let now = Now { monotonic_ms: 0, wall_ms: 1_700_000_000_000 };
        shard.on_loaded(now, &mut Effects::default());
        Bench {
            shard,
            config,
            now,
            log: Vec::new(),
            max_batch_bytes: usize::MAX,
            next_ticket: 0,
            next_random: 0,
            answers: BTreeMap::new(),
            parked: BTreeMap::new(),
        }
    }

    /// Runs one operation, appends and replays its records and takes its answers.
    pub(crate) fn run<R>(&mut self, operation: impl FnOnce(&mut GroupCoordinatorShard, Now, &mut Effects) -> R) -> R {
        let mut effects = Effects::for_log(self.max_batch_bytes);
        let result = operation(&mut self.shard, self.now, &mut effects);
        self.perform(effects);
        result
    }

    fn perform(&mut self, effects: Effects) {
        for record in effects.records {
            let key = record.encode_key();
            let read = CoordinatorRecord::decode(key, record.encode_value()).expect("what is written can be read");
            assert_eq!(read, record);
            self.shard.replay(Offset(self.log.len() as i64), None, record.clone());
            self.log.push(record);
        }
        for answer in effects.answers {
            let ticket = answer.ticket();
            assert!(self.parked.remove(&ticket).is_some(), "{ticket:?} was answered before, or never asked");
            self.answers.insert(ticket, answer);
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.parked.insert(ticket, ());
        ticket
    }

    /// Requests that have no answer yet.
    pub(crate) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// The durable state that replaying the whole log from nothing gives.
    pub(crate) fn replayed(&self) -> GroupCoordinatorShard {
        let mut shard = GroupCoordinatorShard::new(Arc::clone(&self.config));
        for (offset, record) in self.log.iter().enumerate() {
            shard.replay(Offset(offset as i64), None, record.clone());
        }
        shard
    }

    pub(crate) fn durable(&self) -> &DurableState {
        self.shard.durable()
    }

    /// Another broker takes over: every parked request is answered, and the log read anew.
    pub(crate) fn fail_over(&mut self) {
        self.run(|shard, now, effects| shard.on_unloaded(now, ErrorCode::NotCoordinator, effects));
        self.shard = self.replayed();
        self.run(|shard, now, effects| shard.on_loaded(now, effects));
    }

    /// Lets time pass, each deadline in its turn.
    pub(crate) fn advance(&mut self, ms: i64) {
        let until_ms = self.now.monotonic_ms + ms;
        while let Some(due_ms) = self.shard.next_deadline_ms().filter(|due_ms| *due_ms <= until_ms) {
            self.set_time(due_ms.max(self.now.monotonic_ms));
            self.run(|shard, now, effects| shard.on_timeout(now, effects));
        }
        self.set_time(until_ms);
    }

    fn set_time(&mut self, monotonic_ms: i64) {
        self.now.wall_ms += monotonic_ms - self.now.monotonic_ms;
        self.now.monotonic_ms = monotonic_ms;
    }

    pub(crate) fn send_join(&mut self, join: Join) -> Ticket {
        let ticket = self.ticket();
        self.next_random += 1;
        let random = Uuid::from_u128(self.next_random);
        self.run(|shard, now, effects| {
            let context = JoinContext {
                client_id: &join.client_id,
                client_host: "/127.0.0.1",
                api_version: join.version,
                random,
            };
            shard.join_group(now, &context, &join.request, ticket, effects);
        });
        ticket
    }

    /// The answer to a join, if it is there.
    pub(crate) fn joined(&mut self, ticket: Ticket) -> Option<JoinGroupResponse> {
        match self.answers.remove(&ticket)? {
            Answer::Join(_, response) => Some(response),
            other => panic!("not a join: {other:?}"),
        }
    }

    /// A join that is answered at once.
    pub(crate) fn join_now(&mut self, join: Join) -> JoinGroupResponse {
        let ticket = self.send_join(join);
        self.joined(ticket).expect("answered at once")
    }

    pub(crate) fn join_error(&mut self, join: Join) -> ErrorCode {
        code(self.join_now(join).error_code)
    }

    /// A dynamic member's id, asked for and granted.
    pub(crate) fn new_id(&mut self, join: Join) -> String {
        let response = self.join_now(join);
        assert_eq!(code(response.error_code), ErrorCode::MemberIdRequired);
        response.member_id.to_string()
    }

    pub(crate) fn send_sync(&mut self, request: SyncGroupRequest) -> Ticket {
        let ticket = self.ticket();
        self.run(|shard, now, effects| shard.sync_group(now, &request, ticket, effects));
        ticket
    }

    pub(crate) fn synced(&mut self, ticket: Ticket) -> Option<SyncGroupResponse> {
        match self.answers.remove(&ticket)? {
            Answer::Sync(_, response) => Some(response),
            other => panic!("not a sync: {other:?}"),
        }
    }

    pub(crate) fn sync_now(&mut self, request: SyncGroupRequest) -> SyncGroupResponse {
        let ticket = self.send_sync(request);
        self.synced(ticket).expect("answered at once")
    }

    pub(crate) fn heartbeat(&mut self, group: &str, member: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(group))
            .with_member_id(text(member))
            .with_generation_id(generation);
        self.heartbeat_with(request)
    }

    pub(crate) fn heartbeat_with(&mut self, request: HeartbeatRequest) -> ErrorCode {
        let outcome = self.run(|shard, now, _| shard.heartbeat(now, &request));
        outcome.err().map_or(ErrorCode::None, |error| error.code())
    }

    pub(crate) fn leave(&mut self, group: &str, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let identity = |(member, instance): &(&str, Option<&str>)| {
            MemberIdentity::default().with_member_id(text(member)).with_group_instance_id(instance.map(text))
        };
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(group))
            .with_members(members.iter().map(identity).collect());
        let responses = self.run(|shard, now, effects| shard.leave_group(now, &request, effects));
        responses.iter().map(|response| code(response.error_code)).collect()
    }

    pub(crate) fn commit(&mut self, request: &OffsetCommitRequest, version: i16) -> Vec<ErrorCode> {
        let response = self.run(|shard, now, effects| shard.commit_offsets(now, version, request, effects));
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| code(partition.error_code)).collect()
    }

    /// A commit from outside of any group's membership, which must succeed.
    pub(crate) fn commit_simple(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let request = commit_request(group, topic, partition, offset);
        assert_eq!(self.commit(&request, 9), [ErrorCode::None]);
    }

    pub(crate) fn describe(&self, group: &str) -> DescribedGroup {
        self.shard.describe_group(&group_id(group), 6)
    }

    pub(crate) fn state(&self, group: &str) -> String {
        self.describe(group).group_state.to_string()
    }

    /// A stable group of `count` dynamic members at generation 1; the first leads. Each is assigned its own id's bytes.
    pub(crate) fn stable_group(&mut self, group: &str, count: usize) -> Vec<String> {
        let ids: Vec<String> = (0..count).map(|_| self.new_id(join(group, ""))).collect();
        self.stabilize(group, ids.iter().map(|id| join(group, id)).collect(), INITIAL_DELAY_MS)
    }

    /// Joins them all, waits, syncs; the leader comes first in what is returned.
    pub(crate) fn stabilize(&mut self, group: &str, joins: Vec<Join>, wait_ms: i64) -> Vec<String> {
        let tickets: Vec<Ticket> = joins.into_iter().map(|join| self.send_join(join)).collect();
        let mut waited_ms = 0;
        while self.state(group) == "PreparingRebalance" {
            assert!(waited_ms <= REBALANCE_MS, "the rebalance never completes");
            self.advance(wait_ms.max(1));
            waited_ms += wait_ms.max(1);
        }
        let mut responses: Vec<JoinGroupResponse> =
            tickets.into_iter().map(|ticket| self.joined(ticket).expect("joined")).collect();
        responses.sort_by_key(|response| response.member_id != response.leader);
        self.sync_all(group, &responses);
        assert_eq!(self.state(group), "Stable");
        responses.iter().map(|response| response.member_id.to_string()).collect()
    }

    /// Every member syncs, the leader first.
    pub(crate) fn sync_all(&mut self, group: &str, responses: &[JoinGroupResponse]) {
        let leader = responses.iter().find(|response| response.member_id == response.leader).expect("a leader");
        let members: Vec<&str> = leader.members.iter().map(|member| member.member_id.as_str()).collect();
        let request = sync(group, &leader.leader, leader.generation_id).assigning(&members);
        assert_eq!(code(self.sync_now(request).error_code), ErrorCode::None);
        for response in responses.iter().filter(|response| response.member_id != response.leader) {
            let answer = self.sync_now(sync(group, &response.member_id, response.generation_id));
            assert_eq!(answer.assignment, Bytes::copy_from_slice(response.member_id.as_bytes()));
        }
    }
}

/// A SyncGroup without assignments.
pub(crate) fn sync(group: &str, member: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member))
        .with_generation_id(generation)
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
}

pub(crate) trait Assigning {
    /// Assigns to each member the bytes of its id.
    fn assigning(self, members: &[&str]) -> Self;
}

impl Assigning for SyncGroupRequest {
    fn assigning(self, members: &[&str]) -> Self {
        let assign = |member: &&str| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(member))
                .with_assignment(Bytes::copy_from_slice(member.as_bytes()))
        };
        self.with_assignments(members.iter().map(assign).collect())
    }
}

/// An OffsetCommit of one partition from outside of the group's membership.
pub(crate) fn commit_request(group: &str, topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("note")));
    let topic = OffsetCommitRequestTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic])
}

/// The same from a member.
pub(crate) fn member_commit(group: &str, member: &str, generation: i32) -> OffsetCommitRequest {
    commit_request(group, "topic", 0, 7).with_member_id(text(member)).with_generation_id_or_member_epoch(generation)
}
