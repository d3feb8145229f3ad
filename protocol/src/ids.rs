//! Names for numbers that must not be swapped.
//!
//! Owns the newtypes of the wire and the log: broker and partition ids, offsets, epochs, producer identities. Holds no
//! behaviour beyond arithmetic that cannot be misread; -1 means "none" wherever Kafka's protocol says so.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The id of a topic, the same for its whole life and never reused (KIP-516).
pub type TopicId = uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $int);

        impl $name {
            /// The protocol's word for "none" or "unknown".
            pub const NONE: Self = Self(-1);

            /// The number as it goes over the wire.
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $int {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

id! {
    /// `node.id` of a broker.
    BrokerId(i32)
}
id! {
    /// The index of a partition within its topic.
    PartitionIndex(i32)
}
id! {
    /// The position of a record in a partition's log.
    Offset(i64)
}
id! {
    /// Counts the leaders that a partition has had (KIP-101).
    LeaderEpoch(i32)
}
id! {
    /// Counts every change of a partition's leader or replica sets (KIP-497).
    PartitionEpoch(i32)
}
id! {
    /// One incarnation of a broker: the metadata offset of its registration (KIP-631).
    BrokerEpoch(i64)
}
id! {
    /// An idempotent or transactional producer (KIP-98).
    ProducerId(i64)
}
id! {
    /// One incarnation of a producer id; a later one fences the earlier (KIP-98).
    ProducerEpoch(i16)
}

impl std::ops::Add<i64> for Offset {
    type Output = Offset;

    fn add(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl std::ops::Sub for Offset {
    type Output = i64;

    fn sub(self, earlier: Offset) -> i64 {
        self.0 - earlier.0
    }
}

/// A partition by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Which of its partitions.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Names `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: impl Into<PartitionIndex>) -> Self {
        Self { topic: topic.into(), partition: partition.into() }
    }
}

impl fmt::Display for TopicPartition {
    /// `topic-partition`, as Kafka names its folders.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
