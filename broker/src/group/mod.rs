//! The group coordinator: classic consumer groups and committed offsets, kept in `__consumer_offsets`.
//!
//! - `shard`: the pure core, one state machine per partition of `__consumer_offsets`; one file per operation.
//! - `state`: its durable half, changed by replay only. `classic`: its soft half, the groups in motion.
//! - `record`: the records, byte for byte Kafka's.
//! - `coordinator`: the shell: owns the shards, appends their records, releases answers, runs their timers.
//!
//! A group lives in the partition that [`partition_for`] names; whoever leads that partition coordinates the group.

mod classic;
mod clock;
mod config;
mod coordinator;
mod group_type;
mod ids;
mod partitioner;
mod record;
mod shard;
mod state;
mod timers;

pub use classic::ClassicState;
pub use clock::{Clock, Now, SystemClock};
pub use config::GroupConfig;
pub use coordinator::{
    GroupCoordinator, LoadError, LoadSummary, OffsetsLog, Pending, ReplicatedCallback, Reply, RequestContext,
};
pub use group_type::GroupType;
pub use ids::{GroupId, InstanceId, MemberId, Ticket};
pub use partitioner::partition_for;
pub use record::{
    CoordinatorRecord, GroupMetadataValue, MemberMetadata, OffsetCommitKey, OffsetCommitValue, RecordError,
};
pub use shard::{Answer, DeletedTopic, Effects, GroupCoordinatorShard, JoinContext, ListFilter};
pub use state::{DurableState, Group, OffsetAndMetadata, Offsets, PendingOffsets, TopicOffsets};

/// The internal topic of groups and committed offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
