//! A topic's keys in the form its logs take them.

use std::borrow::Cow;

use weir_controller::image::ResourceConfigs;
use weir_protocol::compression::Codec;
use weir_storage::config::{CleanupPolicy, CompressionType, LogConfig, TimestampType};

use super::definition::list;
use super::effective::Layers;
use super::throttled_replicas::ThrottledReplicas;
use super::topic_keys::topic_key;

/// What a topic's settings mean for the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// For its logs.
    pub log: LogConfig,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `leader.replication.throttled.replicas`.
    pub leader_throttled: ThrottledReplicas,
    /// `follower.replication.throttled.replicas`.
    pub follower_throttled: ThrottledReplicas,
}

impl TopicConfig {
    /// Logs as `log` says, and for the rest what holds without settings.
    #[cfg(test)]
    pub(crate) fn of_log(log: LogConfig, min_insync_replicas: usize) -> Self {
        let (leader_throttled, follower_throttled) = Default::default();
        Self { log, min_insync_replicas, leader_throttled, follower_throttled }
    }

    /// What holds for a topic with these overrides. Values were checked when they were set; one that does not parse all
    /// the same (a record of a later version, say) counts as its default.
    pub fn new(layers: Layers<'_>, topic: &ResourceConfigs) -> Self {
        Reader { layers, topic }.topic_config()
    }

    /// `min.insync.replicas` alone.
    pub fn min_insync_replicas(layers: Layers<'_>, topic: &ResourceConfigs) -> usize {
        Reader { layers, topic }.min_insync_replicas()
    }
}

struct Reader<'a> {
    layers: Layers<'a>,
    topic: &'a ResourceConfigs,
}

impl Reader<'_> {
    fn text(&self, name: &'static str) -> Cow<'_, str> {
        let key = topic_key(name).unwrap_or_else(|| panic!("no topic key {name}"));
        let worth = self.layers.topic_worth(self.topic, key).unwrap_or_default();
        match key.definition.check(&worth) {
            Ok(value) if value.len() == worth.len() => worth,
            Ok(value) => Cow::Owned(value.to_owned()),
            Err(error) => {
                tracing::warn!(%error, "the default is used instead");
                Cow::Borrowed(key.definition.default.unwrap_or_default())
            }
        }
    }

    fn number<N: TryFrom<i64>>(&self, name: &'static str) -> N {
        let number: i64 = self.text(name).parse().expect("the value passed its check");
        N::try_from(number).unwrap_or_else(|_| panic!("the bounds of {name} are wider than its field"))
    }

    fn flag(&self, name: &'static str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    fn topic_config(&self) -> TopicConfig {
        let policy = self.text("cleanup.policy");
        let has = |word| list(&policy).any(|given| given == word);
        let log = LogConfig {
            segment_bytes: self.number("segment.bytes"),
            segment_ms: self.number("segment.ms"),
            segment_jitter_ms: self.number("segment.jitter.ms"),
            segment_index_bytes: self.number("segment.index.bytes"),
            index_interval_bytes: self.number("index.interval.bytes"),
            retention_ms: self.number("retention.ms"),
            retention_bytes: self.number("retention.bytes"),
            max_message_bytes: self.number("max.message.bytes"),
            flush_messages: self.number("flush.messages"),
            flush_ms: self.number("flush.ms"),
            file_delete_delay_ms: self.number("file.delete.delay.ms"),
            cleanup: CleanupPolicy { delete: has("delete"), compact: has("compact") },
            delete_retention_ms: self.number("delete.retention.ms"),
            preallocate: self.flag("preallocate"),
            timestamp_type: match &*self.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: self.number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: self.number("message.timestamp.after.max.ms"),
            compression: self.compression(),
            compression_level: self.compression_level(),
        };
        TopicConfig {
            log,
            min_insync_replicas: self.min_insync_replicas(),
            leader_throttled: ThrottledReplicas::parse(&self.text("leader.replication.throttled.replicas")),
            follower_throttled: ThrottledReplicas::parse(&self.text("follower.replication.throttled.replicas")),
        }
    }

    fn min_insync_replicas(&self) -> usize {
        self.number("min.insync.replicas")
    }

    /// LZ4 and snappy have no level to set.
    fn compression_level(&self) -> Option<i32> {
        match &*self.text("compression.type") {
            "gzip" => Some(self.number("compression.gzip.level")).filter(|level| *level != -1),
            "zstd" => Some(self.number("compression.zstd.level")),
            _ => None,
        }
    }

    fn compression(&self) -> CompressionType {
        match &*self.text("compression.type") {
            "uncompressed" => CompressionType::Codec(Codec::None),
            "gzip" => CompressionType::Codec(Codec::Gzip),
            "snappy" => CompressionType::Codec(Codec::Snappy),
            "lz4" => CompressionType::Codec(Codec::Lz4),
            "zstd" => CompressionType::Codec(Codec::Zstd),
            _ => CompressionType::Producer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> TopicConfig {
        let settings = Settings::default();
        let none = ResourceConfigs::new();
        let topic = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        TopicConfig::new(Layers { broker: &none, cluster: &none, settings: &settings }, &topic)
    }

    #[test]
    fn a_topic_without_settings_has_the_logs_defaults() {
        assert_eq!(config(&[]).log, LogConfig::default());
    }

    #[test]
    fn both_policies_may_hold() {
        let both = config(&[("cleanup.policy", "compact, delete")]).log.cleanup;
        assert_eq!(both, CleanupPolicy { delete: true, compact: true });
    }

    #[test]
    fn a_codec_is_taken_by_its_name() {
        let log = config(&[("compression.type", "zstd")]).log;
        assert_eq!(log.compression, CompressionType::Codec(Codec::Zstd));
    }

    #[test]
    fn only_the_level_of_the_topics_codec_counts() {
        let levels = [("compression.zstd.level", "19"), ("compression.gzip.level", "9")];
        let level = |codec| config(&[levels[0], levels[1], ("compression.type", codec)]).log.compression_level;
        assert_eq!([level("zstd"), level("gzip"), level("lz4"), level("producer")], [Some(19), Some(9), None, None]);
        assert_eq!(config(&[("compression.type", "gzip")]).log.compression_level, None);
    }
}
