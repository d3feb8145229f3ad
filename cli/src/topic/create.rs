//! `weir topic create`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use weir_protocol::client::{Admin, ClientError, ConfigResource, NewTopic};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::create_topics_response::CreatableTopicResult;

use super::all_have_leaders;
use super::config_change::NameValue;
use super::zone_risk::{min_insync_replicas, zone_risk};
use crate::command_error::CommandError;
use crate::output::{self, Format};

/// How long to wait until the new topic can be used; it exists either way.
const USABLE_WITHIN: Duration = Duration::from_secs(5);
const USABLE_PAUSE: Duration = Duration::from_millis(20);

/// Create a topic.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its name.
    name: String,
    /// How many partitions; the broker's num.partitions without.
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many replicas of each; the broker's default.replication.factor without.
    #[arg(long, short, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A config, such as retention.ms=3600000; may be given many times.
    #[arg(long = "config", short = 'c', value_name = "NAME=VALUE")]
    configs: Vec<NameValue>,
    /// Be content if the topic is there already, as it is.
    #[arg(long)]
    if_not_exists: bool,
    /// Only ask whether it could be created.
    #[arg(long)]
    validate_only: bool,
}

/// What `-o json` prints. Numbers that the broker does not tell are null.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Created {
    name: String,
    topic_id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    /// False if it was there already, or was only validated.
    created: bool,
}

pub(super) async fn run(admin: &Admin, arguments: Arguments, format: Format) -> Result<(), CommandError> {
    let topic = NewTopic {
        name: arguments.name.clone(),
        partitions: arguments.partitions,
        replication_factor: arguments.replication_factor,
        configs: arguments.configs.into_iter().map(|config| (config.name, config.value)).collect(),
    };
    let name = &arguments.name;
    let failed = |error| CommandError::client(format!("create topic {name}"), error);
    let answers = admin.create_topics(&[topic], arguments.validate_only).await.map_err(failed)?;
    let (created, remark) = match answers.into_iter().next() {
        Some((_, Ok(answer))) => (created(name, &answer, !arguments.validate_only), "created"),
        Some((_, Err(error))) if arguments.if_not_exists && exists(&error) => (existing(name), "exists already:"),
        Some((_, Err(error))) => return Err(failed(error)),
        None => return Err(failed(ClientError::UnknownTopicOrPartition { subject: name.clone() })),
    };
    if created.created {
        let deadline = Instant::now() + USABLE_WITHIN;
        while !all_have_leaders(admin, name).await && Instant::now() < deadline {
            tokio::time::sleep(USABLE_PAUSE).await;
        }
    }
    warn_of_zones(admin, &created).await;
    match format {
        Format::Json => output::print_json(&created),
        Format::Table if arguments.validate_only => output::print(&format!("topic {name} could be created")),
        Format::Table => output::print(&format!("{remark} topic {name}{}", shape(&created))),
    }
}

/// Remarks on a topic that one zone can take. That the cluster does not tell is no failure of what was done.
async fn warn_of_zones(admin: &Admin, created: &Created) {
    if !created.created {
        return;
    }
    let configs = admin.describe_configs(&[ConfigResource::Topic(created.name.clone())]).await;
    let configs = configs.ok().and_then(|configs| configs.into_iter().next()?.1.ok()).unwrap_or_default();
    let metadata = admin.client().metadata();
    let topic = metadata.topics.get(&*created.name);
    if let Some(risk) = topic.and_then(|topic| zone_risk(admin, topic, min_insync_replicas(&configs))) {
        output::remark(&format!("topic {} does not survive the loss of every zone: {risk}", created.name));
    }
}

fn exists(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::TopicAlreadyExists)
}

fn created(name: &str, answer: &CreatableTopicResult, created: bool) -> Created {
    Created {
        name: name.to_owned(),
        topic_id: Some(answer.topic_id).filter(|id| !id.is_nil()).map(|id| id.to_string()),
        partitions: Some(answer.num_partitions).filter(|&count| count > 0),
        replication_factor: Some(answer.replication_factor).filter(|&factor| factor > 0),
        created,
    }
}

fn existing(name: &str) -> Created {
    Created { name: name.to_owned(), topic_id: None, partitions: None, replication_factor: None, created: false }
}

fn shape(created: &Created) -> String {
    let (Some(partitions), Some(replication_factor)) = (created.partitions, created.replication_factor) else {
        return String::new();
    };
    let plural = if partitions == 1 { "" } else { "s" };
    format!(" with {partitions} partition{plural}, replication factor {replication_factor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_told_where_the_broker_tells_it() {
        let answer =
            |partitions| CreatableTopicResult::default().with_num_partitions(partitions).with_replication_factor(1);
        let shape_of = |partitions| shape(&created("t", &answer(partitions), true));
        assert_eq!(shape_of(3), " with 3 partitions, replication factor 1");
        assert_eq!(shape_of(1), " with 1 partition, replication factor 1");
        assert_eq!(shape_of(-1), "");
    }
}
