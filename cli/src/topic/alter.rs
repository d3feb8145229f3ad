//! `weir topic alter`: more partitions (CreatePartitions), other configs (IncrementalAlterConfigs, KIP-339).

use clap::Args;
use serde::Serialize;
use weir_protocol::client::{Admin, ConfigChange, ConfigResource};

use super::config_change::NameValue;
use super::find;
use crate::command_error::CommandError;
use crate::output::{self, Format};

/// Add partitions to a topic, or change its configs.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its name.
    name: String,
    /// How many partitions it shall have: more than now, for partitions are never taken away.
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Set a config; may be given many times.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<NameValue>,
    /// Take a config back to what holds without it; may be given many times.
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Add an element to a config that is a list; may be given many times.
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<NameValue>,
    /// Take an element out of a config that is a list; may be given many times.
    #[arg(long, value_name = "NAME=VALUE")]
    subtract: Vec<NameValue>,
    /// Only ask whether it could be done.
    #[arg(long)]
    validate_only: bool,
}

#[derive(Debug, Serialize)]
struct Altered<'a> {
    name: &'a str,
    /// The new number of partitions, if it was to change.
    partitions: Option<i32>,
    /// The names of the configs that were to change.
    configs: Vec<&'a str>,
    validate_only: bool,
}

impl Arguments {
    /// Refuses a call that asks for nothing.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.partitions.is_some() || !self.changes().is_empty() {
            return Ok(());
        }
        let ways = "--partitions N, --set NAME=VALUE, --unset NAME, --append NAME=VALUE or --subtract NAME=VALUE";
        Err(CommandError::Usage(format!("nothing to alter: say {ways}")))
    }

    fn changes(&self) -> Vec<(String, ConfigChange)> {
        let with = |list: &[NameValue], change: fn(String) -> ConfigChange| {
            list.iter().map(move |it| (it.name.clone(), change(it.value.clone()))).collect::<Vec<_>>()
        };
        let mut changes = with(&self.set, ConfigChange::Set);
        changes.extend(self.unset.iter().map(|name| (name.clone(), ConfigChange::Delete)));
        changes.extend(with(&self.append, ConfigChange::Append));
        changes.extend(with(&self.subtract, ConfigChange::Subtract));
        changes
    }
}

pub(super) async fn run(admin: &Admin, arguments: &Arguments, format: Format) -> Result<(), CommandError> {
    let name = &arguments.name;
    find(admin, name).await?;
    let changes = arguments.changes();
    if !changes.is_empty() {
        let resource = ConfigResource::Topic(name.clone());
        let altered = admin.alter_configs(&resource, &changes, arguments.validate_only).await;
        altered.map_err(|error| CommandError::client(format!("change the configs of topic {name}"), error))?;
    }
    if let Some(count) = arguments.partitions {
        let grown = admin.create_partitions(name, count, arguments.validate_only).await;
        grown.map_err(|error| {
            let configs = if changes.is_empty() || arguments.validate_only { "" } else { " (its configs are changed)" };
            CommandError::client(format!("give topic {name} {count} partitions{configs}"), error)
        })?;
    }
    let altered = Altered {
        name,
        partitions: arguments.partitions,
        configs: changes.iter().map(|(name, _)| name.as_str()).collect(),
        validate_only: arguments.validate_only,
    };
    match format {
        Format::Json => output::print_json(&altered),
        Format::Table => output::print(&altered.sentence()),
    }
}

impl Altered<'_> {
    fn sentence(&self) -> String {
        let partitions = self.partitions.map(|count| format!("{count} partitions"));
        let configs = (!self.configs.is_empty()).then(|| self.configs.join(", "));
        let what: Vec<_> = partitions.into_iter().chain(configs).collect();
        let done = if self.validate_only { "could be altered" } else { "altered" };
        format!("topic {} {done}: {}", self.name, what.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Arguments {
        Line::try_parse_from(format!("alter {line}").split(' ')).unwrap().arguments
    }

    #[test]
    fn each_way_of_change_keeps_its_meaning() {
        let changes = parse("t --set a=1 --unset b --append c=2 --subtract d=3").changes();
        let expected = [
            ("a", ConfigChange::Set("1".into())),
            ("b", ConfigChange::Delete),
            ("c", ConfigChange::Append("2".into())),
            ("d", ConfigChange::Subtract("3".into())),
        ];
        assert_eq!(changes, expected.map(|(name, change)| (name.to_owned(), change)));
    }

    #[test]
    fn asking_for_nothing_is_a_usage_error() {
        assert!(matches!(parse("t").check(), Err(CommandError::Usage(_))));
        assert!(parse("t -p 3").check().is_ok());
    }
}
