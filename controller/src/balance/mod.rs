//! Balancing: which replicas and leaderships should move so that no broker carries much more than the others.
//!
//! Pure: a picture of the cluster's load gives a [`Plan`] of steps, each of which says why. The plan is a proposal; who carries it out
//! asks for reassignments and elections like any operator. What holds in every plan:
//!
//! - No partition comes to stand in fewer zones than before, nor more crowded in one; one that could stand in more is spread first.
//! - Nothing goes to a broker that takes no replicas, or whose disks would be left with less than a tenth of what is free on them.
//! - What is within a tenth of the mean stays: copying costs more than it mends, and a plan made after the plan is empty.
//! - A leadership moves to another replica before data does, for it costs nothing.
//!
//! Answers to what LinkedIn's Cruise Control does beside Kafka.

mod load;
mod plan;
mod planner;
mod resource;
mod totals;

pub use load::{BrokerCapacity, ClusterLoad, PartitionLoad};
pub use plan::{BrokerSummary, Plan, PlannedMove, Reason, Step, Stuck};
pub use planner::{MAX_STEPS, Wish, plan};
pub use resource::Resource;
