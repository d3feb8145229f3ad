//! The keys a topic can be configured with, and the broker keys that give their defaults.

use super::broker_keys::why::{CLEANER, LZ4, TIERED};
use super::definition::Kind::{self, Boolean, Double, Int, IntOr, ListOf, Long, OneOf, ThrottledReplicas};
use super::definition::{Definition, Update};

/// A topic key.
#[derive(Debug)]
pub struct TopicKey {
    /// The key itself.
    pub definition: Definition,
    /// Broker keys that stand in for it where the topic does not set it, the first that is set winning. A key in a
    /// coarser unit carries the factor to this key's unit.
    pub synonyms: &'static [(&'static str, i64)],
}

impl TopicKey {
    const fn without_effect(mut self, why: &'static str) -> Self {
        self.definition = self.definition.without_effect(why);
        self
    }
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    synonyms: &'static [(&'static str, i64)],
    doc: &'static str,
) -> TopicKey {
    TopicKey { definition: Definition::new(name, kind, Some(default), Update::ClusterWide, doc), synonyms }
}

const MAX_INT: i64 = i32::MAX as i64;
const MAX_LONG: i64 = i64::MAX;
const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_HOUR: i64 = 3_600_000;

/// The codecs that `compression.type` takes.
const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// Every topic key, by name.
#[rustfmt::skip]
pub static TOPIC_KEYS: &[TopicKey] = &[
    key("cleanup.policy", ListOf(&["compact", "delete"]), "delete", &[("log.cleanup.policy", 1)],
        "What happens to old data: delete removes whole segments past retention, compact keeps the last record of each key; both may be named."),
    key("compression.gzip.level", IntOr(-1, 1, 9), "-1", &[("compression.gzip.level", 1)],
        "How hard gzip tries where the broker compresses: 1 is fast, 9 is small, -1 is the codec's own choice."),
    key("compression.lz4.level", Int(1, 17), "9", &[("compression.lz4.level", 1)],
        "How hard LZ4 tries where the broker compresses.").without_effect(LZ4),
    key("compression.type", OneOf(COMPRESSION_TYPES), "producer", &[("compression.type", 1)],
        "The codec batches are stored in; producer keeps what the producer sent."),
    key("compression.zstd.level", Int(-131072, 22), "3", &[("compression.zstd.level", 1)],
        "How hard zstd tries where the broker compresses; the higher, the smaller and slower."),
    key("delete.retention.ms", Long(0, MAX_LONG), "86400000", &[("log.cleaner.delete.retention.ms", 1)],
        "How long a compacted topic keeps tombstones, in milliseconds.").without_effect(CLEANER),
    key("file.delete.delay.ms", Long(0, MAX_LONG), "60000", &[("log.segment.delete.delay.ms", 1)],
        "How long a deleted segment's file stays on disk, in milliseconds."),
    key("flush.messages", Long(1, MAX_LONG), "9223372036854775807", &[("log.flush.interval.messages", 1)],
        "How many records may be appended before they are synced to disk; 1 acknowledges synced records only."),
    key("flush.ms", Long(0, MAX_LONG), "9223372036854775807", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
        "How long a record may stay unsynced, in milliseconds."),
    key("follower.replication.throttled.replicas", ThrottledReplicas, "", &[],
        "Replicas whose catching up is throttled on the follower's side: partition:broker pairs, or *."),
    key("index.interval.bytes", Int(0, MAX_INT), "4096", &[("log.index.interval.bytes", 1)],
        "How many bytes of log lie between two entries of the offset index."),
    key("leader.replication.throttled.replicas", ThrottledReplicas, "", &[],
        "Replicas whose catching up is throttled on the leader's side: partition:broker pairs, or *."),
    key("local.retention.bytes", Long(-2, MAX_LONG), "-2", &[("log.local.retention.bytes", 1)],
        "Bytes a tiered partition keeps locally; -2 follows retention.bytes.").without_effect(TIERED),
    key("local.retention.ms", Long(-2, MAX_LONG), "-2", &[("log.local.retention.ms", 1)],
        "Milliseconds a tiered partition keeps data locally; -2 follows retention.ms.").without_effect(TIERED),
    key("max.compaction.lag.ms", Long(1, MAX_LONG), "9223372036854775807", &[("log.cleaner.max.compaction.lag.ms", 1)],
        "The longest a record stays ineligible for compaction, in milliseconds.").without_effect(CLEANER),
    key("max.message.bytes", Int(0, MAX_INT), "1048588", &[("message.max.bytes", 1)],
        "The largest batch the topic takes, in bytes, as compressed by the producer; decompressed it may take 64 times that, in any case 64 MiB and at most 512 MiB."),
    key("message.timestamp.after.max.ms", Long(0, MAX_LONG), "3600000", &[("log.message.timestamp.after.max.ms", 1)],
        "How far a record's timestamp may lie ahead of the broker's clock, in milliseconds."),
    key("message.timestamp.before.max.ms", Long(0, MAX_LONG), "9223372036854775807", &[("log.message.timestamp.before.max.ms", 1)],
        "How far a record's timestamp may lie behind the broker's clock, in milliseconds."),
    key("message.timestamp.type", OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime", &[("log.message.timestamp.type", 1)],
        "Whether records carry the producer's time or the time of their append."),
    key("min.cleanable.dirty.ratio", Double(0.0, 1.0), "0.5", &[("log.cleaner.min.cleanable.ratio", 1)],
        "The share of a compacted log that must be dirty before it is cleaned.").without_effect(CLEANER),
    key("min.compaction.lag.ms", Long(0, MAX_LONG), "0", &[("log.cleaner.min.compaction.lag.ms", 1)],
        "The shortest a record stays uncompacted, in milliseconds.").without_effect(CLEANER),
    key("min.insync.replicas", Int(1, MAX_INT), "1", &[("min.insync.replicas", 1)],
        "How many replicas must be in sync for a produce with acks=all to be taken."),
    key("preallocate", Boolean, "false", &[("log.preallocate", 1)],
        "Whether a new segment's file is allocated in full when it is made."),
    key("remote.log.copy.disable", Boolean, "false", &[],
        "Stops copying a tiered topic's segments to the object store.").without_effect(TIERED),
    key("remote.log.delete.on.disable", Boolean, "false", &[],
        "Whether switching tiering off deletes what was tiered.").without_effect(TIERED),
    key("remote.storage.enable", Boolean, "false", &[],
        "Whether sealed segments are copied to the object store.").without_effect(TIERED),
    key("retention.bytes", Long(-1, MAX_LONG), "-1", &[("log.retention.bytes", 1)],
        "The size past which a partition's oldest segments are deleted, in bytes; -1 is no limit."),
    key("retention.ms", Long(-1, MAX_LONG), "604800000",
        &[("log.retention.ms", 1), ("log.retention.minutes", MS_PER_MINUTE), ("log.retention.hours", MS_PER_HOUR)],
        "The age past which segments are deleted, in milliseconds; -1 is no limit."),
    key("segment.bytes", Int(1024 * 1024, MAX_INT), "1073741824", &[("log.segment.bytes", 1)],
        "The size at which a segment is closed and the next begun, in bytes."),
    key("segment.index.bytes", Int(4, MAX_INT), "10485760", &[("log.index.size.max.bytes", 1)],
        "The largest an index file may grow before its segment is closed, in bytes."),
    key("segment.jitter.ms", Long(0, MAX_LONG), "0", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", MS_PER_HOUR)],
        "The most that is taken at random from segment.ms, so that partitions do not roll together, in milliseconds."),
    key("segment.ms", Long(1, MAX_LONG), "604800000", &[("log.roll.ms", 1), ("log.roll.hours", MS_PER_HOUR)],
        "The age at which a segment is closed although it is not full, in milliseconds."),
    key("unclean.leader.election.enable", Boolean, "false", &[("unclean.leader.election.enable", 1)],
        "Whether a replica that is out of sync may lead when no other can, losing data."),
];

/// The topic key of that name.
pub fn topic_key(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.binary_search_by(|key| key.definition.name.cmp(name)).ok().map(|found| &TOPIC_KEYS[found])
}

#[cfg(test)]
mod tests {
    use super::super::broker_keys::broker_key;
    use super::*;

    #[test]
    fn keys_are_sorted_by_name() {
        assert!(TOPIC_KEYS.is_sorted_by_key(|key| key.definition.name));
    }

    #[test]
    fn every_default_passes_its_own_check_and_every_synonym_exists() {
        for key in TOPIC_KEYS {
            assert!(key.definition.check(key.definition.default.unwrap()).is_ok(), "{}", key.definition.name);
            for (synonym, _) in key.synonyms {
                assert!(broker_key(synonym).is_some(), "{synonym}");
            }
        }
    }
}
