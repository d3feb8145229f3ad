//! Weir: a Kafka-compatible message broker, and every command to run it.
//!
//! Owns the list of commands and their way to an exit code: 0 done, 1 failed, 2 wrongly called. Each command is a module of
//! its own. All but `serve` speak the Kafka protocol and nothing else, so they work against any Kafka cluster.

mod base64;
mod cluster;
mod cluster_options;
mod command_error;
mod consume;
mod moving;
mod nearest;
mod output;
mod partition;
mod produce;
mod serve;
mod timestamp;
mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command_error::CommandError;

/// A Kafka-compatible message broker in one binary.
#[derive(Debug, Parser)]
#[command(name = "weir", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker.
    Serve(serve::Arguments),
    /// Create, list, describe, alter and delete topics.
    Topic(topic::Arguments),
    /// Write records to a topic.
    Produce(produce::Arguments),
    /// Read records of a topic.
    Consume(consume::Arguments),
    /// Move partitions between brokers and elect their leaders.
    Partition(partition::Arguments),
    /// Show the cluster, its brokers and its quorum, and change who belongs to it.
    Cluster(cluster::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments).map_err(CommandError::Serve),
        Command::Topic(arguments) => run(topic::run(arguments)),
        Command::Produce(arguments) => run(produce::run(arguments)),
        Command::Consume(arguments) => run(consume::run(arguments)),
        Command::Partition(arguments) => run(partition::run(arguments)),
        Command::Cluster(arguments) => run(cluster::run(arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

fn run(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
    runtime.block_on(command)
}
