//! What the seed decides besides when the kills fall: how the broker and the topic under load are set up.

use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Small segments, so that kills fall on rolls too; the first is the smallest there can be.
const SEGMENT_BYTES: [&str; 3] = ["1048576", "1500000", "4194304"];
const CLEANUP_POLICIES: [&str; 2] = ["delete", "compact"];
const TIMESTAMP_TYPES: [&str; 2] = ["CreateTime", "LogAppendTime"];
const CODECS: [&str; 3] = ["none", "gzip", "lz4"];
/// Whether the topic waits for the disk, and how.
const FLUSHES: [Option<(&str, &str)>; 4] = [None, None, Some(("flush.ms", "20")), Some(("flush.messages", "1000"))];
const MAX_LOG_DIRS: usize = 3;

/// One set-up.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What is set on the topic under load.
    pub(crate) topic: Vec<(&'static str, &'static str)>,
    /// How its producer compresses.
    pub(crate) codec: &'static str,
    /// The broker's log directories.
    pub(crate) log_dirs: usize,
}

impl Plan {
    pub(crate) fn draw(random: &mut StdRng) -> Plan {
        let mut one_of = |choices: &[&'static str]| choices.choose(random).copied().unwrap_or_default();
        let mut topic = vec![
            ("segment.bytes", one_of(&SEGMENT_BYTES)),
            ("cleanup.policy", one_of(&CLEANUP_POLICIES)),
            ("message.timestamp.type", one_of(&TIMESTAMP_TYPES)),
        ];
        let codec = one_of(&CODECS);
        topic.extend(FLUSHES.choose(random).copied().flatten());
        Plan { topic, codec, log_dirs: random.random_range(1..=MAX_LOG_DIRS) }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} log directories, codec {}", self.log_dirs, self.codec)?;
        self.topic.iter().try_for_each(|(key, value)| write!(f, ", {key}={value}"))
    }
}
