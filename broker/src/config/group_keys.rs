//! The keys of a group of the consumer, share or streams protocol (KIP-848, KIP-932, KIP-1071), and what they may say.
//!
//! A group need not exist to be configured. What it does not set follows the broker's key of the same name below `group.`,
//! which also has keys for the bounds: `group.consumer.min.session.timeout.ms` and the like.

use weir_controller::decide::ApiError;
use weir_controller::image::ResourceConfigs;
use weir_protocol::error_code::ErrorCode;

use super::broker_keys::why::{CONSUMER, SHARE, STREAMS};
use super::definition::Kind::{self, Boolean, Int, OneOf};
use super::definition::{Definition, Update};
use super::settings::Settings;

const MAX_INT: i64 = i32::MAX as i64;

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    why: &'static str,
    doc: &'static str,
) -> Definition {
    Definition::new(name, kind, Some(default), Update::ClusterWide, doc).without_effect(why)
}

/// Every group key, by name.
#[rustfmt::skip]
pub static GROUP_KEYS: &[Definition] = &[
    key("consumer.assignment.interval.ms", Int(0, MAX_INT), "1000", CONSUMER,
        "How long lies between two assignments at least, in milliseconds."),
    key("consumer.heartbeat.interval.ms", Int(1, MAX_INT), "5000", CONSUMER,
        "How often a member sends a heartbeat, in milliseconds."),
    key("consumer.session.timeout.ms", Int(1, MAX_INT), "45000", CONSUMER,
        "How long a member may be silent before it is removed, in milliseconds."),
    key("share.assignment.interval.ms", Int(0, MAX_INT), "1000", SHARE,
        "How long lies between two assignments at least, in milliseconds."),
    key("share.auto.offset.reset", Kind::ShareOffsetReset, "latest", SHARE,
        "Where a partition begins that the group has not read: earliest, latest, or by_duration: and an ISO-8601 duration."),
    key("share.delivery.count.limit", Int(2, MAX_INT), "5", SHARE,
        "How often a record is delivered at most."),
    key("share.heartbeat.interval.ms", Int(1, MAX_INT), "5000", SHARE,
        "How often a member sends a heartbeat, in milliseconds."),
    key("share.isolation.level", OneOf(&["read_committed", "read_uncommitted"]), "read_uncommitted", SHARE,
        "Whether records of open and aborted transactions are delivered."),
    key("share.partition.max.record.locks", Int(100, MAX_INT), "2000", SHARE,
        "How many records of a partition may be locked at once."),
    key("share.record.lock.duration.ms", Int(1000, MAX_INT), "30000", SHARE,
        "How long a delivered record stays locked, in milliseconds."),
    key("share.renew.acknowledge.enable", Boolean, "true", SHARE,
        "Whether a member may prolong the lock of a record."),
    key("share.session.timeout.ms", Int(1, MAX_INT), "45000", SHARE,
        "How long a member may be silent before it is removed, in milliseconds."),
    key("streams.assignment.interval.ms", Int(0, MAX_INT), "1000", STREAMS,
        "How long lies between two assignments at least, in milliseconds."),
    key("streams.heartbeat.interval.ms", Int(1, MAX_INT), "5000", STREAMS,
        "How often a member sends a heartbeat, in milliseconds."),
    key("streams.initial.rebalance.delay.ms", Int(0, MAX_INT), "3000", STREAMS,
        "How long a new group waits for more members, in milliseconds."),
    key("streams.num.standby.replicas", Int(0, MAX_INT), "0", STREAMS,
        "How many standby replicas each task has."),
    key("streams.session.timeout.ms", Int(1, MAX_INT), "45000", STREAMS,
        "How long a member may be silent before it is removed, in milliseconds."),
];

/// Keys that the broker bounds on both sides, as protocol and rest of the name.
const BOUNDED: [(&str, &str); 12] = [
    ("consumer", "heartbeat.interval.ms"),
    ("consumer", "session.timeout.ms"),
    ("consumer", "assignment.interval.ms"),
    ("share", "heartbeat.interval.ms"),
    ("share", "session.timeout.ms"),
    ("share", "record.lock.duration.ms"),
    ("share", "delivery.count.limit"),
    ("share", "partition.max.record.locks"),
    ("share", "assignment.interval.ms"),
    ("streams", "heartbeat.interval.ms"),
    ("streams", "session.timeout.ms"),
    ("streams", "assignment.interval.ms"),
];

/// The group key of that name.
pub fn group_key(name: &str) -> Option<&'static Definition> {
    GROUP_KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|found| &GROUP_KEYS[found])
}

/// Judges all that would be set on a group, against the broker's own keys.
pub fn validate(configs: &ResourceConfigs, settings: &Settings) -> Result<(), ApiError> {
    for (name, value) in configs {
        let key = group_key(name).ok_or_else(|| invalid(format!("Unknown group config name: {name}")))?;
        key.check(value).map_err(|error| invalid(error.to_string()))?;
    }
    let worth = |name: &str| match configs.get(name) {
        Some(value) => value.trim().parse().unwrap_or_default(),
        None => settings.number(&format!("group.{name}")),
    };
    for (protocol, rest) in BOUNDED {
        let name = format!("{protocol}.{rest}");
        for bound in ["min", "max"] {
            let limit_name = format!("group.{protocol}.{bound}.{rest}");
            check_bound(&name, worth(&name), bound, &limit_name, settings.number(&limit_name))?;
        }
    }
    let standby = "streams.num.standby.replicas";
    let most_standby = "group.streams.max.standby.replicas";
    check_bound(standby, worth(standby), "max", most_standby, settings.number(most_standby))?;
    for protocol in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{protocol}.session.timeout.ms"), format!("{protocol}.heartbeat.interval.ms"));
        if worth(&session) <= worth(&heartbeat) {
            return Err(invalid(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

fn check_bound(name: &str, value: i64, bound: &str, limit_name: &str, limit: i64) -> Result<(), ApiError> {
    let (holds, relation) = match bound {
        "min" => (value >= limit, "greater"),
        _ => (value <= limit, "less"),
    };
    if holds {
        return Ok(());
    }
    Err(invalid(format!("{name} must be {relation} than or equal to {limit_name}")))
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::super::broker_keys::broker_key;
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<(), &str>) {
        let configs = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let found = validate(&configs, &Settings::default());
        let found = found.as_ref().map(|_| ()).map_err(|e| e.message.as_deref().unwrap_or_default());
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_are_sorted_by_name_and_their_defaults_are_the_brokers() {
        assert!(GROUP_KEYS.is_sorted_by_key(|key| key.name));
        for key in GROUP_KEYS {
            assert!(key.check(key.default.unwrap()).is_ok(), "{}", key.name);
            if let Some(brokers) = broker_key(&format!("group.{}", key.name)) {
                assert_eq!(brokers.default, key.default, "{}", key.name);
            }
        }
        check(&[], Ok(()));
    }

    #[test]
    fn a_group_stays_within_the_brokers_bounds() {
        check(&[("consumer.session.timeout.ms", "50000")], Ok(()));
        let low = "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms";
        check(&[("consumer.session.timeout.ms", "44999")], Err(low));
        let high = "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas";
        check(&[("streams.num.standby.replicas", "3")], Err(high));
    }

    #[test]
    fn what_no_group_has_is_refused() {
        check(&[("retention.ms", "1")], Err("Unknown group config name: retention.ms"));
        let wrong = "Invalid value soon for configuration share.record.lock.duration.ms: Not a number of type INT";
        check(&[("share.record.lock.duration.ms", "soon")], Err(wrong));
        check(&[("share.auto.offset.reset", "by_duration:PT1H")], Ok(()));
    }
}
