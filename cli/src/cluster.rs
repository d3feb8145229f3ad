//! `weir cluster`: the cluster as a whole: its brokers (DescribeCluster, KIP-700) and its metadata quorum (KIP-595, KIP-853).

mod balance;
mod describe;
mod dirs;
mod drain;
mod quorum;
mod survey;
mod voter;

pub(crate) use survey::{log_dirs, replica_sizes};

use clap::{Args, Subcommand};
use weir_protocol::client::Admin;
use weir_protocol::ids::BrokerId;

use crate::cluster_options::ClusterOptions;
use crate::command_error::CommandError;
use crate::output;

/// Show the cluster, its brokers and its quorum, and change who belongs to it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the cluster's id, its controller and its brokers.
    Describe,
    /// Show each broker's log directories, their disks, and which replicas lie in them.
    Dirs(dirs::Arguments),
    /// Show who votes in the metadata quorum, who learns from it, and how far each is.
    Quorum,
    /// Give a controller that runs a vote in the metadata quorum.
    AddVoter(voter::AddArguments),
    /// Take a controller's vote.
    RemoveVoter(voter::RemoveArguments),
    /// Spread replicas, leaders, disk and throughput evenly over brokers, without crowding zones.
    Balance(balance::Arguments),
    /// Move everything off a broker and keep new replicas from it.
    Drain(drain::DrainArguments),
    /// Let a drained broker take replicas again.
    Undrain(drain::UndrainArguments),
    /// Forget a broker that will not come back; its replicas stay where they are until they are moved.
    Unregister {
        /// The broker's `node.id`.
        broker: i32,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let format = arguments.cluster.output;
    let admin = Admin::new(arguments.cluster.connect().await?);
    match arguments.action {
        Action::Describe => describe::run(&admin, format).await,
        Action::Dirs(dirs) => dirs::run(&admin, &dirs, format).await,
        Action::Quorum => quorum::run(&admin, format).await,
        Action::AddVoter(add) => voter::add(&admin, add, format).await,
        Action::RemoveVoter(remove) => voter::remove(&admin, &remove, format).await,
        Action::Balance(balance) => balance::run(&admin, &balance, format).await,
        Action::Drain(drain) => drain::drain(&admin, &drain, format).await,
        Action::Undrain(undrain) => drain::undrain(&admin, &undrain, format).await,
        Action::Unregister { broker } => {
            let done = admin.unregister_broker(BrokerId(broker)).await;
            done.map_err(|error| CommandError::client(format!("unregister broker {broker}"), error))?;
            output::done(format, &format!("broker {broker} is forgotten"))
        }
    }
}
