//! `weir topic list`.

use clap::Args;
use serde::Serialize;
use weir_protocol::client::{Admin, TopicMetadata};

use crate::command_error::CommandError;
use crate::output::{self, Format, numbers, words};

/// List the topics.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show the brokers' own topics too.
    #[arg(long)]
    internal: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    name: String,
    topic_id: Option<String>,
    internal: bool,
    partitions: usize,
    replication_factor: usize,
}

pub(super) async fn run(admin: &Admin, arguments: &Arguments, format: Format) -> Result<(), CommandError> {
    let topics = admin.list_topics().await.map_err(|error| CommandError::client("list the topics", error))?;
    let shown = topics.iter().filter(|(_, topic)| arguments.internal || !topic.is_internal);
    let listed: Vec<_> = shown.map(|(name, topic)| listed(name, topic)).collect();
    match format {
        Format::Json => output::print_json(&listed),
        Format::Table => output::print(&table(&listed)),
    }
}

fn listed(name: &str, topic: &TopicMetadata) -> Listed {
    Listed {
        name: name.to_owned(),
        topic_id: topic.id.map(|id| id.to_string()),
        internal: topic.is_internal,
        partitions: topic.partitions.len(),
        replication_factor: topic.partitions.values().map(|partition| partition.replicas.len()).max().unwrap_or(0),
    }
}

fn table(listed: &[Listed]) -> String {
    let columns = [words("NAME"), numbers("PARTITIONS"), numbers("REPLICAS")];
    let row = |it: &Listed| [it.name.clone(), it.partitions.to_string(), it.replication_factor.to_string()];
    output::table(columns, listed.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_row() {
        let topic =
            Listed { name: "greetings".into(), topic_id: None, internal: false, partitions: 3, replication_factor: 1 };
        assert_eq!(table(&[topic]), "NAME       PARTITIONS  REPLICAS\ngreetings           3         1");
        assert_eq!(table(&[]), "NAME  PARTITIONS  REPLICAS");
    }
}
