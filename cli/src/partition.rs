//! `weir partition`: where replicas are and who leads (KIP-455, KIP-460).

mod changes;
mod moves;
mod throttled;

use clap::{Args, Subcommand};
use weir_protocol::client::{Admin, Election, PerItem};
use weir_protocol::ids::{BrokerId, TopicPartition};

use crate::cluster_options::ClusterOptions;
use crate::command_error::CommandError;
use crate::output::{self, Format};

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
        /// The bytes a second that every broker may send, and may fetch, for these moves (KIP-73). The command then stays until they
        /// have ended, and takes the throttle away.
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
        throttle: Option<u64>,
    },
    /// Move a broker's replicas to another of its log directories; partitions are served meanwhile.
    MoveDir {
        /// Which: TOPIC-PARTITION.
        #[arg(required = true, value_name = "PARTITION")]
        partitions: Vec<Named>,
        /// The broker's `node.id`.
        #[arg(long)]
        broker: i32,
        /// The directory, as `weir cluster dirs` lists it.
        #[arg(long, value_name = "DIRECTORY")]
        to: String,
    },
    /// Show the moves that are under way, between brokers and between their directories.
    Moves,
    /// End moves that are under way: the replicas are again those from before.
    Cancel {
        /// Which: TOPIC-PARTITION.
        #[arg(required = true, value_name = "PARTITION")]
        partitions: Vec<Named>,
    },
    /// Take away the throttle of moves, as an interrupted command leaves it; those under way go on as fast as they can.
    Unthrottle,
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

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let format = arguments.cluster.output;
    let admin = Admin::new(arguments.cluster.connect().await?);
    match arguments.action {
        Action::Move { moves, throttle: Some(bytes_per_s) } => {
            let (moved, failures) = throttled::carry_out(&admin, moves, bytes_per_s).await?;
            tell(&moved, failures, format, "has moved")
        }
        Action::Move { moves, throttle: None } => {
            let moves: Vec<_> = moves.into_iter().map(|it| (it.partition, Some(it.replicas))).collect();
            let outcome = admin.move_partitions(&moves).await;
            let outcome = outcome.map_err(|error| CommandError::client("move partitions", error))?;
            each(outcome, format, "move", "is moving")
        }
        Action::MoveDir { partitions, broker, to } => {
            let partitions: Vec<TopicPartition> = partitions.into_iter().map(|Named(partition)| partition).collect();
            let outcome = admin.move_to_log_dir(BrokerId(broker), &to, &partitions).await;
            let outcome = outcome.map_err(|error| CommandError::client(format!("ask broker {broker}"), error))?;
            each(outcome, format, "move", &format!("is moving to {to} on broker {broker}"))
        }
        Action::Moves => moves::show(&admin, format).await,
        Action::Cancel { partitions } => {
            let moves: Vec<_> = partitions.into_iter().map(|Named(partition)| (partition, None)).collect();
            let outcome = admin.move_partitions(&moves).await;
            let outcome = outcome.map_err(|error| CommandError::client("end the moves", error))?;
            let each = each(outcome, format, "end the move of", "stays where it was");
            throttled::clear_if_nothing_moves(&admin).await?;
            each
        }
        Action::Unthrottle => throttled::clear(&admin, format).await,
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
    tell(&succeeded, failures, format, done)
}

fn tell(succeeded: &[String], failures: Vec<CommandError>, format: Format, done: &str) -> Result<(), CommandError> {
    match format {
        Format::Json => output::print_json(&succeeded)?,
        Format::Table if succeeded.is_empty() && failures.is_empty() => output::print("nothing to do")?,
        Format::Table => succeeded.iter().try_for_each(|it| output::print(&format!("{it} {done}")))?,
    }
    CommandError::all(failures)
}
