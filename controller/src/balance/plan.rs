//! A plan: steps, each with its reason, and what the brokers carry before and after.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use weir_protocol::ids::{BrokerId, TopicPartition};

use super::Resource;

/// What should move, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// One after the other; a partition may come more than once.
    pub steps: Vec<Step>,
    /// Replicas that should move and have nowhere to go.
    pub stuck: Vec<Stuck>,
    /// What each broker carries.
    pub before: Vec<BrokerSummary>,
    /// The same once everything has moved.
    pub after: Vec<BrokerSummary>,
}

/// One change of one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which partition.
    pub partition: TopicPartition,
    /// Its replicas before, the preferred leader first.
    pub from: Vec<BrokerId>,
    /// Its replicas after.
    pub to: Vec<BrokerId>,
    /// The bytes of one replica.
    pub replica_bytes: u64,
    /// Why.
    pub reason: Reason,
}

/// Why a step is worth it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// A broker is to be empty.
    Drained {
        /// The broker.
        broker: BrokerId,
        /// Who takes its place; the one whom the drained broker leads for, if nothing is copied.
        successor: BrokerId,
    },
    /// Too many replicas stand in one zone while another has none.
    Crowded {
        /// The zone that would take too many with it.
        zone: Option<Arc<str>>,
        /// The zone that gets one instead.
        other: Option<Arc<str>>,
    },
    /// One broker carries more than another.
    Uneven {
        /// Of what.
        resource: Resource,
        /// Who has more, and how much.
        most: (BrokerId, f64),
        /// Who has less, and how much.
        least: (BrokerId, f64),
        /// What everybody would have.
        mean: f64,
    },
}

/// A replica that should move and cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Of which partition.
    pub partition: TopicPartition,
    /// On which broker.
    pub broker: BrokerId,
}

/// What one broker carries.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerSummary {
    /// The broker.
    pub broker: BrokerId,
    /// How much of each.
    pub amounts: Vec<(Resource, f64)>,
}

impl Plan {
    /// Whether nothing should move.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What becomes of each partition when all steps are made, in the order of the first of its steps.
    pub fn moves(&self) -> Vec<PlannedMove> {
        let mut moves: Vec<PlannedMove> = Vec::new();
        let mut places: BTreeMap<&TopicPartition, usize> = BTreeMap::new();
        for step in &self.steps {
            let place = *places.entry(&step.partition).or_insert(moves.len());
            match moves.get_mut(place) {
                Some(earlier) => earlier.to.clone_from(&step.to),
                None => moves.push(PlannedMove {
                    partition: step.partition.clone(),
                    from: step.from.clone(),
                    to: step.to.clone(),
                    replica_bytes: step.replica_bytes,
                }),
            }
        }
        moves.retain(|it| it.from != it.to);
        moves
    }

    /// What is copied in all, in bytes.
    pub fn copied_bytes(&self) -> u64 {
        self.moves().iter().map(PlannedMove::copied_bytes).sum()
    }
}

/// The steps of one partition taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// Which partition.
    pub partition: TopicPartition,
    /// Its replicas now, the preferred leader first.
    pub from: Vec<BrokerId>,
    /// Its replicas in the end.
    pub to: Vec<BrokerId>,
    /// The bytes of one replica.
    pub replica_bytes: u64,
}

impl PlannedMove {
    /// Who gets a replica.
    pub fn added(&self) -> impl Iterator<Item = BrokerId> {
        self.to.iter().copied().filter(|id| !self.from.contains(id))
    }

    /// What is copied for it, in bytes.
    pub fn copied_bytes(&self) -> u64 {
        self.replica_bytes.saturating_mul(self.added().count() as u64)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |zone: &Option<Arc<str>>| zone.as_deref().unwrap_or("without a name").to_owned();
        match self {
            Self::Drained { broker, successor } => {
                write!(f, "broker {broker} is drained and broker {successor} takes its place")
            }
            Self::Crowded { zone, other } => {
                write!(f, "zone {} has more replicas than it needs and zone {} too few", name(zone), name(other))
            }
            Self::Uneven { resource, most, least, mean } => {
                let (more, less) = (resource.amount(most.1), resource.amount(least.1));
                let mean = resource.amount(*mean);
                write!(f, "broker {} has {more}, broker {} has {less}, the mean is {mean}", most.0, least.0)
            }
        }
    }
}
