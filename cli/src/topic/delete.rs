//! `weir topic delete`.

use clap::Args;
use serde::Serialize;
use weir_protocol::client::{Admin, Target};
use weir_protocol::error_code::ErrorCode;

use super::unknown;
use crate::command_error::CommandError;
use crate::output::{self, Format};

/// Delete topics and everything in them.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Their names.
    #[arg(required = true)]
    names: Vec<String>,
    /// Be content if a topic is not there.
    #[arg(long)]
    if_exists: bool,
}

#[derive(Debug, Serialize)]
struct Deleted {
    name: String,
    /// False if it was not there.
    deleted: bool,
}

/// Deletes what can be deleted; what cannot is told at the end.
pub(super) async fn run(admin: &Admin, arguments: &Arguments, format: Format) -> Result<(), CommandError> {
    let targets: Vec<_> = arguments.names.iter().cloned().map(Target::Name).collect();
    let doing = || format!("delete {}", arguments.names.join(", "));
    let answers = admin.delete_topics(&targets).await.map_err(|error| CommandError::client(doing(), error))?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for (name, answer) in answers {
        match answer {
            Ok(()) => done.push(Deleted { name, deleted: true }),
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => match arguments.if_exists {
                true => done.push(Deleted { name, deleted: false }),
                false => failures.push(unknown(admin, &name).await),
            },
            Err(error) => failures.push(CommandError::client(format!("delete topic {name}"), error)),
        }
    }
    match format {
        Format::Json => output::print_json(&done)?,
        Format::Table => {
            for it in done {
                let what = if it.deleted { "deleted topic" } else { "there was no topic" };
                output::print(&format!("{what} {}", it.name))?;
            }
        }
    }
    CommandError::all(failures)
}
