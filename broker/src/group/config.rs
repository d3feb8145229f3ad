//! What the group coordinator reads from the broker's configuration, under Kafka's names and with Kafka's defaults.

/// Limits and delays of the group coordinator; every field names its Kafka key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupConfig {
    /// Partitions of `__consumer_offsets`; `offsets.topic.num.partitions` until it exists.
    pub offsets_topic_partitions: i32,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub max_size: usize,
    /// How long a new member may wait in a rebalance before it must ask again
    /// (Kafka's `classicGroupNewMemberJoinTimeoutMs`, not configurable there either).
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`, counted in UTF-16 units as Kafka counts them.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `offsets.commit.timeout.ms`: how long an answer waits for its records to be replicated.
    pub offset_commit_timeout_ms: u64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            offsets_topic_partitions: 50,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            new_member_join_timeout_ms: 300_000,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            offset_commit_timeout_ms: 5_000,
        }
    }
}
