//! The settings of one log.
//!
//! Owns the topic level values that the log itself obeys, with Kafka's names, units and defaults
//! (`org.apache.kafka.storage.internals.log.LogConfig`). Parsing and validation of text belong to the broker's config
//! table; a `LogConfig` is shared by every partition of a topic through an `Arc` and never changed in place.

use weir_protocol::compression::Codec;
pub use weir_protocol::records::TimestampType;

/// `cleanup.policy`: what makes an old record go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CleanupPolicy {
    /// Whole segments go by time and by size.
    pub delete: bool,
    /// Records go when a later one has their key.
    pub compact: bool,
}

impl CleanupPolicy {
    /// `delete`, the default.
    pub const DELETE: Self = Self { delete: true, compact: false };
    /// `compact`.
    pub const COMPACT: Self = Self { delete: false, compact: true };
}

/// `compression.type`: how the leader stores batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CompressionType {
    /// As the producer sent them.
    #[default]
    Producer,
    /// In this codec, `Codec::None` being `uncompressed`; a batch that comes in another is rewritten.
    Codec(Codec),
}

/// Settings of one log; field names are Kafka's topic configs with dots as underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is closed before it grows past this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is closed once the records in it span this much time.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: the most that is taken off `segment_ms`, at random, for each segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: the size at which an index is full and its segment is closed.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: an index entry is added once more than this was appended since the last.
    pub index_interval_bytes: u32,
    /// `retention.ms`; -1 keeps for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; -1 sets no limit.
    pub retention_bytes: i64,
    /// `max.message.bytes`: the largest batch a client may append.
    pub max_message_bytes: u32,
    /// `flush.messages`: an append that leaves this many records unflushed asks for an fsync.
    pub flush_messages: i64,
    /// `flush.ms`: the longest that an appended record waits for an fsync.
    pub flush_ms: i64,
    /// `file.delete.delay.ms`: how long files stay, renamed to `.deleted`, before they go.
    pub file_delete_delay_ms: u64,
    /// `cleanup.policy`.
    pub cleanup: CleanupPolicy,
    /// `delete.retention.ms`: how long a tombstone outlives compaction.
    pub delete_retention_ms: i64,
    /// `preallocate`: reserve the disk space of a segment when it is created.
    pub preallocate: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` accepts any.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`.
    pub compression: CompressionType,
    /// `compression.gzip.level` or `compression.zstd.level`, whichever is about `compression`; none is the codec's default.
    pub compression_level: Option<i32>,
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Default for LogConfig {
    /// Kafka 4's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            max_message_bytes: (1 << 20) + 12,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            cleanup: CleanupPolicy::DELETE,
            delete_retention_ms: DAY_MS,
            preallocate: false,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: HOUR_MS,
            compression: CompressionType::Producer,
            compression_level: None,
        }
    }
}
