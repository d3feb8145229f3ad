//! `weir partition moves`: what is under way, between brokers (KIP-455) and between the directories of a broker (KIP-113).

use serde::Serialize;
use weir_controller::balance::Resource;
use weir_protocol::client::{Admin, LogDir, Move};
use weir_protocol::ids::BrokerId;

use crate::cluster::log_dirs;
use crate::command_error::CommandError;
use crate::moving::Throttle;
use crate::output::{self, Format, joined, numbers, words};

#[derive(Debug, Serialize)]
struct MoveRow {
    partition: String,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
    /// For a replica that stays on its broker and moves between directories: which, and how far it is.
    directory: Option<DirectoryMove>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct DirectoryMove {
    broker: i32,
    from: Option<String>,
    to: String,
    copied_bytes: u64,
    size_bytes: u64,
    lag: i64,
}

pub(super) async fn show(admin: &Admin, format: Format) -> Result<(), CommandError> {
    let moves = admin.list_moves().await.map_err(|error| CommandError::client("list the moves", error))?;
    let brokers: Vec<BrokerId> = admin.client().metadata().brokers.keys().copied().collect();
    let mut rows: Vec<MoveRow> = moves.iter().map(MoveRow::between_brokers).collect();
    for broker in brokers {
        match log_dirs(admin, &[broker]).await {
            Ok(dirs) => rows.extend(dirs.iter().flat_map(|(broker, dirs)| between_directories(*broker, dirs))),
            // What the others tell is worth having.
            Err(error) => output::remark(&error.to_string()),
        }
    }
    match format {
        Format::Json => output::print_json(&rows)?,
        Format::Table => output::print(&tables(&rows))?,
    }
    if moves.is_empty() && !Throttle::left(admin).await?.is_empty() {
        output::remark("replication is throttled, and nothing moves: `weir partition unthrottle` takes that away");
    }
    Ok(())
}

impl MoveRow {
    fn between_brokers(it: &Move) -> Self {
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.get()).collect();
        Self {
            partition: it.partition.to_string(),
            replicas: ids(&it.replicas),
            adding: ids(&it.adding),
            removing: ids(&it.removing),
            directory: None,
        }
    }
}

fn between_directories(broker: BrokerId, dirs: &[LogDir]) -> Vec<MoveRow> {
    let all = || dirs.iter().flat_map(|dir| dir.replicas.iter().map(move |replica| (dir, replica)));
    let row = |(to, copy): (&LogDir, &weir_protocol::client::ReplicaLog)| {
        let from = all().find(|(_, it)| it.partition == copy.partition && !it.is_future);
        MoveRow {
            partition: copy.partition.to_string(),
            replicas: vec![broker.get()],
            adding: Vec::new(),
            removing: Vec::new(),
            directory: Some(DirectoryMove {
                broker: broker.get(),
                from: from.map(|(dir, _)| dir.path.clone()),
                to: to.path.clone(),
                copied_bytes: copy.size_bytes,
                size_bytes: from.map_or(0, |(_, it)| it.size_bytes),
                lag: copy.offset_lag,
            }),
        }
    };
    all().filter(|(_, replica)| replica.is_future).map(row).collect()
}

/// Those between brokers, and below them those between directories where there are any.
fn tables(rows: &[MoveRow]) -> String {
    let columns = [words("PARTITION"), words("REPLICAS"), words("ADDING"), words("REMOVING")];
    let between_brokers = rows.iter().filter(|it| it.directory.is_none());
    let row = |it: &MoveRow| [it.partition.clone(), joined(&it.replicas), joined(&it.adding), joined(&it.removing)];
    let mut text = output::table(columns, between_brokers.map(row));
    let bytes = |bytes: u64| Resource::DiskBytes.figure(bytes as f64).to_string();
    let row = |it: &MoveRow| {
        let dir = it.directory.as_ref()?;
        let (copied, of) = (bytes(dir.copied_bytes), bytes(dir.size_bytes));
        let (from, to) = (output::or_dash(dir.from.as_ref()), dir.to.clone());
        Some([it.partition.clone(), dir.broker.to_string(), from, to, copied, of, dir.lag.to_string()])
    };
    let directories: Vec<_> = rows.iter().filter_map(row).collect();
    if !directories.is_empty() {
        let columns = [
            words("PARTITION"),
            numbers("BROKER"),
            words("FROM"),
            words("TO"),
            numbers("COPIED"),
            numbers("OF"),
            numbers("LAG"),
        ];
        text = format!("{text}\n\n{}", output::table(columns, directories));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::client::ReplicaLog;
    use weir_protocol::ids::{PartitionIndex, TopicPartition};

    #[test]
    fn a_copy_on_its_way_is_told_with_the_directory_that_it_comes_from() {
        let dir = |path: &str, size_bytes, offset_lag, is_future| LogDir {
            path: path.to_owned(),
            is_online: true,
            space: None,
            replicas: vec![ReplicaLog {
                partition: TopicPartition::new("orders", PartitionIndex(0)),
                size_bytes,
                offset_lag,
                is_future,
            }],
        };
        let rows = between_directories(BrokerId(2), &[dir("/data/1", 4096, 0, false), dir("/data/2", 1024, 7, true)]);
        let expected = "PARTITION  REPLICAS  ADDING  REMOVING\n\n\
                        PARTITION  BROKER  FROM     TO        COPIED       OF  LAG\n\
                        orders-0        2  /data/1  /data/2  1.0 KiB  4.0 KiB    7";
        assert_eq!(tables(&rows), expected);
    }
}
