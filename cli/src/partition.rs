//! `weir partition`: where replicas are and who leads (KIP-455, KIP-460).

mod changes;

use clap::{Args, Subcommand};
use serde::Serialize;
use weir_protocol::client::{Admin, Election, Move, PerItem};
use weir_protocol::ids::{BrokerId, TopicPartition};

use crate::cluster_options::ClusterOptions;
use crate::command_error::CommandError;
use crate::output::{self, Format, joined, words};

use changes::{Named, NewReplicas};

/// Move partitions between brokers and elect their leaders.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give partitions new replicas, the preferred leader first; records are copied before the old ones go.
    Move {
        /// What goes where: TOPIC-PARTITION=BROKER,BROKER,...
        #[arg(required = true, value_name = "PARTITION=BROKERS")]
        moves: Vec<NewReplicas>,
    },
    /// Show the moves that are under way.
    Moves,
    /// End moves that are under way: the replicas are again those from before.
    Cancel {
        /// Which: TOPIC-PARTITION.
        #[arg(required = true, value_name = "PARTITION")]
        partitions: Vec<Named>,
    },
    /// Make the preferred replica of each partition its leader, where it is in sync.
    Elect {
        /// Which: TOPIC-PARTITION; every partition without.
        #[arg(value_name = "PARTITION", required_if_eq("unclean", "true"))]
        partitions: Vec<Named>,
        /// Elect whoever is alive where no replica in sync is: acknowledged records can be lost.
        #[arg(long)]
        unclean: bool,
    },
}

#[derive(Debug, Serialize)]
struct MoveRow {
    partition: String,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let format = arguments.cluster.output;
    let admin = Admin::new(arguments.cluster.connect().await?);
    match arguments.action {
        Action::Move { moves } => {
            let moves: Vec<_> = moves.into_iter().map(|it| (it.partition, Some(it.replicas))).collect();
            let outcome = admin.move_partitions(&moves).await;
            each(outcome.map_err(|error| CommandError::client("move partitions", error))?, format, "move", "is moving")
        }
        Action::Moves => {
            let moves = admin.list_moves().await.map_err(|error| CommandError::client("list the moves", error))?;
            show(&moves, format)
        }
        Action::Cancel { partitions } => {
            let moves: Vec<_> = partitions.into_iter().map(|Named(partition)| (partition, None)).collect();
            let outcome = admin.move_partitions(&moves).await;
            let outcome = outcome.map_err(|error| CommandError::client("end the moves", error))?;
            each(outcome, format, "end the move of", "stays where it was")
        }
        Action::Elect { partitions, unclean } => {
            let partitions: Vec<TopicPartition> = partitions.into_iter().map(|Named(partition)| partition).collect();
            let election = if unclean { Election::Unclean } else { Election::Preferred };
            let asked = (!partitions.is_empty()).then_some(&*partitions);
            let outcome = admin.elect_leaders(election, asked).await;
            let outcome = outcome.map_err(|error| CommandError::client("elect leaders", error))?;
            each(outcome, format, "elect a leader of", "has a new leader")
        }
    }
}

/// Tells what was done, and fails with what was not.
fn each(outcome: PerItem<TopicPartition, ()>, format: Format, doing: &str, done: &str) -> Result<(), CommandError> {
    let mut failures = Vec::new();
    let mut succeeded = Vec::new();
    for (partition, result) in outcome {
        match result {
            Ok(()) => succeeded.push(partition.to_string()),
            Err(error) => failures.push(CommandError::client(format!("{doing} {partition}"), error)),
        }
    }
    match format {
        Format::Json => output::print_json(&succeeded)?,
        Format::Table if succeeded.is_empty() && failures.is_empty() => output::print("nothing to do")?,
        Format::Table => succeeded.iter().try_for_each(|partition| output::print(&format!("{partition} {done}")))?,
    }
    CommandError::all(failures)
}

fn show(moves: &[Move], format: Format) -> Result<(), CommandError> {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.get()).collect();
    let row = |it: &Move| MoveRow {
        partition: it.partition.to_string(),
        replicas: ids(&it.replicas),
        adding: ids(&it.adding),
        removing: ids(&it.removing),
    };
    let rows: Vec<MoveRow> = moves.iter().map(row).collect();
    match format {
        Format::Json => output::print_json(&rows),
        Format::Table => {
            let columns = [words("PARTITION"), words("REPLICAS"), words("ADDING"), words("REMOVING")];
            let row =
                |it: &MoveRow| [it.partition.clone(), joined(&it.replicas), joined(&it.adding), joined(&it.removing)];
            output::print(&output::table(columns, rows.iter().map(row)))
        }
    }
}
