//! The words that mean something to the broker under attack: names and ids of topics that are there to be abused.

use std::io;

use kafka_protocol::messages::ApiVersionsRequest;
use uuid::Uuid;
use weir_protocol::api::ApiKey;
use weir_tests::wire::{NewTopic, Wire};

use super::requests;

/// Topics that requests may create, write, change and delete.
const FODDER: [&str; 4] = ["fodder-0", "fodder-1", "fodder-compacted", "fodder-never-made"];
/// Those of them that exist at the start.
const MADE: usize = 3;

/// What requests are made of.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) topics: Vec<String>,
    pub(crate) topic_ids: Vec<Uuid>,
    /// What the broker says it answers, as far as it parses it.
    pub(crate) advertised: Vec<(ApiKey, i16)>,
}

/// Consumer groups.
pub(crate) const GROUPS: [&str; 3] = ["hostile-group", "other-group", ""];
/// Keys of topics and brokers, and words that are none.
pub(crate) const CONFIG_KEYS: [&str; 9] = [
    "retention.ms",
    "cleanup.policy",
    "segment.bytes",
    "max.message.bytes",
    "compression.type",
    "min.insync.replicas",
    "flush.messages",
    "num.network.threads",
    "no.such.key",
];
/// Values that fit some of the keys.
pub(crate) const CONFIG_VALUES: [&str; 10] =
    ["1", "-1", "0", "1048576", "9223372036854775807", "99999999999999999999", "compact", "delete", "zstd", ""];
/// Words of other fields.
pub(crate) const WORDS: [&str; 10] =
    ["consumer", "range", "", ".", "..", "a/b", "__consumer_offsets", "0", "1", "GROUP"];

impl Vocabulary {
    /// Makes the topics and learns their ids.
    pub(crate) fn prepare(bootstrap: &str) -> io::Result<Vocabulary> {
        let mut wire = Wire::connect(bootstrap)?;
        let made: Vec<NewTopic<'_>> = FODDER[..MADE]
            .iter()
            .map(|name| {
                let configs: &[_] = if name.ends_with("compacted") { &[("cleanup.policy", "compact")] } else { &[] };
                NewTopic { name: (*name).to_owned(), partitions: 2, configs }
            })
            .collect();
        wire.create_topics(&made)?;
        let topic_ids = FODDER[..MADE].iter().map(|name| wire.topic_id(name)).collect::<io::Result<_>>()?;
        let answered = wire.call(&ApiVersionsRequest::default(), 0)?;
        let is_answered = |(key, version): &(ApiKey, i16)| {
            let said = answered.api_keys.iter().find(|api| api.api_key == *key as i16);
            said.is_some_and(|api| (api.min_version..=api.max_version).contains(version))
        };
        let advertised = requests::every_version().into_iter().filter(is_answered).collect();
        Ok(Vocabulary { topics: FODDER.map(str::to_owned).to_vec(), topic_ids, advertised })
    }
}
