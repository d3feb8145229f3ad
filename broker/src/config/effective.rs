//! What a key is worth once every layer is counted: topic, broker, cluster, static, default (KIP-226).
//!
//! A pure function of the layers. The same walk answers the broker itself and DescribeConfigs, so that what is shown is
//! what holds.

use super::broker_keys::BROKER_KEYS;
use super::definition::Definition;
use super::settings::Settings;
use super::topic_keys::{TOPIC_KEYS, TopicKey};

/// Where a value comes from, with the protocol's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    DynamicTopic = 1,
    /// Set on this broker while it ran.
    DynamicBroker = 2,
    /// Set for all brokers while they ran.
    DynamicDefaultBroker = 3,
    /// Set in the file, the environment or on the command line.
    StaticBroker = 4,
    /// The key's default.
    Default = 5,
}

/// One layer's word on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key that was set: the one asked for or a synonym of it.
    pub name: &'static str,
    /// Its value, in the unit of `name`; `None` is Kafka's null.
    pub value: Option<String>,
    /// The layer.
    pub source: Source,
}

/// A key with its value and everything behind it.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The key.
    pub definition: &'static Definition,
    /// The value that holds, in the key's own unit.
    pub value: Option<String>,
    /// The layer it comes from.
    pub source: Source,
    /// Every layer that says something, the one that holds first.
    pub synonyms: Vec<Entry>,
}

/// A map of settings made while the cluster runs.
pub type Overrides<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The layers under a topic or a broker.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// Set for this broker.
    pub broker: Overrides<'a>,
    /// Set for all brokers.
    pub cluster: Overrides<'a>,
    /// What the node was started with.
    pub settings: &'a Settings,
}

impl Layers<'_> {
    fn entries(&self, name: &'static str, into: &mut Vec<Entry>) {
        let mut push = |value: Option<String>, source| {
            into.extend(value.map(|value| Entry { name, value: Some(value), source }));
        };
        push((self.broker)(name), Source::DynamicBroker);
        push((self.cluster)(name), Source::DynamicDefaultBroker);
        push(self.settings.set(name).map(str::to_owned), Source::StaticBroker);
    }

    /// A broker key's value.
    pub fn broker_value(&self, definition: &'static Definition) -> Effective {
        let mut synonyms = Vec::new();
        self.entries(definition.name, &mut synonyms);
        let default = definition.default.map(str::to_owned);
        synonyms.push(Entry { name: definition.name, value: default, source: Source::Default });
        Effective { definition, value: synonyms[0].value.clone(), source: synonyms[0].source, synonyms }
    }

    /// Every broker key's value.
    pub fn broker_values(&self) -> impl Iterator<Item = Effective> {
        BROKER_KEYS.iter().map(|definition| self.broker_value(definition))
    }

    /// A topic key's value.
    pub fn topic_value(&self, topic: Overrides<'_>, key: &'static TopicKey) -> Effective {
        let definition = &key.definition;
        let mut synonyms = Vec::new();
        if let Some(value) = topic(definition.name) {
            synonyms.push(Entry { name: definition.name, value: Some(value), source: Source::DynamicTopic });
        }
        for (name, _) in key.synonyms {
            self.entries(name, &mut synonyms);
        }
        let default_name = key.synonyms.first().map_or(definition.name, |(name, _)| name);
        let default = definition.default.map(str::to_owned);
        synonyms.push(Entry { name: default_name, value: default, source: Source::Default });
        let holds = &synonyms[0];
        let value = match holds.source {
            Source::DynamicTopic | Source::Default => holds.value.clone(),
            _ => holds.value.as_deref().map(|value| in_own_unit(key, holds.name, value)),
        };
        Effective { definition, value, source: holds.source, synonyms }
    }

    /// Every topic key's value.
    pub fn topic_values(&self, topic: Overrides<'_>) -> impl Iterator<Item = Effective> {
        TOPIC_KEYS.iter().map(move |key| self.topic_value(topic, key))
    }
}

/// A synonym's value in the unit of the topic's key. In a coarser unit every negative number means "no limit".
fn in_own_unit(key: &TopicKey, synonym: &str, value: &str) -> String {
    let factor = key.synonyms.iter().find(|(name, _)| *name == synonym).map_or(1, |&(_, factor)| factor);
    match value.parse::<i64>() {
        Ok(number) if factor != 1 && number < 0 => "-1".to_owned(),
        Ok(number) if factor != 1 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::topic_keys::topic_key;
    use super::*;

    fn check(topic: Option<&str>, cluster: &[(&str, &str)], file: &[&str], expected: (&str, Source)) {
        let file: Vec<_> = file.iter().map(|s| (*s).to_owned()).collect();
        let (settings, _) = Settings::load(None, std::iter::empty(), &file).unwrap();
        let cluster = |name: &str| cluster.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        let layers = Layers { broker: &|_| None, cluster: &cluster, settings: &settings };
        let topic = |_: &str| topic.map(str::to_owned);
        let found = layers.topic_value(&topic, topic_key("retention.ms").unwrap());
        assert_eq!((found.value.as_deref().unwrap(), found.source), expected);
    }

    #[test]
    fn the_topic_wins_then_the_cluster_then_the_file_then_the_default() {
        check(Some("5"), &[("log.retention.ms", "6")], &["log.retention.ms=7"], ("5", Source::DynamicTopic));
        check(None, &[("log.retention.ms", "6")], &["log.retention.ms=7"], ("6", Source::DynamicDefaultBroker));
        check(None, &[], &["log.retention.ms=7"], ("7", Source::StaticBroker));
        check(None, &[], &[], ("604800000", Source::Default));
    }

    #[test]
    fn the_finer_unit_wins_and_the_coarser_is_converted() {
        check(None, &[], &["log.retention.hours=2", "log.retention.minutes=3"], ("180000", Source::StaticBroker));
        check(None, &[], &["log.retention.hours=2"], ("7200000", Source::StaticBroker));
        check(None, &[], &["log.retention.hours=-1"], ("-1", Source::StaticBroker));
    }
}
