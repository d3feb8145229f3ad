//! Makes a plan: empties what is drained, spreads what is crowded, then levels what is uneven, step by step, the best step first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_protocol::ids::BrokerId;

use super::load::{ClusterLoad, PartitionLoad};
use super::plan::{BrokerSummary, Plan, Reason, Step, Stuck};
use super::resource::{Load, Resource};
use super::totals::{HotSpot, Totals};

/// The most steps that level a cluster in one plan; what is left is for the plan after it.
pub const MAX_STEPS: usize = 1_000;

/// A step that takes away less of the excesses than this is not worth the trouble.
const MIN_GAIN: f64 = 1e-6;

/// What copying as many bytes as a broker holds on average must gain at least.
const COPY_COST: f64 = 0.05;

/// What a plan is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Brokers that are to be empty.
    pub drained: BTreeSet<BrokerId>,
    /// Whether the others are to be levelled.
    pub is_levelled: bool,
}

/// The steps that would make a cluster what is wished.
pub fn plan(load: &ClusterLoad, wish: &Wish) -> Plan {
    let mut planner = Planner::new(load, wish);
    let before = planner.summary();
    planner.drain();
    if wish.is_levelled {
        planner.spread();
        // Leaderships first, for they cost nothing; each may make room for the other, and both only ever take excesses away.
        let mut made = usize::MAX;
        while made != planner.steps.len() {
            made = planner.steps.len();
            planner.level_leaders();
            planner.level_replicas();
        }
    }
    Plan { before, after: planner.summary(), steps: planner.steps, stuck: planner.stuck }
}

struct Planner<'a> {
    load: &'a ClusterLoad,
    wish: &'a Wish,
    totals: Totals,
    /// Each partition's replicas by now, in the order of the load.
    replicas: Vec<Vec<BrokerId>>,
    /// How much may still be copied to each broker of which that is known.
    room: BTreeMap<BrokerId, u64>,
    steps: Vec<Step>,
    stuck: Vec<Stuck>,
}

/// A step that might be made.
struct Candidate {
    partition: usize,
    to: Vec<BrokerId>,
    gain: f64,
    reason: Reason,
}

impl<'a> Planner<'a> {
    fn new(load: &'a ClusterLoad, wish: &'a Wish) -> Self {
        let takes = |id: &BrokerId| {
            !wish.drained.contains(id) && load.brokers.get(id).is_some_and(|broker| broker.takes_replicas)
        };
        let mut total = Load::default();
        for partition in &load.partitions {
            for (replica, id) in loads(partition, &partition.replicas) {
                if takes(&id) || wish.drained.contains(&id) {
                    total.iter_mut().zip(replica).for_each(|(total, amount)| *total += amount);
                }
            }
        }
        let mut totals = Totals::new(load.brokers.keys().copied().filter(takes), &total);
        for partition in &load.partitions {
            loads(partition, &partition.replicas).for_each(|(replica, id)| totals.add(id, &replica, 1.0));
        }
        // A tenth stays free, for what comes while replicas are copied.
        let room = load.brokers.iter().filter_map(|(id, broker)| Some((*id, broker.free_bytes? / 10 * 9)));
        let (replicas, room) = (load.partitions.iter().map(|it| it.replicas.clone()).collect(), room.collect());
        Self { load, wish, totals, replicas, room, steps: Vec::new(), stuck: Vec::new() }
    }

    /// Empties brokers, the largest partitions first, for they are the hardest to place.
    fn drain(&mut self) {
        let mut order: Vec<usize> =
            (0..self.replicas.len()).filter(|index| !self.partition(*index).is_moving).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.partition(*index).size_bytes));
        for index in order {
            for broker in self.replicas[index].clone() {
                if self.wish.drained.contains(&broker) && !self.drain_one(index, broker) {
                    let partition = self.partition(index).partition.clone();
                    self.stuck.push(Stuck { partition, broker });
                }
            }
        }
    }

    /// False if no other broker can take the replica's place.
    fn drain_one(&mut self, index: usize, broker: BrokerId) -> bool {
        let partition = self.partition(index);
        let stay: Vec<BrokerId> = self.replicas[index].iter().copied().filter(|id| *id != broker).collect();
        let with = |id: BrokerId| stay.iter().copied().chain([id]).collect::<Vec<_>>();
        let [replica, leader] = [replica_load(partition, false), leader_load(partition)];
        let cost = |id: BrokerId| self.totals.strain(id, &replica, 1.0) - self.totals.strain(id, &replica, 0.0);
        let candidates = self.totals.brokers().filter(|id| !stay.contains(id) && self.has_room(*id, partition));
        let best = candidates.min_by(|a, b| {
            let crowding = |id: BrokerId| self.crowding(&with(id));
            crowding(*a).cmp(&crowding(*b)).then(cost(*a).total_cmp(&cost(*b)))
        });
        let Some(successor) = best else { return false };
        let mut to = with(successor);
        if self.replicas[index].first() == Some(&broker) {
            // Who is in sync already leads at once, whoever of them has most to spare.
            let cost = |id: BrokerId| self.totals.strain(id, &leader, 1.0) - self.totals.strain(id, &leader, 0.0);
            let in_sync = stay.iter().enumerate().filter(|(_, id)| self.totals.takes(**id));
            if let Some((place, _)) = in_sync.min_by(|a, b| cost(*a.1).total_cmp(&cost(*b.1))) {
                to[..=place].rotate_right(1);
            }
        }
        self.make(index, to, Reason::Drained { broker, successor });
        true
    }

    /// Spreads partitions over more zones where they can be.
    fn spread(&mut self) {
        for index in 0..self.replicas.len() {
            while self.steps.len() < MAX_STEPS
                && let Some(step) = self.spreading(index)
            {
                self.make(index, step.to, step.reason);
            }
        }
    }

    /// The step that takes most of a partition's crowding away.
    fn spreading(&self, index: usize) -> Option<Candidate> {
        let partition = self.partition(index);
        if partition.is_moving {
            return None;
        }
        let replicas = &self.replicas[index];
        let crowding = self.crowding(replicas);
        let mut best: Option<(usize, Candidate)> = None;
        for (place, from) in replicas.iter().enumerate().filter(|(_, id)| self.totals.takes(**id)) {
            for to in self.totals.brokers().filter(|id| !replicas.contains(id) && self.has_room(*id, partition)) {
                let after = replaced(replicas, place, to);
                let crowded = self.crowding(&after);
                if crowded >= crowding {
                    continue;
                }
                let gain = self.totals.gain(*from, to, &replica_load(partition, place == 0));
                let is_better = |(best, candidate): &(usize, Candidate)| {
                    crowded < *best || (crowded == *best && gain > candidate.gain)
                };
                if best.as_ref().is_none_or(is_better) {
                    let reason = Reason::Crowded { zone: self.zone(*from), other: self.zone(to) };
                    best = Some((crowded, Candidate { partition: index, to: after, gain, reason }));
                }
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    fn level_leaders(&mut self) {
        self.level(Resource::is_of_leaders, Self::other_leaders);
    }

    fn level_replicas(&mut self) {
        self.level(|_| true, Self::other_replicas);
    }

    /// Makes the best step for the worst spot that has one, until no spot has one.
    fn level(
        &mut self,
        is_meant: impl Fn(Resource) -> bool,
        candidates: impl Fn(&Self, HotSpot, &mut dyn FnMut(Candidate)),
    ) {
        while self.steps.len() < MAX_STEPS {
            let spots = self.totals.hot_spots().into_iter().filter(|spot| is_meant(spot.resource));
            let step = spots.map(|spot| self.best(spot, &candidates)).find_map(|step| step);
            let Some(step) = step else { return };
            self.make(step.partition, step.to, step.reason);
        }
    }

    fn best(
        &self,
        spot: HotSpot,
        candidates: &impl Fn(&Self, HotSpot, &mut dyn FnMut(Candidate)),
    ) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        candidates(self, spot, &mut |candidate| {
            if candidate.gain > best.as_ref().map_or(MIN_GAIN, |best| best.gain) {
                best = Some(candidate);
            }
        });
        best
    }

    /// Other preferred leaders for partitions that the spot leads, or could lead.
    fn other_leaders(&self, spot: HotSpot, consider: &mut dyn FnMut(Candidate)) {
        for (index, replicas) in self.replicas.iter().enumerate() {
            let partition = self.partition(index);
            let Some(&leader) = replicas.first().filter(|leader| self.totals.takes(**leader)) else { continue };
            if partition.is_moving || (spot.excess > 0.0) != (leader == spot.broker) {
                continue;
            }
            for (place, &other) in replicas.iter().enumerate().skip(1) {
                if !self.totals.takes(other) || (spot.excess < 0.0 && other != spot.broker) {
                    continue;
                }
                let gain = self.totals.gain(leader, other, &leader_load(partition));
                let mut to = replicas.clone();
                to.swap(0, place);
                consider(Candidate { partition: index, to, gain, reason: self.uneven(spot.resource, leader, other) });
            }
        }
    }

    /// Other brokers for replicas that the spot has, or could have.
    fn other_replicas(&self, spot: HotSpot, consider: &mut dyn FnMut(Candidate)) {
        let mean_bytes = self.totals.mean(Resource::DiskBytes).max(1.0);
        for (index, replicas) in self.replicas.iter().enumerate() {
            let partition = self.partition(index);
            if partition.is_moving || (spot.excess > 0.0) != replicas.contains(&spot.broker) {
                continue;
            }
            let crowding = self.crowding(replicas);
            let cost = COPY_COST * partition.size_bytes as f64 / mean_bytes;
            for (place, &from) in replicas.iter().enumerate().filter(|(_, id)| self.totals.takes(**id)) {
                if spot.excess > 0.0 && from != spot.broker {
                    continue;
                }
                let load = replica_load(partition, place == 0);
                for to in self.totals.brokers() {
                    if replicas.contains(&to) || (spot.excess < 0.0 && to != spot.broker) {
                        continue;
                    }
                    let gain = self.totals.gain(from, to, &load) - cost;
                    if gain <= MIN_GAIN || !self.has_room(to, partition) {
                        continue;
                    }
                    let after = replaced(replicas, place, to);
                    if self.crowding(&after) <= crowding {
                        let reason = self.uneven(spot.resource, from, to);
                        consider(Candidate { partition: index, to: after, gain, reason });
                    }
                }
            }
        }
    }

    fn uneven(&self, resource: Resource, most: BrokerId, least: BrokerId) -> Reason {
        let with_amount = |broker| (broker, self.totals.amount(broker, resource));
        let (most, least, mean) = (with_amount(most), with_amount(least), self.totals.mean(resource));
        Reason::Uneven { resource, most, least, mean }
    }

    /// Makes a step, or makes it part of the plan at least.
    fn make(&mut self, index: usize, to: Vec<BrokerId>, reason: Reason) {
        let partition = self.partition(index);
        let from = std::mem::replace(&mut self.replicas[index], to.clone());
        loads(partition, &from).for_each(|(load, id)| self.totals.add(id, &load, -1.0));
        loads(partition, &to).for_each(|(load, id)| self.totals.add(id, &load, 1.0));
        for added in to.iter().filter(|id| !from.contains(id)) {
            if let Some(room) = self.room.get_mut(added) {
                *room = room.saturating_sub(partition.size_bytes);
            }
        }
        let (replica_bytes, partition) = (partition.size_bytes, partition.partition.clone());
        self.steps.push(Step { partition, from, to, replica_bytes, reason });
    }

    fn partition(&self, index: usize) -> &'a PartitionLoad {
        &self.load.partitions[index]
    }

    fn has_room(&self, broker: BrokerId, partition: &PartitionLoad) -> bool {
        self.room.get(&broker).is_none_or(|room| *room >= partition.size_bytes)
    }

    fn zone(&self, broker: BrokerId) -> Option<Arc<str>> {
        self.load.brokers.get(&broker).and_then(|broker| broker.rack.clone())
    }

    /// How crowded replicas stand in their zones: the sum of squares, least where they are spread as far as can be.
    fn crowding(&self, replicas: &[BrokerId]) -> usize {
        let rack = |id: &BrokerId| self.load.brokers.get(id).and_then(|broker| broker.rack.as_deref());
        let with = |zone: Option<&str>| replicas.iter().filter(|id| rack(id) == zone).count();
        replicas.iter().map(|id| with(rack(id))).sum()
    }

    fn summary(&self) -> Vec<BrokerSummary> {
        let mut totals: BTreeMap<BrokerId, Load> = self.load.brokers.keys().map(|id| (*id, Load::default())).collect();
        for (partition, replicas) in self.load.partitions.iter().zip(&self.replicas) {
            for (load, id) in loads(partition, replicas) {
                let total = totals.entry(id).or_default();
                total.iter_mut().zip(load).for_each(|(total, amount)| *total += amount);
            }
        }
        let with_names = |load: Load| Resource::ALL.into_iter().zip(load).collect();
        totals.into_iter().map(|(broker, load)| BrokerSummary { broker, amounts: with_names(load) }).collect()
    }
}

/// What a replica costs its broker.
fn replica_load(partition: &PartitionLoad, leads: bool) -> Load {
    let (size, rate) = (partition.size_bytes as f64, partition.write_bytes_per_s as f64);
    let [leaders, leader_rate] = if leads { [1.0, rate] } else { [0.0, 0.0] };
    [1.0, size, rate, leaders, leader_rate]
}

/// What leading costs beside the replica.
fn leader_load(partition: &PartitionLoad) -> Load {
    [0.0, 0.0, 0.0, 1.0, partition.write_bytes_per_s as f64]
}

/// What each replica costs its broker.
fn loads(partition: &PartitionLoad, replicas: &[BrokerId]) -> impl Iterator<Item = (Load, BrokerId)> {
    replicas.iter().enumerate().map(|(place, id)| (replica_load(partition, place == 0), *id))
}

fn replaced(replicas: &[BrokerId], place: usize, by: BrokerId) -> Vec<BrokerId> {
    let mut replaced = replicas.to_vec();
    replaced[place] = by;
    replaced
}
