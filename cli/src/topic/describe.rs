//! `weir topic describe`: partitions with their logs' bounds, and configs.

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use serde::Serialize;
use weir_protocol::client::{
    Admin, ConfigResource, EligibleLeaders, Isolation, OffsetSpec, PartitionMetadata, TopicMetadata,
};
use weir_protocol::ids::{BrokerId, PartitionIndex, TopicPartition};
use weir_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;

use super::find;
use super::zone_risk::{min_insync_replicas, zone_risk};
use crate::command_error::CommandError;
use crate::output::{self, Format, numbers, words};

/// Show a topic's partitions and configs.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Their names.
    #[arg(required = true)]
    names: Vec<String>,
    /// Show every config in the table, not only those set on the topic; JSON has them all.
    #[arg(long)]
    all_configs: bool,
}

#[derive(Debug, Serialize)]
struct Described {
    name: String,
    topic_id: Option<String>,
    internal: bool,
    partitions: Vec<Partition>,
    configs: Vec<Config>,
    /// What the loss of one zone would do to it, if it does not survive that.
    zone_risk: Option<String>,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: Option<i32>,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline_replicas: Vec<i32>,
    /// Who may lead it without loss though not in sync, and whom the last were before unclean restarts (KIP-966); null from clusters
    /// that do not tell.
    eligible_leader_replicas: Option<Vec<i32>>,
    last_known_elr: Option<Vec<i32>>,
    /// Null if the partition has no leader to ask.
    start_offset: Option<i64>,
    end_offset: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Config {
    name: String,
    /// Null if it is secret.
    value: Option<String>,
    source: &'static str,
    read_only: bool,
    sensitive: bool,
}

/// Where the offsets of each partition are, by index.
type Bounds = HashMap<PartitionIndex, i64>;
/// Who else may lead each partition, by index, from clusters that tell.
type Eligible = Option<BTreeMap<PartitionIndex, EligibleLeaders>>;

pub(super) async fn run(admin: &Admin, arguments: &Arguments, format: Format) -> Result<(), CommandError> {
    let mut described = Vec::new();
    let mut failures = Vec::new();
    for name in &arguments.names {
        match describe(admin, name).await {
            Ok(topic) => described.push(topic),
            Err(error) => failures.push(error),
        }
    }
    match format {
        Format::Json => output::print_json(&described)?,
        Format::Table => {
            let tables: Vec<_> = described.iter().map(|topic| topic.table(arguments.all_configs)).collect();
            if !tables.is_empty() {
                output::print(&tables.join("\n\n"))?;
            }
        }
    }
    CommandError::all(failures)
}

async fn describe(admin: &Admin, name: &str) -> Result<Described, CommandError> {
    let topic = find(admin, name).await?;
    let failed = |error| CommandError::client(format!("describe topic {name}"), error);
    let starts = bounds(admin, name, &topic, OffsetSpec::Earliest).await?;
    let ends = bounds(admin, name, &topic, OffsetSpec::Latest).await?;
    let eligible = admin.eligible_leaders(name).await.map_err(failed)?;
    let configs = admin.describe_configs(&[ConfigResource::Topic(name.to_owned())]).await.map_err(failed)?;
    let configs = match configs.into_iter().next() {
        Some((_, configs)) => configs.map_err(failed)?,
        None => Vec::new(),
    };
    let zone_risk = zone_risk(admin, &topic, min_insync_replicas(&configs));
    let mut configs: Vec<_> = configs.iter().map(config).collect();
    configs.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(Described {
        name: name.to_owned(),
        topic_id: topic.id.map(|id| id.to_string()),
        internal: topic.is_internal,
        partitions: topic.partitions.iter().map(|(at, it)| partition(*at, it, (&starts, &ends), &eligible)).collect(),
        configs,
        zone_risk: zone_risk.map(|risk| risk.to_string()),
    })
}

/// The offsets of the partitions that have a leader to ask.
async fn bounds(admin: &Admin, name: &str, topic: &TopicMetadata, spec: OffsetSpec) -> Result<Bounds, CommandError> {
    let led = topic.partitions.iter().filter(|(_, partition)| partition.leader.is_some());
    let wanted: Vec<_> = led.map(|(&index, _)| (TopicPartition::new(name, index), spec)).collect();
    let listed = admin.client().list_offsets(&wanted, Isolation::ReadUncommitted).await;
    let listed = listed.map_err(|error| CommandError::client(format!("ask for the offsets of topic {name}"), error))?;
    Ok(listed.into_iter().filter_map(|(partition, it)| Some((partition.partition, it.offset?))).collect())
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.get()).collect()
}

fn partition(
    index: PartitionIndex,
    metadata: &PartitionMetadata,
    (starts, ends): (&Bounds, &Bounds),
    eligible: &Eligible,
) -> Partition {
    let eligible = eligible.as_ref().map(|partitions| partitions.get(&index).cloned().unwrap_or_default());
    Partition {
        partition: index.get(),
        leader: metadata.leader.map(BrokerId::get),
        leader_epoch: Some(metadata.leader_epoch.get()).filter(|&epoch| epoch >= 0),
        replicas: ids(&metadata.replicas),
        isr: ids(&metadata.isr),
        offline_replicas: ids(&metadata.offline_replicas),
        eligible_leader_replicas: eligible.as_ref().map(|it| ids(&it.eligible)),
        last_known_elr: eligible.as_ref().map(|it| ids(&it.last_known)),
        start_offset: starts.get(&index).copied(),
        end_offset: ends.get(&index).copied(),
    }
}

fn config(config: &DescribeConfigsResourceResult) -> Config {
    Config {
        name: config.name.to_string(),
        value: config.value.as_ref().map(ToString::to_string),
        source: source(config.config_source),
        read_only: config.read_only,
        sensitive: config.is_sensitive,
    }
}

/// The name of a config source (Kafka: `ConfigEntry.ConfigSource`).
fn source(code: i8) -> &'static str {
    match code {
        1 => "topic",
        2 => "broker",
        3 => "cluster",
        4 => "file",
        5 => "default",
        _ => "unknown",
    }
}

impl Described {
    /// The partitions that somebody out of sync may be elected to; most have nobody, and need nobody.
    fn eligible(&self) -> Option<String> {
        let ids = |ids: &Option<Vec<i32>>| ids.clone().unwrap_or_default();
        let row = |it: &Partition| {
            let (eligible, last) = (ids(&it.eligible_leader_replicas), ids(&it.last_known_elr));
            let is_told = !eligible.is_empty() || !last.is_empty();
            is_told.then(|| [it.partition.to_string(), output::joined(&eligible), output::joined(&last)])
        };
        let rows: Vec<_> = self.partitions.iter().filter_map(row).collect();
        let columns = [numbers("PARTITION"), words("ELIGIBLE LEADERS"), words("LAST KNOWN")];
        (!rows.is_empty()).then(|| output::table(columns, rows))
    }

    fn table(&self, all_configs: bool) -> String {
        let columns = [
            numbers("PARTITION"),
            numbers("LEADER"),
            numbers("EPOCH"),
            words("REPLICAS"),
            words("IN SYNC"),
            numbers("START"),
            numbers("END"),
        ];
        let rows = self.partitions.iter().map(|it| {
            let (leader, epoch) = (output::or_dash(it.leader), output::or_dash(it.leader_epoch));
            let (replicas, isr) = (output::joined(&it.replicas), output::joined(&it.isr));
            let (start, end) = (output::or_dash(it.start_offset), output::or_dash(it.end_offset));
            [it.partition.to_string(), leader, epoch, replicas, isr, start, end]
        });
        let eligible = self.eligible();
        let id = self.topic_id.as_ref().map_or_else(String::new, |id| format!("  id {id}"));
        let mut text = format!("topic {}{id}\n\n{}", self.name, output::table(columns, rows));
        let shown = self.configs.iter().filter(|config| all_configs || config.source == "topic");
        let rows: Vec<_> = shown
            .map(|it| {
                let value = if it.sensitive { "(secret)" } else { it.value.as_deref().unwrap_or("-") };
                [it.name.clone(), value.to_owned(), it.source.to_owned()]
            })
            .collect();
        if let Some(eligible) = eligible {
            text.push_str(&format!("\n\n{eligible}"));
        }
        if let Some(risk) = &self.zone_risk {
            text.push_str(&format!("\n\nThis topic does not survive the loss of every zone: {risk}."));
        }
        if !rows.is_empty() {
            let configs = output::table([words("CONFIG"), words("VALUE"), words("SET BY")], rows);
            text.push_str(&format!("\n\n{configs}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_configs_of_the_topic_and_others_on_request() {
        let config = |name: &str, source| Config {
            name: name.to_owned(),
            value: Some("1".to_owned()),
            source,
            read_only: false,
            sensitive: false,
        };
        let partition = Partition {
            partition: 0,
            leader: None,
            leader_epoch: None,
            replicas: vec![1, 2],
            isr: vec![],
            offline_replicas: vec![1, 2],
            eligible_leader_replicas: Some(vec![2]),
            last_known_elr: Some(vec![]),
            start_offset: None,
            end_offset: None,
        };
        let topic = Described {
            name: "t".to_owned(),
            topic_id: None,
            internal: false,
            partitions: vec![partition],
            configs: vec![config("retention.ms", "topic"), config("segment.ms", "default")],
            zone_risk: None,
        };
        let expected = "topic t\n\n\
                        PARTITION  LEADER  EPOCH  REPLICAS  IN SYNC  START  END\n        \
                        0       -      -  1,2       -            -    -\n\n\
                        PARTITION  ELIGIBLE LEADERS  LAST KNOWN\n        0  2                 -\n\n\
                        CONFIG        VALUE  SET BY\nretention.ms  1      topic";
        assert_eq!(topic.table(false), expected);
        assert!(topic.table(true).contains("segment.ms"));
    }
}
