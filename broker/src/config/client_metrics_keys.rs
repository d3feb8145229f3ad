//! The keys of a client metrics subscription (KIP-714), and what they may say.

use weir_controller::decide::ApiError;
use weir_controller::image::ResourceConfigs;
use weir_protocol::error_code::ErrorCode;

use super::definition::Kind::{Int, List};
use super::definition::{Definition, Update, list};

/// Why nothing acts on them yet.
const NOT_BUILT: &str = "client telemetry is not built";

/// Milliseconds that a push interval may be, both inclusive.
const INTERVAL_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;

/// What a client can be matched by.
const MATCHED_BY: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Every key of a subscription, by name.
#[rustfmt::skip]
pub static CLIENT_METRICS_KEYS: &[Definition] = &[
    Definition::new("interval.ms", Int(i32::MIN as i64, i32::MAX as i64), Some("300000"), Update::ClusterWide,
        "How often a client pushes its metrics, in milliseconds.").without_effect(NOT_BUILT),
    Definition::new("match", List, Some(""), Update::ClusterWide,
        "The clients that are meant, as property=pattern; all where it is empty.").without_effect(NOT_BUILT),
    Definition::new("metrics", List, Some(""), Update::ClusterWide,
        "Beginnings of the names of the metrics that are pushed; * is all of them.").without_effect(NOT_BUILT),
];

/// The key of that name.
pub fn client_metrics_key(name: &str) -> Option<&'static Definition> {
    CLIENT_METRICS_KEYS.iter().find(|key| key.name == name)
}

/// Judges all that would be set on a subscription.
pub fn validate(subscription: &str, configs: &ResourceConfigs) -> Result<(), ApiError> {
    let refused = |message: String| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    if subscription.is_empty() {
        return refused("Subscription name can't be empty".to_owned());
    }
    for (name, value) in configs {
        let Some(key) = client_metrics_key(name) else {
            return refused(format!("Unknown client metrics configuration: {name}"));
        };
        let value = key.check(value).map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))?;
        if key.name == "interval.ms" && !value.parse().is_ok_and(|interval| INTERVAL_MS.contains(&interval)) {
            let (min, max) = INTERVAL_MS.into_inner();
            return refused(format!(
                "Invalid value {value} for interval.ms, interval must be between {min} and {max} (1 hour)"
            ));
        }
        if key.name == "match"
            && let Some(pattern) = list(value).find(|pattern| !is_pattern(pattern))
        {
            let message = format!("Illegal client matching pattern: {pattern}");
            return Err(ApiError::new(ErrorCode::InvalidConfig, message));
        }
    }
    Ok(())
}

/// `property=regular expression`.
fn is_pattern(text: &str) -> bool {
    let Some((property, pattern)) = text.split_once('=') else { return false };
    let pattern = pattern.trim();
    MATCHED_BY.contains(&property.trim()) && !pattern.is_empty() && !pattern.contains('=') && is_regex(pattern)
}

fn is_regex(pattern: &str) -> bool {
    regex::Regex::new(pattern).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<(), (ErrorCode, &str)>) {
        let configs = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let found = validate("sub", &configs);
        let found = found.as_ref().map(|_| ()).map_err(|e| (e.code, e.message.as_deref().unwrap_or_default()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_subscription_says_what_when_and_who() {
        let who = "client_software_name=apache-kafka-java, client_software_version=3\\..*";
        check(&[("metrics", "org.apache.kafka."), ("interval.ms", "1000"), ("match", who)], Ok(()));
    }

    #[test]
    fn what_a_subscription_cannot_say_is_refused_as_kafka_refuses_it() {
        let request = ErrorCode::InvalidRequest;
        check(&[("interval", "1")], Err((request, "Unknown client metrics configuration: interval")));
        let interval = "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
        check(&[("interval.ms", "99")], Err((request, interval)));
        let pattern = "Illegal client matching pattern: colour=red";
        check(&[("match", "colour=red")], Err((ErrorCode::InvalidConfig, pattern)));
        check(
            &[("match", "client_id=[")],
            Err((ErrorCode::InvalidConfig, "Illegal client matching pattern: client_id=[")),
        );
        assert!(validate("", &ResourceConfigs::new()).is_err());
    }
}
