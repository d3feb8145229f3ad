//! The throttle of moves, set and taken away as Kafka's reassignment tool does (KIP-73).

use std::collections::{BTreeMap, BTreeSet};

use weir_controller::balance::PlannedMove;
use weir_protocol::client::{Admin, ConfigChange, ConfigResource};
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;

use crate::command_error::CommandError;

/// Each side's rate of a broker, and its replicas of a topic.
const RATES: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
const LEADERS: &str = "leader.replication.throttled.replicas";
const FOLLOWERS: &str = "follower.replication.throttled.replicas";

/// The source of a config that is set on its broker while that runs (Kafka: `DYNAMIC_BROKER_CONFIG`).
const BROKER_CONFIG_SOURCE: i8 = 2;

/// What is throttled: on which brokers, and which topics' replicas.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    brokers: BTreeSet<BrokerId>,
    /// `partition:broker` by topic: those who send, and those who fetch.
    replicas: BTreeMap<String, [BTreeSet<String>; 2]>,
}

impl Throttle {
    pub(super) fn of(moves: &[PlannedMove]) -> Self {
        let mut throttle = Self::default();
        for it in moves.iter().filter(|it| it.added().next().is_some()) {
            let named = |id: BrokerId| format!("{}:{id}", it.partition.partition);
            let [senders, fetchers] = throttle.replicas.entry(it.partition.topic.to_string()).or_default();
            senders.extend(it.from.iter().copied().map(named));
            fetchers.extend(it.added().map(named));
            throttle.brokers.extend(it.from.iter().copied().chain(it.added()));
        }
        throttle
    }

    /// What is throttled now, whoever did that: a command that was interrupted leaves it so.
    pub(crate) async fn left(admin: &Admin) -> Result<Self, CommandError> {
        let failed = |error| CommandError::client("look for throttles", error);
        let mut throttle = Self::default();
        let topics = admin.list_topics().await.map_err(failed)?;
        let names: Vec<&str> = topics.keys().map(|name| &**name).collect();
        let set = admin.values_set_on_topics(&names, &[LEADERS, FOLLOWERS]).await.map_err(failed)?;
        for (topic, _) in set.into_iter().filter(|(_, configs)| !configs.is_empty()) {
            throttle.replicas.entry(topic).or_default();
        }
        let brokers = admin.client().metadata().brokers.keys().copied().map(ConfigResource::Broker).collect::<Vec<_>>();
        for (resource, configs) in admin.describe_configs(&brokers).await.map_err(failed)? {
            let is_rate = |config: &DescribeConfigsResourceResult| {
                config.config_source == BROKER_CONFIG_SOURCE && RATES.contains(&&*config.name)
            };
            if let (ConfigResource::Broker(id), true) = (resource, configs.map_err(failed)?.iter().any(is_rate)) {
                throttle.brokers.insert(id);
            }
        }
        Ok(throttle)
    }

    /// Whether nothing is throttled.
    pub(crate) fn is_empty(&self) -> bool {
        self.brokers.is_empty() && self.replicas.is_empty()
    }

    /// The brokers that are throttled, and the topics.
    pub(crate) fn resources(&self) -> impl Iterator<Item = ConfigResource> {
        let brokers = self.brokers.iter().copied().map(ConfigResource::Broker);
        brokers.chain(self.replicas.keys().cloned().map(ConfigResource::Topic))
    }

    /// Sets it. Brokers come first: replicas of no rate are not held back.
    pub(super) async fn set(&self, admin: &Admin, bytes_per_s: u64) -> Result<(), CommandError> {
        let rates = RATES.map(|key| (key.to_owned(), ConfigChange::Set(bytes_per_s.to_string())));
        for broker in self.alive(admin) {
            alter(admin, &ConfigResource::Broker(broker), &rates, "throttle").await?;
        }
        for (topic, [senders, fetchers]) in &self.replicas {
            let listed = |replicas: &BTreeSet<String>| {
                ConfigChange::Set(replicas.iter().map(String::as_str).collect::<Vec<_>>().join(","))
            };
            let changes = [(LEADERS.to_owned(), listed(senders)), (FOLLOWERS.to_owned(), listed(fetchers))];
            alter(admin, &ConfigResource::Topic(topic.clone()), &changes, "throttle").await?;
        }
        Ok(())
    }

    /// Takes it away.
    pub(crate) async fn clear(&self, admin: &Admin) -> Result<(), CommandError> {
        let delete = |keys: [&str; 2]| keys.map(|key| (key.to_owned(), ConfigChange::Delete));
        let mut failures = Vec::new();
        for topic in self.replicas.keys() {
            let (topic, changes) = (ConfigResource::Topic(topic.clone()), delete([LEADERS, FOLLOWERS]));
            failures.extend(alter(admin, &topic, &changes, "free").await.err());
        }
        for broker in self.alive(admin) {
            failures.extend(alter(admin, &ConfigResource::Broker(broker), &delete(RATES), "free").await.err());
        }
        CommandError::all(failures)
    }

    /// Those of the brokers that can be asked: one that is dead sends nothing.
    fn alive(&self, admin: &Admin) -> Vec<BrokerId> {
        let metadata = admin.client().metadata();
        self.brokers.iter().copied().filter(|id| metadata.brokers.contains_key(id)).collect()
    }
}

async fn alter(
    admin: &Admin,
    resource: &ConfigResource,
    changes: &[(String, ConfigChange)],
    doing: &str,
) -> Result<(), CommandError> {
    let done = admin.alter_configs(resource, changes, false).await;
    done.map_err(|error| CommandError::client(format!("{doing} the replicas of {resource}"), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::ids::{PartitionIndex, TopicPartition};

    fn planned(partition: i32, from: &[i32], to: &[i32]) -> PlannedMove {
        let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
        let partition = TopicPartition::new("t", PartitionIndex(partition));
        PlannedMove { partition, from: ids(from), to: ids(to), replica_bytes: 1 }
    }

    #[test]
    fn who_has_the_data_sends_and_who_is_added_fetches() {
        let throttle =
            Throttle::of(&[planned(0, &[1, 2], &[1, 3]), planned(7, &[2], &[4]), planned(8, &[5, 6], &[6, 5])]);
        let [senders, fetchers] = &throttle.replicas["t"];
        assert_eq!(senders.iter().collect::<Vec<_>>(), ["0:1", "0:2", "7:2"]);
        assert_eq!(fetchers.iter().collect::<Vec<_>>(), ["0:3", "7:4"]);
        assert_eq!(throttle.brokers, [1, 2, 3, 4].map(BrokerId).into());
    }
}
