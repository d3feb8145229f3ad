//! `weir cluster drain` and `undrain`: empties a broker, so that it can be stopped for good, and lets it take replicas again.
//!
//! A drained broker is cordoned first (KIP-1066), which is durable: nothing new goes there while it is emptied, nor after. Emptying
//! can be interrupted at any point and run again.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use weir_controller::balance::{ClusterLoad, Plan, Wish, plan};
use weir_protocol::client::{Admin, ConfigChange, ConfigResource};
use weir_protocol::ids::BrokerId;

use super::balance::show;
use super::survey::{ALL_DIRECTORIES, CORDONED, survey};
use crate::command_error::CommandError;
use crate::moving::{MoveOptions, Mover};
use crate::output::{self, Format};

/// How often it is looked whether moves that somebody else began have ended.
const POLL: Duration = Duration::from_millis(500);

/// Move everything off a broker and keep new replicas from it.
#[derive(Debug, Args)]
pub(super) struct DrainArguments {
    /// The broker's `node.id`.
    broker: i32,
    /// Change nothing: show where each replica would go.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    moving: MoveOptions,
}

/// Let a drained broker take replicas again.
#[derive(Debug, Args)]
pub(super) struct UndrainArguments {
    /// The broker's `node.id`.
    broker: i32,
}

pub(super) async fn drain(admin: &Admin, arguments: &DrainArguments, format: Format) -> Result<(), CommandError> {
    let broker = BrokerId(arguments.broker);
    let wish = Wish { drained: BTreeSet::from([broker]), is_levelled: false };
    if arguments.dry_run {
        return show(&plan(&survey(admin, Duration::ZERO).await?, &wish), format);
    }
    cordon(admin, broker).await?;
    loop {
        let load = survey(admin, Duration::ZERO).await?;
        let plan = plan(&load, &wish);
        if !plan.is_empty() {
            let replicas = load.partitions.iter().filter(|it| it.replicas.contains(&broker)).count();
            output::remark(&format!("broker {broker} has {replicas} replicas left"));
            Mover::new(admin, arguments.moving).carry_out(plan.moves()).await?;
        } else if is_moving(admin, broker).await? {
            tokio::time::sleep(POLL).await;
        } else {
            return finish(broker, &load, &plan, format);
        }
    }
}

/// Whether moves are under way that bring replicas to the broker, or take them off it.
async fn is_moving(admin: &Admin, broker: BrokerId) -> Result<bool, CommandError> {
    let moves = admin.list_moves().await.map_err(|error| CommandError::client("list the moves", error))?;
    Ok(moves.iter().any(|it| it.replicas.contains(&broker) || it.removing.contains(&broker)))
}

fn finish(broker: BrokerId, load: &ClusterLoad, plan: &Plan, format: Format) -> Result<(), CommandError> {
    if let Some(first) = plan.stuck.first() {
        let (count, brokers) = (plan.stuck.len(), load.brokers.len());
        return Err(CommandError::NowhereToGo {
            broker: broker.get(),
            count,
            first: first.partition.to_string(),
            brokers,
        });
    }
    output::done(format, &format!("broker {broker} has no replicas any more and gets no new ones"))
}

/// Keeps new replicas from the broker. One that is dead cannot say so, and need not.
async fn cordon(admin: &Admin, broker: BrokerId) -> Result<(), CommandError> {
    let metadata = admin.client().refresh(Some(&[]), false).await;
    let metadata = metadata.map_err(|error| CommandError::client("ask for the brokers", error))?;
    if !metadata.brokers.contains_key(&broker) {
        output::remark(&format!("broker {broker} is not in service: its replicas are moved, and it is not cordoned"));
        return Ok(());
    }
    let change = [(CORDONED.to_owned(), ConfigChange::Set(ALL_DIRECTORIES.to_owned()))];
    let done = admin.alter_configs(&ConfigResource::Broker(broker), &change, false).await;
    done.map_err(|error| CommandError::client(format!("keep new replicas from broker {broker}"), error))
}

pub(super) async fn undrain(admin: &Admin, arguments: &UndrainArguments, format: Format) -> Result<(), CommandError> {
    let broker = BrokerId(arguments.broker);
    let change = [(CORDONED.to_owned(), ConfigChange::Delete)];
    let done = admin.alter_configs(&ConfigResource::Broker(broker), &change, false).await;
    done.map_err(|error| CommandError::client(format!("let broker {broker} take replicas again"), error))?;
    let sentence = format!("broker {broker} takes replicas again; `weir cluster balance` gives it its share");
    output::done(format, &sentence)
}
