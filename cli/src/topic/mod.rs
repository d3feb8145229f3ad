//! `weir topic`: one file an action.

mod alter;
mod config_change;
mod create;
mod delete;
mod describe;
mod list;
mod lookup;
mod zone_risk;

pub(crate) use lookup::{all_have_leaders, find, unknown};

use clap::{Args, Subcommand};
use weir_protocol::client::Admin;

use crate::cluster_options::ClusterOptions;
use crate::command_error::CommandError;

/// Create, list, describe, alter and delete topics.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a topic.
    Create(create::Arguments),
    /// List the topics.
    List(list::Arguments),
    /// Show a topic's partitions and configs.
    Describe(describe::Arguments),
    /// Add partitions to a topic, or change its configs.
    Alter(alter::Arguments),
    /// Delete topics and everything in them.
    Delete(delete::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    // What is wrong with the arguments alone needs no broker to be told.
    if let Action::Alter(alter) = &arguments.action {
        alter.check()?;
    }
    let format = arguments.cluster.output;
    let client = arguments.cluster.connect().await?;
    let admin = Admin::new(client);
    match arguments.action {
        Action::Create(create) => create::run(&admin, create, format).await,
        Action::List(list) => list::run(&admin, &list, format).await,
        Action::Describe(describe) => describe::run(&admin, &describe, format).await,
        Action::Alter(alter) => alter::run(&admin, &alter, format).await,
        Action::Delete(delete) => delete::run(&admin, &delete, format).await,
    }
}
