//! `weir cluster dirs`: the log directories of brokers and the replicas in them (DescribeLogDirs, KIP-113, KIP-827).

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use weir_controller::balance::Resource;
use weir_protocol::client::{Admin, LogDir, ReplicaLog};
use weir_protocol::ids::BrokerId;

use super::survey::log_dirs;
use crate::command_error::CommandError;
use crate::output::{self, Format, numbers, words};

/// Show each broker's log directories, their disks, and which replicas lie in them.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The brokers' `node.id`; every broker in service without.
    brokers: Vec<i32>,
    /// Show each replica in the table, not only the directories; JSON has them all.
    #[arg(long, short)]
    replicas: bool,
    /// Only the replicas of this topic.
    #[arg(long, short)]
    topic: Option<String>,
}

#[derive(Debug, Serialize)]
struct Directory {
    broker: i32,
    path: String,
    online: bool,
    /// Null from brokers that do not tell, and of a directory that is not online.
    disk_bytes: Option<u64>,
    free_bytes: Option<u64>,
    replica_bytes: u64,
    replicas: Vec<Replica>,
}

#[derive(Debug, Serialize)]
struct Replica {
    partition: String,
    size_bytes: u64,
    lag: i64,
    /// Whether it is a copy on its way into this directory from another one of the broker.
    is_future: bool,
}

pub(super) async fn run(admin: &Admin, arguments: &Arguments, format: Format) -> Result<(), CommandError> {
    let brokers: Vec<BrokerId> = match arguments.brokers.is_empty() {
        true => admin.client().metadata().brokers.keys().copied().collect(),
        false => arguments.brokers.iter().copied().map(BrokerId).collect(),
    };
    let found = directories(log_dirs(admin, &brokers).await?, arguments.topic.as_deref());
    match format {
        Format::Json => output::print_json(&found),
        Format::Table if arguments.replicas || arguments.topic.is_some() => output::print(&replicas_table(&found)),
        Format::Table => output::print(&table(&found)),
    }
}

fn directories(dirs: BTreeMap<BrokerId, Vec<LogDir>>, topic: Option<&str>) -> Vec<Directory> {
    let is_meant = |replica: &ReplicaLog| topic.is_none_or(|topic| *replica.partition.topic == *topic);
    let of_broker = |(broker, dirs): (BrokerId, Vec<LogDir>)| {
        dirs.into_iter().map(move |dir| {
            let mut replicas: Vec<_> = dir.replicas.into_iter().filter(is_meant).collect();
            replicas.sort_by(|left, right| left.partition.cmp(&right.partition));
            Directory {
                broker: broker.get(),
                path: dir.path,
                online: dir.is_online,
                disk_bytes: dir.space.map(|(disk, _)| disk),
                free_bytes: dir.space.map(|(_, free)| free),
                replica_bytes: replicas.iter().map(|replica| replica.size_bytes).sum(),
                replicas: replicas.iter().map(Replica::of).collect(),
            }
        })
    };
    dirs.into_iter().flat_map(of_broker).collect()
}

impl Replica {
    fn of(replica: &ReplicaLog) -> Self {
        Self {
            partition: replica.partition.to_string(),
            size_bytes: replica.size_bytes,
            lag: replica.offset_lag,
            is_future: replica.is_future,
        }
    }
}

fn bytes(bytes: u64) -> String {
    Resource::DiskBytes.figure(bytes as f64).to_string()
}

fn table(directories: &[Directory]) -> String {
    let columns = [
        numbers("BROKER"),
        words("DIRECTORY"),
        numbers("REPLICAS"),
        numbers("SIZE"),
        numbers("FREE"),
        numbers("DISK"),
        words("STATE"),
    ];
    let rows = directories.iter().map(|dir| {
        let (free, disk) = (output::or_dash(dir.free_bytes.map(bytes)), output::or_dash(dir.disk_bytes.map(bytes)));
        let (replicas, size) = (dir.replicas.len().to_string(), bytes(dir.replica_bytes));
        let state = if dir.online { "online" } else { "failed" };
        [dir.broker.to_string(), dir.path.clone(), replicas, size, free, disk, state.to_owned()]
    });
    output::table(columns, rows)
}

fn replicas_table(directories: &[Directory]) -> String {
    let columns =
        [words("PARTITION"), numbers("BROKER"), words("DIRECTORY"), numbers("SIZE"), numbers("LAG"), words("STATE")];
    let rows = directories.iter().flat_map(|dir| dir.replicas.iter().map(move |replica| (dir, replica)));
    let rows = rows.map(|(dir, replica)| {
        let state = if replica.is_future { "moves here" } else { "" };
        let (size, lag) = (bytes(replica.size_bytes), replica.lag.to_string());
        [replica.partition.clone(), dir.broker.to_string(), dir.path.clone(), size, lag, state.to_owned()]
    });
    output::table(columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::ids::{PartitionIndex, TopicPartition};

    fn dir(path: &str, replicas: &[(&str, u64, bool)], space: Option<(u64, u64)>) -> LogDir {
        let replica = |(topic, size_bytes, is_future): &(&str, u64, bool)| ReplicaLog {
            partition: TopicPartition::new(*topic, PartitionIndex(0)),
            size_bytes: *size_bytes,
            offset_lag: 3,
            is_future: *is_future,
        };
        let replicas = replicas.iter().map(replica).collect();
        LogDir { path: path.to_owned(), is_online: space.is_some(), space, replicas }
    }

    fn found(topic: Option<&str>) -> Vec<Directory> {
        let first = dir("/data/1", &[("b", 2048, false), ("a", 100, false)], Some((1 << 30, 1 << 29)));
        directories([(BrokerId(1), vec![first, dir("/data/2", &[], None)])].into(), topic)
    }

    #[test]
    fn a_directory_that_failed_is_told_without_its_disk() {
        let expected = "BROKER  DIRECTORY  REPLICAS     SIZE     FREE     DISK  STATE\n     \
                        1  /data/1           2  2.1 KiB  512 MiB  1.0 GiB  online\n     \
                        1  /data/2           0      0 B        -        -  failed";
        assert_eq!(table(&found(None)), expected);
    }

    #[test]
    fn replicas_are_those_of_the_topic_in_order() {
        let names = |topic| -> Vec<String> {
            found(topic)[0].replicas.iter().map(|replica| replica.partition.clone()).collect()
        };
        assert_eq!((names(None), names(Some("b"))), (vec!["a-0".to_owned(), "b-0".to_owned()], vec!["b-0".to_owned()]));
    }
}
