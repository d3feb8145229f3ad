//! What each broker carries while a plan is made, and what a shift from one to another is worth.

use std::collections::BTreeMap;

use weir_protocol::ids::BrokerId;

use super::resource::{Load, RESOURCES, Resource};

/// How far from the mean a broker may be, as a part of the mean.
const TOLERANCE: f64 = 0.1;

/// The brokers that replicas may be on, and what they carry.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    loads: BTreeMap<BrokerId, Load>,
    means: Load,
}

impl Totals {
    /// Nothing yet on `brokers`, over which `total` is to be spread.
    pub(super) fn new(brokers: impl Iterator<Item = BrokerId>, total: &Load) -> Self {
        let loads: BTreeMap<_, _> = brokers.map(|broker| (broker, Load::default())).collect();
        let count = loads.len().max(1) as f64;
        Self { loads, means: total.map(|amount| amount / count) }
    }

    /// Whether replicas may be put on this broker.
    pub(super) fn takes(&self, broker: BrokerId) -> bool {
        self.loads.contains_key(&broker)
    }

    pub(super) fn brokers(&self) -> impl Iterator<Item = BrokerId> {
        self.loads.keys().copied()
    }

    pub(super) fn amount(&self, broker: BrokerId, resource: Resource) -> f64 {
        self.loads.get(&broker).map_or(0.0, |load| load[resource as usize])
    }

    pub(super) fn mean(&self, resource: Resource) -> f64 {
        self.means[resource as usize]
    }

    /// Puts a load on a broker, or takes it off with a `sign` of -1; what brokers carry that take no replicas is not of interest.
    pub(super) fn add(&mut self, broker: BrokerId, load: &Load, sign: f64) {
        if let Some(total) = self.loads.get_mut(&broker) {
            total.iter_mut().zip(load).for_each(|(total, amount)| *total += sign * amount);
        }
    }

    /// How far an amount is beyond what is tolerated, as a part of the mean: above it positive, below it negative.
    pub(super) fn excess(&self, resource: Resource, amount: f64) -> f64 {
        let mean = self.mean(resource);
        if mean <= 0.0 {
            return 0.0;
        }
        let tolerated = (TOLERANCE * mean).max(resource.slack());
        let distance = amount - mean;
        (distance.abs() - tolerated).max(0.0).copysign(distance) / mean
    }

    /// What moving `load` from one broker to another takes away of all excesses; below nought if it adds to them.
    pub(super) fn gain(&self, from: BrokerId, to: BrokerId, load: &Load) -> f64 {
        self.strain(from, load, 0.0) + self.strain(to, load, 0.0)
            - self.strain(from, load, -1.0)
            - self.strain(to, load, 1.0)
    }

    /// The weighted squares of a broker's excesses, with `sign` times `load` more on it.
    pub(super) fn strain(&self, broker: BrokerId, load: &Load, sign: f64) -> f64 {
        let Some(total) = self.loads.get(&broker) else { return 0.0 };
        let of = |resource: Resource| {
            let index = resource as usize;
            resource.weight() * self.excess(resource, total[index] + sign * load[index]).powi(2)
        };
        Resource::ALL.into_iter().map(of).sum()
    }

    /// Where something is uneven, the worst first: a broker, the resource, and whether it has too much or too little.
    pub(super) fn hot_spots(&self) -> Vec<HotSpot> {
        let mut spots = Vec::with_capacity(self.loads.len() * RESOURCES);
        for (broker, load) in &self.loads {
            for resource in Resource::ALL {
                let excess = self.excess(resource, load[resource as usize]);
                if excess != 0.0 {
                    spots.push(HotSpot { broker: *broker, resource, excess });
                }
            }
        }
        spots.sort_by(|a, b| {
            let strain = |spot: &HotSpot| spot.resource.weight() * spot.excess.powi(2);
            strain(b).total_cmp(&strain(a)).then(a.broker.cmp(&b.broker)).then(a.resource.cmp(&b.resource))
        });
        spots
    }
}

/// A broker that has much more, or much less, of something than others.
#[derive(Clone, Copy, Debug)]
pub(super) struct HotSpot {
    pub(super) broker: BrokerId,
    pub(super) resource: Resource,
    /// Above nought: too much.
    pub(super) excess: f64,
}
