//! The simulated world: one seed decides what happens, in which order, and what goes wrong.
//!
//! Time is a number. Messages are lost, late, repeated and overtaken; links are cut, one way or both; processes end and come back with what the
//! page cache kept; machines lose power, one at a time, and come back with what they had flushed; they freeze and come back believing that no
//! time has passed for the others; every clock has its own idea of the hour, and of how long one takes. After
//! each event the rules of `checker` hold, and once the world is healed, everything is as it should be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;
use weir_controller::decide::LogState;
use weir_protocol::ids::{BrokerId, TopicId};

use crate::broker::{Broker, Outbox};
use crate::checker::Checker;
use crate::controller::Controller;
use crate::group::member::Member;
use crate::group::records::Records;
use crate::group::wire::{GroupRequest, Question};
use crate::group::{LONER, MEMBERS, TOPIC_PARTITIONS, WORKERS, administrator};
use crate::message::{Address, Message};
use crate::planted::Bug;

const BROKERS: i32 = 3;
/// Partitions that clients produce to.
const PARTITIONS: usize = 2;
/// That of `__consumer_offsets`.
const GROUPS_PARTITION: usize = PARTITIONS;
const TOPIC: TopicId = Uuid::from_u128(0x5133);
/// How long things go wrong, and how long the world then has to become whole.
const FAULTS_MS: i64 = 30_000;
const HEALING_MS: i64 = 20_000;
const BROKER_TICK_MS: i64 = 50;
const CONTROLLER_TICK_MS: i64 = 100;
const PRODUCE_INTERVAL_MS: i64 = 25;
const FAULT_INTERVAL_MS: i64 = 700;
const MEMBER_INTERVAL_MS: i64 = 80;
const ADMINISTRATE_INTERVAL_MS: i64 = 150;
/// A healed group has had commits answered for each of its members within this time.
const SERVED_WITHIN_MS: i64 = 3_000;
/// Clocks differ by up to an hour.
const MAX_SKEW_MS: i64 = 3_600_000;
/// They run fast or slow by as much.
const MAX_DRIFT_PERCENT: i64 = 3;

enum Event {
    Deliver { from: Address, to: Address, message: Message },
    BrokerTick(usize),
    ControllerTick,
    Produce,
    Member(usize),
    Administrate,
    Fault,
    Restart(usize),
}

/// The machine under a broker.
struct Machine {
    broker: Broker,
    alive: bool,
    frozen_until_ms: i64,
    skew_ms: i64,
    drift_percent: i64,
}

impl Machine {
    /// The time as this machine knows it.
    fn clock_ms(&self, now_ms: i64) -> i64 {
        now_ms + now_ms * self.drift_percent / 100 + self.skew_ms
    }
}

/// What a seed led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Of everything that happened, in order.
    pub(crate) digest: u64,
    pub(crate) events: u64,
    pub(crate) acknowledged: usize,
    /// Answers to groups' members and administrators that told what is committed.
    pub(crate) answered: u64,
    pub(crate) faults: u64,
}

pub(crate) struct World {
    random: StdRng,
    now_ms: i64,
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    events: BTreeMap<u64, Event>,
    scheduled: u64,
    controller: Controller,
    machines: Vec<Machine>,
    /// Until when a direction is cut.
    cuts: BTreeMap<(Address, Address), i64>,
    loss_percent: u32,
    /// The machine that lost power last, until it is in sync with everything again: what all replicas lose at once is lost.
    powerless: Option<usize>,
    checker: Checker,
    members: Vec<Member>,
    administrator_requests: u64,
    /// The last offset that anybody wanted to commit.
    next_offset: i64,
    next_value: u64,
    digest: u64,
    faults: u64,
}

/// Runs one seed to its end, or to the first broken rule.
pub(crate) fn run(seed: u64, bug: Option<Bug>) -> Result<Outcome, String> {
    let mut world = World::new(seed, bug);
    let mut events = 0;
    while let Some((at_ms, event)) = world.next() {
        if at_ms > FAULTS_MS + HEALING_MS {
            break;
        }
        world.now_ms = at_ms;
        world.perform(event);
        events += 1;
        if let Some(broken) = world.checker.broken() {
            return Err(format!("at {at_ms} ms: {broken}"));
        }
    }
    world.check_all()?;
    world.check_healed()?;
    let acknowledged = world.checker.acknowledged();
    let answered = world.checker.groups.answered;
    Ok(Outcome { digest: world.digest, events, acknowledged, answered, faults: world.faults })
}

impl World {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let ids: Vec<BrokerId> = (1..=BROKERS).map(BrokerId).collect();
        let records = Records::default();
        let machine = |id: &BrokerId| Machine {
            broker: Broker::new(*id, TOPIC, PARTITIONS + 1, incarnation(&mut random), records.clone(), bug),
            alive: true,
            frozen_until_ms: 0,
            skew_ms: random.random_range(-MAX_SKEW_MS..MAX_SKEW_MS),
            drift_percent: random.random_range(-MAX_DRIFT_PERCENT..=MAX_DRIFT_PERCENT),
        };
        let machines: Vec<_> = ids.iter().map(machine).collect();
        let mut world = Self {
            random,
            now_ms: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            controller: Controller::new(TOPIC, &ids, PARTITIONS + 1, bug),
            machines,
            cuts: BTreeMap::new(),
            loss_percent: 0,
            powerless: None,
            checker: Checker::new(PARTITIONS + 1, GROUPS_PARTITION, records, bug),
            members: MEMBERS.iter().map(|(group, instance)| Member::new(group, *instance)).collect(),
            administrator_requests: 0,
            next_offset: 0,
            next_value: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            faults: 0,
        };
        for index in 0..world.machines.len() {
            world.schedule(index as i64, Event::BrokerTick(index));
        }
        world.schedule(0, Event::ControllerTick);
        world.schedule(2_000, Event::Produce);
        for index in 0..world.members.len() {
            world.schedule(1_500 + index as i64, Event::Member(index));
        }
        world.schedule(2_000, Event::Administrate);
        world.schedule(3_000, Event::Fault);
        world
    }

    fn schedule(&mut self, after_ms: i64, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse((self.now_ms + after_ms, self.scheduled)));
        self.events.insert(self.scheduled, event);
    }

    fn next(&mut self) -> Option<(i64, Event)> {
        let Reverse((at_ms, number)) = self.queue.pop()?;
        let event = self.events.remove(&number)?;
        self.note(at_ms as u64);
        self.note(number);
        Some((at_ms, event))
    }

    /// FNV-1a: what happened, in order.
    fn note(&mut self, what: u64) {
        for byte in what.to_le_bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn goes_wrong(&self) -> bool {
        self.now_ms < FAULTS_MS
    }

    fn perform(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::BrokerTick(index) => {
                let wait_ms = self.machines[index].frozen_until_ms - self.now_ms;
                if wait_ms > 0 {
                    return self.schedule(wait_ms, Event::BrokerTick(index));
                }
                self.with_broker(index, |broker, now_ms, out| broker.on_tick(now_ms, out));
                let jitter_ms = self.random.random_range(0..10);
                self.schedule(BROKER_TICK_MS + jitter_ms, Event::BrokerTick(index));
            }
            Event::ControllerTick => {
                self.controller.on_tick(self.now_ms);
                self.check_isr();
                self.schedule(CONTROLLER_TICK_MS, Event::ControllerTick);
            }
            Event::Produce => {
                self.produce();
                self.schedule(PRODUCE_INTERVAL_MS, Event::Produce);
            }
            Event::Member(index) => {
                self.run_member(index);
                let jitter_ms = self.random.random_range(0..20);
                self.schedule(MEMBER_INTERVAL_MS + jitter_ms, Event::Member(index));
            }
            Event::Administrate => {
                let request = administrator::request(&mut self.random, &mut self.next_offset);
                self.administrator_requests += 1;
                self.ask_groups(Address::Administrator, self.administrator_requests, request);
                self.schedule(ADMINISTRATE_INTERVAL_MS, Event::Administrate);
            }
            Event::Fault if self.goes_wrong() => {
                self.fault();
                let jitter_ms = self.random.random_range(0..FAULT_INTERVAL_MS);
                self.schedule(FAULT_INTERVAL_MS / 2 + jitter_ms, Event::Fault);
            }
            Event::Fault => self.heal(),
            Event::Restart(index) => self.restart(index),
        }
    }

    fn with_broker(&mut self, index: usize, act: impl FnOnce(&mut Broker, i64, &mut Outbox)) {
        let machine = &mut self.machines[index];
        if !machine.alive {
            return;
        }
        let mut out = Outbox::new();
        let clock_ms = machine.clock_ms(self.now_ms);
        act(&mut machine.broker, clock_ms, &mut out);
        self.checker.look_at(&mut self.machines[index].broker);
        let from = Address::Broker(self.machines[index].broker.id);
        for (to, message) in out {
            if let Message::GroupAnswered { question, answer } = &message {
                self.checker.groups.look_at_answer(question, answer);
            }
            self.send(from, to, message);
        }
    }

    fn send(&mut self, from: Address, to: Address, message: Message) {
        let cut = self.cuts.get(&(from, to)).is_some_and(|until_ms| *until_ms > self.now_ms);
        let lost = self.goes_wrong() && self.random.random_range(0..100) < self.loss_percent;
        if cut || lost {
            return;
        }
        if self.goes_wrong() && self.random.random_range(0..100) < 3 {
            let late_ms = self.random.random_range(0..2_000);
            self.schedule(late_ms, Event::Deliver { from, to, message: message.clone() });
        }
        let late = self.goes_wrong() && self.random.random_range(0..100) < 5;
        let after_ms = self.random.random_range(0..if late { 800 } else { 4 });
        self.schedule(after_ms, Event::Deliver { from, to, message });
    }

    fn deliver(&mut self, from: Address, to: Address, message: Message) {
        match to {
            Address::Controller => {
                let answer = self.controller.on_message(self.now_ms, message);
                self.check_isr();
                if let Some((to, answer)) = answer {
                    self.send(Address::Controller, to, answer);
                }
            }
            Address::Client => {
                if let Message::Produced { partition, value, outcome: Ok(offset) } = message {
                    self.checker.acknowledge(partition, offset, value);
                    self.note(value);
                }
            }
            Address::Member(index) => {
                if let Message::GroupAnswered { question, answer } = message {
                    self.members[index].on_answer(self.now_ms, question.id, &answer);
                    self.note(question.id);
                }
            }
            // The rules have seen the answer.
            Address::Administrator => {}
            Address::Broker(id) => {
                let Some(index) = self.machines.iter().position(|machine| machine.broker.id == id) else { return };
                let wait_ms = self.machines[index].frozen_until_ms - self.now_ms;
                if wait_ms > 0 {
                    let jitter_ms = self.random.random_range(0..20);
                    return self.schedule(wait_ms + jitter_ms, Event::Deliver { from, to, message });
                }
                self.with_broker(index, |broker, now_ms, out| broker.on_message(now_ms, message, out));
            }
        }
    }

    /// Whom a client takes for the leader: mostly the one.
    fn leader_for_client(&mut self, partition: usize) -> BrokerId {
        let somebody = BrokerId(self.random.random_range(1..=BROKERS));
        let wrong = self.random.random_range(0..10) == 0;
        self.controller.leader_of(partition).filter(|_| !wrong).unwrap_or(somebody)
    }

    /// A member goes on, or leaves its group, or ends without a word.
    fn run_member(&mut self, index: usize) {
        let member = &mut self.members[index];
        let fate = if self.now_ms < FAULTS_MS { self.random.random_range(0..400) } else { u32::MAX };
        let request = match fate {
            0 => {
                member.crash(self.now_ms, self.random.random_range(0..4_000));
                None
            }
            1 if member.is_stable() => Some(member.leave(self.now_ms, self.random.random_range(0..6_000))),
            _ => member.next_request(self.now_ms, &mut self.next_offset),
        };
        if let Some((id, request)) = request {
            self.ask_groups(Address::Member(index), id, request);
        }
    }

    fn ask_groups(&mut self, from: Address, id: u64, request: GroupRequest) {
        let leader = self.leader_for_client(GROUPS_PARTITION);
        let told = self.checker.groups.told();
        let question = Question { from, id, told, coordinator: None, request: request.into() };
        self.send(from, Address::Broker(leader), Message::AskGroups(question));
    }

    fn produce(&mut self) {
        let partition = self.random.random_range(0..PARTITIONS);
        let leader = self.leader_for_client(partition);
        self.next_value += 1;
        let message = Message::Produce { partition, value: self.next_value };
        self.send(Address::Client, Address::Broker(leader), message);
    }

    fn fault(&mut self) {
        self.faults += 1;
        let index = self.random.random_range(0..self.machines.len());
        let for_ms = self.random.random_range(50..4_000);
        match self.random.random_range(0..8) {
            0 | 1 if self.machines[index].alive => {
                self.machines[index].alive = false;
                self.schedule(for_ms, Event::Restart(index));
            }
            2 => self.machines[index].frozen_until_ms = self.now_ms + for_ms,
            3 => {
                let from = Address::Broker(self.machines[index].broker.id);
                let to = match self.random.random_range(0..=BROKERS) {
                    0 => Address::Controller,
                    id => Address::Broker(BrokerId(id)),
                };
                self.cuts.insert((from, to), self.now_ms + for_ms);
                if self.random.random_range(0..2) == 0 {
                    self.cuts.insert((to, from), self.now_ms + for_ms);
                }
            }
            4 => self.loss_percent = self.random.random_range(0..30),
            5 | 6 if self.may_lose_power(index) => {
                self.powerless = Some(index);
                let random = &mut self.random;
                self.machines[index].broker.cut_power(|| random.random_range(0..1_000));
                self.machines[index].alive = false;
                self.schedule(for_ms, Event::Restart(index));
            }
            // Cut off from everybody.
            _ => {
                let id = self.machines[index].broker.id;
                let others = (1..=BROKERS).map(|other| Address::Broker(BrokerId(other)));
                for other in others.chain([Address::Controller]) {
                    self.cuts.insert((Address::Broker(id), other), self.now_ms + for_ms);
                    self.cuts.insert((other, Address::Broker(id)), self.now_ms + for_ms);
                }
            }
        }
    }

    /// Whether what this machine loses is on another.
    fn may_lose_power(&self, index: usize) -> bool {
        let Some(before) = self.powerless.filter(|before| *before != index) else { return self.machines[index].alive };
        let id = self.machines[before].broker.id;
        let is_whole = (0..=GROUPS_PARTITION).all(|partition| {
            let partition = weir_protocol::ids::PartitionIndex(partition as i32);
            let registration = self.controller.image.partition(TOPIC, partition);
            registration.is_some_and(|registration| registration.isr.contains(&id))
        });
        let knows = self.machines[before].broker.log_state == LogState::Intact;
        is_whole && knows && self.machines[before].alive && self.machines[index].alive
    }

    fn heal(&mut self) {
        self.cuts.clear();
        self.loss_percent = 0;
        for index in 0..self.machines.len() {
            self.machines[index].frozen_until_ms = self.now_ms;
            if !self.machines[index].alive {
                self.restart(index);
            }
        }
    }

    fn restart(&mut self, index: usize) {
        if self.machines[index].alive {
            return;
        }
        let incarnation = incarnation(&mut self.random);
        self.machines[index].broker.restart(incarnation);
        self.machines[index].alive = true;
    }

    /// What the controller takes for in sync has everything that is committed.
    fn check_isr(&mut self) {
        for machine in &self.machines {
            self.checker.look_at_isr(&self.controller.image, TOPIC, &machine.broker);
        }
    }

    fn check_all(&mut self) -> Result<(), String> {
        for machine in &self.machines {
            self.checker.look_at_everything(&self.controller.image, TOPIC, &machine.broker);
            let image_is_replay = machine.broker.applied < self.controller.log.len()
                || machine.broker.image.to_records().eq(self.controller.image.to_records());
            if !image_is_replay {
                return Err(format!("broker {} has another image than the log gives", machine.broker.id));
            }
        }
        self.checker.broken().map_or(Ok(()), |broken| Err(broken.to_owned()))
    }

    /// The healed world serves: every replica in sync, all logs the same, and records are acknowledged.
    fn check_healed(&self) -> Result<(), String> {
        for partition in 0..=GROUPS_PARTITION {
            let index = weir_protocol::ids::PartitionIndex(partition as i32);
            let registration = self.controller.image.partition(TOPIC, index).ok_or("the partition is gone")?;
            if !registration.has_leader() || registration.isr.len() != registration.replicas.len() {
                let replicas: Vec<_> = self.machines.iter().map(|machine| machine.broker.describe(partition)).collect();
                let (isr, epoch) = (&registration.isr, registration.leader_epoch);
                return Err(format!(
                    "partition {partition} did not heal: ISR {isr:?} in epoch {epoch}; {}",
                    replicas.join("; ")
                ));
            }
            if partition == GROUPS_PARTITION {
                continue;
            }
            let late = self.checker.last_acknowledged(partition);
            if late.is_none_or(|value| value + 200 < self.next_value) {
                return Err(format!("partition {partition} acknowledges nothing: {late:?} of {}", self.next_value));
            }
        }
        // Where a bug is planted for a rule of the groups, that rule is to find it.
        if self.checker.groups.is_planted() {
            return Ok(());
        }
        [WORKERS, LONER].into_iter().try_for_each(|group| self.check_healed_group(group))
    }

    /// A healed group has one generation, in which each partition has an owner whose commits are answered.
    fn check_healed_group(&self, group: &str) -> Result<(), String> {
        let members: Vec<&Member> = self.members.iter().filter(|member| member.group == group).collect();
        let is_one = members.iter().all(|member| member.is_stable() && member.generation == members[0].generation);
        let mut owned: Vec<i32> = members.iter().flat_map(|member| member.owned.iter().copied()).collect();
        owned.sort_unstable();
        let mut owners = members.iter().filter(|member| !member.owned.is_empty());
        let are_served = owners.all(|member| member.last_commit_ms + SERVED_WITHIN_MS > self.now_ms);
        if is_one && are_served && owned.into_iter().eq(0..TOPIC_PARTITIONS) {
            return Ok(());
        }
        let coordinators: Vec<_> = self.machines.iter().map(|machine| machine.broker.groups.describe()).collect();
        Err(format!("group {group} did not heal: {members:?}; {}", coordinators.join("; ")))
    }
}

fn incarnation(random: &mut StdRng) -> Uuid {
    Uuid::from_u128(random.random())
}
