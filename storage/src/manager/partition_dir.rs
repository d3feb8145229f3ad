//! The names of partition folders, and what is to be done with each kind.
//!
//! Owns Kafka's naming (`UnifiedLog`, `LocalLog`): `orders-0` is a partition, `orders-0.{32 hex digits}-delete` one that is
//! being removed, `-stray` one that was set aside, `-future` one that is being moved between directories. Pure.

use std::sync::Arc;

use uuid::Uuid;
use weir_protocol::ids::{PartitionIndex, TopicPartition};

/// The longest file name of the file systems that matter.
const MAX_NAME_BYTES: usize = 255;
/// The longest topic name Kafka allows.
const MAX_TOPIC_BYTES: usize = 249;

const DELETE_SUFFIX: &str = "-delete";
const STRAY_SUFFIX: &str = "-stray";
const FUTURE_SUFFIX: &str = "-future";

/// What a folder of a log directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    Partition(TopicPartition),
    Deleted,
    Stray,
    /// A copy of a partition; of none if its topic's name was cut.
    Future(Option<TopicPartition>),
    /// Not a name that a broker gives.
    Other,
}

impl Folder {
    pub(super) fn of(name: &str) -> Self {
        if name.ends_with(STRAY_SUFFIX) && is_marked(name, STRAY_SUFFIX) {
            Self::Stray
        } else if name.ends_with(DELETE_SUFFIX) && is_marked(name, DELETE_SUFFIX) {
            Self::Deleted
        } else if name.ends_with(FUTURE_SUFFIX) && is_marked(name, FUTURE_SUFFIX) {
            Self::Future(name.rsplit_once('.').and_then(|(partition, _)| parse(partition)))
        } else {
            parse(name).map_or(Self::Other, Self::Partition)
        }
    }
}

/// `something.{id without dash or dot}{suffix}`.
fn is_marked(name: &str, suffix: &str) -> bool {
    let Some(rest) = name.strip_suffix(suffix) else { return false };
    rest.rsplit_once('.').is_some_and(|(before, id)| !before.is_empty() && !id.is_empty() && !id.contains('-'))
}

/// Kafka splits at the last dash, for a topic's name may hold more.
fn parse(name: &str) -> Option<TopicPartition> {
    let (topic, index) = name.rsplit_once('-')?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let canonical = index == "0" || (index.starts_with(|c: char| c.is_ascii_digit() && c != '0'));
    if topic.is_empty() || topic.len() > MAX_TOPIC_BYTES || !topic.bytes().all(legal) || !canonical {
        return None;
    }
    let partition = PartitionIndex(index.parse().ok()?);
    Some(TopicPartition { topic: Arc::from(topic), partition })
}

/// `orders-0`.
pub(super) fn name(partition: &TopicPartition) -> String {
    format!("{}-{}", partition.topic, partition.partition)
}

/// `orders-0.{id}-delete`, the topic cut so that the name is one.
pub(super) fn deleted_name(partition: &TopicPartition, id: Uuid) -> String {
    marked(partition, id, DELETE_SUFFIX)
}

/// `orders-0.{id}-stray`.
pub(super) fn stray_name(partition: &TopicPartition, id: Uuid) -> String {
    marked(partition, id, STRAY_SUFFIX)
}

/// `orders-0.{id}-future`.
pub(super) fn future_name(partition: &TopicPartition, id: Uuid) -> String {
    marked(partition, id, FUTURE_SUFFIX)
}

fn marked(partition: &TopicPartition, id: Uuid, suffix: &str) -> String {
    let tail = format!("-{}.{}{suffix}", partition.partition, id.simple());
    let topic = &partition.topic[..partition.topic.len().min(MAX_NAME_BYTES - tail.len())];
    format!("{topic}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, index: i32) -> TopicPartition {
        TopicPartition { topic: Arc::from(topic), partition: PartitionIndex(index) }
    }

    #[test]
    fn a_partition_is_told_by_its_last_dash() {
        for (topic, index) in [("orders", 0), ("a-1-b", 17), ("a.b_c", 2_147_483_647), ("x-delete", 3)] {
            let partition = partition(topic, index);
            assert_eq!(Folder::of(&name(&partition)), Folder::Partition(partition));
        }
    }

    #[test]
    fn what_no_broker_named_is_left_alone() {
        for name in
            ["orders", "-1", "orders-", "orders-x", "orders-01", "orders-+1", "orders-2147483648", "a b-1", "é-1", ""]
        {
            assert_eq!(Folder::of(name), Folder::Other, "{name}");
        }
    }

    #[test]
    fn marked_names_are_kafkas() {
        let id = Uuid::from_u128(0xabc);
        let deleted = deleted_name(&partition("orders", 3), id);
        assert_eq!(deleted, "orders-3.00000000000000000000000000000abc-delete");
        assert_eq!(Folder::of(&deleted), Folder::Deleted);
        assert_eq!(Folder::of(&stray_name(&partition("orders", 3), id)), Folder::Stray);
        let future = future_name(&partition("orders.eu", 3), id);
        assert_eq!(future, "orders.eu-3.00000000000000000000000000000abc-future");
        assert_eq!(Folder::of(&future), Folder::Future(Some(partition("orders.eu", 3))));
    }

    #[test]
    fn marked_names_of_long_topics_are_cut() {
        let topic = "t".repeat(MAX_TOPIC_BYTES);
        let deleted = deleted_name(&partition(&topic, 12), Uuid::from_u128(1));
        assert_eq!(deleted.len(), MAX_NAME_BYTES);
        assert_eq!(Folder::of(&deleted), Folder::Deleted);
    }
}
