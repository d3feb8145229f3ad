//! Weir: a Kafka-compatible message broker, and every command to run it.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("weir: {message}");
            ExitCode::FAILURE
        }
    }
}
