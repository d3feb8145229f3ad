//! A member of a group as its client runs it: it joins, syncs, commits and fetches, is told otherwise, leaves, or dies.
//!
//! It has one request under way at a time and gives up on an answer after a while; what comes later is not for it any more.

use bytes::Bytes;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use weir_protocol::messages::leave_group_request::MemberIdentity;
use weir_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use weir_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, StrBytes, SyncGroupRequest,
};

use super::wire::{self, GroupAnswer, GroupRequest, code, commit_code, group_id, text};
use super::{TOPIC, TOPIC_PARTITIONS};

const SESSION_TIMEOUT_MS: i32 = 1_500;
const REBALANCE_TIMEOUT_MS: i32 = 2_000;
const HEARTBEAT_INTERVAL_MS: i64 = 300;
/// A JoinGroup may wait for a whole rebalance.
const JOIN_TIMEOUT_MS: i64 = 4_000;
const REQUEST_TIMEOUT_MS: i64 = 700;
/// One request of so many is an OffsetFetch, where nothing else is to be done.
const FETCH_EVERY: u64 = 4;
const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";

#[derive(Clone, Debug)]
enum Phase {
    Joining,
    /// With what the leader is going to assign.
    Syncing(Vec<(StrBytes, Bytes)>),
    Stable,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) group: &'static str,
    instance: Option<&'static str>,
    id: StrBytes,
    pub(crate) generation: i32,
    phase: Phase,
    pub(crate) owned: Vec<i32>,
    /// The request under way, and when it is given up.
    asked: Option<(u64, i64)>,
    requests: u64,
    last_heartbeat_ms: i64,
    away_until_ms: i64,
    /// When the last of its commits was answered.
    pub(crate) last_commit_ms: i64,
}

impl Member {
    pub(crate) fn new(group: &'static str, instance: Option<&'static str>) -> Self {
        Self {
            group,
            instance,
            id: StrBytes::new(),
            generation: -1,
            phase: Phase::Joining,
            owned: Vec::new(),
            asked: None,
            requests: 0,
            last_heartbeat_ms: 0,
            away_until_ms: 0,
            last_commit_ms: 0,
        }
    }

    pub(crate) fn is_stable(&self) -> bool {
        matches!(self.phase, Phase::Stable)
    }

    /// It ends, and another process takes its place later, which knows its instance id at most.
    pub(crate) fn crash(&mut self, now_ms: i64, for_ms: i64) {
        self.start_over();
        self.asked = None;
        self.away_until_ms = now_ms + for_ms;
    }

    /// As [`Member::crash`], saying goodbye.
    pub(crate) fn leave(&mut self, now_ms: i64, for_ms: i64) -> (u64, GroupRequest) {
        let identity =
            MemberIdentity::default().with_member_id(self.id.clone()).with_group_instance_id(self.instance.map(text));
        let request = LeaveGroupRequest::default().with_group_id(group_id(self.group)).with_members(vec![identity]);
        self.crash(now_ms, for_ms);
        self.requests += 1;
        (self.requests, GroupRequest::Leave(request))
    }

    fn start_over(&mut self) {
        self.id = StrBytes::new();
        self.rejoin();
    }

    fn rejoin(&mut self) {
        self.phase = Phase::Joining;
        self.owned.clear();
    }

    /// What it asks next, if it is not waiting for an answer.
    pub(crate) fn next_request(&mut self, now_ms: i64, next_offset: &mut i64) -> Option<(u64, GroupRequest)> {
        if now_ms < self.away_until_ms {
            return None;
        }
        if let Some((_, until_ms)) = self.asked {
            if now_ms < until_ms {
                return None;
            }
            // A client whose SyncGroup is not answered joins again.
            if matches!(self.phase, Phase::Syncing(_)) {
                self.rejoin();
            }
        }
        self.requests += 1;
        let request = match &self.phase {
            Phase::Joining => GroupRequest::Join(self.join()),
            Phase::Syncing(assignments) => GroupRequest::Sync(self.sync(assignments)),
            Phase::Stable if now_ms - self.last_heartbeat_ms >= HEARTBEAT_INTERVAL_MS => {
                self.last_heartbeat_ms = now_ms;
                let request = HeartbeatRequest::default().with_group_id(group_id(self.group));
                let request = request.with_member_id(self.id.clone()).with_generation_id(self.generation);
                GroupRequest::Heartbeat(request.with_group_instance_id(self.instance.map(text)))
            }
            Phase::Stable if self.owned.is_empty() || self.requests.is_multiple_of(FETCH_EVERY) => {
                GroupRequest::Fetch(wire::fetch(self.group))
            }
            Phase::Stable => {
                let request = wire::commit(self.group, &self.owned, next_offset);
                let request = request.with_group_instance_id(self.instance.map(text));
                let request = request.with_member_id(self.id.clone());
                GroupRequest::Commit(request.with_generation_id_or_member_epoch(self.generation))
            }
        };
        let timeout_ms = if matches!(self.phase, Phase::Joining) { JOIN_TIMEOUT_MS } else { REQUEST_TIMEOUT_MS };
        self.asked = Some((self.requests, now_ms + timeout_ms));
        Some((self.requests, request))
    }

    fn join(&self) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol::default().with_name(text(PROTOCOL)).with_metadata(subscription());
        JoinGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.map(text))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_protocol_type(text(PROTOCOL_TYPE))
            .with_protocols(vec![protocol])
    }

    fn sync(&self, assignments: &[(StrBytes, Bytes)]) -> SyncGroupRequest {
        let assign = |(member_id, assignment): &(StrBytes, Bytes)| {
            let assign = SyncGroupRequestAssignment::default().with_member_id(member_id.clone());
            assign.with_assignment(assignment.clone())
        };
        SyncGroupRequest::default()
            .with_group_id(group_id(self.group))
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.map(text))
            .with_generation_id(self.generation)
            .with_protocol_type(Some(text(PROTOCOL_TYPE)))
            .with_protocol_name(Some(text(PROTOCOL)))
            .with_assignments(assignments.iter().map(assign).collect())
    }

    pub(crate) fn on_answer(&mut self, now_ms: i64, id: u64, answer: &GroupAnswer) {
        if self.asked.is_none_or(|(asked, _)| asked != id) {
            return;
        }
        self.asked = None;
        match answer {
            GroupAnswer::Join(response) => self.on_joined(response),
            GroupAnswer::Sync(response) if response.error_code == 0 => {
                self.owned = wire::assigned(&response.assignment);
                self.phase = Phase::Stable;
            }
            // Whatever is wrong, it joins again; `told` says under which id.
            GroupAnswer::Sync(response) => {
                self.rejoin();
                self.on_told(code(response.error_code));
            }
            GroupAnswer::Heartbeat(response) => self.on_told(code(response.error_code)),
            GroupAnswer::Commit(response) => {
                let code = commit_code(response);
                if code == ErrorCode::None {
                    self.last_commit_ms = now_ms;
                }
                self.on_told(code);
            }
            GroupAnswer::Fetch(_) | GroupAnswer::Other => {}
        }
    }

    fn on_joined(&mut self, response: &JoinGroupResponse) {
        match code(response.error_code) {
            ErrorCode::None => {
                self.id = response.member_id.clone();
                self.generation = response.generation_id;
                self.phase = Phase::Syncing(assign(response));
            }
            ErrorCode::MemberIdRequired => self.id = response.member_id.clone(),
            told => self.on_told(told),
        }
    }

    fn on_told(&mut self, told: ErrorCode) {
        match told {
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.start_over(),
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => self.rejoin(),
            // Another coordinator is to be looked for, or the same one asked again.
            _ => {}
        }
    }
}

/// The leader deals the partitions out, in an order that turns with the generations.
fn assign(response: &JoinGroupResponse) -> Vec<(StrBytes, Bytes)> {
    let count = response.members.len();
    let share = |index: usize| {
        let turned = |partition: &i32| (*partition + response.generation_id) as usize % count == index;
        (0..TOPIC_PARTITIONS).filter(turned).flat_map(i32::to_be_bytes).collect::<Vec<u8>>()
    };
    let members = response.members.iter().enumerate();
    members.map(|(index, member)| (member.member_id.clone(), share(index).into())).collect()
}

/// A consumer's subscription to the topic, version 0.
fn subscription() -> Bytes {
    let mut out = vec![0, 0, 0, 0, 0, 1];
    out.extend((TOPIC.len() as i16).to_be_bytes());
    out.extend(TOPIC.as_bytes());
    out.extend((-1i32).to_be_bytes());
    out.into()
}
