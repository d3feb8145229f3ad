//! Random operations and time against what must hold whatever happens:
//!
//! - every parked request is answered exactly once (the harness), at the latest when the shard is given up;
//! - replaying the log from nothing gives the durable state;
//! - whoever is assigned something in a generation was assigned it by that generation's leader, for itself;
//! - nobody drops out of a group without leaving, being replaced, or missing a deadline;
//! - a stable group is in memory what it is in the log, and an empty one has nobody in it.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use weir_broker::group::{Group, Ticket};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use weir_protocol::messages::sync_group_request::SyncGroupRequestAssignment;

use crate::harness::*;

const GROUPS: [&str; 2] = ["g", "h"];
const CLIENTS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Op {
    Join { client: usize, protocols: usize, version: i16 },
    Forget { client: usize },
    Sync { client: usize },
    Heartbeat { client: usize },
    Leave { client: usize },
    Commit { client: usize },
    CommitFromOutside { group: usize },
    DeleteGroup { group: usize },
    Advance { ms: i64 },
    FailOver,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (client.clone(), 0..3usize, prop_oneof![Just(3i16), Just(8), Just(9)])
            .prop_map(|(client, protocols, version)| Op::Join { client, protocols, version }),
        1 => client.clone().prop_map(|client| Op::Forget { client }),
        6 => client.clone().prop_map(|client| Op::Sync { client }),
        4 => client.clone().prop_map(|client| Op::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Op::Leave { client }),
        2 => client.prop_map(|client| Op::Commit { client }),
        1 => (0..GROUPS.len()).prop_map(|group| Op::CommitFromOutside { group }),
        1 => (0..GROUPS.len()).prop_map(|group| Op::DeleteGroup { group }),
        4 => prop_oneof![Just(0), 1..4_000i64, Just(SESSION_MS), Just(REBALANCE_MS), Just(700_000)]
            .prop_map(|ms| Op::Advance { ms }),
        1 => Just(Op::FailOver),
    ]
}

/// What a client knows, and when it was last heard.
#[derive(Debug, Default)]
struct Client {
    member_id: String,
    generation: i32,
    leads: Vec<String>,
    join: Option<Ticket>,
    join_sent_ms: i64,
    sync: Option<Ticket>,
}

#[derive(Debug)]
struct Model {
    bench: Bench,
    clients: Vec<Client>,
    /// By member id: when it last sent anything, and when it last joined.
    heard_ms: std::collections::BTreeMap<String, (i64, i64)>,
}

fn group_of(client: usize) -> &'static str {
    GROUPS[client % GROUPS.len()]
}

/// The last two clients are static, one in each group.
fn instance_of(client: usize) -> Option<String> {
    (client >= CLIENTS - 2).then(|| format!("static{client}"))
}

impl Model {
    fn new() -> Self {
        let clients = (0..CLIENTS).map(|_| Client::default()).collect();
        Model { bench: Bench::new(), clients, heard_ms: Default::default() }
    }

    fn members(&self, group: &str) -> BTreeSet<String> {
        self.bench.describe(group).members.iter().map(|member| member.member_id.to_string()).collect()
    }

    fn step(&mut self, op: Op) {
        let before = GROUPS.map(|group| self.members(group));
        self.perform(op);
        for (group, before) in GROUPS.iter().zip(before) {
            let after = self.members(group);
            for lost in before.difference(&after) {
                self.check_loss(op, lost, &after);
            }
        }
        // Only now, for an answer that came during a long advance may be older than what the member missed since.
        self.read_answers();
        self.check_halves();
    }

    fn perform(&mut self, op: Op) {
        match op {
            Op::Join { client, protocols, version } => self.join(client, protocols, version),
            Op::Forget { client } => self.clients[client] = Client::default(),
            Op::Sync { client } => self.sync(client),
            Op::Heartbeat { client } => {
                let Client { member_id, generation, .. } = &self.clients[client];
                let (member_id, generation) = (member_id.clone(), *generation);
                let outcome = self.bench.heartbeat(group_of(client), &member_id, generation);
                if matches!(outcome, ErrorCode::None | ErrorCode::RebalanceInProgress) {
                    self.hear(&member_id, false);
                }
            }
            Op::Leave { client } => {
                let member_id = self.clients[client].member_id.clone();
                let instance = instance_of(client);
                self.bench.leave(group_of(client), &[(&member_id, instance.as_deref())]);
            }
            Op::Commit { client } => {
                let Client { member_id, generation, .. } = &self.clients[client];
                let request = member_commit(group_of(client), member_id, (*generation).max(0));
                self.bench.commit(&request, 9);
            }
            Op::CommitFromOutside { group } => {
                self.bench.commit(&commit_request(GROUPS[group], "topic", 1, 5), 9);
            }
            Op::DeleteGroup { group } => {
                let empty = self.members(GROUPS[group]).is_empty();
                let outcome = self.bench.run(|shard, _, effects| shard.delete_group(GROUPS[group], effects));
                assert!(outcome.is_err() || empty, "a group with members was deleted");
            }
            Op::Advance { ms } => self.bench.advance(ms),
            Op::FailOver => self.bench.fail_over(),
        }
    }

    fn hear(&mut self, member_id: &str, joins: bool) {
        let now_ms = self.bench.now.monotonic_ms;
        let heard = self.heard_ms.entry(member_id.to_owned()).or_insert((now_ms, now_ms));
        heard.0 = now_ms;
        if joins {
            heard.1 = now_ms;
        }
    }

    fn join(&mut self, client: usize, protocols: usize, version: i16) {
        let offers: [&[&str]; 3] = [&["range"], &["range", "sticky"], &["sticky", "range"]];
        let mut join = join(group_of(client), &self.clients[client].member_id).at_version(version);
        join.request.group_instance_id = instance_of(client).map(|name| text(&name));
        join.request.protocols = offers[protocols]
            .iter()
            .map(|name| {
                JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(subscription(&["topic"]))
            })
            .collect();
        let member_id = self.clients[client].member_id.clone();
        self.hear(&member_id, true);
        self.clients[client].join_sent_ms = self.bench.now.monotonic_ms;
        let ticket = self.bench.send_join(join);
        if let Some(earlier) = self.clients[client].join.replace(ticket) {
            // The client has given up on it; if it was parked it is answered all the same.
            let _ = self.bench.joined(earlier);
        }
    }

    fn sync(&mut self, client: usize) {
        let Client { member_id, generation, leads, .. } = &self.clients[client];
        let assign = |member: &String| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(member))
                .with_assignment(format!("{generation}/{member}").into_bytes().into())
        };
        let request = sync(group_of(client), member_id, *generation)
            .with_protocol_name(None)
            .with_group_instance_id(instance_of(client).map(|name| text(&name)))
            .with_assignments(leads.iter().map(assign).collect());
        let ticket = self.bench.send_sync(request);
        if let Some(earlier) = self.clients[client].sync.replace(ticket) {
            let _ = self.bench.synced(earlier);
        }
    }

    fn read_answers(&mut self) {
        for client in 0..CLIENTS {
            if let Some(response) = self.clients[client].join.and_then(|ticket| self.bench.joined(ticket)) {
                self.clients[client].join = None;
                self.read_join(client, response);
            }
            if let Some(response) = self.clients[client].sync.and_then(|ticket| self.bench.synced(ticket)) {
                self.clients[client].sync = None;
                if code(response.error_code) == ErrorCode::None && !response.assignment.is_empty() {
                    self.check_assignment(client, &response.assignment);
                }
            }
        }
    }

    fn read_join(&mut self, client: usize, response: weir_protocol::messages::JoinGroupResponse) {
        let known = &mut self.clients[client];
        match code(response.error_code) {
            ErrorCode::None => {
                known.member_id = response.member_id.to_string();
                known.generation = response.generation_id;
                // Told to skip, or shown an older id of itself, it assigns nothing.
                let leads = response.leader == response.member_id && !response.skip_assignment;
                let members = response.members.iter().map(|member| member.member_id.to_string());
                known.leads = if leads { members.collect() } else { Vec::new() };
                // The answer may be older than now: what counts is when the member asked.
                let asked_ms = (known.join_sent_ms, known.join_sent_ms);
                self.heard_ms.entry(known.member_id.clone()).or_insert(asked_ms);
            }
            ErrorCode::MemberIdRequired => known.member_id = response.member_id.to_string(),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => *known = Client::default(),
            ErrorCode::RebalanceInProgress | ErrorCode::NotCoordinator | ErrorCode::InconsistentGroupProtocol => {}
            other => panic!("a join was answered {other:?}"),
        }
    }

    /// An assignment names its generation and the member it was made for: this one, or the one whose place it took.
    fn check_assignment(&self, client: usize, assignment: &[u8]) {
        let assignment = std::str::from_utf8(assignment).expect("the leader's words");
        let (generation, owner) = assignment.split_once('/').expect("the leader's words");
        let known = &self.clients[client];
        assert_eq!(generation, known.generation.to_string(), "assigned in another generation");
        match instance_of(client) {
            Some(instance) => assert!(owner.starts_with(&instance), "{owner}'s assignment went to {instance}"),
            None => assert_eq!(owner, known.member_id, "another member's assignment"),
        }
    }

    fn check_loss(&self, op: Op, lost: &str, after: &BTreeSet<String>) {
        let replaced = (0..CLIENTS)
            .filter_map(instance_of)
            .any(|instance| lost.starts_with(&instance) && after.iter().any(|member| member.starts_with(&instance)));
        let now_ms = self.bench.now.monotonic_ms;
        let (heard_ms, joined_ms) = self.heard_ms.get(lost).copied().unwrap_or((0, 0));
        let missed = now_ms - heard_ms >= SESSION_MS || now_ms - joined_ms >= REBALANCE_MS;
        let allowed = match op {
            // Whoever joined since the last stored generation is not known to the log.
            Op::FailOver => true,
            Op::Leave { client } => {
                lost == self.clients[client].member_id
                    || instance_of(client).is_some_and(|name| lost.starts_with(&name))
            }
            Op::Join { .. } => replaced,
            Op::Advance { .. } => missed,
            _ => false,
        };
        assert!(allowed, "{op:?} lost {lost}");
    }

    fn check_halves(&self) {
        assert_eq!(self.bench.replayed().durable(), self.bench.durable());
        for group in GROUPS {
            let members = self.members(group);
            let stored = self.bench.durable().group(group).map(|stored| match stored {
                Group::Classic(value) => {
                    value.members.iter().map(|member| member.member_id.to_string()).collect::<BTreeSet<_>>()
                }
            });
            match self.bench.state(group).as_str() {
                "Dead" => assert_eq!((stored, members.len()), (None, 0)),
                "Empty" => assert_eq!((stored, members.len()), (Some(BTreeSet::new()), 0)),
                "Stable" => assert_eq!(stored, Some(members)),
                _ => assert!(stored.is_some(), "{group} is in motion and not in the log"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_groups_stay_consistent(ops in vec(op(), 1..150)) {
        let mut model = Model::new();
        for op in ops {
            model.step(op);
        }
        model.bench.fail_over();
        prop_assert_eq!(model.bench.parked_count(), 0, "a parked request was never answered");
    }
}
