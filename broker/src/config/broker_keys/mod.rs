//! The keys a broker can be configured with: those that Apache Kafka 4.3 lists, and our own.
//!
//! A key that nothing here acts on says so in its row, with the reason. Also names the keys of other versions and of
//! plugins, so that an existing file can be used as it is: each is said once at start and otherwise passed over.

mod cluster;
mod group;
mod log;
mod network;
mod row;
mod sasl;
mod share;
mod tiered;
mod tls;
mod transaction;
pub(super) mod why;

use std::sync::LazyLock;

use super::definition::Definition;
use super::definition::Kind::Long;
use super::definition::Update::ClusterWide;

/// Every broker key that is listed, by name.
pub static BROKER_KEYS: LazyLock<Vec<&'static Definition>> = LazyLock::new(|| {
    let families: [&'static [Definition]; 9] = [
        cluster::KEYS,
        group::KEYS,
        log::KEYS,
        network::KEYS,
        sasl::KEYS,
        share::KEYS,
        tiered::KEYS,
        tls::KEYS,
        transaction::KEYS,
    ];
    let mut keys: Vec<_> = families.into_iter().flatten().collect();
    keys.sort_unstable_by_key(|key| key.name);
    keys
});

/// Keys that are set while brokers run and listed only where they are set (KIP-73).
#[rustfmt::skip]
static UNLISTED_KEYS: [Definition; 3] = [
    row::key("follower.replication.throttled.rate", Long(0, row::MAX_LONG), None, ClusterWide,
        "How many bytes a second followers fetch of throttled replicas."),
    row::key("leader.replication.throttled.rate", Long(0, row::MAX_LONG), None, ClusterWide,
        "How many bytes a second leaders send of throttled replicas."),
    row::key("replica.alter.log.dirs.io.max.bytes.per.second", Long(0, row::MAX_LONG), None, ClusterWide,
        "How many bytes a second are moved into each directory, from others of the broker."),
];

/// Keys of a listener's stores: once brokers run they are set for single listeners alone.
pub const STORE_KEYS: [&str; 10] = [
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// The broker key of that name.
pub fn broker_key(name: &str) -> Option<&'static Definition> {
    let listed = BROKER_KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|found| BROKER_KEYS[found]);
    listed.or_else(|| unlisted_key(name))
}

/// The key of that name, if it is listed only where it is set.
pub fn unlisted_key(name: &str) -> Option<&'static Definition> {
    UNLISTED_KEYS.iter().find(|key| key.name == name)
}

/// Beginnings of the names of keys of other versions of Kafka's, of its internals and of plugins. None begins a key that is
/// known: a slip of the pen there is told what was meant.
const INAPPLICABLE_PREFIXES: &[&str] = &[
    "allow.everyone",
    "auto.include.jmx",
    "broker.id.generation",
    "confluent.",
    "control.plane.",
    "controller.performance.",
    "eligible.leader",
    "group.consumer.regex.",
    "group.share.enable",
    "group.share.max.groups",
    "inter.broker.protocol",
    "internal.",
    "leader.imbalance.per",
    "log.deletion.",
    "log.initial.task",
    "log.message.downconversion",
    "log.message.format",
    "log4j",
    "password.encoder.",
    "plugin.",
    "producer.id.expiration.check",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
    "rlmm.config.",
    "rsm.config.",
    "server.max.startup",
    "super.users",
    "unclean.leader.election.interval",
    "unstable.",
    "zookeeper.",
];

/// Whether it is such a key, which nothing here would act on.
pub fn is_inapplicable(name: &str) -> bool {
    INAPPLICABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::definition::Effect;

    #[test]
    fn a_name_stands_in_one_row() {
        assert!(BROKER_KEYS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(UNLISTED_KEYS.iter().all(|key| BROKER_KEYS.iter().all(|listed| listed.name != key.name)));
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for key in BROKER_KEYS.iter() {
            assert!(key.default.is_none_or(|default| key.check(default).is_ok()), "{}", key.name);
        }
    }

    #[test]
    fn every_key_is_explained_in_sentences() {
        for key in BROKER_KEYS.iter().copied().chain(&UNLISTED_KEYS) {
            assert!(key.doc.ends_with('.'), "{}", key.name);
            if let Effect::None(why) = key.effect {
                assert!(!why.is_empty() && !why.ends_with('.'), "{}", key.name);
            }
        }
    }

    #[test]
    fn a_key_of_kafkas_that_does_not_apply_is_known_and_a_slip_of_the_pen_is_not() {
        assert!(is_inapplicable("zookeeper.connect"));
        assert!(!is_inapplicable("log.retenton.ms"));
        assert!(BROKER_KEYS.iter().copied().chain(&UNLISTED_KEYS).all(|key| !is_inapplicable(key.name)));
    }
}
