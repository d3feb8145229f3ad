//! `weir cluster add-voter` and `remove-voter` (KIP-853).

use std::fmt;
use std::str::FromStr;

use clap::Args;
use uuid::Uuid;
use weir_protocol::client::{Address, Admin};
use weir_protocol::ids::BrokerId;
use weir_storage::identity::{format_uuid, parse_uuid};

use crate::command_error::CommandError;
use crate::output::{self, Format};

/// A controller is a node and a directory: `weir cluster quorum` shows both.
#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The controller's `node.id`.
    voter: i32,
    /// The id of its metadata log's directory.
    #[arg(long, value_name = "ID")]
    directory: DirectoryId,
    /// Where it listens for controllers.
    #[arg(long, value_name = "NAME=HOST:PORT", required = true)]
    listener: Vec<Listener>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArguments {
    /// The controller's `node.id`.
    voter: i32,
    /// The id of its metadata log's directory.
    #[arg(long, value_name = "ID")]
    directory: DirectoryId,
}

/// A directory's id, as `meta.properties` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryId(pub(super) Uuid);

impl FromStr for DirectoryId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = parse_uuid(text).map(Self);
        id.ok_or_else(|| "it is no id: write it as `weir cluster quorum` and meta.properties show it".to_owned())
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_uuid(&self.0))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener(String, Address);

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once('=').ok_or("write NAME=HOST:PORT, such as CONTROLLER=host:9093")?;
        let address = address.parse().map_err(|error: weir_protocol::client::InvalidAddress| error.to_string())?;
        Ok(Self(name.to_owned(), address))
    }
}

pub(super) async fn add(admin: &Admin, arguments: AddArguments, format: Format) -> Result<(), CommandError> {
    let voter = arguments.voter;
    let listeners: Vec<_> = arguments.listener.into_iter().map(|Listener(name, address)| (name, address)).collect();
    let done = admin.add_voter(BrokerId(voter), arguments.directory.0, &listeners).await;
    done.map_err(|error| CommandError::client(format!("give node {voter} a vote"), error))?;
    output::done(format, &format!("node {voter} votes"))
}

pub(super) async fn remove(admin: &Admin, arguments: &RemoveArguments, format: Format) -> Result<(), CommandError> {
    let voter = arguments.voter;
    let done = admin.remove_voter(BrokerId(voter), arguments.directory.0).await;
    done.map_err(|error| CommandError::client(format!("take the vote of node {voter}"), error))?;
    output::done(format, &format!("node {voter} has no vote any more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_has_a_name_and_an_address() {
        let listener = "CONTROLLER=host:9093".parse();
        assert_eq!(listener, Ok(Listener("CONTROLLER".into(), Address::new("host", 9093))));
        assert!("host:9093".parse::<Listener>().unwrap_err().contains("NAME=HOST:PORT"));
        assert!("C=host".parse::<Listener>().unwrap_err().contains("host:port"));
    }
}
