//! A simulated broker: the shell around the cores of replication, as thin as the real one ought to be.
//!
//! It acts as leader or follower only once the metadata it has applied tells of its own registration in this life.

use std::sync::Arc;

use uuid::Uuid;
use weir_broker::replication::{
    Candidate, FetchedPartition, FollowerFetch, FollowerState, FollowerStep, IsrProposal, LeaderState, LocalLog,
    LogAtElection, Restart, Terms,
};
use weir_controller::decide::{AlteredPartition, BrokerHeartbeatRequest, IsrMember, LogState};
use weir_controller::image::{MetadataImage, PartitionRegistration};
use weir_controller::record::PartitionChangeRecord;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicId};

use crate::group::coordinator::Groups;
use crate::group::records::Records;
use crate::message::{Address, Commit, Message};
use crate::model_log::{Entry, ModelLog};
use crate::planted::Bug;

/// `min.insync.replicas`.
pub(crate) const MIN_INSYNC: usize = 2;
/// `replica.lag.time.max.ms`.
const MAX_LAG_MS: i64 = 3_000;
const HEARTBEAT_INTERVAL_MS: i64 = 300;
const REGISTER_INTERVAL_MS: i64 = 200;
const LAG_CHECK_INTERVAL_MS: i64 = 500;
const CHECKPOINT_INTERVAL_MS: i64 = 700;
/// How often everything is flushed; what came since may be lost with the power.
const FLUSH_INTERVAL_MS: i64 = 1_100;
/// How long an unanswered request is waited for.
const REQUEST_TIMEOUT_MS: i64 = 600;
/// Records an answer to a fetch holds at most.
const MAX_FETCHED: usize = 7;

/// What a broker is to a partition.
pub(crate) enum Role {
    Idle,
    Leader { state: Box<LeaderState>, waiting: Vec<(Offset, u64)>, asked_ms: i64 },
    Follower { state: FollowerState, asked: Option<(u64, i64)> },
}

pub(crate) struct Replica {
    pub(crate) log: ModelLog,
    pub(crate) role: Role,
    /// What it has said is committed, as a leader of which epoch, since somebody looked.
    pub(crate) claims: Vec<Claim>,
}

/// What a leader holds to be committed.
pub(crate) struct Claim {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) high_watermark: Offset,
    /// Whether it would say so to anyone who asks.
    pub(crate) is_told: bool,
}

/// What a broker does to the world: messages to send, from itself.
pub(crate) type Outbox = Vec<(Address, Message)>;

pub(crate) struct Broker {
    pub(crate) id: BrokerId,
    topic: TopicId,
    bug: Option<Bug>,
    incarnation: Uuid,
    epoch: Option<BrokerEpoch>,
    /// Whether its logs may have lost their tails, as long as the controller does not know.
    pub(crate) log_state: LogState,
    pub(crate) image: MetadataImage,
    pub(crate) applied: usize,
    pub(crate) replicas: Vec<Replica>,
    /// Where `__consumer_offsets` is among the replicas.
    groups_partition: usize,
    group_records: Records,
    pub(crate) groups: Groups,
    next_fetch_id: u64,
    last_heartbeat_ms: i64,
    last_registration_ms: i64,
    last_lag_check_ms: i64,
    last_checkpoint_ms: i64,
    last_flush_ms: i64,
}

impl Broker {
    /// A broker with a replica of each of `partitions` partitions, the last of which is that of the groups.
    pub(crate) fn new(
        id: BrokerId,
        topic: TopicId,
        partitions: usize,
        incarnation: Uuid,
        group_records: Records,
        bug: Option<Bug>,
    ) -> Self {
        let replica = || Replica { log: ModelLog::default(), role: Role::Idle, claims: Vec::new() };
        Self {
            id,
            topic,
            bug,
            incarnation,
            epoch: None,
            log_state: LogState::Intact,
            image: MetadataImage::default(),
            applied: 0,
            replicas: (0..partitions).map(|_| replica()).collect(),
            groups_partition: partitions - 1,
            groups: Groups::new(group_records.clone(), incarnation, bug),
            group_records,
            next_fetch_id: 0,
            last_heartbeat_ms: i64::MIN / 2,
            last_registration_ms: i64::MIN / 2,
            last_lag_check_ms: i64::MIN / 2,
            last_checkpoint_ms: i64::MIN / 2,
            last_flush_ms: i64::MIN / 2,
        }
    }

    /// The machine loses power. Of each log a part stays of what was not flushed: so many thousandths.
    pub(crate) fn cut_power(&mut self, mut kept: impl FnMut() -> usize) {
        self.log_state = LogState::TailsMayBeLost;
        for replica in &mut self.replicas {
            replica.role = Role::Idle;
            replica.log.cut_power(kept());
        }
    }

    /// The process ends and another starts: files stay, memory does not.
    pub(crate) fn restart(&mut self, incarnation: Uuid) {
        self.incarnation = incarnation;
        self.epoch = None;
        self.groups = Groups::new(self.group_records.clone(), incarnation, self.bug);
        self.last_heartbeat_ms = i64::MIN / 2;
        self.last_registration_ms = i64::MIN / 2;
        for replica in &mut self.replicas {
            replica.role = Role::Idle;
            replica.log.crash();
        }
    }

    pub(crate) fn on_tick(&mut self, now_ms: i64, out: &mut Outbox) {
        // A registration of an earlier life, late on its way, has ended this one's: it is made again.
        let registered = self.image.broker(self.id).map(|broker| broker.epoch);
        if self.epoch.is_some_and(|epoch| registered.is_some_and(|registered| registered > epoch)) {
            self.epoch = None;
        }
        match self.epoch {
            None if now_ms - self.last_registration_ms >= REGISTER_INTERVAL_MS => {
                self.last_registration_ms = now_ms;
                let trusted = self.bug == Some(Bug::TrustUncleanStart);
                let log_state = if trusted { LogState::Intact } else { self.log_state };
                let (broker, incarnation) = (self.id, self.incarnation);
                out.push((Address::Controller, Message::Register { broker, incarnation, log_state }));
            }
            Some(epoch) if now_ms - self.last_heartbeat_ms >= HEARTBEAT_INTERVAL_MS => {
                self.last_heartbeat_ms = now_ms;
                out.push((Address::Controller, Message::Heartbeat(self.heartbeat(epoch))));
            }
            _ => {}
        }
        out.push((Address::Controller, Message::MetadataFetch { broker: self.id, from: self.applied }));
        let check_lag = now_ms - self.last_lag_check_ms >= LAG_CHECK_INTERVAL_MS;
        let checkpoint = now_ms - self.last_checkpoint_ms >= CHECKPOINT_INTERVAL_MS;
        if check_lag {
            self.last_lag_check_ms = now_ms;
        }
        if checkpoint {
            self.last_checkpoint_ms = now_ms;
        }
        let flush = now_ms - self.last_flush_ms >= FLUSH_INTERVAL_MS;
        if flush {
            self.last_flush_ms = now_ms;
        }
        for partition in 0..self.replicas.len() {
            if flush {
                self.replicas[partition].log.flush();
            }
            if checkpoint {
                self.replicas[partition].log.checkpoint();
            }
            self.fetch(partition, now_ms, out);
            self.propose(partition, check_lag, now_ms, out);
        }
        self.groups.on_tick(&self.replicas[self.groups_partition], now_ms);
        self.settle_groups(now_ms, out);
    }

    fn settle_groups(&mut self, now_ms: i64, out: &mut Outbox) {
        let partition = self.groups_partition;
        self.groups.settle(partition, &mut self.replicas[partition], now_ms, out);
    }

    /// For people.
    pub(crate) fn describe(&self, partition: usize) -> String {
        let replica = &self.replicas[partition];
        let role = match &replica.role {
            Role::Idle => "idle".to_owned(),
            Role::Leader { state, .. } => format!("{state:?}"),
            Role::Follower { state, asked } => format!("{state:?}, asked {asked:?}"),
        };
        let end = replica.log.log_end_offset();
        format!("broker {}: epoch {:?}, metadata {}, log end {end}, {role}", self.id, self.epoch, self.applied)
    }

    fn heartbeat(&self, broker_epoch: BrokerEpoch) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest {
            broker: self.id,
            broker_epoch,
            current_metadata_offset: Offset(self.applied as i64 - 1),
            want_fence: false,
            want_shut_down: false,
            offline_log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        }
    }

    pub(crate) fn on_message(&mut self, now_ms: i64, message: Message, out: &mut Outbox) {
        match message {
            Message::Registered { incarnation, epoch } if incarnation == self.incarnation => {
                // The metadata may have told of it already.
                self.epoch = Some(epoch);
                self.log_state = LogState::Intact;
                for partition in 0..self.replicas.len() {
                    self.take_role(partition, now_ms, out);
                }
            }
            Message::Metadata { from, commits } => self.apply(now_ms, from, &commits, out),
            Message::Fetch { partition, id, fetch } => self.on_fetch(now_ms, partition, id, &fetch, out),
            Message::Fetched { partition, id, epoch, answer, entries } => {
                self.on_fetched(now_ms, partition, id, epoch, &answer, &entries, out);
            }
            Message::Altered { partition, epoch, asked, outcome } => {
                self.on_altered(now_ms, partition, epoch, asked, outcome, out);
            }
            Message::Produce { partition, value } => self.on_produce(now_ms, partition, value, out),
            Message::AskGroups(question) => {
                self.groups.ask(&self.replicas[self.groups_partition], now_ms, question, out);
            }
            _ => {}
        }
        self.settle_groups(now_ms, out);
    }

    /// Whether the metadata tells of this life.
    fn acts(&self) -> bool {
        self.epoch.is_some() && self.image.broker(self.id).map(|broker| broker.epoch) == self.epoch
    }

    fn apply(&mut self, now_ms: i64, from: usize, commits: &[Commit], out: &mut Outbox) {
        for commit in commits.iter().skip(self.applied.saturating_sub(from)) {
            if from > self.applied {
                return;
            }
            for record in commit.iter() {
                self.image.apply(record).expect("the controller commits what can be applied");
            }
            self.applied += 1;
            for partition in 0..self.replicas.len() {
                self.take_role(partition, now_ms, out);
            }
        }
    }

    fn take_role(&mut self, partition: usize, now_ms: i64, out: &mut Outbox) {
        self.change_role(partition, now_ms, out);
        if partition == self.groups_partition {
            self.groups.note_role(&self.replicas[partition]);
        }
    }

    fn change_role(&mut self, partition: usize, now_ms: i64, out: &mut Outbox) {
        let acts = self.acts();
        let index = PartitionIndex(partition as i32);
        let registration = self.image.partition(self.topic, index).filter(|_| acts).cloned();
        let commits_below = self.bug == Some(Bug::CommitBelowMinIsr);
        let registration = registration.map(|registration| match commits_below {
            true => Arc::new(without_eligible(&registration)),
            false => registration,
        });
        let replica = &mut self.replicas[partition];
        let Some(registration) = registration else {
            return replica.drop_role(partition, out);
        };
        let log_end = replica.log.log_end_offset();
        match &mut replica.role {
            Role::Leader { state, .. } if still_leads(state, &registration, self.id) => {
                let mut moved = state.on_metadata(&registration, now_ms);
                for follower in registration.replicas.iter().filter(|replica| **replica != self.id) {
                    moved = state.on_broker(*follower, candidate(&self.image, *follower), now_ms).or(moved);
                }
                replica.advance(partition, moved, out);
            }
            Role::Leader { .. } if self.bug == Some(Bug::KeepLeadingAfterEpoch) => {}
            Role::Follower { state, .. }
                if state.leader_epoch() == registration.leader_epoch && state.leader() == registration.leader => {}
            _ if registration.leader == self.id => {
                replica.drop_role(partition, out);
                let local = IsrMember { broker: self.id, broker_epoch: self.epoch.unwrap_or(BrokerEpoch::NONE) };
                let log = LogAtElection { log_end, own_end: log_end, high_watermark: replica.log.high_watermark() };
                let min_insync = if commits_below { 1 } else { MIN_INSYNC };
                let terms = Terms { min_insync, max_lag_ms: MAX_LAG_MS };
                let state = Box::new(LeaderState::new(local, &registration, log, terms, now_ms));
                let high_watermark = state.high_watermark();
                replica.role = Role::Leader { state, waiting: Vec::new(), asked_ms: now_ms };
                replica.advance(partition, Some(high_watermark), out);
            }
            _ => {
                replica.drop_role(partition, out);
                if registration.has_leader() && registration.replicas.contains(&self.id) {
                    replica.role = Role::Follower { state: FollowerState::new(&registration), asked: None };
                }
            }
        }
    }

    fn fetch(&mut self, partition: usize, now_ms: i64, out: &mut Outbox) {
        let replica = &mut self.replicas[partition];
        let Role::Follower { state, asked } = &mut replica.role else { return };
        if asked.is_some_and(|(_, at)| now_ms - at < REQUEST_TIMEOUT_MS) {
            return;
        }
        let Some(next) = state.next_fetch(now_ms, &replica.log) else { return };
        self.next_fetch_id += 1;
        *asked = Some((self.next_fetch_id, now_ms));
        let ahead = if self.bug == Some(Bug::PromiseBeforeAppend) { 1 } else { 0 };
        let fetch = FollowerFetch {
            broker: self.id,
            broker_epoch: self.epoch.unwrap_or(BrokerEpoch::NONE),
            current_leader_epoch: next.current_leader_epoch,
            fetch_offset: next.fetch_offset + ahead,
            last_fetched_epoch: next.last_fetched_epoch,
            log_start_offset: next.log_start_offset,
        };
        out.push((Address::Broker(state.leader()), Message::Fetch { partition, id: self.next_fetch_id, fetch }));
    }

    fn propose(&mut self, partition: usize, check_lag: bool, now_ms: i64, out: &mut Outbox) {
        let Role::Leader { state, asked_ms, .. } = &mut self.replicas[partition].role else { return };
        let again = state.proposal().filter(|_| now_ms - *asked_ms >= REQUEST_TIMEOUT_MS);
        let proposal = again.or_else(|| check_lag.then(|| state.on_lag_check(now_ms)).flatten());
        let epoch = state.leader_epoch();
        self.send_proposal(partition, epoch, proposal, now_ms, out);
    }

    fn send_proposal(
        &mut self,
        partition: usize,
        epoch: LeaderEpoch,
        proposal: Option<IsrProposal>,
        now_ms: i64,
        out: &mut Outbox,
    ) {
        let (Some(proposal), Some(broker_epoch)) = (proposal, self.epoch) else { return };
        if let Role::Leader { state, asked_ms, .. } = &mut self.replicas[partition].role {
            *asked_ms = now_ms;
            if self.bug == Some(Bug::ForgetProposal) {
                state.on_answer(proposal.partition_epoch, Err(ErrorCode::IneligibleReplica), now_ms);
            }
        }
        let message = Message::AlterPartition { partition, from: self.id, broker_epoch, epoch, proposal };
        out.push((Address::Controller, message));
    }

    fn on_fetch(&mut self, now_ms: i64, partition: usize, id: u64, fetch: &FollowerFetch, out: &mut Outbox) {
        let candidate = candidate(&self.image, fetch.broker);
        let replica = &mut self.replicas[partition];
        let mut answer = FetchedPartition {
            error: ErrorCode::NotLeaderOrFollower,
            fetch_offset: fetch.fetch_offset,
            high_watermark: Offset::NONE,
            log_start_offset: Offset(0),
            diverging: None,
            records_bytes: 0,
        };
        let (mut entries, mut moved, mut proposal) = (Vec::new(), None, None);
        if let Role::Leader { state, .. } = &mut replica.role {
            let common = replica.log.epoch_end(fetch.last_fetched_epoch);
            match state.on_fetch(now_ms, fetch, Offset(0), common, candidate) {
                Err(refusal) => answer.error = refusal.error_code(),
                Ok(effects) => {
                    answer.error = ErrorCode::None;
                    answer.diverging = effects.diverging;
                    answer.high_watermark = state.high_watermark();
                    if effects.diverging.is_none() {
                        entries = replica.log.from(fetch.fetch_offset, MAX_FETCHED);
                    }
                    (moved, proposal) = (effects.high_watermark, effects.proposal);
                }
            }
            answer.records_bytes = entries.len();
        }
        replica.advance(partition, moved, out);
        let epoch = fetch.current_leader_epoch;
        self.send_proposal(partition, epoch, proposal, now_ms, out);
        out.push((Address::Broker(fetch.broker), Message::Fetched { partition, id, epoch, answer, entries }));
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn on_fetched(
        &mut self,
        now_ms: i64,
        partition: usize,
        id: u64,
        epoch: LeaderEpoch,
        answer: &FetchedPartition,
        entries: &[Entry],
        out: &mut Outbox,
    ) {
        let late_too = self.bug == Some(Bug::AppendLateAnswers);
        let ahead = if self.bug == Some(Bug::PromiseBeforeAppend) { -1 } else { 0 };
        let replica = &mut self.replicas[partition];
        let Role::Follower { state, asked } = &mut replica.role else { return };
        let expected = asked.is_some_and(|(asked, _)| asked == id) && state.leader_epoch() == epoch;
        if !expected && !late_too {
            return;
        }
        *asked = None;
        let mut answer = FetchedPartition { fetch_offset: answer.fetch_offset + ahead, ..*answer };
        if late_too {
            answer.fetch_offset = replica.log.log_end_offset();
        }
        let step = state.on_answer(now_ms, &answer, &replica.log);
        let more = match step {
            FollowerStep::Append { high_watermark, .. } => {
                replica.log.append(entries);
                replica.log.raise_high_watermark(high_watermark);
                !entries.is_empty()
            }
            FollowerStep::Truncate(truncation) if self.bug != Some(Bug::IgnoreDivergence) => {
                replica.log.truncate(truncation.to);
                true
            }
            // The whole log of a leader is there to be fetched: only a cut can be needed.
            FollowerStep::AskForRange => {
                match state.restart_at(Offset(0), answer.high_watermark.max(Offset(0)), &replica.log) {
                    Restart::TruncateTo(to) => {
                        replica.log.truncate(to);
                        true
                    }
                    Restart::StartOverAt(_) | Restart::FetchAgain => false,
                }
            }
            _ => false,
        };
        if more {
            self.fetch(partition, now_ms, out);
        }
    }

    fn on_altered(
        &mut self,
        now_ms: i64,
        partition: usize,
        epoch: LeaderEpoch,
        asked: PartitionEpoch,
        mut outcome: Result<AlteredPartition, ErrorCode>,
        out: &mut Outbox,
    ) {
        if let (Some(Bug::CommitBelowMinIsr), Ok(altered)) = (self.bug, &mut outcome) {
            altered.eligible_leader_replicas.clear();
        }
        let replica = &mut self.replicas[partition];
        let Role::Leader { state, .. } = &mut replica.role else { return };
        if state.leader_epoch() != epoch {
            return;
        }
        let (_, moved) = state.on_answer(asked, outcome.as_ref().map_err(|code| *code), now_ms);
        replica.advance(partition, moved, out);
    }

    fn on_produce(&mut self, now_ms: i64, partition: usize, value: u64, out: &mut Outbox) {
        let replica = &mut self.replicas[partition];
        let refuse = |code| (Address::Client, Message::Produced { partition, value, outcome: Err(code) });
        let Role::Leader { state, waiting, .. } = &mut replica.role else {
            return out.push(refuse(ErrorCode::NotLeaderOrFollower));
        };
        if state.is_under_min_isr() {
            return out.push(refuse(ErrorCode::NotEnoughReplicas));
        }
        replica.log.append(&[Entry { epoch: state.leader_epoch(), value }]);
        let end = replica.log.log_end_offset();
        if self.bug == Some(Bug::AcknowledgeOnAppend) {
            out.push((Address::Client, Message::Produced { partition, value, outcome: Ok(end + -1) }));
        } else {
            waiting.push((end, value));
        }
        let moved = state.on_append(end, now_ms);
        replica.advance(partition, moved, out);
    }
}

impl Replica {
    /// The high watermark moved: what waited for it is acknowledged.
    pub(crate) fn advance(&mut self, partition: usize, moved: Option<Offset>, out: &mut Outbox) {
        let Some(high_watermark) = moved else { return };
        self.log.raise_high_watermark(high_watermark);
        if let Role::Leader { state, waiting, .. } = &mut self.role {
            let is_told = state.told_high_watermark().is_some();
            self.claims.push(Claim { epoch: state.leader_epoch(), high_watermark, is_told });
            waiting.retain(|(required, value)| {
                let done = *required <= high_watermark;
                if done {
                    let outcome = Ok(*required + -1);
                    out.push((Address::Client, Message::Produced { partition, value: *value, outcome }));
                }
                !done
            });
        }
    }

    /// Whoever waits is told that nobody knows.
    fn drop_role(&mut self, partition: usize, out: &mut Outbox) {
        if let Role::Leader { waiting, .. } = std::mem::replace(&mut self.role, Role::Idle) {
            for (_, value) in waiting {
                let outcome = Err(ErrorCode::NotLeaderOrFollower);
                out.push((Address::Client, Message::Produced { partition, value, outcome }));
            }
        }
    }
}

fn still_leads(state: &LeaderState, registration: &PartitionRegistration, id: BrokerId) -> bool {
    registration.leader == id && registration.leader_epoch == state.leader_epoch()
}

/// The registration as a leader sees it that does not know of eligible leaders.
fn without_eligible(registration: &PartitionRegistration) -> PartitionRegistration {
    let forget = PartitionChangeRecord {
        eligible_leader_replicas: Some(Vec::new()),
        ..PartitionChangeRecord::new(TopicId::nil(), PartitionIndex(0))
    };
    let mut forgetful = registration.after(&forget);
    forgetful.partition_epoch = registration.partition_epoch;
    forgetful
}

fn candidate(image: &MetadataImage, broker: BrokerId) -> Option<Candidate> {
    let broker = image.broker(broker)?;
    Some(Candidate { is_active: broker.is_active(), broker_epoch: broker.epoch })
}
