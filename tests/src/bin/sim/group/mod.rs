//! The group coordinator in the simulated world: one partition of `__consumer_offsets`, replicated as the others are, whose leader runs
//! the broker's own [`GroupCoordinator`](weir_broker::group::GroupCoordinator), shell and shard; members and an administrator that ask it.
//!
//! Simulated are what the coordinator stands on (`log`: appends, replication, leadership; `coordinator`: the threads that load and unload it)
//! and those who ask (`member`, `administrator`). What they are answered is held by `rules` against what the partition's log commits.

pub(crate) mod administrator;
pub(crate) mod coordinator;
mod history;
mod log;
pub(crate) mod member;
pub(crate) mod records;
pub(crate) mod rules;
pub(crate) mod wire;

/// The groups with members, and how many; some of these have an instance id.
pub(crate) const WORKERS: &str = "workers";
pub(crate) const LONER: &str = "loner";
/// The group without members: its offsets are committed from outside.
pub(crate) const SIMPLE: &str = "simple";
/// Who is in which group, under which instance id.
pub(crate) const MEMBERS: [(&str, Option<&str>); 5] =
    [(WORKERS, None), (WORKERS, None), (WORKERS, Some("desk-1")), (WORKERS, Some("desk-2")), (LONER, None)];
/// The topic that all of them read, and its partitions.
pub(crate) const TOPIC: &str = "work";
pub(crate) const TOPIC_PARTITIONS: i32 = 4;
