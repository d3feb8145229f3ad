//! What a key is worth once every layer is counted: topic or group, broker, cluster, static, default (KIP-226).
//!
//! A pure function of the layers. The same walk answers the broker itself and DescribeConfigs, so that what is shown is
//! what holds. What is shown follows Kafka to the letter, which leaves out layers that say null.

use std::borrow::Cow;

use weir_controller::image::ResourceConfigs;

use super::broker_keys::{BROKER_KEYS, broker_key, unlisted_key};
use super::definition::Definition;
use super::group_keys::GROUP_KEYS;
use super::settings::{Settings, listener_key};
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
    /// Set on the client metrics subscription.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

/// One layer's word on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key that was set: the one asked for or a synonym of it.
    pub name: Cow<'static, str>,
    /// Its value, in the unit of `name`.
    pub value: String,
    /// The layer.
    pub source: Source,
}

/// A key with its value and everything behind it.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The key's name: the definition's, or that with the prefix of one listener.
    pub name: Cow<'static, str>,
    /// The key.
    pub definition: &'static Definition,
    /// The value that holds, in the key's own unit; `None` is Kafka's null.
    pub value: Option<String>,
    /// The layer it comes from.
    pub source: Source,
    /// Every layer that says something, the one that holds first.
    pub synonyms: Vec<Entry>,
}

impl Effective {
    fn of(
        name: Cow<'static, str>,
        definition: &'static Definition,
        value: Option<String>,
        synonyms: Vec<Entry>,
    ) -> Self {
        let source = synonyms.first().map_or(Source::Default, |entry| entry.source);
        Self { name, definition, value, source, synonyms }
    }
}

/// What is set on a resource on which nothing is.
static NOTHING_SET: ResourceConfigs = ResourceConfigs::new();

/// Where a broker's key may be set, what wins first; below them all is its default.
const SET: [Source; 3] = [Source::DynamicBroker, Source::DynamicDefaultBroker, Source::StaticBroker];

/// The layers under a topic, a group or a broker.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// Set for this broker.
    pub broker: &'a ResourceConfigs,
    /// Set for all brokers.
    pub cluster: &'a ResourceConfigs,
    /// What the node was started with.
    pub settings: &'a Settings,
}

impl<'a> Layers<'a> {
    /// Nothing but what the node was started with.
    pub fn of_settings(settings: &'a Settings) -> Self {
        Self { broker: &NOTHING_SET, cluster: &NOTHING_SET, settings }
    }
}

impl Layers<'_> {
    /// What the layer `source` says of `name`.
    fn at(&self, source: Source, name: &str) -> Option<&str> {
        match source {
            Source::DynamicBroker => self.broker.get(name).map(|value| &**value),
            Source::DynamicDefaultBroker => self.cluster.get(name).map(|value| &**value),
            Source::StaticBroker => self.settings.set(name),
            Source::Default => broker_key(name)?.default,
            Source::DynamicTopic | Source::ClientMetrics | Source::Group => None,
        }
    }

    /// Layer by layer, and name by name in each.
    fn entries(&self, names: &[Cow<'static, str>]) -> Vec<Entry> {
        let entry = |source, name: &Cow<'static, str>| {
            Some(Entry { name: name.clone(), value: self.at(source, name)?.to_owned(), source })
        };
        let layers = SET.into_iter().chain([Source::Default]);
        layers.flat_map(|source| names.iter().filter_map(move |name| entry(source, name))).collect()
    }

    /// A broker key's value. A synonym that holds instead of the key is not the key's own.
    pub fn broker_value(&self, definition: &'static Definition) -> Effective {
        let name = Cow::Borrowed(definition.name);
        let synonyms = self.entries(&broker_synonyms(definition.name));
        self.own(name, definition, synonyms)
    }

    /// What one listener's own setting is worth, before everybody's (KIP-103).
    fn listener_value(&self, name: &str, definition: &'static Definition) -> Effective {
        let name: Cow<'static, str> = Cow::Owned(name.to_owned());
        let synonyms = self.entries(&[name.clone(), Cow::Borrowed(definition.name)]);
        self.own(name, definition, synonyms)
    }

    /// What holds for one listener: its own setting in any layer, else everybody's.
    pub fn text_for_listener(&self, listener: &str, name: &'static str) -> Option<String> {
        let own = format!("listener.name.{}.{name}", listener.to_ascii_lowercase());
        let own = SET.into_iter().find_map(|source| self.at(source, &own));
        own.map(str::to_owned).or_else(|| self.broker_value(broker_key(name)?).value)
    }

    fn own(&self, name: Cow<'static, str>, definition: &'static Definition, mut synonyms: Vec<Entry>) -> Effective {
        let skipped = synonyms.iter().take_while(|entry| entry.name != name).count();
        synonyms.drain(..skipped);
        let value = synonyms.first().map(|entry| entry.value.clone());
        Effective::of(name, definition, value, synonyms)
    }

    /// Every broker key's value, and those that are set of keys which are not listed otherwise: single listeners' own.
    pub fn broker_values(&self) -> Vec<Effective> {
        let mut values: Vec<_> = BROKER_KEYS.iter().map(|definition| self.broker_value(definition)).collect();
        let set = self.broker.keys().chain(self.cluster.keys()).map(|name| &**name).chain(self.settings.keys());
        let mut names: Vec<&str> = set.collect();
        names.sort_unstable();
        names.dedup();
        values.extend(names.into_iter().filter_map(|name| match unlisted_key(name) {
            Some(definition) => Some(self.broker_value(definition)),
            None => Some(self.listener_value(name, listener_key(name)?)),
        }));
        values
    }

    /// The value of a broker's key as text, for the broker's own use.
    ///
    /// # Panics
    /// If there is no such key: names are literals of this crate.
    pub fn text(&self, name: &str) -> String {
        let definition = broker_key(name).unwrap_or_else(|| panic!("no configuration key {name}"));
        self.broker_value(definition).value.unwrap_or_default()
    }

    /// What a topic key is worth; `None` is Kafka's null. Takes no memory unless a unit is converted: every new topic asks
    /// for every key.
    pub fn topic_worth<'t>(&'t self, topic: &'t ResourceConfigs, key: &'static TopicKey) -> Option<Cow<'t, str>> {
        if let Some(set) = topic.get(key.definition.name) {
            return Some(Cow::Borrowed(set));
        }
        let mut brokers = SET.into_iter().flat_map(|source| key.synonyms.iter().map(move |synonym| (source, synonym)));
        let set = brokers.find_map(|(source, (name, factor))| Some((self.at(source, name)?, *factor)));
        match set {
            Some((value, factor)) => Some(in_own_unit(value, factor)),
            None => key.definition.default.map(Cow::Borrowed),
        }
    }

    /// A topic key's value and what is behind it.
    pub fn topic_value(&self, topic: &ResourceConfigs, key: &'static TopicKey) -> Effective {
        let definition = &key.definition;
        let names: Vec<_> = key.synonyms.iter().map(|(name, _)| Cow::Borrowed(*name)).collect();
        let mut synonyms = self.entries(&names);
        // Kafka names no default that stands under another key than the first.
        if synonyms.first().is_some_and(|entry| entry.source == Source::Default && entry.name != names[0]) {
            synonyms.clear();
        }
        if let Some(set) = topic.get(definition.name) {
            synonyms.insert(0, entry(definition.name, set, Source::DynamicTopic));
        }
        let value = self.topic_worth(topic, key).map(Cow::into_owned);
        Effective::of(Cow::Borrowed(definition.name), definition, value, synonyms)
    }

    /// Every topic key's value.
    pub fn topic_values(&self, topic: &ResourceConfigs) -> Vec<Effective> {
        TOPIC_KEYS.iter().map(|key| self.topic_value(topic, key)).collect()
    }

    /// A group key's value: the group's own, or that of the broker's key of the same name below `group.` (KIP-848).
    pub fn group_value(&self, group: &ResourceConfigs, definition: &'static Definition) -> Effective {
        let brokers = broker_key(&format!("group.{}", definition.name)).map(|key| self.broker_value(key));
        let (mut value, mut synonyms) = match brokers {
            Some(brokers) => (brokers.value, brokers.synonyms),
            None => {
                let default = definition.default.map(|value| entry(definition.name, value, Source::Default));
                (definition.default.map(str::to_owned), default.into_iter().collect())
            }
        };
        if let Some(set) = group.get(definition.name) {
            value = Some(set.to_string());
            synonyms.insert(0, entry(definition.name, set, Source::Group));
        }
        Effective::of(Cow::Borrowed(definition.name), definition, value, synonyms)
    }

    /// Every group key's value.
    pub fn group_values(&self, group: &ResourceConfigs) -> Vec<Effective> {
        GROUP_KEYS.iter().map(|definition| self.group_value(group, definition)).collect()
    }
}

/// A client metrics key's value: there is no layer below the subscription (KIP-714).
pub fn client_metrics_value(subscription: &ResourceConfigs, definition: &'static Definition) -> Effective {
    let set = subscription.get(definition.name);
    let value = set.map(|value| value.to_string()).or_else(|| definition.default.map(str::to_owned));
    let synonyms = set.map(|value| entry(definition.name, value, Source::ClientMetrics)).into_iter().collect();
    Effective::of(Cow::Borrowed(definition.name), definition, value, synonyms)
}

fn entry(name: &'static str, value: &str, source: Source) -> Entry {
    Entry { name: Cow::Borrowed(name), value: value.to_owned(), source }
}

/// Broker keys that say the same thing in other units, the finest first (Kafka's `brokerConfigSynonyms`).
fn broker_synonyms(name: &'static str) -> Vec<Cow<'static, str>> {
    const FAMILIES: [&[&str]; 3] = [
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    ];
    const FLUSH: &[&str] = &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];
    let family = FAMILIES.into_iter().find(|family| family.contains(&name));
    let family = family.or_else(|| (name == FLUSH[0]).then_some(FLUSH));
    family.map_or_else(|| vec![Cow::Borrowed(name)], |family| family.iter().copied().map(Cow::Borrowed).collect())
}

/// A synonym's value in the unit of the topic's key. In a coarser unit every negative number means "no limit".
fn in_own_unit(value: &str, factor: i64) -> Cow<'_, str> {
    match value.parse::<i64>() {
        Ok(number) if factor != 1 && number < 0 => Cow::Borrowed("-1"),
        Ok(number) if factor != 1 => Cow::Owned(number.saturating_mul(factor).to_string()),
        _ => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::group_keys::group_key;
    use super::super::topic_keys::topic_key;
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> ResourceConfigs {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn settings(pairs: &[&str]) -> Settings {
        let pairs: Vec<_> = pairs.iter().map(|s| (*s).to_owned()).collect();
        Settings::load(None, std::iter::empty(), &pairs).unwrap().0
    }

    /// Each of `Effective`'s synonyms as `name=value`.
    fn shown(effective: &Effective) -> Vec<String> {
        effective.synonyms.iter().map(|entry| format!("{}={}", entry.name, entry.value)).collect()
    }

    fn check(topic: &[(&str, &str)], cluster: &[(&str, &str)], file: &[&str], expected: (&str, Source)) {
        let (broker, cluster, settings) = (configs(&[]), configs(cluster), settings(file));
        let layers = Layers { broker: &broker, cluster: &cluster, settings: &settings };
        let found = layers.topic_value(&configs(topic), topic_key("retention.ms").unwrap());
        assert_eq!((found.value.as_deref().unwrap(), found.source), expected);
    }

    #[test]
    fn the_topic_wins_then_the_cluster_then_the_file_then_the_default() {
        let cluster = [("log.retention.ms", "6")];
        check(&[("retention.ms", "5")], &cluster, &["log.retention.ms=7"], ("5", Source::DynamicTopic));
        check(&[], &cluster, &["log.retention.ms=7"], ("6", Source::DynamicDefaultBroker));
        check(&[], &[], &["log.retention.ms=7"], ("7", Source::StaticBroker));
        check(&[], &[], &[], ("604800000", Source::Default));
    }

    #[test]
    fn the_finer_unit_wins_and_the_coarser_is_converted() {
        check(&[], &[], &["log.retention.hours=2", "log.retention.minutes=3"], ("180000", Source::StaticBroker));
        check(&[], &[], &["log.retention.hours=2"], ("7200000", Source::StaticBroker));
        check(&[], &[], &["log.retention.hours=-1"], ("-1", Source::StaticBroker));
    }

    #[test]
    fn a_topics_default_is_that_of_the_brokers_keys_behind_it() {
        let (none, settings) = (configs(&[]), settings(&[]));
        let layers = Layers { broker: &none, cluster: &none, settings: &settings };
        for key in TOPIC_KEYS {
            let names: Vec<_> = key.synonyms.iter().map(|(name, _)| Cow::Borrowed(*name)).collect();
            let Some(entry) = layers.entries(&names).into_iter().next() else { continue };
            let factor = key.synonyms.iter().find(|(name, _)| *name == entry.name).map_or(1, |(_, factor)| *factor);
            assert_eq!(Some(&*in_own_unit(&entry.value, factor)), key.definition.default, "{}", key.definition.name);
        }
    }

    #[test]
    fn a_broker_key_names_its_family_but_no_default_that_is_not_its_own() {
        let (none, settings) = (configs(&[]), settings(&["log.retention.ms=-1"]));
        let layers = Layers { broker: &none, cluster: &none, settings: &settings };
        let value = |name| layers.broker_value(broker_key(name).unwrap());
        assert_eq!(shown(&value("log.retention.ms")), ["log.retention.ms=-1", "log.retention.hours=168"]);
        assert_eq!(shown(&value("log.retention.hours")), ["log.retention.hours=168"]);
        assert_eq!(shown(&value("log.roll.ms")), Vec::<String>::new());
        assert_eq!((value("log.roll.ms").value, value("log.roll.ms").source), (None, Source::Default));
    }

    #[test]
    fn a_listeners_own_key_is_listed_before_everybodys() {
        let broker = configs(&[("listener.name.external.ssl.keystore.location", "/new.pem")]);
        let (none, settings) = (configs(&[]), settings(&["ssl.keystore.location=/old.pem"]));
        let layers = Layers { broker: &broker, cluster: &none, settings: &settings };
        let values = layers.broker_values();
        let own = values.iter().find(|value| value.name.starts_with("listener.name.")).unwrap();
        assert_eq!(own.source, Source::DynamicBroker);
        assert_eq!(
            shown(own),
            ["listener.name.external.ssl.keystore.location=/new.pem", "ssl.keystore.location=/old.pem"]
        );
    }

    #[test]
    fn a_group_follows_the_broker_until_it_says_otherwise() {
        let (none, settings) = (configs(&[]), settings(&["group.consumer.session.timeout.ms=50000"]));
        let layers = Layers { broker: &none, cluster: &none, settings: &settings };
        let key = group_key("consumer.session.timeout.ms").unwrap();
        let value = |group: &[(&str, &str)]| {
            let found = layers.group_value(&configs(group), key);
            (found.value.clone().unwrap(), found.source, shown(&found).len())
        };
        assert_eq!(value(&[]), ("50000".to_owned(), Source::StaticBroker, 2));
        assert_eq!(value(&[("consumer.session.timeout.ms", "47000")]), ("47000".to_owned(), Source::Group, 3));
    }
}
